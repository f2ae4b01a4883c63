"""A model in a process of its own, for files that nobody vouches for.

The process has no environment, no network, no file to write where ``bubblewrap`` is installed;
elsewhere it has limits on memory, CPU time, files and core dumps, and ends with its parent. What
it sends back is bounded, and is never unpickled. A crash, an endless run or a flood ends that
process and becomes a ``ModelError``; nothing else is touched.
"""

import importlib.util
import json
import math
import os
import select
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np

from handheld.errors import InputError, ModelError


@dataclass(frozen=True)
class RunLimits:
    """What a model may use that runs in a process of its own.

    Args:
        seconds: that opening it, or one run, may take; more than 0.
        memory: bytes of address space, on Linux; numpy and LiteRT map 1 GiB of them.

    Raises:
        InputError: a limit is out of range.
    """

    seconds: float = 20.0
    memory: int = 4 << 30

    def __post_init__(self) -> None:
        if not isinstance(self.seconds, Real) or not 0 < self.seconds < math.inf:
            raise InputError(f"seconds is {self.seconds!r}, expected a number above 0")
        if not isinstance(self.memory, Integral) or self.memory < _LEAST_MEMORY:
            raise InputError(f"memory is {self.memory!r}, expected {_LEAST_MEMORY} bytes or more")


_LEAST_MEMORY = 1 << 30
_CHILD = Path(__file__).with_name("_child.py")
_LENGTH = struct.Struct("<Q")
_MOST_HEAD = 1 << 20
_MOST_ANSWER = 1 << 31  # bytes; no output of a file that passes the checks is larger
_CHUNK = 1 << 20
_PACKAGES = ("numpy", "ai_edge_litert")
_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/ld.so.conf")


@cache
def bubblewrap() -> str:
    """Path of a ``bwrap`` that works here, or ""."""
    path = shutil.which("bwrap")
    if not path:
        return ""
    command = [path, *_namespace(), sys.executable, "-S", "-c", "pass"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=20, check=False, env={})
    except (OSError, subprocess.SubprocessError):
        return ""
    return path if done.returncode == 0 else ""


def isolation() -> str:
    """What holds a model that is opened with ``isolated=True`` on this machine, in words."""
    if bubblewrap():
        return "bubblewrap: no network, no files but the interpreter's, limits on memory and time"
    if sys.platform.startswith("linux"):
        return "limits on memory and time (install bubblewrap to take network and files away too)"
    return "a process of its own with a time-out (no limit on memory on this system)"


def _namespace() -> list[str]:
    """What the process sees of the file system: the interpreter and its packages, to read."""
    options = ["--unshare-all", "--die-with-parent", "--new-session", "--clearenv"]
    options += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    readable = [*_SYSTEM, sys.prefix, sys.base_prefix, *_search_path(), str(_CHILD.parent)]
    for path in dict.fromkeys(readable):
        if os.path.islink(path) and path in _SYSTEM:
            options += ["--symlink", os.readlink(path), path]
        elif os.path.exists(path):
            options += ["--ro-bind", path, path]
    return options


def _search_path() -> list[str]:
    """Folders of the packages that the child imports, and no others: a script's own folder, which
    Python searches too, may be a home."""
    folders = []
    for package in _PACKAGES:
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            folders.append(str(Path(spec.origin).parents[1]))
    return list(dict.fromkeys(folders))


def _command() -> tuple[list[str], dict[str, str]]:
    """The command that starts the child, and its whole environment."""
    # numpy's and LiteRT's helper threads would spin on a small machine beside the parent's.
    variables = {
        "PYTHONPATH": os.pathsep.join(_search_path()),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "LANG": "C.UTF-8",
    }
    if os.name == "nt":  # without it Windows cannot load a library of its own
        variables["SYSTEMROOT"] = os.environ.get("SYSTEMROOT", "")
    python = [sys.executable, "-P", "-s", "-B", str(_CHILD)]
    wrapper = bubblewrap()
    if not wrapper:
        return python, variables
    settings = [word for item in variables.items() for word in ("--setenv", *item)]
    return [wrapper, *_namespace(), *settings, *python], {}


@cache
def _starter(process: int) -> ThreadPoolExecutor:
    """The thread that starts children, one for each process: a child ends with the thread that
    started it, not only with the process, and a caller's thread may be short-lived."""
    return ThreadPoolExecutor(1, thread_name_prefix="handheld-isolated")


class IsolatedRuntime:
    """The same face as ``_litert.Runtime``, of a model that runs in a child process.

    Args:
        content: a file that ``_verify`` has accepted.
        where: its path, for messages.
        threads: threads of the kernels.
        types: names of the element types that the file declares for the outputs, in their order.
        shapes: of inputs that have other lengths than in the file, by position.
        limits: of the child.

    Raises:
        ModelError: the child cannot be started, or the model cannot be opened in it.
    """

    def __init__(
        self,
        content: bytes,
        where: str,
        *,
        threads: int,
        types: Sequence[str],
        shapes: Mapping[int, Sequence[int]] | None = None,
        limits: RunLimits,
    ) -> None:
        self._where = where
        self._limits = limits
        self._cpu_seconds = limits.seconds * threads
        self._ended = ""
        self._owner = os.getpid()
        self._process = _start(where)
        head = {
            "threads": threads,
            "types": list(types),
            "shapes": dict(shapes or {}),
            "memory": limits.memory,
            "parent": os.getpid(),
            "seconds": self._cpu_seconds,
        }
        try:
            self.inputs = tuple(self._ask("was opened", head, [content]))
        except ModelError:
            self.close()
            raise

    def invoke(self) -> tuple[np.ndarray, ...]:
        """Run once on what ``inputs`` hold; the outputs belong to the caller."""
        parts = [_view(array) for array in self.inputs]
        return tuple(self._ask("ran", {"seconds": self._cpu_seconds}, parts))

    def call(
        self, key: str, names: Sequence[str], arrays: Sequence[np.ndarray], outputs: Mapping[str, str]
    ) -> tuple[np.ndarray, ...]:
        """Run the signature ``key`` on inputs by name, as ``_litert.Runtime`` does."""
        head = {
            "seconds": self._cpu_seconds,
            "signature": key,
            "names": list(names),
            "outputs": dict(outputs),
            "arrays": [[array.dtype.str, list(array.shape)] for array in arrays],
        }
        return tuple(self._ask("ran", head, [array.tobytes() for array in arrays]))

    def close(self) -> None:
        """End the process; may be called twice."""
        self._kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def __del__(self) -> None:
        # The process may not have been started; a fork has no claim to it.
        if hasattr(self, "_process") and os.getpid() == self._owner:
            self.close()

    def _kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def _ask(self, doing: str, head: dict[str, Any], parts: Sequence[Any]) -> list[np.ndarray]:
        """Send one message and return the arrays of its answer."""
        if self._ended:
            raise ModelError(f"{self._where}: {self._ended}; open the model again")
        if os.getpid() != self._owner:  # two processes on one pipe would read each other's answers
            problem = "it was opened in another process, of which this one is a fork"
            raise ModelError(f"{self._where}: {problem}; open the model again")
        deadline = time.monotonic() + self._limits.seconds
        head["lengths"] = [len(chunk) for chunk in parts]
        text = json.dumps(head).encode()
        try:
            self._write(_LENGTH.pack(len(text)) + text, deadline)
            for chunk in parts:
                self._write(chunk, deadline)
            return self._answer(deadline)
        except TimeoutError:
            raise self._end(f"it took longer than {self._limits.seconds:g} s and was stopped while it {doing}") from None
        except (BrokenPipeError, EOFError):
            raise self._end(f"its process {self._verdict()} while it {doing}") from None
        except (ValueError, RecursionError, OverflowError) as error:
            problem = f"its process answered with something else than arrays ({error})"
            raise self._end(problem) from error

    def _end(self, reason: str) -> ModelError:
        """End the child for good; returns what to raise."""
        self._kill()
        self._ended = reason
        return ModelError(f"{self._where}: {reason}; nothing else was harmed")

    def _verdict(self) -> str:
        """How the process ended, in words."""
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "closed its pipe"
        number = -code if code < 0 else code - 128
        if number <= 0:
            return f"ended with status {code}"
        try:
            name = signal.Signals(number).name
        except ValueError:
            return f"ended with status {code}"
        if name == "SIGXCPU":
            return "used more CPU time than it may"
        hint = f"the file is hostile or damaged, or needs more than {self._limits.memory} bytes"
        return f"crashed ({name}: {hint})"

    def _write(self, data: Any, deadline: float) -> None:
        stream = self._process.stdin
        assert stream is not None
        rest = memoryview(data)
        while rest:
            _wait(stream.fileno(), deadline, writing=True)
            try:
                rest = rest[os.write(stream.fileno(), rest[:_CHUNK]) :]
            except BlockingIOError:  # less room than the system writes at once
                continue

    def _read(self, size: int, deadline: float) -> bytearray:
        stream = self._process.stdout
        assert stream is not None
        data = bytearray(size)
        view = memoryview(data)
        while view:
            _wait(stream.fileno(), deadline, writing=False)
            count = os.readv(stream.fileno(), [view[:_CHUNK]])
            if not count:
                raise EOFError
            view = view[count:]
        return data

    def _answer(self, deadline: float) -> list[np.ndarray]:
        (size,) = _LENGTH.unpack(self._read(_LENGTH.size, deadline))
        if size > _MOST_HEAD:
            raise ValueError(f"a head of {size} bytes")
        head = json.loads(bytes(self._read(size, deadline)))
        if not isinstance(head, dict):
            raise ValueError("no object")
        if "error" in head:
            raise ModelError(f"{self._where}: the runtime failed: {str(head['error']).strip()}")
        layout = [_layout(entry) for entry in head.get("arrays", ())]
        total = sum(_bytes(dtype, shape) for dtype, shape in layout)
        if total > _MOST_ANSWER:
            raise ValueError(f"{total} bytes")
        return [np.frombuffer(self._read(_bytes(dtype, shape), deadline), dtype).reshape(shape) for dtype, shape in layout]


def _start(where: str) -> subprocess.Popen[bytes]:
    """Start a child that waits for its model."""
    if not hasattr(select, "poll"):
        problem = "a process of its own needs Linux or macOS"
        raise ModelError(f"{where}: {problem}; with isolated=False it runs in this process")
    command, variables = _command()
    start = _starter(os.getpid()).submit(
        subprocess.Popen,
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=variables,
        bufsize=0,
        start_new_session=True,
    )
    try:
        process = start.result()
    except OSError as error:
        raise ModelError(f"{where}: no process of its own can be started: {error}") from error
    assert process.stdin is not None
    # A child that stops reading must not block the parent beyond its deadline.
    os.set_blocking(process.stdin.fileno(), False)
    _widen(process)
    return process


def _widen(process: subprocess.Popen[bytes]) -> None:
    """Let a whole picture fit into a pipe: each refill costs two changes between processes."""
    try:
        import fcntl
    except ImportError:  # no such thing on Windows
        return
    assert process.stdin is not None
    assert process.stdout is not None
    command = getattr(fcntl, "F_SETPIPE_SZ", None)
    for stream in (process.stdin, process.stdout):
        if command is not None:
            with suppress(OSError):  # a user's pipes have a limit in all
                fcntl.fcntl(stream.fileno(), command, _CHUNK)


def _view(array: np.ndarray) -> memoryview | bytes:
    """The bytes of an array, without a copy where it lies in one piece."""
    if not array.size:
        return b""
    return np.atleast_1d(np.ascontiguousarray(array)).data.cast("B")


def _layout(entry: Any) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Dtype and shape of an array that is announced, if they are those of one."""
    try:
        text, sides = entry
        dtype = np.dtype(str(text))
        shape = tuple(int(side) for side in sides)
    except (TypeError, ValueError) as error:
        raise ValueError(f"an array {str(entry)[:80]}") from error
    if dtype.kind not in "biufc" or len(shape) > 32 or min(shape, default=0) < 0:
        raise ValueError(f"an array {str(entry)[:80]}")
    return dtype, shape


def _bytes(dtype: np.dtype[Any], shape: tuple[int, ...]) -> int:
    return dtype.itemsize * math.prod(shape)


def _wait(number: int, deadline: float, *, writing: bool) -> None:
    """Wait until a pipe can be written to or read from.

    Raises:
        TimeoutError: that took until the deadline.
    """
    poller = select.poll()
    poller.register(number, select.POLLOUT if writing else select.POLLIN)
    left = deadline - time.monotonic()
    if left <= 0 or not poller.poll(1000 * left):
        raise TimeoutError
