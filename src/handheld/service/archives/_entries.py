"""What every archive goes through: names are judged and bytes are counted before they reach the
disk.
"""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from handheld.errors import ArchiveError

_MAX_NAME = 255  # bytes, of a file on the usual file systems
_MAX_PATH = 1024  # bytes, on macOS the longest that opens
_MAX_DEPTH = 32
_DRIVE = re.compile(r"[A-Za-z]:")

# Characters that mean something to a shell's or another system's file names, where files of a job
# may be downloaded to.
_ODD = frozenset('\\:*?"<>|')


class Unpacking:
    """A folder that is being filled from one archive, within limits."""

    def __init__(self, folder: Path, archive: str, max_bytes: int, max_files: int) -> None:
        self.folder = folder
        self.archive = archive
        self.max_bytes = max_bytes
        self.max_files = max_files
        self.bytes = 0
        self._seen: set[str] = set()
        self._folders: set[str] = set()

    def reject(self, reason: str, name: str | None = None) -> ArchiveError:
        """Return the error to raise: what is wrong, in which member of which archive."""
        location = self.archive
        if name is not None:
            location += f": member {name[:200]!r}"
        return ArchiveError(f"{location}: {reason}; nothing was unpacked")

    def add_folder(self, name: str) -> None:
        """Make a folder; one that is named twice, or was made for a file in it, is fine."""
        self._make(self._steps(name.rstrip("/")), name)

    def add_file(self, name: str, chunks: Iterable[bytes]) -> None:
        """Write a file of the bytes given, stopping as soon as there are too many."""
        steps = self._steps(name)
        self._make(steps[:-1], name)
        self._count("/".join(steps), name)
        try:
            with self.folder.joinpath(*steps).open("xb") as file:
                for chunk in chunks:
                    self.bytes += len(chunk)
                    if self.bytes > self.max_bytes:
                        raise self.reject(
                            f"the archive holds more than the {self.max_bytes} bytes allowed", name
                        )
                    file.write(chunk)
        except (FileExistsError, IsADirectoryError) as error:
            raise self.reject(
                "two members have this name, or names that this disk cannot tell apart", name
            ) from error

    def _make(self, steps: list[str], name: str) -> None:
        for depth in range(1, len(steps) + 1):
            path = "/".join(steps[:depth])
            if path in self._folders:
                continue
            self._count(path, name)
            self._folders.add(path)
            try:
                self.folder.joinpath(path).mkdir()
            except (FileExistsError, NotADirectoryError) as error:
                raise self.reject("a folder has the name of another member", name) from error

    def _count(self, path: str, name: str) -> None:
        # Names that differ only in how an accent is coded are one name on some disks.
        key = unicodedata.normalize("NFC", path)
        if key in self._seen:
            raise self.reject("two members have this name", name)
        self._seen.add(key)
        if len(self._seen) > self.max_files:
            raise self.reject(f"expected at most {self.max_files} files and folders, got more")

    def _steps(self, name: str) -> list[str]:
        """Split a name into folders and file.

        Raises :class:`ArchiveError` for one that could lead elsewhere.
        """
        if name.startswith("/") or _DRIVE.match(name):
            raise self.reject("expected a relative name, got an absolute one", name)
        steps = name.split("/")
        if ".." in steps:
            raise self.reject(
                "expected a name inside the archive, got one that leads out of it ('..')", name
            )
        if not name.isprintable() or _ODD & set(name) or not all(map(_is_plain, steps)):
            raise self.reject(
                'expected a name of printable characters without \\ : * ? " < > |, got another',
                name,
            )
        if len(name.encode()) > _MAX_PATH or _is_too_long(steps):
            raise self.reject(
                f"expected names of at most {_MAX_NAME} bytes, at most {_MAX_DEPTH} folders deep",
                name,
            )
        return steps


def _is_too_long(steps: list[str]) -> bool:
    if len(steps) > _MAX_DEPTH:
        return True
    return any(len(step.encode()) > _MAX_NAME for step in steps)


def _is_plain(step: str) -> bool:
    """Whether a step of a path names something; blanks at its ends are lost on some disks."""
    return step not in ("", ".") and step == step.strip()
