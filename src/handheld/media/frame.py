"""Frames, and the one form of picture that the rest of the package speaks: (height, width, 3) uint8 RGB."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError

Image = NDArray[np.uint8]
"""(height, width, 3) uint8, RGB."""


@dataclass(frozen=True, eq=False, slots=True)
class Frame:
    """One picture of a stream.

    Attributes:
        image: (height, width, 3) uint8 RGB; not to be changed in place.
        t_us: presentation time in microseconds, increasing along a stream.
        index: number of the frame in its stream, from 0.
    """

    image: Image
    t_us: int
    index: int


_INDEXED = ("1", "P", "PA", "CMYK", "YCbCr", "LAB", "HSV", "La", "RGBa")
"""Modes of Pillow's pictures that are neither grey nor RGB."""


def as_rgb(array: Any) -> Image:
    """Return a picture as (height, width, 3) uint8 RGB, without a copy if it is one.

    Takes uint8 in 0 to 255, uint16 in 0 to 65535, bool, or float in 0 to 1, of shape (h, w), (h, w, 1), (h, w, 3) or
    (h, w, 4), the last being alpha, and pictures of Pillow. What is see-through is laid on white, as
    :func:`handheld.pictures.decode` does. Raises :class:`InputError` for any other type or shape, an empty picture, and
    floats outside 0 to 1 or NaN.
    """
    if getattr(array, "has_transparency_data", False):  # a picture of Pillow
        plain = array.convert("LA") if array.mode == "La" else array  # Pillow has no way from La to RGBA
        array = plain.convert("RGBA")
    elif getattr(array, "mode", None) in _INDEXED:  # one whose numbers are no colours
        array = array.convert("RGB")
    if isinstance(array, str | bytes | os.PathLike):
        raise InputError(f"expected a picture as an array, got {array!r}: read_image reads one from a file")
    picture = np.asarray(array)
    if (
        picture.dtype == np.uint8
        and picture.ndim == 3
        and picture.shape[2] == 3
        and picture.size
        and picture.flags.c_contiguous
    ):
        return picture
    if picture.ndim == 2:
        picture = picture[:, :, None]
    if picture.ndim != 3 or picture.shape[2] not in (1, 3, 4) or 0 in picture.shape:
        raise InputError(
            f"expected a picture of shape (height, width), or with 1, 3 or 4 channels, got shape {np.shape(array)}"
        )
    picture = _as_uint8(picture)
    if picture.shape[2] == 1:
        picture = np.repeat(picture, 3, axis=2)
    if picture.shape[2] == 4:
        picture = _on_white(picture)
    return np.ascontiguousarray(picture)


def _on_white(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (h, w, 4) with alpha of 0 to 255, straight, as what is seen of it on white."""
    alpha = picture[:, :, 3:].astype(np.uint16)
    seen = picture[:, :, :3] * alpha + 255 * (255 - alpha)
    return ((seen + 127) // 255).astype(np.uint8)


def _as_uint8(picture: NDArray[Any]) -> NDArray[np.uint8]:
    kind = picture.dtype
    if kind == np.uint8:
        return picture
    if kind == np.bool_:
        return picture.astype(np.uint8) * np.uint8(255)
    if kind == np.uint16:
        return (picture >> 8).astype(np.uint8)
    if kind.kind == "f":
        low, high = float(picture.min()), float(picture.max())
        if not (low >= 0.0 and high <= 1.0):  # also false for NaN
            raise InputError(f"expected a float picture in 0 to 1, got values from {low:g} to {high:g}; divide by 255?")
        return np.rint(picture * 255.0).astype(np.uint8)
    raise InputError(f"expected a picture of uint8, uint16, bool or float, got {kind}")
