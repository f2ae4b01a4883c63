"""Where the parts of a round are worked on: in this process, in several, or on a cluster. None of it changes a bit."""

import multiprocessing
import pickle
import signal
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from handheld.errors import HandheldError, InputError
from handheld.federated.learning.learner import Learner
from handheld.federated.simulator.part import Job, Part
from handheld.federated.stages import Stages


class Engine(Protocol):
    """Works on jobs."""

    def parts(self, jobs: Sequence[Job]) -> Iterator[Part]:
        """Yield what comes of each job, in order."""


@dataclass(frozen=True, eq=False)
class Here:
    """Works in this process, one job after another."""

    learner: Learner
    stages: Stages

    def parts(self, jobs: Sequence[Job]) -> Iterator[Part]:
        """Yield what comes of each job."""
        for job in jobs:
            yield job.run(self.learner, self.stages)


@dataclass(frozen=True, eq=False)
class Pool:
    """Works in several processes of this machine."""

    executor: ProcessPoolExecutor

    def parts(self, jobs: Sequence[Job]) -> Iterator[Part]:
        """Yield what comes of each job. Raises :class:`HandheldError` where a process died."""
        try:
            yield from self.executor.map(_work, jobs)
        except BrokenProcessPool as error:
            raise HandheldError("a process that learned died, perhaps for want of memory; the same command goes on") from error


@contextmanager
def engine_of(kind: str, learner: Learner, stages: Stages, *, workers: int = 1, address: str | None = None) -> Iterator[Engine]:
    """Give an engine.

    Args:
        kind: ``local`` or ``ray``.
        learner: the population; a copy goes to each process.
        stages: on the way of an update.
        workers: processes on this machine.
        address: of a Ray cluster; one on this machine is started without.

    Raises:
        InputError: another kind, or fewer than one worker.
    """
    if kind not in ("local", "ray") or workers < 1:
        raise InputError(f"expected the engine local or ray and 1 worker or more, got {kind} and {workers}")
    if kind == "ray":
        from handheld.federated.simulator.cluster import on_cluster

        with on_cluster(learner, stages, address) as engine:
            yield engine
    elif workers == 1:
        yield Here(learner, stages)
    else:
        with tempfile.TemporaryDirectory() as folder:
            given = Path(folder) / "given"
            given.write_bytes(pickle.dumps((learner, stages)))  # a pipe would hang if a process died while it is told
            context = multiprocessing.get_context("spawn")
            executor = ProcessPoolExecutor(workers, context, initializer=_prepare, initargs=(given,))
            try:
                yield Pool(executor)
            finally:
                executor.shutdown(wait=True, cancel_futures=True)


_given: list[tuple[Learner, Stages]] = []  # in a process of a pool: what it works with


def _prepare(given: Path) -> None:
    # Safe: the process that started this one wrote the file a moment ago, into a folder that only its user may enter.
    _given[:] = [pickle.loads(given.read_bytes())]
    # A terminal sends Ctrl-C to all processes; the one that started these ends them once it has
    # kept what is known.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _work(job: Job) -> Part:
    return job.run(*_given[0])
