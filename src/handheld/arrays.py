"""Arrays in the ``.npz`` files of others: bounded before they are unpacked, one kind of error for
all that can be wrong.
"""

import io
import os
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.untrusted import require_file


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
        if isinstance(file, io.BytesIO):
            file.seek(0)
        with np.load(file, allow_pickle=False) as opened:
            arrays = {name: opened[name] for name in opened.files}
    except (OSError, ValueError):
        raise
    # numpy reads headers with Python's own parser, and lets all that this raises through
    except Exception as error:
        raise ValueError(
            f"it is no archive of arrays, or it is damaged: {type(error).__name__} {error}"
        ) from error
    if strangers := [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]:
        raise ValueError(f"{strangers[0]!r} in it is no array")
    return arrays
