"""Arrays in the ``.npz`` files of others: bounded before they are unpacked, one kind of error for
all that can be wrong.
"""

import io
import os
import zipfile
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from handheld.untrusted import open_entry, require_file

# Bytes that are unpacked at once, whatever size an array says that it has.
_CHUNK = 1 << 20


class _Chunks:
    """A file of which little is read at once: numpy asks on until it has what it needs."""

    def __init__(self, stream: IO[bytes]):
        self._stream = stream

    def read(self, size: int = _CHUNK, /) -> bytes:
        """Return the next bytes, ``_CHUNK`` at most; none at the end."""
        return self._stream.read(min(size, _CHUNK))


def read_npz(source: str | os.PathLike[str] | bytes, max_bytes: int) -> dict[str, NDArray[Any]]:
    """Read all arrays of a file. Nothing in it is run, and none of it is unpickled.

    Args:
        source: path of the file, or its content.
        max_bytes: bytes that its arrays may take together; what the archive says of itself is
            believed no further than that.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no archive of arrays, is damaged, or unpacks to more than ``max_bytes``.
    """
    if not isinstance(source, bytes):
        require_file(source)
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with zipfile.ZipFile(file) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
            if size > max_bytes:
                raise ValueError(
                    f"it unpacks to {size:,} bytes, more than the {max_bytes:,} that are read"
                )
            # not np.load: what is no array it unpacks to the end, whatever size is given for it
            arrays = {_name_of(entry): _array(archive, entry) for entry in archive.infolist()}
    except (OSError, ValueError):
        raise
    # numpy reads headers with Python's own parser, and lets all that this raises through
    except Exception as error:
        raise ValueError(
            f"it is no archive of arrays, or it is damaged: {type(error).__name__} {error}"
        ) from error
    return arrays


def _name_of(entry: zipfile.ZipInfo) -> str:
    return entry.filename.removesuffix(".npy")


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> NDArray[Any]:
    with open_entry(archive, entry) as stream:
        chunks = _Chunks(stream)
        try:
            array: NDArray[Any] = np.lib.format.read_array(chunks, allow_pickle=False)
        except ValueError as error:
            raise ValueError(f"{_name_of(entry)!r} in it is no array: {error}") from error
    return array
