"""Texts and paths that a caller gives, looked at first: each error names what is wrong."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from handheld.errors import InputError


def path_of(path: Any) -> Path:
    """Return a path. Raises :class:`InputError` for what is none."""
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"path: expected the path of a file or folder, got {path!r}")
    # Python takes it for the working folder, and who gives it has an empty variable.
    if not os.fspath(path):
        raise InputError("path: expected the path of a file or folder, got an empty text")
    try:
        Path(path).exists()
    except OSError as error:  # a name that is too long, or a folder that may not be looked into
        raise InputError(
            f"path: {str(path)[:100]} cannot be looked at: {error.strerror}"
        ) from error
    return Path(path)


def require_names(name: str, values: Any) -> None:
    """Raise :class:`InputError` unless an argument is a list of texts."""
    if isinstance(values, str):  # a sequence too, which would be read letter by letter
        raise InputError(
            f"{name}: expected a list of names, got the text {values!r}: give [{values!r}]"
        )
    is_list = isinstance(values, Sequence)
    if not is_list or not all(isinstance(value, str) for value in values):
        raise InputError(f"{name}: expected a list of names, got {values!r}")
    if len(set(values)) < len(values):
        raise InputError(f"{name}: expected each name once, got {values!r}")


def require_text(name: str, value: Any) -> None:
    """Raise :class:`InputError` unless an argument is a text, or None."""
    if not isinstance(value, str | None):
        raise InputError(f"{name}: expected a text, got {value!r}")
