"""ONNX models of other makers, read to learn from their answers, never to be shipped.

No rule of ours vouches for such a file, so it runs in a process of its own (``_isolated``) unless
the caller trusts it. Weights in other files are read from the model's own folder only: absolute
paths, ``..``, and links that lead out are refused.
"""

import importlib.util
import mmap
import os
import select
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from handheld.engine._isolated import (
    MAX_THREADS,
    IsolatedSession,
    RunLimits,
    ensure_isolation,
    isolation_asked,
)
from handheld.engine._onnxruntime import Session
from handheld.engine.onnx_fields import external_names
from handheld.errors import MissingDependencyError, ModelError
from handheld.ranges import whole_in_range

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""From one picture (1, channels, height, width) to what the model answers, (1, ...)."""

_TYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
}
_CHANNELS = (1, 3)
_MOST_FIELDS = 5_000_000  # a second is enough for half a million
_COPIES = 3  # of its weights that the runtime may hold while it opens a model

RUN_SECONDS = 60.0
"""How long one run may take unless the caller says otherwise: a model may loop without an end."""


class _PictureInput(NamedTuple):
    """What a model takes.

    Args:
        dtype: of the elements.
        channels_last: whether its order is (n, height, width, channels).
        channels: 1 or 3.
        side: the shorter side of the picture; 0: any.
    """

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
        path: a ``.onnx`` file. Its input is (n, channels, height, width) or (n, height, width,
            channels), of 1 or 3 channels, float32, float16 or uint8.
        threads: of its kernels; 0: all cores.
        seconds: that opening it apart, or one run, may take.
        isolated: True or ``RunLimits``, whose ``seconds`` then count: run it in a process of its
            own; False: never, for files that you trust; None: wherever there is such a process
            (Linux, macOS), unless the environment has ``HANDHELD_ISOLATED=0``. Without
            ``RunLimits`` the process has 4 GiB and three times the file's bytes.

    Returns:
        A function from one picture to the model's first output, and the shorter side of the
        pictures; 0 if it takes any. The picture is (1, channels, height, width) whatever the
        model's own order is; for a uint8 input its values are in [0, 255].

    Raises:
        ModelError: it cannot be read, is corrupt, takes something other than one picture, or
            crashes or hangs the process that opens it; from the function: it fails, crashes, or
            takes longer than ``seconds``.
        InputError: ``threads`` or ``seconds`` is out of range, or ``HANDHELD_ISOLATED`` neither 1
            nor 0.
        MissingDependencyError: ONNX Runtime is not installed.
    """
    _check_options(threads, seconds)
    label = os.fspath(path)
    if not Path(path).is_file():
        raise ModelError(f"{label}: no such file; expected a .onnx file")
    files = onnx_files(path)
    limits = _limits(isolated, seconds, files)
    session = _session(label, threads, limits, files)
    picture_input = _picture_input(session.inputs, label)

    def run(picture: NDArray[np.float32]) -> NDArray[np.float32]:
        array = _fed(picture, picture_input, label)
        try:
            return session.run(array, seconds)
        except TimeoutError:
            problem = f"it took longer than {seconds:g} s and was stopped"
            raise ModelError(f"{label}: {problem}") from None
        except ModelError:  # of a process of its own, with all that there is to say
            raise
        except Exception as error:  # the runtime's own classes, which have no common base
            shape = list(picture.shape)
            problem = f"fails on a picture {shape}: {_reason(error)}"
            raise ModelError(f"{label}: {problem}") from error

    return run, picture_input.side


def _check_options(threads: int, seconds: float) -> None:
    whole_in_range("threads", threads, low=0, high=MAX_THREADS)
    # The limits' own range, under the name that was given here.
    RunLimits(seconds=seconds)


def _limits(
    isolated: bool | RunLimits | None, seconds: float, files: dict[str, Path]
) -> RunLimits | None:
    """Limits of the model's own process; None: it runs in this one."""
    ensure_isolation(isolated)
    if isinstance(isolated, RunLimits):
        return isolated
    if isolated is None:
        # Children are spoken to by way of ``poll``, which Windows lacks.
        isolated = hasattr(select, "poll") and isolation_asked() is not False
    if not isolated:
        return None
    size = sum(file.stat().st_size for file in files.values())
    return RunLimits(seconds=seconds, memory=RunLimits().memory + _COPIES * size)


def onnx_files(path: str | os.PathLike[str]) -> dict[str, Path]:
    """Return the files that an ONNX model consists of: itself, and those that hold its weights.

    Args:
        path: of the model.

    Returns:
        Where the runtime looks for each, and the plain file that this leads to.

    Raises:
        ModelError: it cannot be read, is no ONNX model, or names a file that is none, or lies
            outside of its folder.
    """
    model = Path(path)
    folder = model.parent.resolve()
    # Caches of models are links into a folder of contents.
    homes = {folder, model.resolve().parent}
    files = {str(folder / model.name): model.resolve()}
    try:
        for name in sorted(_external_names(model)):
            files[str(folder / name)] = _beside(name, folder, homes)
    except (OSError, ValueError) as error:
        raise _cannot_be_opened(os.fspath(path), str(error)) from error
    return files


def _external_names(path: Path) -> set[str]:
    # Mapped, not read: the weights of a large model are never looked at.
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return external_names(content, max_fields=_MOST_FIELDS)


def _beside(name: str, folder: Path, homes: set[Path]) -> Path:
    """Return the plain file that a name leads to.

    Raises:
        ValueError: it is not beside the model.
    """
    keeps = f"it keeps weights in {name[:80]!r}"
    if PurePath(name).is_absolute() or ".." in PurePath(name).parts or "\0" in name:
        raise ValueError(f"{keeps}, which is not in its folder")
    target = (folder / name).resolve()
    if not any(target.is_relative_to(home) for home in homes):
        raise ValueError(f"{keeps}, a link that leads out of its folder")
    if not target.is_file():
        raise ValueError(f"{keeps}, which is no file beside it")
    return target


def _cannot_be_opened(label: str, problem: str) -> ModelError:
    return ModelError(f"{label} cannot be opened as an ONNX model: {problem}")


def _session(
    label: str, threads: int, limits: RunLimits | None, files: dict[str, Path]
) -> _AnySession:
    """Open the model, apart if there are limits."""
    if not _has_runtime():
        raise MissingDependencyError("onnxruntime", "onnx", "reading an ONNX model")
    try:
        if limits is None:
            return Session(label, threads=threads)
        # A child's limit on CPU time is for so many threads, so it has to know the number.
        threads = threads or os.cpu_count() or 1
        visible = {path: str(file) for path, file in files.items()}
        model = next(iter(visible))
        return IsolatedSession(model, label, threads=threads, limits=limits, files=visible)
    except UnicodeDecodeError as error:
        problem = "the name of an input is no UTF-8; export the model with another"
        raise _cannot_be_opened(label, problem) from error
    except ModelError:
        raise
    except Exception as error:  # the runtime's own classes, as above
        raise _cannot_be_opened(label, _reason(error)) from error


def _has_runtime() -> bool:
    try:
        return importlib.util.find_spec("onnxruntime") is not None
    except ValueError:  # taken out of ``sys.modules``
        return False


def _only_input(inputs: Any, path: str) -> tuple[list[Any], str]:
    """Axes and type of the one input, which may be a picture."""
    if len(inputs) == 1:
        _, axes, dtype = inputs[0]
        if len(axes) == 4 and dtype in _TYPES:
            return axes, dtype
    expected = "expected one picture input of 4 axes, float or uint8"
    raise ModelError(f"{path}: {expected}, got {_listed(inputs)}")


def _listed(inputs: Any) -> str:
    texts = [f"{name} {shape} {dtype}" for name, shape, dtype in inputs]
    return ", ".join(texts) or "none"


def _picture_input(inputs: Any, path: str) -> _PictureInput:
    axes, dtype = _only_input(inputs, path)
    batch, *sides = map(_length_of, axes)
    if batch not in (0, 1):
        expected = "expected of 1 or of any length; export it with a batch of 1"
        raise ModelError(f"{path}: takes batches of {batch}, {expected}")
    # The usual order first: a picture of one or three rows is no picture.
    channels_last = sides[0] not in _CHANNELS
    position = 0
    if channels_last:
        position = -1
    channels = sides.pop(position)
    if channels not in _CHANNELS:
        expected = "expected 1 or 3 channels at the second or the last axis"
        raise ModelError(f"{path}: {expected}, got {_listed(inputs)}")
    side = min(filter(None, sides), default=0)
    return _PictureInput(_TYPES[dtype], channels_last, channels, side)


def _length_of(axis: Any) -> int:
    # A name or None stands for any length.
    if not isinstance(axis, int):
        return 0
    return axis


def _fed(picture: NDArray[np.float32], picture_input: _PictureInput, path: str) -> NDArray[Any]:
    """The picture in the model's own order and type."""
    channels = picture_input.channels
    if picture.ndim != 4 or picture.shape[1] != channels:
        expected = f"expected a picture (1, {channels}, height, width)"
        raise ModelError(f"{path}: {expected}, got {list(picture.shape)}")
    if picture_input.dtype is np.uint8:
        # Half a step beyond is what rounding makes of a value on the border.
        if picture.min() < -0.5 or picture.max() > 255.5:
            limits = f"{picture.min():.3g} to {picture.max():.3g}"
            raise ModelError(f"{path}: takes values of 0 to 255, got {limits}")
        picture = np.rint(picture).clip(0, 255)
    if picture_input.channels_last:
        picture = np.moveaxis(picture, 1, -1)
    return np.ascontiguousarray(picture, dtype=picture_input.dtype)


def _reason(error: Exception) -> str:
    """What the runtime says, without the names and numbers of errors that it puts before."""
    return str(error).strip().rpartition(" : ")[2].split("\n")[0]
