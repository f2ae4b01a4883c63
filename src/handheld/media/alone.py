"""Folders that one process at a time may use."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from handheld.errors import InputError


@contextmanager
def alone_in(folder: Path, lock: str) -> Iterator[None]:
    """Hold a run's folder for this process; it is made if it is not there.

    Args:
        folder: of the run.
        lock: file in it, or in a folder of it, that other runs look at.

    Raises:
        InputError: another run holds it, or it cannot be written.
    """
    held = FileLock(folder / lock, blocking=False)
    try:
        (folder / lock).parent.mkdir(parents=True, exist_ok=True)
        held.acquire()
    except Timeout as error:
        raise InputError(f"another run uses {folder}: wait for it, stop it, or name another folder") from error
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error}") from error
    try:
        yield
    finally:
        held.release()
