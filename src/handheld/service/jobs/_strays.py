"""Processes that a job left behind although it threw away the mark in its environment and ended its
keeper.

Linux hands orphans to the nearest ancestor that asked for them: a job's keeper did, and where it is
gone, the server did. So whatever child of the server is in a session of its own, and is no keeper,
once belonged to a job.
"""

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

SET_CHILD_SUBREAPER = 36  # of prctl(2)
_GET_CHILD_SUBREAPER = 37
_MAX_ROUNDS = 1000  # against processes that start others as fast as they are ended


def adopt_orphans() -> None:
    """Have the orphans of all descendants become children of this process.

    A server does so, for it knows its children.
    """
    prctl(SET_CHILD_SUBREAPER, 1)


@contextlib.contextmanager
def adopting_orphans() -> Iterator[None]:
    """Adopt for a while: what this process starts afterwards, a database that goes its own way, is
    no job's.
    """
    adopt_orphans()
    try:
        yield
    finally:
        prctl(SET_CHILD_SUBREAPER, 0)


def end_strays(keepers: Collection[int]) -> None:
    """End the orphans that this process adopted, and those that they leave behind.

    Does nothing where it adopts none.

    Args:
        keepers: the ids of the processes that keep jobs which run.
    """
    if not adopts():
        return
    for _ in range(_MAX_ROUNDS):
        strays = [child for child in _children() if child not in keepers and _is_elsewhere(child)]
        if not strays:
            return
        for stray in strays:
            with contextlib.suppress(ProcessLookupError):
                os.kill(stray, signal.SIGKILL)
        for stray in strays:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(stray, 0)


def prctl(option: int, value: int) -> None:
    """Call Linux's prctl(2); nothing elsewhere."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def adopts() -> bool:
    """Whether this process adopts the orphans of its descendants."""
    if sys.platform != "linux":
        return False
    answer = ctypes.c_int(0)
    ctypes.CDLL(None).prctl(_GET_CHILD_SUBREAPER, ctypes.byref(answer), 0, 0, 0)
    return bool(answer.value)


def _children() -> Iterator[int]:
    """Give the ids of this process's children; Linux keeps a list for each thread."""
    for listed in Path("/proc/self/task").glob("*/children"):  # none where there is no /proc
        with contextlib.suppress(OSError):  # the thread has ended
            yield from map(int, listed.read_text("utf-8").split())


def _is_elsewhere(child: int) -> bool:
    """Whether a child is in another session than we are, as what the server starts for itself is
    not.
    """
    try:
        return os.getsid(child) != os.getsid(0)
    except ProcessLookupError:
        return False
