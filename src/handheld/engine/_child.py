"""The program of the process that runs one model on behalf of another process.

It imports numpy and LiteRT alone, obeys what comes on its standard input, and answers on what was
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


def _runtime(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("_litert", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _answer(model: Any, head: dict[str, Any], parts: list[bytes]) -> list[np.ndarray]:
    if "signature" in head:
        arrays = [np.frombuffer(data, dtype).reshape(shape) for data, (dtype, shape) in zip(parts, head["arrays"], strict=True)]
        return list(model.call(head["signature"], head["names"], arrays, head["outputs"]))
    for target, data in zip(model.inputs, parts, strict=True):
        target[...] = np.frombuffer(data, target.dtype).reshape(target.shape)
    return list(model.invoke())


def main() -> None:
    """Open the model that comes first, then run it as often as is asked."""
    source = os.fdopen(os.dup(0), "rb", buffering=1 << 16)
    sink = os.fdopen(os.dup(1), "wb", buffering=1 << 16)
    # Whatever the runtime prints goes nowhere: on the pipe it would be taken for an answer.
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    head, (content,) = _receive(source)
    _limit(head["memory"], head["parent"])
    _limit_cpu(head["seconds"])
    try:
        shapes = {int(position): shape for position, shape in head["shapes"].items()}
        litert = _runtime(Path(__file__).with_name("_litert.py"))
        model = litert.Runtime(content, threads=head["threads"], steady=False, types=head["types"], shapes=shapes)
        _send(sink, {}, list(model.inputs))
    except (ValueError, RuntimeError, MemoryError) as error:
        _send(sink, {"error": str(error)[:4096]}, [])
        return
    while True:
        head, parts = _receive(source)
        _limit_cpu(head["seconds"])
        try:
            _send(sink, {}, _answer(model, head, parts))
        except (ValueError, RuntimeError, MemoryError) as error:
            _send(sink, {"error": str(error)[:4096]}, [])


if __name__ == "__main__":
    main()
