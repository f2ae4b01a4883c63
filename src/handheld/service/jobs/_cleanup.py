"""Removing what was kept long enough."""

from handheld.service.jobs.folders import Folders
from handheld.service.jobs.queue import JobQueue

_ORPHAN_UPLOADS = 2  # times the time that an upload may take


def clean(queue: JobQueue, folders: Folders) -> None:
    """Remove jobs that were kept long enough, and the files of uploads that came to nothing."""
    expired = queue.expired()
    # The files first: of a job that is forgotten, nobody would know where they are.
    for key in expired:
        folders.remove(key)
    queue.forget(expired)
    folders.remove_orphans(queue.keys(), older_than=_ORPHAN_UPLOADS * queue.limits.upload_seconds)
