"""A model in a process of its own, for files that nobody vouches for.

The process has no environment, no network, no file to write where ``bubblewrap`` is installed;
elsewhere it has limits on memory, CPU time, files and core dumps, and ends with its parent. What
it sends back is bounded, and is never unpickled. A crash, an endless run or a flood ends that
process and becomes a ``ModelError``; nothing else is touched.
"""

import json
import math
import os
import select
import signal
import struct
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from handheld.engine import _sandbox
from handheld.errors import InputError, ModelError
from handheld.ranges import in_range, whole_in_range

_LEAST_MEMORY = 1 << 30  # what numpy and LiteRT map when they are imported
_MOST_MEMORY = 1 << 48  # all that processors address
_MOST_SECONDS = 10**6  # a child is waited for in milliseconds, of which C counts 2^31
MAX_THREADS = 1024
"""Of kernels: beyond some thousands of them the runtime ends the process."""

_LENGTH = struct.Struct("<Q")
_MOST_HEAD = 1 << 20  # bytes
_MOST_ANSWER = 1 << 31  # bytes; no output of a file that passes the checks is larger
_CHUNK = 1 << 20  # bytes read or written at once: what Linux lets a user's pipe hold
_MOST_SIDES = 32  # of an array, by numpy's own limit of old

Head = Mapping[str, Any]
"""The JSON object of a message."""


@dataclass(frozen=True)
class RunLimits:
    """What a model may use that runs in a process of its own.

    Args:
        seconds: that opening it, or one run, may take; more than 0, at most a million.
        memory: bytes of address space, on Linux; numpy and LiteRT map 1 GiB of them.

    Raises:
        InputError: a limit is out of range.
    """

    seconds: float = 20.0
    memory: int = 4 << 30

    def __post_init__(self) -> None:
        in_range("seconds", self.seconds, low=0, high=_MOST_SECONDS, low_open=True)
        whole_in_range("memory", self.memory, low=_LEAST_MEMORY, high=_MOST_MEMORY)


class IsolatedProcess:
    """A child that runs one model on our behalf. Not thread safe: its owner locks.

    Args:
        label: the model's path, for messages.
        limits: of the child.
        threads: of the kernels, 1 or more; each may use the CPU for as long as a run may take.
        packages: that the child imports, by name.
        files: that it may read beside these: where it finds them, and where they are.

    Raises:
        ModelError: the child cannot be started.
    """

    def __init__(
        self,
        label: str,
        limits: RunLimits,
        threads: int,
        packages: Sequence[str],
        files: Mapping[str, str] | None = None,
    ) -> None:
        self._label = label
        self._limits = limits
        self._cpu_seconds = limits.seconds * threads
        self._ended = ""
        self._owner = os.getpid()
        self._process = _start(label, *_sandbox.command(("numpy", *packages), files))

    def open(
        self, head: Head, buffers: Sequence[Any] = ()
    ) -> tuple[dict[str, Any], list[np.ndarray]]:
        """Send the first message, which opens the model.

        Returns:
            The head of the answer, and its arrays.

        Raises:
            ModelError: the child died, hung, or answered with something else.
            RuntimeError: the runtime refuses the model, in its own words.
        """
        limits = {"memory": int(self._limits.memory), "parent": os.getpid()}
        try:
            return self._ask("was opened", {**head, **limits}, buffers)
        except (ModelError, RuntimeError):
            self.close()
            raise

    def run(self, head: Head, buffers: Sequence[Any]) -> list[np.ndarray]:
        """Send a message that runs the model, and return the arrays of the answer.

        Raises what ``open`` does.
        """
        return self._ask("ran", head, buffers)[1]

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

    def _ask(
        self, doing: str, message: Head, buffers: Sequence[Any]
    ) -> tuple[dict[str, Any], list[np.ndarray]]:
        """Send one message; returns the head of its answer, and its arrays."""
        self._ensure_usable()
        deadline = time.monotonic() + self._limits.seconds
        lengths = list(map(len, buffers))
        head = {**message, "seconds": self._cpu_seconds, "lengths": lengths}
        with self._failures(doing):
            self._send(head, buffers, deadline)
            return self._answer(deadline)

    def _ensure_usable(self) -> None:
        if self._ended:
            raise ModelError(f"{self._label}: {self._ended}; open the model again")
        if os.getpid() != self._owner:  # two processes on one pipe would read each other's answers
            problem = "it was opened in another process, of which this one is a fork"
            raise ModelError(f"{self._label}: {problem}; open the model again")

    @contextmanager
    def _failures(self, doing: str) -> Iterator[None]:
        """End the child for good where its next answer could not be trusted."""
        try:
            yield
        except TimeoutError:
            problem = f"it took longer than {self._limits.seconds:g} s and was stopped"
            raise self._end(f"{problem} while it {doing}") from None
        except (BrokenPipeError, EOFError):
            raise self._end(f"its process {self._verdict()} while it {doing}") from None
        except (ValueError, RecursionError, OverflowError) as error:
            problem = f"its process answered with something else than arrays ({error})"
            raise self._end(problem) from error
        except RuntimeError:  # what the runtime says of the model; the child waits for the next one
            raise
        except BaseException:  # Ctrl-C: the answer would be taken for that to the next message
            self._end("its last run was interrupted")
            raise

    def _end(self, reason: str) -> ModelError:
        """End the child for good; returns what to raise."""
        self._kill()
        self._ended = reason
        return ModelError(f"{self._label}: {reason}; nothing else was harmed")

    def _verdict(self) -> str:
        """How the process ended, in words."""
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "closed its pipe"
        # Of a child that a signal ended, Popen says minus its number, bubblewrap 128 more.
        number = code - 128
        if code < 0:
            number = -code
        try:
            name = signal.Signals(number).name
        except ValueError:
            return f"ended with status {code}"
        if name == "SIGXCPU":
            return "used more CPU time than it may"
        hint = f"the file is hostile or damaged, or needs more than {self._limits.memory} bytes"
        return f"crashed ({name}: {hint})"

    def _send(self, head: Head, buffers: Sequence[Any], deadline: float) -> None:
        text = json.dumps(head).encode()
        self._write(_LENGTH.pack(len(text)) + text, deadline)
        for buffer in buffers:
            self._write(buffer, deadline)

    def _write(self, data: Any, deadline: float) -> None:
        stream = self._process.stdin
        assert stream is not None
        unsent = memoryview(data)
        while unsent:
            _wait(stream.fileno(), deadline, writing=True)
            try:
                count = os.write(stream.fileno(), unsent[:_CHUNK])
            except BlockingIOError:  # less room than the system writes at once
                continue
            unsent = unsent[count:]

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

    def _answer(self, deadline: float) -> tuple[dict[str, Any], list[np.ndarray]]:
        (size,) = _LENGTH.unpack(self._read(_LENGTH.size, deadline))
        if size > _MOST_HEAD:
            raise ValueError(f"a head of {size} bytes")
        head = json.loads(bytes(self._read(size, deadline)))
        if not isinstance(head, dict):
            raise ValueError("no object")
        if "error" in head:
            raise RuntimeError(str(head["error"]).strip())
        layouts = list(map(_announced, head.get("arrays", ())))
        total = sum(layout.size for layout in layouts)
        # Before memory is taken for any of them.
        if total > _MOST_ANSWER:
            raise ValueError(f"{total} bytes")
        return head, [self._read_array(layout, deadline) for layout in layouts]

    def _read_array(self, layout: "_ArrayLayout", deadline: float) -> np.ndarray:
        data = self._read(layout.size, deadline)
        return np.frombuffer(data, layout.dtype).reshape(layout.shape)


def isolation_asked() -> bool | None:
    """Return whether ``HANDHELD_ISOLATED`` asks for processes of their own.

    1: everywhere; 0: nowhere; None: it is not set.

    Raises:
        InputError: it says something else, which nobody should take for protection.
    """
    said = os.environ.get("HANDHELD_ISOLATED", "")
    if said not in ("", "0", "1"):
        raise InputError(
            f"HANDHELD_ISOLATED is {said!r} in the environment, expected 1 (models run in "
            "processes of their own), 0, or nothing"
        )
    if not said:
        return None
    return said == "1"


def ensure_isolation(isolated: object) -> None:
    """Refuse what says nothing about isolation, such as the text "no", which Python
    takes for true.
    """
    if isolated is not None and not isinstance(isolated, bool | RunLimits):
        raise InputError(f"isolated is {isolated!r}, expected True, False, None or RunLimits")


class IsolatedRuntime:
    """The same face as ``_litert.Runtime``, of a model that runs in a child process.

    Args:
        content: a file that ``_verify`` has accepted.
        label: its path, for messages.
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
        label: str,
        *,
        threads: int,
        types: Sequence[str],
        shapes: Mapping[int, Sequence[int]] | None = None,
        limits: RunLimits,
    ) -> None:
        self._label = label
        self._process = IsolatedProcess(label, limits, threads, ("ai_edge_litert",))
        head = {
            "runtime": "litert",
            "threads": threads,
            "types": list(types),
            "shapes": dict(shapes or {}),
        }
        with self._failures():
            _, arrays = self._process.open(head, [content])
        self.inputs = tuple(arrays)
        self._outputs: tuple[np.ndarray, ...] = ()

    def invoke(self) -> tuple[np.ndarray, ...]:
        """Run once on what ``inputs`` hold; the outputs belong to the caller."""
        buffers = list(map(_view, self.inputs))
        with self._failures():
            return tuple(self._process.run({}, buffers))

    def compute(self) -> None:
        """Run once, and keep the outputs."""
        self._outputs = self.invoke()

    def read(self) -> tuple[np.ndarray, ...]:
        """Return the outputs of the last run."""
        return self._outputs

    def call(
        self,
        key: str,
        names: Sequence[str],
        arrays: Sequence[np.ndarray],
        outputs: Mapping[str, str],
    ) -> tuple[np.ndarray, ...]:
        """Run the signature ``key`` on inputs by name, as ``_litert.Runtime`` does."""
        head = {
            "signature": key,
            "names": list(names),
            "outputs": dict(outputs),
            "arrays": list(map(_announcement, arrays)),
        }
        buffers = list(map(_view, arrays))
        with self._failures():
            return tuple(self._process.run(head, buffers))

    def close(self) -> None:
        """End the process; may be called twice."""
        self._process.close()

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise ModelError(f"{self._label}: the runtime failed: {error}") from error


class IsolatedSession:
    """The same face as ``_onnxruntime.Session``, of a model that runs in a child process.

    Args:
        path: where the child finds the file.
        label: what messages call it.
        threads: of the kernels, 1 or more.
        limits: of the child.
        files: that the child may read: where it finds them, and where they are.

    Raises:
        ModelError: the child cannot be started, died or hung.
        RuntimeError: the runtime refuses the model, in its own words.
    """

    def __init__(
        self, path: str, label: str, *, threads: int, limits: RunLimits, files: Mapping[str, str]
    ) -> None:
        self._process = IsolatedProcess(label, limits, threads, ("onnxruntime",), files)
        self._lock = Lock()
        message = {"runtime": "onnxruntime", "path": path, "threads": threads}
        head, _ = self._process.open(message)
        try:
            self.inputs = list(map(_described, head["inputs"]))
        except (KeyError, TypeError, ValueError) as error:
            problem = "its process answered with something else than its inputs"
            raise ModelError(f"{label}: {problem}") from error

    def run(self, array: np.ndarray, seconds: float) -> np.ndarray:
        """Return the first output for the first input, float32.

        ``seconds`` are those of the limits.
        """
        head = {"arrays": [_announcement(array)]}
        with self._lock:
            outputs = self._process.run(head, [_view(array)])
        # Of a child that a hostile model took over there may be none.
        if not outputs:
            return np.zeros(0, np.float32)
        return np.asarray(outputs[0], np.float32)


def _described(entry: Any) -> tuple[str, list[int | None], str]:
    """Name, shape and type of an input, as a child says it.

    Raises:
        ValueError, TypeError: it says something else.
    """
    name, shape, dtype = entry
    return str(name), list(map(_side, shape)), str(dtype)


def _side(side: Any) -> int | None:
    """Return a side; None for the name of one that is open."""
    if not isinstance(side, int):
        return None
    return side


@cache
def _starter(process: int) -> ThreadPoolExecutor:
    """The thread that starts children, one for each process.

    A child ends with the thread that started it, not only with the process, and a caller's thread
    may be short-lived.
    """
    return ThreadPoolExecutor(1, thread_name_prefix="handheld-isolated")


def _start(label: str, command: list[str], variables: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start a child that waits for its model."""
    if not hasattr(select, "poll"):
        problem = "a process of its own needs Linux or macOS"
        raise ModelError(f"{label}: {problem}; with isolated=False it runs in this process")
    start = _starter(os.getpid()).submit(
        subprocess.Popen,
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=variables,
        bufsize=0,
        start_new_session=True,  # Ctrl-C in a terminal is the parent's to answer
    )
    try:
        process = start.result()
    except OSError as error:
        raise ModelError(f"{label}: no process of its own can be started: {error}") from error
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
    command = getattr(fcntl, "F_SETPIPE_SZ", None)  # Linux alone has it
    if command is None:
        return
    for stream in (process.stdin, process.stdout):
        with suppress(OSError):  # a user's pipes have a limit in all
            fcntl.fcntl(stream.fileno(), command, _CHUNK)


def _view(array: np.ndarray) -> memoryview | bytes:
    """The bytes of an array, without a copy where it lies in one piece."""
    if not array.size:
        return b""
    return np.atleast_1d(np.ascontiguousarray(array)).data.cast("B")


def _announcement(array: np.ndarray) -> list[Any]:
    """What is said of an array before its bytes come."""
    return [array.dtype.str, list(array.shape)]


class _ArrayLayout(NamedTuple):
    """Of an array that is announced."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes, by Python's integers: a hostile shape would wrap numpy's."""
        return self.dtype.itemsize * math.prod(self.shape)


def _announced(entry: Any) -> _ArrayLayout:
    """Dtype and shape of an array that is announced, if they are those of one."""
    try:
        text, sides = entry
        dtype = np.dtype(str(text))
        shape = tuple(map(int, sides))
    except (TypeError, ValueError) as error:
        raise ValueError(f"an array {str(entry)[:80]}") from error
    # Numbers and bools alone: of objects, the bytes would be taken for addresses.
    is_plain = dtype.kind in "biufc"
    if not is_plain or len(shape) > _MOST_SIDES or min(shape, default=0) < 0:
        raise ValueError(f"an array {str(entry)[:80]}")
    return _ArrayLayout(dtype, shape)


def _wait(number: int, deadline: float, *, writing: bool) -> None:
    """Wait until a pipe can be written to or read from.

    Raises:
        TimeoutError: that took until the deadline.
    """
    event = select.POLLIN
    if writing:
        event = select.POLLOUT
    # Not select.select, which knows no number of 1024 or more.
    poller = select.poll()
    poller.register(number, event)
    remaining = deadline - time.monotonic()
    if remaining <= 0 or not poller.poll(1000 * remaining):
        raise TimeoutError
