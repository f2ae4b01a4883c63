"""Simulators in processes of their own: the peers' environments, how long a run takes, and how much
memory all of it has.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _peers_env import ROOT
from _simulators_task import Floats
from _worker import ONE_THREAD
from numpy.typing import NDArray

TORCH = "torch==2.13.0"
NEEDED = {"flower": ["flwr[simulation]==1.41.0", TORCH], "pfl": ["pfl==0.6.0", TORCH]}
SILENT = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
_EVERY, _LONGEST = 0.5, 900.0  # seconds between looks at the memory; of a run
_PARENT, _BEGAN = 1, 19  # in /proc/PID/stat, after the name


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of a run.

    Attributes:
        imported: seconds from the start of the process until it had imported and made what it
            needs.
        rounds: (rounds,) seconds from the start of the process to the end of each.
        weights: of the model after the last.
        megabytes: the most memory that all its processes had at a time: the larger of the sum of
            their proportional shares, looked at every half second, and what the first of them says
            that it ever had.
        more: what else it says.
    """

    imported: float
    rounds: NDArray[np.float64]
    weights: Floats
    megabytes: float
    more: dict[str, Any]

    @property
    def seconds(self) -> float:
        """Median of a round after the first."""
        return float(np.median(np.diff(self.rounds)))


def python_of(peer: str) -> Path:
    """Return the interpreter of an environment with a simulator, made if it is not there; torch is
    the CPU's everywhere.
    """
    folder = ROOT / f".venv-peers-{peer}"
    python, installed = folder / "bin" / "python", folder / ".installed"
    if not installed.exists():
        print(f"making {folder} with {', '.join(NEEDED[peer])}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *NEEDED[peer]], check=True)
        installed.touch()
    return python


def run(python: Path, script: Path, job: dict[str, Any]) -> Outcome:
    """Let a worker do a job; nothing of it stays. Raises ``RuntimeError`` with its last words if it
    fails.
    """
    folder = Path(
        tempfile.mkdtemp(prefix="sim-")
    )  # short: Ray's sockets lie in it, and their paths are limited
    log, out = folder / "log", folder / "out.npz"
    told = {**job, "started": time.time(), "out": str(out)}
    with log.open("w") as file:
        process = subprocess.Popen(
            [str(python), str(script), json.dumps(told)],
            stdout=file,
            stderr=file,
            env={**os.environ, **ONE_THREAD, **SILENT, "HOME": str(folder)},
            start_new_session=True,
        )
        tree = _Tree(process.pid)
        watching = threading.Thread(target=tree.watch, daemon=True)
        watching.start()
        try:
            process.wait(_LONGEST)
        finally:
            tree.end()
            watching.join()
            process.wait()
    try:
        if process.returncode or not out.exists():
            raise RuntimeError(f"{script.name} failed:\n{log.read_text()[-3000:]}")
        with np.load(out) as file:
            found = {name: file[name] for name in file.files}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    most = max(tree.most, int(found.pop("most"))) / 1e6
    return Outcome(
        float(found.pop("imported")), found.pop("rounds"), found.pop("weights"), most, found
    )


class _Tree:
    """A process and all that it and its children started; who was seen once is followed when its
    parent is gone.
    """

    def __init__(self, pid: int) -> None:
        self.most, self._root, self._ended = 0, pid, threading.Event()
        self._seen: dict[int, str] = {}

    def watch(self) -> None:
        while not self._ended.wait(_EVERY):
            self.most = max(self.most, sum(_share(pid) for pid in self._alive()))

    def end(self) -> None:
        """Look no longer, and end those that are left."""
        self._ended.set()
        for pid in self._alive():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _alive(self) -> list[int]:
        stats = _stats()
        self._seen = {
            pid: began for pid, began in self._seen.items() if stats.get(pid, (0, ""))[1] == began
        }
        found = {self._root, *self._seen} & stats.keys()
        while more := {pid for pid, (parent, _) in stats.items() if parent in found} - found:
            found |= more
        self._seen = {pid: stats[pid][1] for pid in found}
        return sorted(found)


def _stats() -> dict[int, tuple[int, str]]:
    """Return each process's parent and when it began, by number."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            words = path.read_text().rpartition(")")[2].split()
            found[int(path.parent.name)] = int(words[_PARENT]), words[_BEGAN]
    return found


def _share(pid: int) -> int:
    """Return a process's proportional share of memory in bytes: what several have in common counts
    once among them.
    """
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return 1024 * int(line.split()[1])
    return 0
