"""Encoded pictures as arrays of one size; the one file of the room that imports Pillow."""

import io
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from handheld.data.dataset import Dataset, Skipped
from handheld.errors import InputError, MissingDependencyError

try:
    from PIL import Image, ImageOps, UnidentifiedImageError
except ImportError as error:
    raise MissingDependencyError("pillow", "hands", "reading pictures") from error

Size = tuple[int, int]

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")  # none of those for which other programs are run


def decode(
    examples: Iterable[tuple[str, bytes, int]], classes: tuple[str, ...], size: Size | None
) -> tuple[Dataset, list[Skipped]]:
    """Return pictures as (n, height, width, 3) uint8; what cannot be decoded is left out.

    Args:
        examples: (name, encoded picture, label).
        classes: names of the labels.
        size: (height, width); without it all pictures must be of one size, which the first one sets.
    """
    pictures: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    skipped = []
    for name, content, label in examples:
        try:
            picture = _decode(content, size)
        except UnidentifiedImageError:  # its text holds an address in memory
            skipped.append(Skipped(name, f"no picture, or none of {', '.join(_FORMATS)}"))
            continue
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            skipped.append(Skipped(name, str(error) or type(error).__name__))
            continue
        if pictures and picture.shape != pictures[0].shape:
            raise InputError(
                f"{name} is {picture.shape[0]} x {picture.shape[1]}, those before are {pictures[0].shape[0]} x "
                f"{pictures[0].shape[1]}; give size=(height, width)"
            )
        pictures.append(picture)
        labels.append(label)
    stacked = np.stack(pictures) if pictures else np.zeros((0, *(size or (1, 1)), 3), np.uint8)
    return Dataset(stacked, np.array(labels, dtype=np.int64), classes), skipped


def _decode(content: bytes, size: Size | None) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(content), formats=_FORMATS) as file:
        picture = ImageOps.exif_transpose(file).convert("RGB")
        if size is not None and (picture.height, picture.width) != size:
            picture = picture.resize((size[1], size[0]), Image.Resampling.BILINEAR)
        return np.asarray(picture)
