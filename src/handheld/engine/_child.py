"""The program of the process that runs one model on behalf of another process.

It imports numpy and one runtime alone, obeys what comes on its standard input, and answers on what
was its standard output. Messages are a length, a JSON object, then the bytes of its arrays; nothing
is ever unpickled. ``_isolated`` is the other side.
"""

import ctypes
import importlib.util
import json
import math
import os
import signal
import struct
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

_LENGTH = struct.Struct("<Q")
_LONGEST_ERROR = 4096  # characters
_PDEATHSIG = 1  # prctl's number, <linux/prctl.h>
_MOST_FILES = 64  # open at once: the pipes, and what is being imported
_PIPE_BUFFER = 1 << 16
_FOREVER = 1e6  # seconds: the parent ends this process long before

Head = dict[str, Any]
"""The JSON object of a message."""


def _limit(memory: int, parent: int) -> None:
    """Give up what a model has no use for, before it is read."""
    if sys.platform.startswith("linux"):
        _end_with(parent)
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, 0)
    _lower(resource.RLIMIT_NOFILE, _MOST_FILES)
    if sys.platform.startswith("linux"):
        # macOS knows the limit, but holds no process to it.
        _lower(resource.RLIMIT_AS, memory)


def _end_with(parent: int) -> None:
    ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)
    # The parent may have ended before the call; 0 and 1 are what a namespace shows.
    if os.getppid() not in (parent, 0, 1):
        os._exit(1)


def _lower(number: int, value: int) -> None:
    """Set a limit, or leave the one that stands where it is lower."""
    import resource

    _, hard = resource.getrlimit(number)
    limit = value
    # "No limit" is -1 on some systems, the least of all numbers.
    if hard != resource.RLIM_INFINITY:
        limit = min(value, hard)
    resource.setrlimit(number, (limit, limit))


def _limit_cpu(seconds: float) -> None:
    """Let the process have so many more seconds of CPU time: a stopped parent counts none."""
    try:
        import resource
    except ImportError:
        return
    times = os.times()
    used = times.user + times.system
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    # Whole seconds alone can be set; one more, as the parent's own limit is to come first.
    soft = math.ceil(used + seconds) + 1
    if hard == resource.RLIM_INFINITY or soft < hard:
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def _read(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        os._exit(0)  # the parent has closed the model
    return data


def _receive(stream: BinaryIO) -> tuple[Head, list[bytes]]:
    (size,) = _LENGTH.unpack(_read(stream, _LENGTH.size))
    head = json.loads(_read(stream, size))
    return head, [_read(stream, length) for length in head["lengths"]]


def _send(stream: BinaryIO, head: Head, arrays: list[np.ndarray]) -> None:
    # ``ascontiguousarray`` would give a scalar an axis.
    arrays = [np.asarray(array, order="C") for array in arrays]
    head["arrays"] = [[array.dtype.str, list(array.shape)] for array in arrays]
    text = json.dumps(head).encode()
    stream.write(_LENGTH.pack(len(text)) + text)
    for array in arrays:
        stream.write(array.tobytes())
    stream.flush()


def _send_error(stream: BinaryIO, error: Exception) -> None:
    _send(stream, {"error": str(error)[:_LONGEST_ERROR]}, [])


def _module(name: str) -> Any:
    """A file beside this one, which imports nothing of ours either."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _arrays(head: Head, buffers: list[bytes]) -> list[np.ndarray]:
    arrays = []
    for data, (dtype, shape) in zip(buffers, head["arrays"], strict=True):
        arrays.append(np.frombuffer(data, dtype).reshape(shape))
    return arrays


class _LiteRt:
    """A ``.tflite`` model; its bytes come with the message that opens it."""

    def __init__(self, head: Head, buffers: list[bytes]) -> None:
        (content,) = buffers
        # Keys of a JSON object are strings.
        shapes = {int(position): shape for position, shape in head["shapes"].items()}
        self._model = _module("_litert").Runtime(
            content, threads=head["threads"], steady=False, types=head["types"], shapes=shapes
        )
        self.opened: tuple[Head, list[np.ndarray]] = ({}, list(self._model.inputs))

    def answer(self, head: Head, buffers: list[bytes]) -> list[np.ndarray]:
        if "signature" in head:
            arrays = _arrays(head, buffers)
            outputs = self._model.call(head["signature"], head["names"], arrays, head["outputs"])
            return list(outputs)
        # Straight into the runtime's own memory, whose types and shapes both sides know.
        for target, data in zip(self._model.inputs, buffers, strict=True):
            array = np.frombuffer(data, target.dtype)
            target[...] = array.reshape(target.shape)
        return list(self._model.invoke())


class _OnnxRuntime:
    """An ``.onnx`` model, read from its path."""

    def __init__(self, head: Head, buffers: list[bytes]) -> None:
        session = _module("_onnxruntime").Session
        self._session = session(head["path"], threads=head["threads"])
        self.opened: tuple[Head, list[np.ndarray]] = ({"inputs": self._session.inputs}, [])

    def answer(self, head: Head, buffers: list[bytes]) -> list[np.ndarray]:
        (array,) = _arrays(head, buffers)
        return [self._session.run(array, _FOREVER)]


_RUNTIMES: dict[str, type[_LiteRt] | type[_OnnxRuntime]] = {
    "litert": _LiteRt,
    "onnxruntime": _OnnxRuntime,
}


def _own_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Take over standard input and output, and leave nothing in their place.

    Whatever the runtime prints goes nowhere: on the pipe it would be taken for an answer.
    """
    source = os.fdopen(os.dup(0), "rb", buffering=_PIPE_BUFFER)
    sink = os.fdopen(os.dup(1), "wb", buffering=_PIPE_BUFFER)
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    return source, sink


def main() -> None:
    """Open the model that comes first, then run it as often as is asked."""
    source, sink = _own_pipes()
    head, buffers = _receive(source)
    _limit(head["memory"], head["parent"])
    _limit_cpu(head["seconds"])
    try:
        model = _RUNTIMES[head["runtime"]](head, buffers)
    except Exception as error:  # ONNX Runtime's classes have no other base
        _send_error(sink, error)
        return
    _send(sink, *model.opened)
    while True:
        head, buffers = _receive(source)
        _limit_cpu(head["seconds"])
        try:
            arrays = model.answer(head, buffers)
        except Exception as error:  # as above
            _send_error(sink, error)
            continue
        _send(sink, {}, arrays)


if __name__ == "__main__":
    main()
