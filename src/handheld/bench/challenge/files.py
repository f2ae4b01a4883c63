"""Submitted files by their hash: in a folder, or wherever fsspec leads."""

import hashlib
import os
import re
import shutil
from pathlib import Path
from typing import Any

from handheld.errors import InputError, ServiceError
from handheld.files import atomic_path
from handheld.service.stores import explaining_errors, open_store

_CHUNK = 1 << 20
_HASH = re.compile(r"[0-9a-f]{64}")


def hash_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class ModelFiles:
    """Files under the hash of their content; the same file is kept once.

    Args:
        location: a folder, or a URL that fsspec knows, such as ``s3://bucket/models``.

    Raises:
        InputError: fsspec knows no such URL, or what it needs for it is not installed.
    """

    def __init__(self, location: str | os.PathLike[str]) -> None:
        self.location = os.fspath(location)
        self._remote: Any = None
        self._root = self.location
        if "://" in self.location:
            self._remote, self._root = open_store(self.location, "files")

    def put(self, path: Path, digest: str) -> None:
        """Keep a file of this hash.

        Raises:
            FileError, ServiceError: it cannot be kept.
        """
        target = self._target(digest)
        if self._remote is None:
            if not Path(target).exists():
                with atomic_path(target, mode=0o600) as temporary:
                    shutil.copyfile(path, temporary)
            return
        with explaining_errors(self.location, "the submitted files"):
            if not self._remote.exists(target):
                self._remote.makedirs(os.path.dirname(target), exist_ok=True)
                # Objects appear whole or not at all; in a file system two of one hash are alike.
                self._remote.put_file(os.fspath(path), target)

    def fetch(self, digest: str, path: Path) -> None:
        """Copy a file to a path.

        Raises:
            ServiceError: it is not there, cannot be read, or is another than its name says.
        """
        target = self._target(digest)
        with explaining_errors(self.location, "the submitted files"):
            if self._remote is None:
                shutil.copyfile(target, path)
            else:
                self._remote.get_file(target, os.fspath(path))
        if hash_of(path) != digest:
            path.unlink()
            raise ServiceError(f"{self.location}: the file {digest[:12]} is damaged")

    def _target(self, digest: str) -> str:
        if not _HASH.fullmatch(digest):
            raise InputError("expected the hash of a file, got something else")
        return os.path.join(self._root, digest[:2], f"{digest}.tflite")
