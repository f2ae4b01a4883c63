"""How much memory a model takes, in a process that does nothing else.

``python -m handheld.bench.memory MODEL THREADS`` opens the file, runs it on noise, and prints JSON.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from handheld.bench.noise import noise
from handheld.engine import Model, preload
from handheld.untrusted import read_json

_RUNS = 3  # the second and third allocate nothing more in any model that we know
_PATIENCE = 120.0  # seconds
_KIB = 1024


@dataclass(frozen=True)
class PeakMemory:
    """Bytes of a process that opens a model and runs it.

    Args:
        process: at its highest, with Python, numpy and the runtime.
        model: by how much that is more than before the file was opened.
    """

    process: int
    model: int


def peak_memory(path: Path, threads: int = 1) -> PeakMemory | None:
    """Return the peak memory of a process that runs a file; None where it cannot be told.

    The file has been opened here before, so it is no worse there.

    Args:
        path: a ``.tflite`` file.
        threads: of the interpreter.
    """
    # By its name and not by __name__, which is another in the process itself.
    command = [sys.executable, "-m", "handheld.bench.memory", str(path), str(threads)]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=_PATIENCE, check=False, stdin=subprocess.DEVNULL
        )
        values = read_json(done.stdout)
        return PeakMemory(int(values["process"]), int(values["model"]))
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return None


def _status(field: str) -> int:
    """Return a field of this process's status, in bytes.

    Not ``getrusage``: its peak is also that of the process before it became this one.
    """
    for line in Path("/proc/self/status").read_text("utf-8").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * _KIB
    raise KeyError(field)


def _main(path: str, threads: int) -> None:
    # The runtime itself is no part of what the model takes.
    preload()
    before = _status("VmRSS")
    with Model.open(path, threads=threads) as model:
        # In a process of its own it is not seen from here.
        if model.isolated:
            return
        arrays = noise(model)
        for _ in range(_RUNS):
            model.run(*arrays)
        peak = _status("VmHWM")
    print(json.dumps({"process": peak, "model": max(0, peak - before)}))


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]))
