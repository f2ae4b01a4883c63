"""What a run keeps on disk to go on from."""

import io
import os
from pathlib import Path
from typing import Any

import torch

from handheld.errors import InputError
from handheld.files import atomic_path
from handheld.untrusted import require_file


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers and texts so that the file is either the old one or the new one.

    Args:
        path: of the file; folders are made.
        state: what ``load_state`` will return.

    Raises:
        FileError: the file cannot be written, or the disk is full; what was there before is kept.
    """
    # torch's own writer tells neither a full disk nor a closed folder from a fault of its own, so
    # it writes into memory and the bytes go to disk as any file's do.
    content = io.BytesIO()
    torch.save(state, content)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def load_state(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what :func:`save_state` wrote, without running anything in it.

    Raises :class:`InputError` for a damaged file.
    """
    try:
        require_file(path)
    except OSError as error:
        raise InputError(f"{os.fspath(path)} cannot be read: {error.strerror}") from error
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    # All: torch raises many kinds, and its text tells people to read the file without these
    # precautions.
    except Exception as error:
        raise InputError(
            f"{os.fspath(path)} cannot be read (it is damaged, or holds more than tensors, numbers "
            "and texts); if it is a run's own state, delete it"
        ) from error
    if not isinstance(state, dict):
        raise InputError(
            f"{os.fspath(path)} holds a {type(state).__name__}, expected a dictionary; "
            "delete it to begin again"
        )
    return state
