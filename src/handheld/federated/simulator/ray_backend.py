"""Parts of a round on a Ray cluster: the one file of this room that knows its tasks."""

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

_SENT_APART = ServerState(np.empty(0, np.float32))


@dataclass(frozen=True, eq=False)
class RayBackend:
    """Works on a cluster; the population is sent to each machine once, a model once a round."""

    ray: Any
    given: Any
    work: Any

    def parts(self, jobs: Sequence[ClientJob]) -> Iterator[JobResult]:
        """Yield what comes of each job, in order.

        Raises :class:`HandheldError` where the cluster gives up on one.
        """
        if not jobs:
            return
        state = self.ray.put(jobs[0].task.state)
        asked = deque(
            self.work.remote(
                self.given, state, replace(job, task=replace(job.task, state=_SENT_APART))
            )
            for job in jobs
        )
        while asked:
            try:
                yield self.ray.get(asked.popleft())
            except self.ray.exceptions.RayError as error:
                why = f"{type(error).__name__}: {saying_most(str(error))}"
                raise HandheldError(f"the cluster gave up on devices' learning ({why})") from error


@contextmanager
def on_cluster(
    learner: PopulationLearner, stages: StageChain, address: str | None
) -> Iterator[RayBackend]:
    """Give a backend on a cluster; see :func:`handheld.cluster.connected`."""
    with connected(address) as ray:
        try:
            population = ray.put((learner, stages))
        except (
            TypeError
        ) as error:  # Ray's word for what no machine could make again, such as a lock
            raise InputError(
                f"the learner or the stages cannot go to a cluster: {saying_most(str(error))}"
            ) from error
        yield RayBackend(ray, population, ray.remote(_work))


def _work(
    given: tuple[PopulationLearner, StageChain], state: ServerState, job: ClientJob
) -> JobResult:
    return replace(job, task=replace(job.task, state=state)).run(*given)
