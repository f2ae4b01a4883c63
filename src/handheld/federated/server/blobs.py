"""Models, states and uploads as files: in a folder, or wherever fsspec leads.

What is kept goes by the hash of its content, so it is written under a new name before anything in
SQL leads to it. Uploads of a round that is under way stand in a folder of the round's.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

from handheld.errors import InputError, ServiceError
from handheld.files import atomic_path
from handheld.service.stores import explaining_errors, open_store

_HASH = re.compile(r"[0-9a-f]{64}")
_ROUND = re.compile(r"[0-9a-f]{32}")
_UPLOAD = re.compile(r"\d{1,6}-\d{1,2}-[0-9a-f]{64}")


class FederationBlobs:
    """The files of a federation, which all its processes share.

    Args:
        location: a folder, or a URL that fsspec knows, such as ``s3://bucket/federation``.

    Raises:
        InputError: fsspec knows no such URL, or what it needs for it is not installed.
        ServiceError: the folder cannot be made.
    """

    def __init__(self, location: str | os.PathLike[str]) -> None:
        self.location = os.fspath(location)
        self._remote: Any = None
        self._root = self.location
        if "://" in self.location:
            self._remote, self._root = open_store(self.location, "blobs")
            return
        with explaining_errors(self.location, "a blob"):
            Path(self._root).mkdir(parents=True, exist_ok=True, mode=0o700)

    def put(self, content: bytes) -> str:
        """Keep some content; return its hash in hexadecimal. It is on the disk then.

        Raises:
            ServiceError: it cannot be kept.
        """
        digest = hashlib.sha256(content).hexdigest()
        target = self._kept(digest)
        with explaining_errors(self.location, "a blob"):
            # The hash says that it is the same; a model that an evaluation uses is put again each
            # time.
            if not self._exists(target):
                self._write(target, content, durable=True)
        return digest

    def get(self, digest: str) -> bytes:
        """Return what was kept.

        Raises:
            ServiceError: it is not there, cannot be read, or is another than its name says.
        """
        with explaining_errors(self.location, "a blob"):
            content = self._read(self._kept(digest))
        # A disk that rots, or a store that others write into: nothing damaged becomes a model.
        if hashlib.sha256(content).hexdigest() != digest:
            raise ServiceError(f"the blob {digest[:12]} is damaged")
        return content

    def remove(self, digest: str) -> None:
        """Remove what was kept, if it is there."""
        with explaining_errors(self.location, "a blob"):
            self._remove(self._kept(digest))

    def put_upload(self, round_id: str, name: str, content: bytes) -> None:
        """Keep an upload until its round ends. A machine that loses its power may lose it.

        Raises:
            ServiceError: it cannot be kept.
        """
        with explaining_errors(self.location, "a blob"):
            self._write(self._upload(round_id, name), content, durable=False)

    def get_upload(self, round_id: str, name: str) -> bytes:
        """Return an upload. Raises :class:`ServiceError`: it is not there, or cannot be read."""
        with explaining_errors(self.location, "a blob"):
            return self._read(self._upload(round_id, name))

    def rounds(self) -> list[str]:
        """Return the ids of rounds that have uploads."""
        folder = os.path.join(self._root, "uploads")
        with explaining_errors(self.location, "a blob"):
            if self._remote is None:
                names = os.listdir(folder) if os.path.isdir(folder) else []
            else:
                names = []
                if self._remote.exists(folder):
                    names = [os.path.basename(path) for path in self._remote.ls(folder, False)]
        return [name for name in names if _ROUND.fullmatch(name)]

    def remove_round(self, round_id: str) -> None:
        """Remove the uploads of a round."""
        folder = os.path.dirname(self._upload(round_id, f"0-0-{'0' * 64}"))
        with explaining_errors(self.location, "a blob"):
            if self._remote is None:
                shutil.rmtree(folder, ignore_errors=True)
            elif self._remote.exists(folder):
                self._remote.rm(folder, recursive=True)

    def free_bytes(self) -> int | None:
        """Return how much room there is; None where nobody can know."""
        if self._remote is not None:
            return None
        return shutil.disk_usage(self._root).free

    def _kept(self, digest: str) -> str:
        # It may come out of a request's address: nothing that leads elsewhere becomes a path.
        if not _HASH.fullmatch(digest):
            raise InputError("expected the hash of a blob, got something else")
        return os.path.join(self._root, "kept", digest[:2], digest)

    def _upload(self, round_id: str, name: str) -> str:
        if not _ROUND.fullmatch(round_id) or not _UPLOAD.fullmatch(name):
            raise InputError("expected the name of an upload, got something else")
        return os.path.join(self._root, "uploads", round_id, name)

    def _exists(self, target: str) -> bool:
        if self._remote is None:
            return os.path.exists(target)
        return bool(self._remote.exists(target))

    def _read(self, target: str) -> bytes:
        if self._remote is None:
            return Path(target).read_bytes()
        return bytes(self._remote.cat_file(target))

    def _write(self, target: str, content: bytes, *, durable: bool) -> None:
        if self._remote is None:
            with atomic_path(target, mode=0o600, durable=durable) as temporary:
                temporary.write_bytes(content)
            return
        self._remote.makedirs(os.path.dirname(target), exist_ok=True)
        # Objects appear whole or not at all.
        self._remote.pipe_file(target, content)

    def _remove(self, target: str) -> None:
        if self._remote is None:
            Path(target).unlink(missing_ok=True)
        elif self._remote.exists(target):
            self._remote.rm_file(target)


class UploadSequence(Sequence[bytes]):
    """The plain uploads of a round, each read when it is looked at.

    Args:
        blobs: where they are.
        round_id: of their round.
        names: of the uploads, in their order.
    """

    def __init__(self, blobs: FederationBlobs, round_id: str, names: Sequence[str]) -> None:
        self._blobs = blobs
        self._round_id = round_id
        self._names = tuple(names)

    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> "UploadSequence": ...

    def __getitem__(self, index: int | slice) -> "bytes | UploadSequence":
        if isinstance(index, slice):
            return UploadSequence(self._blobs, self._round_id, self._names[index])
        return self._blobs.get_upload(self._round_id, self._names[index])
