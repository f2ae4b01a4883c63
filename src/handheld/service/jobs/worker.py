"""What runs the jobs of a server process: a thread that starts, watches and ends processes."""

import logging
import os
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterable

from handheld.errors import HandheldError, MissingDependencyError
from handheld.service.jobs._cleanup import clean
from handheld.service.jobs._process import JobProcess, Progress
from handheld.service.jobs._running_job import RunningJob
from handheld.service.jobs._strays import adopting_orphans, end_strays
from handheld.service.jobs._table import JobRecord
from handheld.service.jobs.folders import Folders
from handheld.service.jobs.kinds import JobKind
from handheld.service.jobs.limits import DAY
from handheld.service.jobs.queue import JobQueue

try:
    from sqlalchemy.exc import DataError, SQLAlchemyError
except ImportError as error:
    raise MissingDependencyError("SQLAlchemy", "server", "running jobs") from error

__all__ = ["JobWorker", "adopting_orphans", "end_process"]

_PAUSE = 0.2  # seconds between two rounds, which nobody notices
_BEATS_PER_LEASE = 5  # so that some may be late
_SLOWEST_BEAT = 1.0  # seconds: pages show progress that is no older

# A job's files are removed at most a tenth of its days too late, and looked for once a minute.
_CLEANINGS_PER_RETENTION = 10
_SLOWEST_CLEANING = 60.0
_log = logging.getLogger("handheld.service")
_AWAY = (SQLAlchemyError, HandheldError, OSError)
"""What the database or the disk raises while it is away, which passes."""


def end_process() -> None:
    """Ask this process to end, so that whoever supervises it starts it anew: a server that runs no
    job must not look well.
    """
    os.kill(os.getpid(), signal.SIGTERM)


class JobWorker:
    """Runs the jobs of some kinds from a queue, as many at once as the limits say.

    ``start`` and ``stop`` run it in a thread; ``tick`` is one round of it. A job with which
    something goes wrong that is not the database's or the disk's doing fails alone.

    Args:
        queue: where jobs come from.
        folders: where their files are.
        kinds: that it runs.
        timer: gives monotonic seconds.
        on_death: called if the thread ends by an error, which would be one of ours.
    """

    def __init__(
        self,
        queue: JobQueue,
        folders: Folders,
        kinds: Iterable[JobKind],
        *,
        timer: Callable[[], float] = time.monotonic,
        on_death: Callable[[], None] = end_process,
    ) -> None:
        self._queue = queue
        self._folders = folders
        self._timer = timer
        self._on_death = on_death
        self._limits = queue.limits
        self._kinds = {job_kind.name: job_kind for job_kind in kinds}
        self._owner = secrets.token_hex(16)
        self._running: list[RunningJob] = []
        self._beat_every = min(_SLOWEST_BEAT, self._limits.lease_seconds / _BEATS_PER_LEASE)
        retention = self._limits.retention_days * DAY / _CLEANINGS_PER_RETENTION
        self._clean_every = max(1.0, min(_SLOWEST_CLEANING, retention))
        self._next_round = 0.0
        self._next_cleaning = 0.0
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="handheld-jobs")

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Run in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """End the processes of all running jobs and put these back into the queue, to go on later;
        wait for the thread.
        """
        self._stopping.set()
        self._wake.set()
        self._thread.join()

    def wake(self) -> None:
        """Look for new jobs now rather than a moment later."""
        self._next_round = 0.0
        self._wake.set()

    def tick(self) -> None:
        """Do one round: watch what runs, and now and then take new jobs and clean up."""
        for running in list(self._running):
            self._alone(running, self._watch)
        now = self._timer()
        if now >= self._next_round:
            self._next_round = now + self._beat_every
            self._safely(self._take_jobs)
        if now >= self._next_cleaning:
            self._next_cleaning = now + self._clean_every
            self._safely(lambda: clean(self._queue, self._folders))

    def _take_jobs(self) -> None:
        self._queue.reclaim()
        while len(self._running) < self._limits.running:
            job = self._queue.claim(self._owner, tuple(self._kinds))
            if job is None:
                return
            self._begin(job)

    def release_all(self) -> None:
        """End the processes of all running jobs and put these back into the queue."""
        while self._running:
            running = self._running.pop()
            self._kill(running)
            self._queue.release(running.job)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self.tick()
                self._wake.wait(_PAUSE)
                self._wake.clear()
            self._safely(self.release_all)
        except BaseException:
            _log.critical("jobs: the thread that runs them died", exc_info=True)
            self._on_death()

    def _safely(self, action: Callable[[], None]) -> None:
        try:
            action()
        except _AWAY as error:
            # The database or the disk is away for a moment: jobs run on, and the next round tries
            # again.
            lines = str(error).splitlines() or [type(error).__name__]
            _log.error("jobs: %s", lines[0])

    def _alone(self, running: RunningJob, action: Callable[[RunningJob], None]) -> None:
        """Do something for one job; what goes wrong there is that job's alone."""
        try:
            self._safely(lambda: action(running))
        except Exception as error:
            _log.exception("jobs: one failed in a way that it does not explain")
            running.verdict = ("failed", f"the job cannot be watched: {type(error).__name__}")

    def _begin(self, job: JobRecord) -> None:
        progress = Progress(job.fraction, job.message)
        try:
            folder = self._folders.of(job.key)
            process = JobProcess(
                self._kinds[job.kind].entry,
                folder,
                job.spec,
                limits=self._limits,
                progress=progress,
            )
        except OSError as error:
            self._queue.finish(
                job, "failed", error=f"the job cannot be started: {error.strerror}", size=job.bytes
            )
            return
        self._running.append(
            RunningJob(job, process, self._timer() + self._limits.seconds, job.bytes)
        )

    def _watch(self, running: RunningJob) -> None:
        if running.verdict:  # the database or the disk was away when the job ended
            self._end(running, *running.verdict)
        elif running.process.poll():
            state = "done"
            error = running.process.error
            if error is not None:
                state = "failed"
            self._end(running, state, error)
        elif self._timer() >= running.deadline:
            seconds = self._limits.seconds
            self._fail(running, f"the job took longer than the {seconds:.0f} seconds allowed")
        elif self._timer() >= running.next_beat:
            running.next_beat = self._timer() + self._beat_every
            self._beat(running)

    def _beat(self, running: RunningJob) -> None:
        progress = running.process.progress
        running.measure(self._folders, self._timer)
        if self._folders.is_nearly_full():
            self._fail(
                running, "the server's disk is nearly full; try again later, or with less data"
            )
            return
        job = self._queue.beat(
            running.job, fraction=progress.fraction, message=progress.message, size=running.bytes
        )
        if job is None:  # this server was silent for too long and another has the job now
            self._kill(running)
            self._running.remove(running)
        elif job.cancelling:
            self._end(running, "cancelled", None)
        else:
            self._check_use(running)

    def _check_use(self, running: RunningJob) -> None:
        """End a job that takes more than it may."""
        if running.processes > self._limits.processes:
            count = self._limits.processes
            self._fail(running, f"the job started more than the {count} processes allowed")
        elif running.bytes > self._limits.job_bytes:
            # Ended first: it would write on meanwhile.
            self._kill(running)
            key = running.job.key
            self._folders.make_room(key, everything=False)
            if self._folders.bytes_of(key) > self._limits.job_bytes:
                self._folders.make_room(key, everything=True)
            size = self._limits.job_bytes
            self._fail(running, f"the job's files take more than the {size} bytes allowed")

    def _fail(self, running: RunningJob, error: str) -> None:
        self._end(running, "failed", error)

    def _kill(self, running: RunningJob) -> None:
        """End a job's processes, wherever they went."""
        running.process.kill()
        keepers = {other.process.keeper for other in self._running if other is not running}
        end_strays(keepers)

    def _end(self, running: RunningJob, state: str, error: str | None) -> None:
        running.verdict = (state, error)
        self._kill(running)
        if state == "failed" and not running.has_made_room and self._folders.is_nearly_full():
            # Nobody goes on from what a failed job worked with, and until it expires it would let
            # no upload in.
            self._folders.make_room(running.job.key, everything=False)
            error = f"{error}; the server's disk was nearly full"
        size = self._folders.bytes_of(running.job.key)
        message = running.process.progress.message
        try:
            self._queue.finish(running.job, state, error=error, message=message, size=size)
        except DataError:  # a text that the database does not take, whatever we thought
            self._queue.finish(
                running.job, "failed", error="the job's own words cannot be stored", size=size
            )
        except _AWAY:
            self._free_disk(running)
            raise
        self._running.remove(running)

    def _free_disk(self, running: RunningJob) -> None:
        """Remove files of a job whose end cannot be stored, perhaps by these files.

        First go those that nobody needs any more, and the next time all.
        """
        if not self._folders.is_nearly_full():
            return
        self._folders.make_room(running.job.key, everything=running.has_made_room)
        if running.has_made_room:
            error = "the job's files filled the server's disk, and were removed"
            running.verdict = ("failed", error)
        running.has_made_room = True
