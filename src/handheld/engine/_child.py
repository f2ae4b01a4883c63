"""The program of the process that runs one model on behalf of another process.

It imports numpy and one runtime alone, obeys what comes on its standard input, and answers on what was
its standard output. Messages are a length, a JSON object, then the bytes of its arrays; nothing is
ever unpickled. ``_isolated`` is the other side.
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


def _limit(memory: int, parent: int) -> None:
    """Give up what a model has no use for, before it is read."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)
        # The parent may have ended before the call; 0 and 1 are what a namespace shows.
        if os.getppid() not in (parent, 0, 1):
            os._exit(1)
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: 64,
    }
    if sys.platform.startswith("linux"):
        limits[resource.RLIMIT_AS] = memory
    for number, value in limits.items():
        hard = resource.getrlimit(number)[1]
        wanted = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (wanted, wanted))


def _limit_cpu(seconds: float) -> None:
    """Let the process have so many more seconds of CPU time: a parent that is stopped counts none."""
    try:
        import resource
    except ImportError:
        return
    used = sum(os.times()[:2])
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = math.ceil(used + seconds) + 1
    if hard == resource.RLIM_INFINITY or soft < hard:
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def _read(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        os._exit(0)  # the parent has closed the model
    return data


def _receive(stream: BinaryIO) -> tuple[dict[str, Any], list[bytes]]:
    (size,) = _LENGTH.unpack(_read(stream, _LENGTH.size))
    head = json.loads(_read(stream, size))
    return head, [_read(stream, length) for length in head["lengths"]]


def _send(stream: BinaryIO, head: dict[str, Any], arrays: list[np.ndarray]) -> None:
    # ``ascontiguousarray`` would give a scalar an axis.
    arrays = [np.asarray(array, order="C") for array in arrays]
    head["arrays"] = [[array.dtype.str, list(array.shape)] for array in arrays]
    text = json.dumps(head).encode()
    stream.write(_LENGTH.pack(len(text)) + text)
    for array in arrays:
        stream.write(array.tobytes())
    stream.flush()


def _module(name: str) -> Any:
    """A file beside this one, which imports nothing of ours either."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _arrays(head: dict[str, Any], parts: list[bytes]) -> list[np.ndarray]:
    return [
        np.frombuffer(data, dtype).reshape(shape)
        for data, (dtype, shape) in zip(parts, head["arrays"], strict=True)
    ]


class _LiteRt:
    """A ``.tflite`` model; its bytes come with the message that opens it."""

    def __init__(self, head: dict[str, Any], parts: list[bytes]) -> None:
        shapes = {int(position): shape for position, shape in head["shapes"].items()}
        runtime = _module("_litert").Runtime
        self._model = runtime(
            parts[0], threads=head["threads"], steady=False, types=head["types"], shapes=shapes
        )
        self.opened: tuple[dict[str, Any], list[np.ndarray]] = ({}, list(self._model.inputs))

    def answer(self, head: dict[str, Any], parts: list[bytes]) -> list[np.ndarray]:
        if "signature" in head:
            return list(
                self._model.call(
                    head["signature"], head["names"], _arrays(head, parts), head["outputs"]
                )
            )
        for target, data in zip(self._model.inputs, parts, strict=True):
            target[...] = np.frombuffer(data, target.dtype).reshape(target.shape)
        return list(self._model.invoke())


class _OnnxRuntime:
    """An ``.onnx`` model, read from its path."""

    def __init__(self, head: dict[str, Any], parts: list[bytes]) -> None:
        self._session = _module("_onnxruntime").Session(head["path"], threads=head["threads"])
        self.opened: tuple[dict[str, Any], list[np.ndarray]] = (
            {"inputs": self._session.inputs},
            [],
        )

    def answer(self, head: dict[str, Any], parts: list[bytes]) -> list[np.ndarray]:
        (array,) = _arrays(head, parts)
        return [self._session.run(array, _FOREVER)]


_RUNTIMES: dict[str, type[_LiteRt] | type[_OnnxRuntime]] = {
    "litert": _LiteRt,
    "onnxruntime": _OnnxRuntime,
}
_FOREVER = 1e6  # seconds: the parent ends this process long before


def main() -> None:
    """Open the model that comes first, then run it as often as is asked."""
    source = os.fdopen(os.dup(0), "rb", buffering=1 << 16)
    sink = os.fdopen(os.dup(1), "wb", buffering=1 << 16)
    # Whatever the runtime prints goes nowhere: on the pipe it would be taken for an answer.
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    head, parts = _receive(source)
    _limit(head["memory"], head["parent"])
    _limit_cpu(head["seconds"])
    try:
        model = _RUNTIMES[head["runtime"]](head, parts)
    except Exception as error:  # ONNX Runtime's classes have no other base
        _send(sink, {"error": str(error)[:_LONGEST_ERROR]}, [])
        return
    _send(sink, *model.opened)
    while True:
        head, parts = _receive(source)
        _limit_cpu(head["seconds"])
        said: dict[str, Any] = {}
        arrays: list[np.ndarray] = []
        try:
            arrays = model.answer(head, parts)
        except Exception as error:  # as above
            said = {"error": str(error)[:_LONGEST_ERROR]}
        _send(sink, said, arrays)


if __name__ == "__main__":
    main()
