"""What every archive goes through: names are judged and bytes are counted before they reach the
disk.
"""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from handheld.errors import ArchiveError

_LONGEST_NAME, _LONGEST_PATH, _DEEPEST = 255, 1024, 32
_DRIVE = re.compile(r"[A-Za-z]:")
# Characters that mean something to a shell's or another system's file names, where files of a job may be downloaded to.
_ODD = frozenset('\\:*?"<>|')


class Unpacking:
    """A folder that is being filled from one archive, within limits."""

    def __init__(self, folder: Path, archive: str, max_bytes: int, max_files: int) -> None:
        self.folder, self.archive = folder, archive
        self.max_bytes, self.max_files = max_bytes, max_files
        self.bytes = 0
        self._seen: set[str] = set()
        self._folders: set[str] = set()

    def reject(self, reason: str, name: str | None = None) -> ArchiveError:
        """Return the error to raise: what is wrong, in which member of which archive."""
        where = f"{self.archive}: member {name[:200]!r}" if name is not None else self.archive
        return ArchiveError(f"{where}: {reason}; nothing was unpacked")

    def add_folder(self, name: str) -> None:
        """Make a folder; one that is named twice, or was made for a file in it, is fine."""
        self._make(self._parts(name.rstrip("/")), name)

    def add_file(self, name: str, chunks: Iterable[bytes]) -> None:
        """Write a file of the bytes given, stopping as soon as there are too many."""
        parts = self._parts(name)
        self._make(parts[:-1], name)
        self._count("/".join(parts), name)
        try:
            with self.folder.joinpath(*parts).open("xb") as file:
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

    def _make(self, parts: list[str], name: str) -> None:
        for depth in range(1, len(parts) + 1):
            path = "/".join(parts[:depth])
            if path not in self._folders:
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

    def _parts(self, name: str) -> list[str]:
        """Split a name into its parts.

        Raises :class:`ArchiveError` for one that could lead elsewhere.
        """
        if name.startswith("/") or _DRIVE.match(name):
            raise self.reject("expected a relative name, got an absolute one", name)
        parts = name.split("/")
        if ".." in parts:
            raise self.reject(
                "expected a name inside the archive, got one that leads out of it ('..')", name
            )
        if (
            not name.isprintable()
            or _ODD & set(name)
            or any(part in ("", ".") or part != part.strip() for part in parts)
        ):
            raise self.reject(
                'expected a name of printable characters without \\ : * ? " < > |, got another',
                name,
            )
        longest = max(len(part.encode()) for part in parts)
        if longest > _LONGEST_NAME or len(name.encode()) > _LONGEST_PATH or len(parts) > _DEEPEST:
            raise self.reject(
                f"expected names of at most {_LONGEST_NAME} bytes, at most {_DEEPEST} folders deep",
                name,
            )
        return parts
