"""Turns planned measurements into jobs, takes in what they gave, and begins the finals.

Each step is one transaction on a row that is still in the state before, so any number of servers
and workers may do this side by side, and may die anywhere.
"""

import contextlib
import json
import logging
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from handheld.bench.challenge.board import finalists
from handheld.bench.challenge.files import ModelFiles
from handheld.bench.challenge.job import RESULT_FILE, device_kind
from handheld.bench.challenge.rules import PUBLIC, ChallengeFolder
from handheld.bench.challenge.store import ChallengeStore, Measurement, Outcome
from handheld.config import from_table
from handheld.errors import BusyError, HandheldError, InputError, MissingDependencyError
from handheld.ranges import flag, in_range, whole_in_range
from handheld.service.jobs.folders import Folders
from handheld.service.jobs.queue import JobQueue, JobRecord
from handheld.service.jobs.worker import end_process
from handheld.untrusted import read_json

try:
    from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError
except ImportError as error:
    raise MissingDependencyError("SQLAlchemy", "server", "a challenge") from error

_PAUSE = 0.5  # seconds between two rounds
_MAX_RESULT = 1 << 20  # bytes; ours have some thousands
_MAX_SECONDS = 1e9
_MAX_COUNT = 2**31 - 1  # of a column
_log = logging.getLogger("handheld.bench")


class Referee:
    """What moves a challenge on.

    Args:
        challenge: that is hosted.
        store: its state.
        queue: of jobs.
        folders: of jobs.
        files: where submitted files are.
        on_queued: called when there are new jobs.
        on_death: called if the thread ends by an error, which would be one of ours.
    """

    def __init__(  # noqa: PLR0913  # parts by keyword, each by itself
        self,
        challenge: ChallengeFolder,
        *,
        store: ChallengeStore,
        queue: JobQueue,
        folders: Folders,
        files: ModelFiles,
        on_queued: Callable[[], None] = lambda: None,
        on_death: Callable[[], None] = end_process,
    ) -> None:
        self._challenge = challenge
        self._store = store
        self._queue = queue
        self._folders = folders
        self._files = files
        self._on_queued = on_queued
        self._on_death = on_death
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="handheld-referee")

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Run in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and wait for it."""
        self._stopping.set()
        self._wake.set()
        self._thread.join()

    def wake(self) -> None:
        """Look now rather than a moment later."""
        self._wake.set()

    def tick(self) -> None:
        """Do one round."""
        self._settle_ended()
        self._begin_finals()
        self._hand_out(self._store.measurements("planned"))

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._safely()
                self._wake.wait(_PAUSE)
                self._wake.clear()
        except BaseException:
            _log.critical("referee: the thread died", exc_info=True)
            self._on_death()

    def _safely(self) -> None:
        try:
            self.tick()
        except (SQLAlchemyError, HandheldError, OSError) as error:
            # The database or the disk is away for a moment; the next round tries again.
            lines = str(error).splitlines() or [type(error).__name__]
            _log.error("referee: %s", lines[0])

    def _hand_out(self, planned: Iterable[Measurement]) -> None:
        """Give each planned measurement its job."""
        has_new = False
        for measurement in planned:
            try:
                self._queue_job(measurement)
                has_new = True
            except BusyError:  # the queue is full: the next round goes on
                break
            except (IntegrityError, InputError):  # another process was faster
                continue
        if has_new:
            self._on_queued()

    def _queue_job(self, measurement: Measurement) -> None:
        key = measurement.key
        submission = self._store.submission(key.submission)
        assert submission is not None
        # One that died here has left it.
        with contextlib.suppress(FileExistsError):
            self._folders.make(key.job)
        spec = {
            "challenge": str(self._challenge.root),
            "files": self._files.location,
            "sha256": submission.sha256,
            "data": key.data,
            "device": key.device,
        }
        self._queue.submit(
            key.job,
            device_kind(key.device),
            spec,
            size=submission.bytes,
            also=self._store.mark_queued(key),
        )

    def _settle_ended(self) -> None:
        """Take in what has ended.

        A thousand may wait, and a look at each of them, twice a second, would disturb what is
        measured on this machine meanwhile.
        """
        ended = self._queue.ended()
        if not ended:
            return
        for measurement in self._store.measurements("queued"):
            if measurement.key.job in ended:
                self._settle(measurement)

    def _settle(self, measurement: Measurement) -> None:
        """Take in the result of a measurement whose job has ended."""
        job = self._queue.get(measurement.key.job)
        if job is None or not job.ended:
            return
        try:
            is_settled = self._store.settle(measurement.key, self._outcome(job))
        except (DataError, OverflowError):
            # One that no database takes must not keep all others waiting.
            failed = Outcome(error="the measurement's figures cannot be stored")
            is_settled = self._store.settle(measurement.key, failed)
        if is_settled:
            # All is in the table: the job and its files have nothing more to tell.
            self._queue.cancel(job.key, remove=True)

    def _outcome(self, job: JobRecord) -> Outcome:
        if job.state != "done":
            return Outcome(error=job.error or "the measurement was cancelled")
        try:
            path = self._folders.result(job.key, RESULT_FILE)
            return _read_outcome(path)
        except (HandheldError, OSError, ValueError) as error:
            _log.error("referee: the result of a job cannot be read: %s", error)
            return Outcome(error="the measurement left no result that can be read")

    def _begin_finals(self) -> None:
        """Plan the hidden part once the challenge is closed and all public results are there."""
        if not self._store.closed() or self._store.has_finals():
            return
        everything = self._store.measurements()
        if any(row.is_open for row in everything if row.key.data == PUBLIC):
            return
        rules = self._challenge.rules
        chosen = finalists(rules, self._store.all_submissions(), everything)
        # Of nobody there are no finals: a wrong closing time can still be put right.
        if chosen:
            self._store.plan_finals(chosen)


def _read_outcome(path: Path) -> Outcome:
    """Read a result. Raises :class:`ValueError` or :class:`InputError` where it is none."""
    with path.open("rb") as file:
        content = file.read(_MAX_RESULT + 1)
    if len(content) > _MAX_RESULT:
        raise ValueError("it is too large")
    values: Any = read_json(content)
    outcome = from_table(Outcome, values, "measurement")
    _require_plausible(outcome)
    return outcome


def _require_plausible(outcome: Outcome) -> None:
    """Refuse figures that are none: a file that took its job over may have written them.

    Raises :class:`InputError` or :class:`ValueError`.
    """
    for name in ("score", "accuracy"):
        in_range(name, getattr(outcome, name), low=0, high=1)
    for name in ("accuracy_low", "accuracy_high"):
        share = getattr(outcome, name)
        # Of some tasks nothing says how sure the figure is.
        if share is not None:
            in_range(name, share, low=0, high=1)
    for name in ("latency", "latency_p90"):
        in_range(name, getattr(outcome, name), low=0, high=_MAX_SECONDS)
    for name in ("reached", "examples"):
        whole_in_range(name, getattr(outcome, name), low=0, high=_MAX_COUNT)
    flag("valid", outcome.valid)
    # What is not JSON could hold what no database takes.
    if outcome.result:
        json.loads(outcome.result)
