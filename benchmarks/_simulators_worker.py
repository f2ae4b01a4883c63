"""Our simulator in a process of its own. Speaks JSON on its command line, and answers in a file:
``_simulators_task.Job``.
"""

import time
from collections.abc import Mapping, Sequence

import numpy as np
from _simulators_task import (
    BATCH,
    CHANGE,
    EXAMPLES,
    RATE,
    SEED,
    Floats,
    Job,
    Watch,
    examples,
    network,
)
from numpy.typing import NDArray

from handheld.federated.algorithms import ServerState
from handheld.federated.learning import ClientTask, ClientWork, Learned, PopulationLearner
from handheld.federated.simulator import Plan, simulate

COHORTS, REPEATS, ROUNDS = (50, 100, 200, 400, 800, 1600), 5, 5


class Constant:
    """Devices whose weights all change by a constant."""

    at_once = 1

    def __init__(self, devices: int, parameters: int) -> None:
        self.examples: NDArray[np.int64] = np.full(devices, EXAMPLES, np.int64)
        self.shapes = ((parameters,),)
        self.parameters = parameters

    def start(self) -> Floats:
        return np.zeros(self.parameters, np.float32)

    def learn(
        self, task: ClientTask, users: Sequence[int], own: Sequence[Floats | None]
    ) -> list[Learned]:
        weights = task.state.weights
        return [
            Learned((weights + CHANGE) - weights, float(self.examples[user]), 1.0, 0.0)
            for user in users
        ]

    def evaluate(self, state: ServerState) -> Mapping[str, float]:
        return {}


def main() -> None:
    job = Job.told()
    watch = Watch(job.started)
    learner = real() if job.step == "real" else Constant(job.population, job.parameters)
    watch.imports_end()
    if job.step == "cohorts":
        job.answer(watch, learner.start(), cohorts=COHORTS, seconds=by_cohort(learner))
        return
    plan = Plan(
        rounds=job.rounds,
        cohort=job.cohort,
        work=ClientWork(epochs=1, batch=BATCH, rate=RATE),
        seed=SEED,
    )
    run = simulate(plan, learner, progress=lambda *_: watch.round_ends())
    job.answer(watch, run.state.weights)


def real() -> PopulationLearner:
    from handheld.data.users.partitions import Partition
    from handheld.federated.learning import Examples, Users
    from handheld.federated.learning.modules import ModuleLearner

    inputs, targets = examples()
    partition = Partition(np.arange(len(inputs)), np.arange(0, len(inputs) + 1, EXAMPLES))
    return ModuleLearner(network(), Users(Examples(inputs, targets), partition))


def by_cohort(learner: PopulationLearner) -> NDArray[np.float64]:
    """Return (repeats, cohorts) median seconds a round, the cohorts in turns."""
    return np.array([[seconds(learner, cohort) for cohort in COHORTS] for _ in range(REPEATS)])


def seconds(learner: PopulationLearner, cohort: int) -> float:
    ends = [time.perf_counter()]
    simulate(
        Plan(rounds=1 + ROUNDS, cohort=cohort),
        learner,
        progress=lambda *_: ends.append(time.perf_counter()),
    )
    return float(np.median(np.diff(ends)[1:]))


if __name__ == "__main__":
    main()
