"""What stays the same in all rounds of a run."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from handheld.federated.algorithms import ServerState
from handheld.federated.learning.learner import ClientTask, PopulationLearner, examples_of
from handheld.federated.rounds import RoundRules
from handheld.federated.simulator.devices import Payload
from handheld.federated.simulator.plan import Plan
from handheld.federated.stages import StageChain, StageSeeds, Update
from handheld.federated.updates.encoder import decoded, encoded, seed_of

# Uses of random numbers, apart from all others of this room: of the encoder of downloads, and of
# the update by which sizes are estimated, which is the same in every run.
_DOWNLOAD_SEED = 13
_ESTIMATE_SEED = 14
_TYPICAL_CHANGE = 1e-3  # deviation of that update's numbers, on which sizes hardly depend
_FLOAT = 4  # bytes


@dataclass(frozen=True, eq=False)
class RunSetup:
    """A plan, the population that learns by it, and the way of its updates.

    Attributes:
        plan: what to do.
        learner: the population.
        stages: on the way of an update.
        upload: bytes that an update takes, about; see :func:`estimated_upload`.
    """

    plan: Plan
    learner: PopulationLearner
    stages: StageChain
    upload: int

    @cached_property
    def examples(self) -> NDArray[np.int64]:
        """(users,) how many examples each device has."""
        # Asked for once: a learner may count them anew each time, and each device of a round asks.
        return examples_of(self.learner)

    @cached_property
    def rules(self) -> RoundRules:
        """How a round's sums change the server's state."""
        plan = self.plan
        return RoundRules(plan.algorithm, self.stages, self.population, plan.robust)

    @property
    def population(self) -> int:
        """Devices in all."""
        return len(self.examples)

    def task(self, state: ServerState) -> tuple[ClientTask, int]:
        """Return what devices get of a state, and in how many bytes."""
        plan = self.plan
        size = _FLOAT * (len(state.weights) + len(state.statistics))
        if plan.algorithm.corrects:
            size += _FLOAT * sum(array.size for array in state.kept.values())
        if plan.download is not None:
            seed = int(seed_of(plan.seed, _DOWNLOAD_SEED, state.round))
            content = encoded(plan.download, state.weights, seed)
            size += len(content) - _FLOAT * len(state.weights)
            weights = decoded(plan.download, content, len(state.weights), seed)
            state = replace(state, weights=weights)
        return ClientTask(state, plan.algorithm, plan.work, plan.seed, plan.structure), size

    def seconds(self, user: int, payload: Payload) -> float:
        """Return how long a device takes for a round."""
        plan = self.plan
        examples = plan.work.examples_seen(int(self.examples[user]))
        return plan.devices.seconds(user, examples, payload, plan.seed)


def estimated_upload(plan: Plan, stages: StageChain, statistics: int) -> int:
    """Return about how many bytes an update takes: that of noise, with statistics beside it."""
    memory = stages.start()
    facts = stages.facts(memory)
    count = facts[0].count
    noise = np.random.default_rng(_ESTIMATE_SEED).standard_normal(count)
    change = noise.astype(np.float32) * _TYPICAL_CHANGE
    upload = stages.on_device(Update.of(change), facts, memory, StageSeeds(0, 0))
    corrections = 0
    if plan.algorithm.corrects:
        # A device sends the change of what it keeps too, as long as the update.
        corrections = count
    return upload.size + _FLOAT * (corrections + statistics)
