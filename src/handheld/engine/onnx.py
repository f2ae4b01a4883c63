"""ONNX models of other makers, read to learn from their answers, never to be shipped.

No rule of ours vouches for such a file, so it runs in a process of its own (``_isolated``) unless the caller trusts it.
Weights in other files are read from the model's own folder only: absolute paths, ``..``, and links that lead out are refused.
"""

import importlib.util
import math
import mmap
import os
import select
from collections.abc import Callable
from numbers import Integral, Real
from pathlib import Path, PurePath
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from handheld.engine._isolated import IsolatedSession, RunLimits
from handheld.engine._onnxruntime import Session
from handheld.engine.onnx_fields import external_names
from handheld.errors import InputError, MissingDependencyError, ModelError

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""From one picture (1, channels, height, width) to what the model answers, (1, ...)."""

_TYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
}
_MOST_FIELDS = 5_000_000  # a second is enough for half a million
_COPIES = 3  # of its weights that the runtime may hold while it opens a model

RUN_SECONDS = 60.0
"""How long one run may take unless the caller says otherwise: a model may loop without an end."""


class _Input(NamedTuple):
    dtype: type[np.generic]
    channels_last: bool
    channels: int
    side: int


class _AnySession(Protocol):
    """What is needed of a session, in this process or in another."""

    inputs: Any

    def run(self, array: NDArray[Any], seconds: float) -> NDArray[np.float32]: ...


def open_onnx(
    path: str | os.PathLike[str],
    *,
    threads: int = 0,
    seconds: float = RUN_SECONDS,
    isolated: bool | RunLimits | None = None,
) -> tuple[Run, int]:
    """Open a model that takes one picture.

    Args:
        path: a ``.onnx`` file. Its input is (n, channels, height, width) or (n, height, width, channels), of 1 or 3 channels,
            float32, float16 or uint8.
        threads: of its kernels; 0: all cores.
        seconds: that opening it apart, or one run, may take.
        isolated: True or ``RunLimits``, whose ``seconds`` then count: run it in a process of its own; False: never, for files
            that you trust; None: wherever there is such a process (Linux, macOS), unless the environment has
            ``HANDHELD_ISOLATED=0``. Without ``RunLimits`` the process has 4 GiB and three times the file's bytes.

    Returns:
        A function from one picture to the model's first output, and the shorter side of the pictures; 0 if it takes any. The
        picture is (1, channels, height, width) whatever the model's own order is; for a uint8 input its values are 0 to 255.

    Raises:
        ModelError: it cannot be read, is corrupt, takes something other than one picture, or crashes or hangs the process
            that opens it; from the function: it fails, crashes, or takes longer than ``seconds``.
        InputError: ``threads`` is less than 0, or ``seconds`` not more than 0.
        MissingDependencyError: ONNX Runtime is not installed.
    """
    if not isinstance(threads, Integral) or threads < 0:
        raise InputError(
            f"threads is {threads!r}, expected a whole number of 0 (all cores) or more"
        )
    if not isinstance(seconds, Real) or not 0 < seconds < math.inf:
        raise InputError(f"seconds is {seconds!r}, expected a number above 0")
    if not Path(path).is_file():
        raise ModelError(f"{os.fspath(path)}: no such file; expected a .onnx file")
    where = os.fspath(path)
    files = onnx_files(path)
    if isolated is None:
        isolated = hasattr(select, "poll") and os.environ.get("HANDHELD_ISOLATED") != "0"
    if isolated is True:
        size = sum(file.stat().st_size for file in files.values())
        isolated = RunLimits(seconds=seconds, memory=RunLimits().memory + _COPIES * size)
    session = _session(where, threads, isolated or None, files)
    wanted = _input(session.inputs, where)

    def run(picture: NDArray[np.float32]) -> NDArray[np.float32]:
        array = _fed(picture, wanted, where)
        try:
            return session.run(array, seconds)
        except TimeoutError:
            raise ModelError(
                f"{where}: it took longer than {seconds:g} s and was stopped"
            ) from None
        except ModelError:  # of a process of its own, with all that there is to say
            raise
        except Exception as error:  # the runtime's own classes, which have no common base
            shape = list(picture.shape)
            raise ModelError(f"{where}: fails on a picture {shape}: {_text(error)}") from error

    return run, wanted.side


def onnx_files(path: str | os.PathLike[str]) -> dict[str, Path]:
    """Return the files that an ONNX model consists of: itself, and those in which it keeps weights.

    Args:
        path: of the model.

    Returns:
        Where the runtime looks for each, and the plain file that this leads to.

    Raises:
        ModelError: it cannot be read, is no ONNX model, or names a file that is none, or lies outside of its folder.
    """
    where = os.fspath(path)
    folder = Path(path).parent.resolve()
    homes = {
        folder,
        Path(path).resolve().parent,
    }  # caches of models are links into a folder of contents
    files = {str(folder / Path(path).name): Path(path).resolve()}
    try:
        with (
            Path(path).open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            names = external_names(content, most=_MOST_FIELDS)
        for name in sorted(names):
            files[str(folder / name)] = _beside(name, folder, homes)
    except (OSError, ValueError) as error:
        raise _cannot_be_opened(where, str(error)) from error
    return files


def _beside(name: str, folder: Path, homes: set[Path]) -> Path:
    """Return the plain file that a name leads to. Raises ValueError for any that is not beside the model."""
    shown = repr(name[:80])
    if PurePath(name).is_absolute() or ".." in PurePath(name).parts or "\0" in name:
        raise ValueError(f"it keeps weights in {shown}, which is not in its folder")
    target = (folder / name).resolve()
    if not any(target.is_relative_to(home) for home in homes):
        raise ValueError(f"it keeps weights in {shown}, a link that leads out of its folder")
    if not target.is_file():
        raise ValueError(f"it keeps weights in {shown}, which is no file beside it")
    return target


def _cannot_be_opened(where: str, problem: str) -> ModelError:
    return ModelError(f"{where} cannot be opened as an ONNX model: {problem}")


def _session(
    where: str, threads: int, limits: RunLimits | None, files: dict[str, Path]
) -> _AnySession:
    """Open the model, apart if there are limits."""
    if not _has_runtime():
        raise MissingDependencyError("onnxruntime", "onnx", "reading an ONNX model")
    try:
        if limits is None:
            return Session(where, threads=threads)
        seen = {place: str(file) for place, file in files.items()}
        return IsolatedSession(
            next(iter(seen)),
            where,
            threads=threads or os.cpu_count() or 1,
            limits=limits,
            files=seen,
        )
    except UnicodeDecodeError as error:
        raise _cannot_be_opened(
            where, "the name of an input is no UTF-8; export the model with another"
        ) from error
    except ModelError:
        raise
    except Exception as error:  # the runtime's own classes, as above
        raise _cannot_be_opened(where, _text(error)) from error


def _has_runtime() -> bool:
    try:
        return importlib.util.find_spec("onnxruntime") is not None
    except ValueError:  # taken out of ``sys.modules``
        return False


def _input(inputs: Any, path: str) -> _Input:
    listed = ", ".join(f"{name} {shape} {dtype}" for name, shape, dtype in inputs) or "none"
    _, axes, dtype = inputs[0] if len(inputs) == 1 else ("", (), "")
    if len(axes) != 4 or dtype not in _TYPES:
        raise ModelError(
            f"{path}: expected one picture input of 4 axes, float or uint8, got {listed}"
        )
    shape = [
        axis if isinstance(axis, int) else 0 for axis in axes
    ]  # a name or None stands for any length
    if shape[0] not in (0, 1):
        raise ModelError(
            f"{path}: takes batches of {shape[0]}, expected of 1 or of any length; export it with a batch of 1"
        )
    last = shape[1] not in (1, 3)
    if last and shape[3] not in (1, 3):
        raise ModelError(
            f"{path}: expected 1 or 3 channels at the second or the last axis, got {listed}"
        )
    sides = [side for side in (shape[1:3] if last else shape[2:4]) if side]
    return _Input(_TYPES[dtype], last, shape[3] if last else shape[1], min(sides, default=0))


def _fed(picture: NDArray[np.float32], wanted: _Input, path: str) -> NDArray[Any]:
    if picture.ndim != 4 or picture.shape[1] != wanted.channels:
        raise ModelError(
            f"{path}: expected a picture (1, {wanted.channels}, height, width), got {list(picture.shape)}"
        )
    if wanted.dtype is np.uint8:
        if picture.min() < -0.5 or picture.max() > 255.5:
            raise ModelError(
                f"{path}: takes values of 0 to 255, got {picture.min():.3g} to {picture.max():.3g}"
            )
        picture = np.rint(picture).clip(0, 255)
    return np.ascontiguousarray(
        np.moveaxis(picture, 1, -1) if wanted.channels_last else picture, dtype=wanted.dtype
    )


def _text(error: Exception) -> str:
    return str(error).strip().rpartition(" : ")[2].split("\n")[0]
