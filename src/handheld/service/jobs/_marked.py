"""Processes found by a mark in their environment, which children inherit: those of a job, wherever
they went.

The job's keeper ends what the job started, but runs as the same user, so the job can end its
keeper. What then remains is found here, on Linux; what threw its environment away too, by
``_strays``.
"""

import contextlib
import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_MAX_ROUNDS = 100  # against processes that start others as fast as they are ended


def marked(mark: str) -> Iterator[Path]:
    """Yield the folders in ``/proc`` of the processes whose environment, at their start, held
    ``mark``.
    """
    processes = Path("/proc")
    if not (processes / "self/environ").exists():  # no Linux
        return
    entry = mark.encode()
    for folder in processes.iterdir():
        if not folder.name.isdecimal():
            continue
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            if entry in (folder / "environ").read_bytes().split(b"\0"):
                yield folder


def end_marked(mark: str) -> None:
    """End the processes with a mark, and those that they start meanwhile."""
    for _ in range(_MAX_ROUNDS):
        has_ended_some = False
        for folder in marked(mark):
            has_ended_some = True
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(folder.name), signal.SIGKILL)
        if not has_ended_some:
            return


class Use(NamedTuple):
    """What the processes with a mark use: how many there are, and the bytes of the files without a
    name that they hold open.
    """

    processes: int = 0
    unlinked_bytes: int = 0


def use_of(mark: str, root: Path) -> Use:
    """Return what the processes with a mark use; of files those on the disk that ``root`` lies on,
    each once.
    """
    disk = root.stat().st_dev
    sizes: dict[int, int] = {}
    # At once: some live for less time than it takes to look through the files of all.
    folders = list(marked(mark))
    for folder in folders:
        with contextlib.suppress(OSError):
            for link in (folder / "fd").iterdir():
                info = link.stat()
                if stat.S_ISREG(info.st_mode) and not info.st_nlink and info.st_dev == disk:
                    sizes[info.st_ino] = 512 * info.st_blocks
    return Use(len(folders), sum(sizes.values()))
