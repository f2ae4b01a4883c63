"""The folders of jobs.

The name of a job's folder is the hash of its id, so that a listing of the disk gives no access.
"""

import hashlib
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from handheld.errors import InputError, ServiceError

_ID = re.compile(r"[A-Za-z0-9_-]{32}")
_KEY = re.compile(r"[0-9a-f]{64}")
_SUBFOLDERS = ("upload", "work", "result")
_BLOCK = 512  # bytes in which st_blocks counts, whatever the file system's own are
_SMALL = 4096  # bytes that may take no block of their own

# What stays free for the server's own state, its database and log: so many bytes, or such a share
# of a small disk.
_RESERVE_BYTES = 100_000_000
_RESERVE_SHARE = 0.02


def new_id() -> str:
    """Return a new id of a job: 192 random bits, which whoever knows it may use the job with."""
    return secrets.token_urlsafe(24)


def key_of(job_id: str) -> str:
    """Return the key under which a job is stored.

    Only this hash of the id is kept and compared, so neither a copy of the database nor the time
    that a look-up takes tells anything about an id.
    """
    if not _ID.fullmatch(job_id):
        raise InputError("expected the id of a job, got something else")
    return hashlib.sha256(job_id.encode()).hexdigest()


@dataclass(frozen=True)
class ResultFile:
    """A file that may be downloaded: its name below ``result``, with slashes, and its size in
    bytes.
    """

    name: str
    bytes: int


class Folders:
    """The folders of all jobs, below one folder."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root).absolute()
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            (self.root / "jobs").mkdir(exist_ok=True, mode=0o700)
        except OSError as error:
            raise ServiceError(
                f"{self.root}: cannot be made: {error.strerror}; "
                "give a folder that can be written to"
            ) from error

    def of(self, key: str) -> Path:
        """Return the folder of a job."""
        if not _KEY.fullmatch(key):
            raise InputError("expected the key of a job, got something else")
        return self.root / "jobs" / key

    def make(self, key: str) -> Path:
        """Make the folder of a new job, with its parts, and return it."""
        folder = self.of(key)
        folder.mkdir(mode=0o700)
        for name in _SUBFOLDERS:
            (folder / name).mkdir()
        return folder

    def remove(self, key: str) -> None:
        """Remove a job's folder; one that is gone already is fine."""
        shutil.rmtree(self.of(key), ignore_errors=True)

    def make_room(self, key: str, *, everything: bool) -> None:
        """Remove what a job that has ended worked with, and with ``everything`` its results and its
        log too.
        """
        folder = self.of(key)
        shutil.rmtree(folder / "work", ignore_errors=True)
        if everything:
            shutil.rmtree(folder / "result", ignore_errors=True)
            (folder / "log.txt").unlink(missing_ok=True)

    def is_nearly_full(self) -> bool:
        """Whether so little of the disk is free that the server's own state could soon not be
        written any more.
        """
        return self.free_bytes() < 0

    def free_bytes(self) -> int:
        """Return how many bytes can be written until the disk is nearly full; below 0 if it is."""
        disk = shutil.disk_usage(self.root)
        return int(disk.free - min(_RESERVE_BYTES, disk.total * _RESERVE_SHARE))

    def bytes_of(self, key: str) -> int:
        """Return the bytes that a job's files take on the disk, which is less than they say where
        they have holes.
        """
        total = 0
        for _, info in _walked(self.of(key)):
            total += min(info.st_size, max(_SMALL, _BLOCK * info.st_blocks))
        return total

    def results(self, key: str) -> tuple[ResultFile, ...]:
        """Return what a job offers for download, by name; links are left out."""
        folder = self.of(key) / "result"
        if folder.is_symlink():
            return ()
        return tuple(sorted(_files(folder), key=lambda file: file.name))

    def result(self, key: str, name: str) -> Path:
        """Return the path of a file to download.

        Raises :class:`InputError` for a name that is none of the job's results.
        """
        folder = self.of(key).resolve() / "result"
        steps = name.split("/")
        if "\0" in name or "\\" in name or not {"", ".", ".."}.isdisjoint(steps):
            raise InputError(f"expected the name of a result, got {name[:80]!r}")
        path = folder.joinpath(*steps)
        # A link, wherever in the path it is, makes these differ.
        if path.resolve() != path or not path.is_file():
            raise InputError(f"this job has no result {name[:80]!r}")
        return path

    def remove_orphans(
        self, known: set[str], *, older_than: float, now: float | None = None
    ) -> None:
        """Remove folders that belong to no job: what an upload left whose server died.

        Seconds since the epoch.
        """
        if now is None:
            now = time.time()
        # Younger ones may be of an upload that is under way, whose job is not queued yet.
        limit = now - older_than
        for folder in (self.root / "jobs").iterdir():
            if folder.name in known or not _KEY.fullmatch(folder.name):
                continue
            try:
                if folder.stat().st_mtime < limit:
                    shutil.rmtree(folder, ignore_errors=True)
            except FileNotFoundError:  # another server did it
                continue


def _can_be_asked_for(name: str) -> bool:
    """Whether a name can stand in a page and in an address, whose path is split by servers."""
    if "\\" in name or "\n" in name:
        return False
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _files(folder: Path) -> Iterator[ResultFile]:
    """Return the plain files of a folder whose names can be shown."""
    for path, info in _walked(folder):
        shown = Path(path).relative_to(folder).as_posix()
        if _can_be_asked_for(shown):
            yield ResultFile(shown, info.st_size)


def _walked(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Walk the plain files of a folder, which a job may be changing meanwhile, however deep: by
    descriptors, not by paths.
    """
    try:
        levels = os.fwalk(folder)
        for parent, _, names, descriptor in levels:
            for name in names:
                try:
                    info = os.lstat(name, dir_fd=descriptor)
                except OSError:
                    continue
                if stat.S_ISREG(info.st_mode):
                    yield os.path.join(parent, name), info
    except OSError:  # a folder that is gone meanwhile
        return
