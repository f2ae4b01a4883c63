"""Where the jobs of a round are worked on: in this process, in several, or on a cluster.

None of it changes a bit.
"""

import multiprocessing
import os
import pickle
import signal
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Protocol

from handheld.errors import HandheldError, InputError
from handheld.federated.learning.learner import PopulationLearner
from handheld.federated.simulator.jobs import ClientJob, JobResult
from handheld.federated.stages import StageChain
from handheld.ranges import whole_in_range

# Status of a process that would start the run once more: the system's own are below (sysexits.h
# ends at 78), or signals, above 128.
_UNGUARDED = 79
_LAST_WORDS = 5.0  # seconds in which processes of a broken pool end


class SimulationBackend(Protocol):
    """Works on jobs."""

    def results(self, jobs: Sequence[ClientJob]) -> Iterator[JobResult]:
        """Yield what comes of each job, in order."""


@dataclass(frozen=True, eq=False)
class LocalBackend:
    """Works in this process, one job after another."""

    learner: PopulationLearner
    stages: StageChain

    def results(self, jobs: Sequence[ClientJob]) -> Iterator[JobResult]:
        """Yield what comes of each job."""
        for job in jobs:
            yield job.run(self.learner, self.stages)


@dataclass(frozen=True, eq=False)
class PoolBackend:
    """Works in several processes of this machine."""

    executor: ProcessPoolExecutor

    def results(self, jobs: Sequence[ClientJob]) -> Iterator[JobResult]:
        """Yield what comes of each job. Raises :class:`HandheldError` where a process died."""
        answers = self.executor.map(_work, jobs)
        # Asked now: the executor forgets its processes when one dies.
        started = multiprocessing.active_children()
        try:
            yield from answers
        except BrokenProcessPool:
            for process in started:
                process.join(_LAST_WORDS)
            # The pool's own error tells of its threads, which nobody can do anything about.
            raise HandheldError(_why({process.exitcode for process in started})) from None


@contextmanager
def backend_of(
    backend: str,
    learner: PopulationLearner,
    stages: StageChain,
    *,
    workers: int = 1,
    address: str | None = None,
) -> Iterator[SimulationBackend]:
    """Give a backend.

    Args:
        backend: ``local`` or ``ray``.
        learner: the population; a copy goes to each process.
        stages: on the way of an update.
        workers: processes on this machine.
        address: of a Ray cluster; one on this machine is started without.

    Raises:
        InputError: another backend, or fewer than one worker.
    """
    if backend not in ("local", "ray"):
        raise InputError(f"backend: expected local or ray, got {backend!r}")
    whole_in_range("workers", workers, low=1)
    if backend == "ray":
        # Imported here: Ray is optional, and takes seconds.
        from handheld.federated.simulator.ray_backend import on_cluster

        with on_cluster(learner, stages, address) as cluster:
            yield cluster
    elif workers == 1:
        yield LocalBackend(learner, stages)
    else:
        with _pool(learner, stages, workers) as pool:
            yield pool


@contextmanager
def _pool(learner: PopulationLearner, stages: StageChain, workers: int) -> Iterator[PoolBackend]:
    with tempfile.TemporaryDirectory() as folder:
        # A file: a pipe would hang if a process died while it is told.
        content = Path(folder) / "learner"
        content.write_bytes(_pickled(learner, stages))
        # Not forked: a child of a process with threads, such as torch's, may hang.
        context = multiprocessing.get_context("spawn")
        executor = ProcessPoolExecutor(workers, context, initializer=_prepare, initargs=(content,))
        try:
            yield PoolBackend(executor)
        except KeyboardInterrupt:
            # What they work on is not needed any more, and may take minutes.
            for process in dict(executor._processes or {}).values():
                process.terminate()
            raise
        finally:
            executor.shutdown(wait=True, cancel_futures=True)


def refuse_in_a_started_process(workers: int) -> None:
    """End this process if it was started to learn and now starts the run once more.

    A started process imports the script; without a guard around what starts the run, that would
    start processes in turn. It ends with a status by which the first process knows why.
    """
    if workers > 1 and getattr(multiprocessing.current_process(), "_inheriting", False):
        os._exit(_UNGUARDED)


def _why(statuses: set[int | None]) -> str:
    """Return why processes ended, by the statuses with which they did."""
    if _UNGUARDED in statuses:
        return (
            "workers need processes of their own, which import the script that starts the run, and"
            " this one starts it whenever it is imported: put what it does under"
            '  if __name__ == "__main__":'
        )
    return "a process that learned died, perhaps for want of memory; the same command goes on"


def _pickled(learner: PopulationLearner, stages: StageChain) -> bytes:
    try:
        return pickle.dumps((learner, stages))
    except Exception as error:  # PicklingError, AttributeError or TypeError, as the object likes
        culprit = _culprit(learner, "learner") or _culprit(stages, "stages")
        name, value = culprit or ("learner", learner)
        raise InputError(
            f"{name}: {_name_of(value)} cannot go to another process ({error}): define it at the "
            "top level of a module, not as a lambda nor inside a function, or take workers=1"
        ) from error


def _culprit(value: object, name: str) -> tuple[str, object] | None:
    """Return the innermost thing that cannot be pickled, and where it is."""
    try:
        pickle.dumps(value)
    except Exception:  # as above
        for key, inner in _inner(value):
            deeper = _culprit(inner, f"{name}.{key}")
            if deeper is not None:
                return deeper
        return name, value
    return None


def _inner(value: object) -> Iterator[tuple[object, object]]:
    """Yield what a value holds, by name or number."""
    if isinstance(value, list | tuple):
        yield from enumerate(value)
    elif isinstance(value, dict):
        yield from value.items()
    elif not isinstance(value, FunctionType | type):
        yield from getattr(value, "__dict__", {}).items()


def _name_of(value: object) -> str:
    if isinstance(value, FunctionType | type):
        return f"{value.__module__}.{value.__qualname__}"
    return f"a {type(value).__qualname__}"


# In a process of a pool: what it works with, or why it has nothing to work with. A process has no
# other way to keep something from its initializer to its jobs.
_prepared: list[tuple[PopulationLearner, StageChain]] = []
_failures: list[str] = []


def _prepare(content: Path) -> None:
    # Ctrl-C goes to all processes of a terminal; the first one decides what happens, and says so
    # once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        # Safe: the process that started this one wrote the file a moment ago, into a folder that
        # only its user may enter.
        _prepared[:] = [pickle.loads(content.read_bytes())]
    # An initializer that raises prints a traceback, and breaks the pool without a word.
    except Exception as error:
        _failures[:] = [f"{type(error).__name__}: {error}"]


def _work(job: ClientJob) -> JobResult:
    if _failures:
        raise InputError(
            f"another process cannot make the learner again ({_failures[0]}): its classes and "
            "functions belong at the top level of a module or script"
        )
    learner, stages = _prepared[0]
    return job.run(learner, stages)
