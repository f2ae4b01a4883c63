"""What the answers of a challenge's server share, and how it takes a model in."""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from handheld.bench.challenge.board import Leaderboard, has_results, ranking
from handheld.bench.challenge.files import ModelFiles, hash_of
from handheld.bench.challenge.names import MAX_MODEL
from handheld.bench.challenge.referee import Referee
from handheld.bench.challenge.rules import HIDDEN, PUBLIC, ChallengeFolder, time_text
from handheld.bench.challenge.store import ChallengeStore, Measurement, Submission
from handheld.errors import BusyError, FileError
from handheld.service.intake import UploadedForm, UploadError
from handheld.service.jobs.folders import Folders, key_of
from handheld.service.jobs.kinds import FormField, JobKind
from handheld.service.jobs.limits import Limits
from handheld.service.jobs.queue import JobQueue
from handheld.service.jobs.worker import JobWorker

_COPIES = 3  # of a model at once: as it came, as it is kept, and as it is measured
_BOARD_SECONDS = 1.0  # that a ranking is shown before it is made anew


def model_kind() -> JobKind:
    """Return the form by which a model is submitted."""
    return JobKind(
        name="model",
        title="Submit a model",
        entry="handheld.bench.challenge.job:measure_submission",
        fields=(
            FormField(
                name="name",
                label="Name of the model",
                help=f"At most {MAX_MODEL} letters; everybody sees it.",
            ),
            FormField(
                name="model",
                label="Model",
                type="file",
                accept=(".tflite",),
                help="A .tflite file that takes one picture and gives a score for each class; "
                "of a detection: boxes, classes, scores and their count.",
            ),
        ),
    )


class BoardView(NamedTuple):
    """What the leaderboard's page shows."""

    board: Leaderboard
    is_closed: bool
    has_results: bool


@dataclass(kw_only=True)
class ChallengeHost:
    """The parts of a running server.

    ``uploads`` counts those under way; ``stopping`` lets go of pages that follow a submission;
    ``invitation`` is what a team must know to register, None: nothing.
    """

    challenge: ChallengeFolder
    store: ChallengeStore
    queue: JobQueue
    folders: Folders
    files: ModelFiles
    limits: Limits
    referee: Referee
    worker: JobWorker | None
    invitation: str | None
    clock: Callable[[], float] = time.monotonic
    kinds: Mapping[str, JobKind] = field(default_factory=lambda: {"model": model_kind()})
    uploads: int = 0
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _views: dict[str, tuple[float, BoardView]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_alive(self) -> bool:
        """Whether everything runs that should."""
        has_worker = self.worker is None or self.worker.alive
        return has_worker and self.referee.alive

    def sender(self, token: str | None) -> str | None:
        """Return the number of the team whose token that is.

        Raises :class:`UploadError` where it may not submit now.
        """
        team = self.store.team_of(token or "")
        if team is None:
            return None
        if reason := self.store.why_not(team.id):
            raise UploadError(429, reason)
        return str(team.id)

    def room(self) -> int:
        """Return how many bytes may still be stored. Raises :class:`BusyError`."""
        # Jobs go when they are taken in; the models stay, for the finals.
        room = self.limits.total_bytes - self.store.stored_bytes()
        # What was taken in before has to find room to be measured: on a full disk it would fail.
        free = self.folders.free_bytes() - self.store.largest_bytes()
        room = min(room, free // _COPIES)
        if room <= 0:
            raise BusyError("expected room on the disk, but the models take all of it")
        return min(room, self.queue.room())

    def enqueue(self, sender: str, key: str, job_kind: JobKind, form: UploadedForm) -> None:
        """Keep a model that was uploaded, and plan its measurements."""
        spec = job_kind.parse(form.values, form.files)
        path = self.folders.of(key) / "upload" / spec["model"]
        team = self.store.team(int(sender))
        assert team is not None
        size = path.stat().st_size
        # Told at once, and not by a measurement.
        if not size:
            raise UploadError(422, "Model: expected a file with something in it")
        digest = hash_of(path)
        # The file first: a submission without one could not be measured.
        try:
            self.files.put(path, digest)
        except FileError as error:
            # Its words name a path of this server.
            raise UploadError(507, "the server's disk is full; try again later") from error
        self.store.submit(team, key=key, name=spec["name"], sha256=digest, size=size)
        self.folders.remove(key)
        self.referee.wake()

    def find(self, submission_id: str) -> Submission | None:
        """Return the submission of an id.

        Raises :class:`InputError` for what is no id.
        """
        return self.store.submission(key_of(submission_id))

    def status(self, submission: Submission) -> dict[str, Any]:
        """Return what changes while a submission waits and is measured."""
        status = {
            "state": submission.state,
            "fraction": 1.0,
            "message": "",
            "error": submission.error,
            "ahead": 0,
        }
        if submission.state != "queued":
            return status
        rows = self._public_rows(submission)
        running = [row for row in rows if row.is_open]
        ended = len(rows) - len(running)
        status |= {"fraction": ended / max(1, len(rows))}
        if running:
            status |= self._progress(running[0], ended, len(rows))
        return status

    def _progress(self, row: Measurement, ended: int, total: int) -> dict[str, Any]:
        job = self.queue.get(row.key.job)
        if job is None:  # it is planned, and becomes a job in a moment
            return {"message": "next it gets its place in the queue"}
        if job.ended:  # its result is taken in in a moment
            return {"state": "running", "message": "measured", "fraction": (ended + 1) / total}
        return {
            "state": job.state,
            "fraction": (ended + job.fraction) / total,
            "message": f"{row.key.device}: {job.message}" if job.message else "",
            "ahead": job.ahead,
        }

    def describe(self, submission_id: str, submission: Submission) -> dict[str, Any]:
        """Return what the holder of an id may know of a submission. Times are ISO 8601."""
        figures = []
        for row in self._shown_rows(submission):
            outcome = row.outcome
            figures.append(
                {
                    "data": row.key.data,
                    "device": row.key.device,
                    "state": row.state,
                    "error": outcome.error,
                    "score": outcome.score,
                    "accuracy": outcome.accuracy,
                    "accuracy_low": outcome.accuracy_low,
                    "accuracy_high": outcome.accuracy_high,
                    "latency": outcome.latency,
                    "latency_p90": outcome.latency_p90,
                    "reached": outcome.reached,
                    "examples": outcome.examples,
                    "valid": outcome.valid,
                    "reasons": list(outcome.reasons),
                }
            )
        return self.status(submission) | {
            "id": submission_id,
            "team": submission.team_name,
            "number": submission.number,
            "name": submission.name,
            "sha256": submission.sha256,
            "bytes": submission.bytes,
            "created": time_text(submission.created),
            "finished": time_text(submission.finished),
            "metric": self.challenge.rules.metric,
            "measurements": figures,
        }

    def history(self, team: int) -> list[tuple[Submission, list[Measurement]]]:
        """Return a team's submissions with what was measured, the latest first."""
        history = []
        for submission in self.store.submissions_of(team):
            rows = [row for row in self._shown_rows(submission) if row.state == "done"]
            history.append((submission, rows))
        return history

    def view(self, device: str) -> BoardView:
        """Return the leaderboard on a device.

        Raises :class:`InputError` if there is no such device.
        """
        now = self.clock()
        with self._lock:
            ranked_at, view = self._views.get(device, (-_BOARD_SECONDS, None))
            if view is None or now - ranked_at >= _BOARD_SECONDS:
                view = self._ranked(device)
                self._views[device] = (now, view)
        return view

    def _ranked(self, device: str) -> BoardView:
        rows = self.store.measurements()
        is_done = has_results(rows)
        data = HIDDEN if is_done else PUBLIC
        board = ranking(
            self.challenge.rules, self.store.all_submissions(), rows, data=data, device=device
        )
        return BoardView(board, self.store.closed(), is_done)

    def _public_rows(self, submission: Submission) -> list[Measurement]:
        rows = self.store.measurements(submission=submission.key)
        return [row for row in rows if row.key.data == PUBLIC]

    def _shown_rows(self, submission: Submission) -> list[Measurement]:
        """Return a submission's measurements; those on the hidden part once all teams have them."""
        device = self.challenge.rules.devices[0].name
        if self.view(device).has_results:
            return self.store.measurements(submission=submission.key)
        return self._public_rows(submission)
