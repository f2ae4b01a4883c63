"""Pictures as a model takes them, by its card or by the challenge's rule."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.engine import Model, TensorInfo
from handheld.engine.classify import ImageCard, prepare
from handheld.errors import InputError, ModelError
from handheld.pictures import LUMA
from handheld.untrusted import require_file

_WHITE = 255.0


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Return the picture of a file, upright, (rows, columns, 3).

    Raises:
        InputError: it cannot be read, or is no picture.
    """
    from handheld.pictures import as_rgb, decode

    return as_rgb(decode(content_of(path), str(path)))


def content_of(path: Path) -> bytes:
    """Return the bytes of a file.

    Raises:
        InputError: it cannot be read, or is a pipe or a device, which may have no end.
    """
    try:
        require_file(path)
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def picture_input(model: Model) -> TensorInfo:
    """Return a model's only input, a picture (1, height, width, 1 or 3).

    Raises:
        ModelError: it has others.
    """
    if len(model.inputs) == 1 and _is_picture(model.inputs[0].shape):
        return model.inputs[0]
    listed = ", ".join(map(str, model.inputs)) or "nothing"
    expected = "expected one input [1, height, width, 1 or 3]"
    raise ModelError(f"{model.path}: takes {listed}; {expected}")


def _is_picture(shape: Sequence[int]) -> bool:
    return len(shape) == 4 and shape[0] == 1 and shape[3] in (1, 3)


def stored_picture(
    picture: NDArray[np.uint8],
    model: Model,
    *,
    crop: float,
    black_white: tuple[float, float] = (-1.0, 1.0),
) -> NDArray[Any]:
    """Return a picture as a model's input stores it.

    A model whose card says how pictures are prepared gets them so. Any other gets the challenge's:
    the middle, resized bilinearly; a quantised input takes the bytes themselves, a real one numbers
    between two values.

    Args:
        picture: (rows, columns, 1 or 3).
        model: with one picture input.
        crop: share of the sides that is kept, in (0, 1].
        black_white: what 0 and 255 become in a real input.

    Returns:
        (1, height, width, 1 or 3) of the input's type.

    Raises:
        ModelError: the model takes something else.
    """
    info = picture_input(model)
    _, height, width, channels = info.shape
    if "image" in model.card:
        card = ImageCard.of(model, needs_labels=False)
        prepared = prepare(_coloured(picture), card, height, width)
        return info.to_stored(prepared[None])
    middle = centre_crop(picture, crop)
    resized = resize_bilinear(middle.astype(np.float32), height, width)
    pixels = _of_channels(resized, channels)[None]
    if info.dtype.kind == "f":
        black, white = black_white
        return np.asarray(black + pixels * ((white - black) / _WHITE), info.dtype)
    if info.dtype.name not in ("int8", "uint8"):
        raise ModelError(f"{model.path}: takes {info}; expected float32, int8 or uint8")
    # By the bytes alone, as the kit does: int8 models are uint8 ones shifted by 128.
    lowest = np.iinfo(info.dtype).min
    return np.asarray(np.rint(pixels) + lowest, info.dtype)


def centre_crop(picture: NDArray[Any], crop: float) -> NDArray[Any]:
    """Return the middle of a picture, rows and columns cut alike, as ``tf.image.central_crop``.

    >>> centre_crop(np.zeros((256, 16, 3)), 0.875).shape
    (224, 14, 3)
    """
    rows, columns = picture.shape[:2]
    y = int((rows - rows * crop) / 2)
    x = int((columns - columns * crop) / 2)
    return picture[y : rows - y, x : columns - x]


def resize_bilinear(picture: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Return a picture (rows, columns, channels) of another size, as TensorFlow 1 resizes.

    Each pixel is mixed from the four around its place (row x rows / height, likewise across). There
    is no filter: a picture that becomes much smaller loses detail to aliasing, which is what the
    models of the challenge were trained and judged on.
    """
    rows = _mixed(picture, height)
    return _mixed(rows.transpose(1, 0, 2), width).transpose(1, 0, 2)


def _mixed(picture: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    before = len(picture)
    # In float32, as TensorFlow's kernel has it.
    positions = np.arange(count, dtype=np.float32) * np.float32(before / count)
    low = np.minimum(positions.astype(np.int64), before - 1)
    high = np.minimum(low + 1, before - 1)
    shares = (positions - low)[:, None, None]
    return np.asarray(picture[low] * (1 - shares) + picture[high] * shares, np.float32)


def _coloured(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if picture.shape[2] == 1:
        return np.repeat(picture, 3, axis=2)
    return picture


def _of_channels(picture: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    if picture.shape[2] == channels:
        return picture
    if channels == 1:
        return np.asarray((picture @ LUMA)[:, :, None], np.float32)
    return np.repeat(picture, channels, axis=2)
