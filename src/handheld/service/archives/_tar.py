"""TAR archives, plain or compressed, read as a stream.

The headers are read here rather than by ``tarfile``, which takes long names and sparse maps of any
size into memory.
"""

import gzip
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, cast

from handheld.service.archives._entries import Unpacking
from handheld.service.archives._xz import XZReader

_BLOCK = tarfile.BLOCKSIZE
_CHUNK = 1 << 16
_MAX_HEADER = 1 << 16  # bytes: a path of the longest kind and some records fit many times

# Digits of numbers in a header: as many as a length, and as a size, can need.
_LENGTH_DIGITS = 7
_SIZE_DIGITS = 18
_REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)


def unpack_tar(archive: Path, target: Unpacking) -> None:
    """Extract a TAR archive. Raises :class:`ArchiveError`."""
    with ExitStack() as stack:
        raw = stack.enter_context(archive.open("rb"))
        # By its content: a name that a stranger gave says nothing.
        head = raw.read(6)
        raw.seek(0)
        stream: IO[bytes] = raw
        if head.startswith(b"\x1f\x8b"):
            stream = cast(IO[bytes], stack.enter_context(gzip.GzipFile(fileobj=raw)))
        elif head.startswith(b"\xfd7zXZ"):
            stream = stack.enter_context(XZReader.open(raw))
        try:
            _Tar(stream, target).unpack()
        except (
            zlib.error,
            lzma.LZMAError,
            gzip.BadGzipFile,
            EOFError,
            tarfile.HeaderError,
            UnicodeError,
        ) as error:
            raise target.reject(f"expected a TAR archive, got a broken one ({error})") from error


class _Tar:
    def __init__(self, stream: IO[bytes], target: Unpacking) -> None:
        self._stream = stream
        self._target = target
        self._name: str | None = None
        self._size: int | None = None
        self._extra = 0

    def unpack(self) -> None:
        while any(block := self._read(_BLOCK)):
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            if info.type in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE):
                self._header(info)
            else:
                self._member(info)

    def _member(self, info: tarfile.TarInfo) -> None:
        name = info.name
        if self._name is not None:
            name = self._name
        size = info.size
        if self._size is not None:
            size = self._size
        # They are of one member alone.
        self._name = self._size = None
        name = name.removeprefix("./")
        if size < 0:
            raise self._target.reject(f"expected a size of 0 or more, got {size}", name)
        if info.type in _REGULAR and not name.endswith("/"):
            self._target.add_file(name, self._content(size))
        elif info.type not in (*_REGULAR, tarfile.DIRTYPE) or size:
            raise self._target.reject(
                "expected a plain file or folder, got a link, a device or a sparse file", name
            )
        elif name not in ("", "."):  # "tar -C folder ." names the folder itself
            self._target.add_folder(name)

    def _header(self, info: tarfile.TarInfo) -> None:
        """Take in what stands before a member whose name or size does not fit its own header."""
        self._extra += 1
        if not 0 <= info.size <= _MAX_HEADER or self._extra > 2 * self._target.max_files + 16:
            raise self._target.reject(
                f"expected extended headers of at most {_MAX_HEADER} bytes, got {info.size}"
            )
        content = b"".join(self._content(info.size))
        if info.type == tarfile.GNUTYPE_LONGNAME:
            self._name = content.rstrip(b"\0").decode()
        elif info.type == tarfile.XHDTYPE:
            self._records(content)

    def _records(self, content: bytes) -> None:
        """Read the records ``length key=value`` of a POSIX header."""
        while content:
            digits, _, _ = content.partition(b" ")
            end = 0
            # So few: Python refuses numbers of thousands of digits by another error.
            if digits.isdigit() and len(digits) <= _LENGTH_DIGITS:
                end = int(digits)
            key, equals, value = content[len(digits) + 1 : end].partition(b"=")
            is_inside = len(digits) + 3 <= end <= len(content)
            if not (is_inside and equals and value.endswith(b"\n")):
                raise self._target.reject("expected a TAR archive, got one with a broken header")
            self._record(key, value[:-1])
            content = content[end:]

    def _record(self, key: bytes, value: bytes) -> None:
        if key == b"path":
            self._name = value.decode()
        elif key == b"size" and value.isdigit() and len(value) <= _SIZE_DIGITS:
            self._size = int(value)
        elif key.startswith(b"GNU.sparse"):
            raise self._target.reject(
                "expected plain files, got a sparse one; pack it again without --sparse"
            )

    def _content(self, size: int) -> Iterator[bytes]:
        remaining = size
        while remaining:
            chunk = self._read(min(remaining, _CHUNK))
            remaining -= len(chunk)
            yield chunk
        # Members are filled up to whole blocks.
        self._read(-size % _BLOCK)

    def _read(self, size: int) -> bytes:
        chunks = []
        while size:
            chunk = self._stream.read(size)
            if not chunk:
                raise self._target.reject(
                    "expected a whole TAR archive, got one that ends in the middle"
                )
            chunks.append(chunk)
            size -= len(chunk)
        return b"".join(chunks)
