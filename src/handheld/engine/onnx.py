"""The one file that knows ONNX Runtime: models of other makers, read to learn from their answers, never to be shipped.

The runtime parses the file as data: nothing in it is executed as code, and weights that are kept outside of it are read from
the model's own folder only (checked by the runtime from 1.31 on: absolute paths, ``..`` and links that lead out are refused).
As with every parser of native code, give models of strangers a process of their own.
"""

import math
import os
from collections.abc import Callable
from numbers import Integral, Real
from pathlib import Path
from threading import Timer
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError, MissingDependencyError, ModelError

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""From one picture (1, channels, height, width) to what the model answers, (1, ...)."""

_TYPES: dict[str, type[np.generic]] = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}
_ERRORS_ONLY = 3  # of the runtime's log

RUN_SECONDS = 60.0
"""How long one run may take unless the caller says otherwise: a model may loop without an end."""


class _Input(NamedTuple):
    name: str
    dtype: type[np.generic]
    channels_last: bool
    channels: int
    side: int


def open_onnx(path: str | os.PathLike[str], *, threads: int = 0, seconds: float = RUN_SECONDS) -> tuple[Run, int]:
    """Open a model that takes one picture.

    Args:
        path: a ``.onnx`` file. Its input is (n, channels, height, width) or (n, height, width, channels), of 1 or 3 channels,
            float32, float16 or uint8.
        threads: of its kernels; 0: all cores.
        seconds: that one run may take; it is stopped at the next operator after that.

    Returns:
        A function from one picture to the model's first output, and the shorter side of the pictures; 0 if it takes any. The
        picture is (1, channels, height, width) whatever the model's own order is; for a uint8 input its values are 0 to 255.

    Raises:
        ModelError: it cannot be read, is corrupt, or takes something other than one picture; from the function: it
            fails, or takes longer than ``seconds``.
        InputError: ``threads`` is less than 0, or ``seconds`` not more than 0.
        MissingDependencyError: ONNX Runtime is not installed.
    """
    if not isinstance(threads, Integral) or threads < 0:
        raise InputError(f"threads is {threads!r}, expected a whole number of 0 (all cores) or more")
    if not isinstance(seconds, Real) or not 0 < seconds < math.inf:
        raise InputError(f"seconds is {seconds!r}, expected a number above 0")
    if not Path(path).is_file():
        raise ModelError(f"{os.fspath(path)}: no such file; expected a .onnx file")
    where = os.fspath(path)
    session = _session(where, threads)
    wanted = _wanted(session, where)

    def run(picture: NDArray[np.float32]) -> NDArray[np.float32]:
        feed = {wanted.name: _fed(picture, wanted, where)}
        try:
            return np.asarray(_run(session, feed, seconds), np.float32)
        except TimeoutError:
            raise ModelError(f"{where}: took longer than {seconds:g} s and was stopped") from None
        except Exception as error:  # the runtime's own classes, which have no common base
            shape = list(picture.shape)
            raise ModelError(f"{where}: fails on a picture {shape}: {_text(error)}") from error

    return run, wanted.side


def _run(session: Any, feed: dict[str, NDArray[Any]], seconds: float) -> Any:
    """The model's first output.

    Raises:
        TimeoutError: it takes longer than ``seconds``.
    """
    import onnxruntime

    options = onnxruntime.RunOptions()
    timer = Timer(seconds, setattr, (options, "terminate", True))
    timer.daemon = True
    timer.start()
    try:
        return session.run(None, feed, options)[0]
    except Exception:
        if options.terminate:
            raise TimeoutError from None
        raise
    finally:
        timer.cancel()


def _wanted(session: Any, path: str) -> _Input:
    try:
        return _input(session.get_inputs(), path)
    except UnicodeDecodeError as error:
        problem = "the name of an input is no UTF-8"
        raise ModelError(f"{path}: {problem}; export the model with another") from error


def _session(path: str, threads: int) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependencyError("onnxruntime", "onnx", "reading an ONNX model") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, _ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting threads would hold up the training
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # as above
        raise ModelError(f"{path} cannot be opened as an ONNX model: {_text(error)}") from error


def _input(inputs: Any, path: str) -> _Input:
    found = ", ".join(f"{one.name} {one.shape} {one.type}" for one in inputs) or "none"
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type not in _TYPES:
        raise ModelError(f"{path}: expected one picture input of 4 axes, float or uint8, got {found}")
    shape = [axis if isinstance(axis, int) else 0 for axis in inputs[0].shape]  # a name or None stands for any length
    if shape[0] not in (0, 1):
        raise ModelError(f"{path}: takes batches of {shape[0]}, expected of 1 or of any length; export it with a batch of 1")
    last = shape[1] not in (1, 3)
    if last and shape[3] not in (1, 3):
        raise ModelError(f"{path}: expected 1 or 3 channels at the second or the last axis, got {found}")
    sides = [side for side in (shape[1:3] if last else shape[2:4]) if side]
    return _Input(inputs[0].name, _TYPES[inputs[0].type], last, shape[3] if last else shape[1], min(sides, default=0))


def _fed(picture: NDArray[np.float32], wanted: _Input, path: str) -> NDArray[Any]:
    if picture.ndim != 4 or picture.shape[1] != wanted.channels:
        raise ModelError(f"{path}: expected a picture (1, {wanted.channels}, height, width), got {list(picture.shape)}")
    if wanted.dtype is np.uint8:
        if picture.min() < -0.5 or picture.max() > 255.5:
            raise ModelError(f"{path}: takes values of 0 to 255, got {picture.min():.3g} to {picture.max():.3g}")
        picture = np.rint(picture).clip(0, 255)
    return np.ascontiguousarray(np.moveaxis(picture, 1, -1) if wanted.channels_last else picture, dtype=wanted.dtype)


def _text(error: Exception) -> str:
    return str(error).strip().rpartition(" : ")[2].split("\n")[0]
