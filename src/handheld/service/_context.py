"""What the answers of one application share."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from handheld.service._form import UploadedForm, is_token
from handheld.service.jobs._table import JobRecord
from handheld.service.jobs.folders import Folders, key_of
from handheld.service.jobs.kinds import JobKind
from handheld.service.jobs.limits import Limits
from handheld.service.jobs.queue import JobQueue
from handheld.service.jobs.worker import JobWorker

_ANYBODY = "anybody"


@dataclass(kw_only=True)
class ServiceContext:
    """The parts of a running service.

    ``uploads`` counts those under way; ``stopping`` lets go of pages that follow a job.
    """

    kinds: Mapping[str, JobKind]
    queue: JobQueue
    folders: Folders
    worker: JobWorker
    limits: Limits
    token: str | None
    title: str
    uploads: int = 0
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def sender(self, token: str | None) -> str | None:
        """Return whose token that is; all who know the one token are one."""
        if is_token(token, self.token):
            return _ANYBODY
        return None

    def room(self) -> int:
        """Return how many bytes may still be stored. Raises :class:`BusyError`."""
        return self.queue.room()

    def enqueue(self, _sender: str, key: str, job_kind: JobKind, form: UploadedForm) -> None:
        """Check a form and queue its job."""
        spec = job_kind.parse(form.values, form.files)
        spec = job_kind.check(self.folders.of(key) / "upload", spec)
        self.queue.submit(key, job_kind.name, spec, size=self.folders.bytes_of(key))
        self.worker.wake()

    def find(self, job_id: str) -> JobRecord | None:
        """Return the job of an id, or None."""
        return self.queue.get(key_of(job_id))

    def describe(self, job_id: str, job: JobRecord) -> dict[str, Any]:
        """Return what the holder of an id may know of its job. Times are ISO 8601."""
        return status(job) | {
            "id": job_id,
            "kind": job.kind,
            "created": _iso(job.created),
            "started": _iso(job.started),
            "finished": _iso(job.finished),
            "expires": _iso(job.expires),
            "files": self._files(job_id, job),
        }

    def _files(self, job_id: str, job: JobRecord) -> list[dict[str, Any]]:
        """Return what may be downloaded, which is nothing before the job has ended."""
        if not job.ended:
            return []
        described = []
        for file in self.folders.results(job.key):
            # A result may be called anything, a question mark among it.
            url = f"/jobs/{job_id}/files/{quote(file.name)}"
            described.append({"name": file.name, "bytes": file.bytes, "url": url})
        return described


def status(job: JobRecord) -> dict[str, Any]:
    """Return what changes while a job runs."""
    state = job.state
    # A job that runs ends with its owner's next beat, and says so until then.
    if job.cancelling and not job.ended:
        state = "cancelling"
    return {
        "state": state,
        "fraction": job.fraction,
        "message": job.message,
        "error": job.error,
        "ahead": job.ahead,
    }


def _iso(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
