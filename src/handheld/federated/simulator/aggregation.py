"""A round from its devices' jobs to the next model, for rounds and for asynchronous averaging."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Self

import numpy as np
from numpy.typing import NDArray

from handheld.federated import privacy
from handheld.federated.algorithms import ServerState
from handheld.federated.client import SERVER, seeds
from handheld.federated.learning.learner import ClientTask, Floats
from handheld.federated.rounds import FederationState, RoundSums
from handheld.federated.simulator.checkpoint import Checkpoint, RoundFigures
from handheld.federated.simulator.jobs import ClientJob, JobResult
from handheld.federated.simulator.plan import Plan
from handheld.federated.simulator.setup import RunSetup
from handheld.federated.user_values import (
    method_of,
    require_figures,
)

# Jobs of a round, on any machine: their sums are added up in order, so that any number of workers
# gives the same bits. Each has a sum of its own in memory, so that large models have fewer.
_JOBS = 32
_JOBS_OF_LARGE = 8
_LARGE = 100_000  # weights


@dataclass
class RoundResults(RoundSums):
    """What jobs come to, put together in their order; see :class:`JobResult`."""

    states: dict[int, Floats] = field(default_factory=dict)
    rejected: dict[int, str] = field(default_factory=dict)
    size: int = 0
    loss: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, results: Iterator[JobResult]) -> Self:
        """Return what jobs come to."""
        together = cls()
        for result in results:
            together.add(result)
        return together

    def add(self, result: JobResult) -> None:
        """Add what came of one more job."""
        if result.total is not None:
            self.updates.add_total(result.total)
        if result.statistics is not None:
            self.statistics.add_total(result.statistics)
        if result.changes is not None:
            self.changes.append(result.changes)
        if result.held_statistics is not None:
            self.held_statistics.append(result.held_statistics)
        self.states.update(result.states)
        self.rejected.update(result.rejected)
        self.reasons.update(result.reasons)
        self.size += result.size
        self.loss += result.loss


@dataclass(frozen=True, eq=False)
class RoundDevices:
    """What a simulation knows of a round's devices.

    Attributes:
        sent: (k,) numbers of those who sent something, in time or not.
        figures: of the round, to which those of its step are added.
        enough: whether as many answered as must; the round is given up else.
    """

    sent: NDArray[np.int64]
    figures: RoundFigures
    enough: bool = True


def jobs_of(
    setup: RunSetup,
    task: ClientTask,
    now: Checkpoint,
    users: NDArray[np.int64],
    factor: float = 1.0,
) -> list[ClientJob]:
    """Return devices in jobs; those with most to do first, those alike side by side.

    No machine changes what the jobs are.

    Args:
        setup: of the run.
        task: that they learn by.
        now: what is known before the round.
        users: (k,) numbers of devices.
        factor: by which each change is multiplied.
    """
    plan = setup.plan
    examples = setup.examples[users]
    # The longest first, so that no worker begins one when the others are done.
    order = np.argsort(-examples, kind="stable")
    ranked: list[int] = users[order].tolist()
    # Nothing is weighed where all devices count alike.
    max_weight = 0.0
    if ranked and not plan.alike:
        max_weight = plan.max_weight * max(1.0, float(np.median(examples)))
    memory = setup.stages.public(now.memory)
    jobs = []
    for some_users in _dealt(ranked, setup.learner.at_once, len(task.state.weights)):
        states = {user: now.states[user] for user in some_users if user in now.states}
        job = ClientJob(
            task,
            memory,
            some_users,
            states,
            max_weight=max_weight,
            keep_changes=plan.robust is not None,
            factor=factor,
            error_feedback=plan.error_feedback,
        )
        jobs.append(job)
    return jobs


def _dealt(ranked: list[int], at_once: int, weights: int) -> list[list[int]]:
    """Deal devices out to jobs, as many as learn at once to each in turn."""
    chunks = [ranked[start : start + at_once] for start in range(0, len(ranked), at_once)]
    most_jobs = _JOBS
    if weights >= _LARGE:
        most_jobs = _JOBS_OF_LARGE
    jobs = min(most_jobs, len(chunks))
    return [list(chain.from_iterable(chunks[number::jobs])) for number in range(jobs)]


def after(
    setup: RunSetup, now: Checkpoint, results: RoundResults, devices: RoundDevices
) -> Checkpoint:
    """Return what is known after a round.

    Args:
        setup: of the run.
        now: what was known before.
        results: what devices sent.
        devices: what else is known of them.

    Raises:
        TrainingError: weights that are not finite.
    """
    plan = setup.plan
    before = FederationState(now.state, now.memory)
    closed = None
    if devices.enough:
        task = ClientTask(now.state, plan.algorithm, plan.work, plan.seed)
        closed = setup.rules.closed(before, results, seeds(task, SERVER))
    state = replace(now.state, round=now.state.round + 1)
    memory = now.memory
    states = now.states
    if closed is not None:
        state = closed.server
        memory = closed.memory
        # Not copied for nothing: most algorithms' devices keep no state.
        if results.states:
            states = {**states, **results.states}
    times = now.times.copy()
    # All who sent something: privacy counts them, taken or not.
    np.add.at(times, devices.sent, 1)
    row = _figures(setup, now, results, devices, given_up=closed is None)
    row |= _evaluated(setup, state)
    if plan.promises:
        row["participations"] = int(times.max(initial=0))
        row |= epsilons(plan, setup.population, row)
    return replace(
        now,
        state=state,
        memory=memory,
        states=states,
        times=times,
        rows=(*now.rows, row),
        clock=devices.figures["seconds"],
    )


def _figures(
    setup: RunSetup,
    now: Checkpoint,
    results: RoundResults,
    devices: RoundDevices,
    *,
    given_up: bool,
) -> RoundFigures:
    """Return what is told of a round, but for how good its model is."""
    row: RoundFigures = {
        "round": now.state.round + 1,
        "answered": results.answered,
        "rejected": len(results.rejected),
        "given_up": float(given_up),
        "bytes_up": results.size,
        **devices.figures,
        # Of the round's own length: that of the next one is in the new memory already.
        **setup.stages.figures(now.memory),
    }
    for reason, count in sorted(results.reasons.items()):
        row[f"rejected_{reason}"] = float(count)
    # The mean loss of devices would tell of them what noise hides.
    total = results.updates.total
    if total is not None and not setup.stages.promises:
        row["loss"] = results.loss / total.weight
    return row


def _evaluated(setup: RunSetup, state: ServerState) -> Mapping[str, float]:
    """Return how good a model is, where it is time to look."""
    plan = setup.plan
    if state.round % plan.eval_every and state.round != plan.rounds:
        return {}
    learner = setup.learner
    # As Python's numbers: a checkpoint is JSON, which takes no float32.
    figures = require_figures(method_of(learner, "evaluate"), learner.evaluate(state))
    return {f"test_{name}": value for name, value in figures.items()}


def epsilons(plan: Plan, population: int, row: RoundFigures) -> RoundFigures:
    """Return what noise promises after a round; see ``privacy.epsilons``."""
    promised = plan.promised(population, int(row["round"]), int(row["participations"]))
    return privacy.epsilons(plan.stages, promised)
