"""A job's process, seen from the server.

What runs is a small keeper (``child``), which runs the job in a process below it. Closing the
keeper's standard input, as the death of this server does too, makes it end every process that the
job started, wherever these went. What is left where a job ended its keeper is found by a mark in
the environment.
"""

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handheld.service.jobs._marked import Use, end_marked, use_of
from handheld.service.jobs.kinds import Spec
from handheld.service.jobs.limits import Limits

_CHUNK = 1 << 16
_MAX_LINE = 1 << 20  # bytes; a report of our own child is far below
_TASKS = 8  # that a process may have on average: libraries start a thread for each core
_GOODBYE_SECONDS = 5.0  # in which a keeper ends what it keeps
_STRANGE = "the job's process reports what no job reports"

_ENVIRONMENT = (
    "PATH",
    "HOME",
    "LANG",
    "TZ",
    "TMPDIR",
    "PYTHONPATH",
    "PYTHONHASHSEED",
    "LD_LIBRARY_PATH",
    "VIRTUAL_ENV",
)
_PREFIXES = ("LC_", "OMP_", "MKL_", "OPENBLAS_", "CUDA_", "HANDHELD_CACHE", "HANDHELD_DATA")
"""What a job's process gets of the server's environment: it parses strangers' files and must not
know the server's secrets.
"""


@dataclass(frozen=True)
class Progress:
    """How far a job is: a fraction from 0 to 1, and a message."""

    fraction: float = 0.0
    message: str = ""


class JobProcess:
    """A running job.

    ``poll`` takes in its reports; after it has ``ended``, ``error`` is None if the job was done.
    """

    def __init__(
        self, entry: str, folder: Path, spec: Spec, *, limits: Limits, progress: Progress
    ) -> None:
        self._mark = f"HANDHELD_JOB={secrets.token_hex(16)}"
        self._folder = folder
        # -P: a file called json.py that somebody uploaded must not be imported from the folder that
        # the job works in.
        command = [sys.executable, "-P", "-m", "handheld.service.jobs.child"]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=folder / "work",
            start_new_session=True,
            env=_environment() | dict([self._mark.split("=")]),
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        bounds = {"memory_bytes": limits.memory_bytes, "tasks": _TASKS * limits.processes}
        order = {"entry": entry, "folder": str(folder), "spec": spec} | bounds
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
        self._reports = self._process.stdout.fileno()
        os.set_blocking(self._reports, False)
        self._buffer = b""
        self._done = False
        self._error: str | None = None
        self.progress = progress

    def poll(self) -> bool:
        """Take in what the job reported; return whether it has ended."""
        # Asked first, so that all it said before its end is read below.
        ended = self._process.poll() is not None
        try:
            self._read()
        # Of json, and of what is not shaped as a report.
        except (ValueError, KeyError, TypeError, RecursionError):
            self._error = _STRANGE
            ended = True
        if ended:
            self.kill()
        return ended

    @property
    def error(self) -> str | None:
        """Why an ended job failed, or None if it was done."""
        code = self._process.returncode
        if self._error is not None or self._done:
            return self._error
        if code < 0:
            return f"the job's process was ended by {_signal_text(-code)}"
        return f"the job's process ended with status {code} before the job was done"

    def kill(self) -> None:
        """End the job and every process that it started, and wait until it has gone."""
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(BrokenPipeError):
                pipe and pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GOODBYE_SECONDS)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        end_marked(self._mark)  # a job may have ended its keeper, which then ended nothing

    @property
    def keeper(self) -> int:
        """Id of the process that keeps the job."""
        return self._process.pid

    def use(self) -> Use:
        """Return how many processes the job has, and what their files without a name take on its
        disk.
        """
        return use_of(self._mark, self._folder)

    def _read(self) -> None:
        if self._process.stdout is None or self._process.stdout.closed:
            return
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._reports, _CHUNK):
                *lines, self._buffer = (self._buffer + chunk).split(b"\n")
                for line in lines:
                    self._take(json.loads(line))
                if len(self._buffer) > _MAX_LINE:
                    raise ValueError(_STRANGE)

    def _take(self, message: dict[str, Any]) -> None:
        if "fraction" in message:
            fraction = float(message["fraction"])
            # A NaN compares false and becomes 0.
            if not fraction > 0:
                fraction = 0.0
            self.progress = Progress(min(fraction, 1.0), str(message["message"]))
            return
        self._done = "done" in message
        self._error = None
        if message.get("error") is not None:
            self._error = str(message["error"])


def _signal_text(number: int) -> str:
    """Return the name of a signal, and what it may have been sent for."""
    try:
        name = signal.Signals(number).name
    except ValueError:  # those of real time have numbers alone
        return f"signal {number}"
    # What Linux sends when memory is short; nothing else tells of it.
    if number == signal.SIGKILL:
        return f"{name}; it may have used more memory than there is"
    return name


def _environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if name in _ENVIRONMENT or name.startswith(_PREFIXES)
    }
