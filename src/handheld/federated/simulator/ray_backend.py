"""Jobs of a round on a Ray cluster: the one file of this room that knows its tasks."""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from handheld.cluster import connected, saying_most
from handheld.errors import HandheldError, InputError
from handheld.federated.algorithms import ServerState
from handheld.federated.learning.learner import PopulationLearner
from handheld.federated.simulator.jobs import ClientJob, JobResult
from handheld.federated.stages import StageChain

# In place of the state in a job: a model travels once a round, not once a job.
_SENT_APART = ServerState(np.empty(0, np.float32))


@dataclass(frozen=True, eq=False)
class RayBackend:
    """Works on a cluster; the population is sent to each machine once, a model once a round.

    Attributes:
        ray: the module.
        population: a reference to the learner and the stages.
        work: the remote function.
    """

    ray: Any
    population: Any
    work: Any

    def results(self, jobs: Sequence[ClientJob]) -> Iterator[JobResult]:
        """Yield what comes of each job, in order.

        Raises :class:`HandheldError` where the cluster gives up on one.
        """
        # Of asynchronous averaging devices learn from models of several rounds.
        states = {id(job.task.state): job.task.state for job in jobs}
        sent = {key: self.ray.put(state) for key, state in states.items()}
        waiting: deque[Any] = deque()
        for job in jobs:
            waiting.append(self._start(job, sent[id(job.task.state)]))
        while waiting:
            try:
                yield self.ray.get(waiting.popleft())
            except self.ray.exceptions.RayError as error:
                why = f"{type(error).__name__}: {saying_most(str(error))}"
                raise HandheldError(f"the cluster gave up on devices' learning ({why})") from error

    def _start(self, job: ClientJob, state: Any) -> Any:
        # The model is put once; jobs carry none.
        light = replace(job, task=replace(job.task, state=_SENT_APART))
        return self.work.remote(self.population, state, light)


@contextmanager
def on_cluster(
    learner: PopulationLearner, stages: StageChain, address: str | None
) -> Iterator[RayBackend]:
    """Give a backend on a cluster; see :func:`handheld.cluster.connected`."""
    with connected(address) as ray:
        try:
            population = ray.put((learner, stages))
        # Ray's word for what no machine could make again, such as a lock.
        except TypeError as error:
            why = saying_most(str(error))
            raise InputError(f"the learner or the stages cannot go to a cluster: {why}") from error
        yield RayBackend(ray, population, ray.remote(_work))


def _work(
    population: tuple[PopulationLearner, StageChain], state: ServerState, job: ClientJob
) -> JobResult:
    learner, stages = population
    return replace(job, task=replace(job.task, state=state)).run(learner, stages)
