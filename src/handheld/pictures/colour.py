"""The one form of picture that the package speaks, and how arrays of other forms become it.

It is (height, width, 3) uint8 RGB.
"""

import os
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError, MediaError
from handheld.pictures.formats import Picture

LUMA = np.array([0.299, 0.587, 0.114])
"""Shares of red, green and blue in brightness (ITU-R BT.601, which Pillow's "L" follows too)."""


def as_rgb(array: Any) -> Picture:
    """Return a picture as (height, width, 3) uint8 RGB, without a copy if it is one.

    What is see-through is laid on white, as :func:`handheld.pictures.decode` does.

    Args:
        array: uint8 in [0, 255], uint16 in [0, 65535], bool, or float in [0, 1], of shape (h, w),
            (h, w, 1), (h, w, 3) or (h, w, 4), the last being alpha; or a picture of Pillow.

    Raises:
        InputError: any other type or shape, an empty picture, floats outside [0, 1] or NaN, uint16
            that needs 8 bits alone.
    """
    if hasattr(array, "getpixel"):  # a picture of Pillow
        return _of_pillow(array)
    _require_no_holder(array)
    # The usual case first, and without a copy: films are read through here.
    picture = np.asarray(array)
    if _is_rgb(picture):
        return picture
    if picture.ndim == 2:
        picture = picture[:, :, None]
    if picture.ndim != 3 or picture.shape[2] not in (1, 3, 4) or 0 in picture.shape:
        raise InputError(
            "expected a picture of shape (height, width), or with 1, 3 or 4 channels, "
            f"got shape {np.shape(array)}"
        )
    picture = _as_uint8(picture)
    if picture.shape[2] == 1:
        picture = np.repeat(picture, 3, axis=2)
    if picture.shape[2] == 4:
        picture = _on_white(picture)
    return np.ascontiguousarray(picture)


def _require_no_holder(array: Any) -> None:
    """Refuse what only leads to a picture."""
    if isinstance(array, str | bytes | os.PathLike):
        raise InputError(
            f"expected a picture as an array, got {array!r}: read_image reads one from a file"
        )
    if hasattr(array, "t_us"):
        raise InputError("expected a picture as an array, got a frame: its picture is frame.image")


def _is_rgb(picture: NDArray[Any]) -> bool:
    """Whether nothing is to be done."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        return False
    return picture.size > 0 and picture.flags.c_contiguous


def _of_pillow(image: Any) -> Picture:
    # Late: it needs Pillow, which is there where its pictures are.
    from handheld.pictures.modes import to_rgb

    try:
        return to_rgb(image)
    except MediaError as error:
        raise InputError(str(error)) from error


def _on_white(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (h, w, 4) with alpha of 0 to 255, straight, as what is seen of it on white."""
    alpha = picture[:, :, 3:].astype(np.uint16)
    seen = picture[:, :, :3] * alpha + 255 * (255 - alpha)
    # Half of 255 more, so that the division rounds.
    return ((seen + 127) // 255).astype(np.uint8)


def _as_uint8(picture: NDArray[Any]) -> NDArray[np.uint8]:
    # In this machine's order of bytes: in the other one, uint16 is another type to numpy.
    dtype = picture.dtype.newbyteorder("=")
    picture = picture.astype(dtype, copy=False)
    if dtype == np.uint8:
        return picture
    if dtype == np.bool_:
        return picture.astype(np.uint8) * np.uint8(255)
    if dtype == np.uint16:
        brightest = int(picture.max())
        if 0 < brightest < 2**8:  # these would all be black
            problem = f"has 16 bits, of which {int(picture.min())} to {brightest} need 8 alone"
            raise InputError(f"picture: {problem}, so white is not known: scale it first")
        return (picture >> 8).astype(np.uint8)
    if dtype.kind != "f":
        raise InputError(f"expected a picture of uint8, uint16, bool or float, got {dtype}")
    low = float(picture.min())
    high = float(picture.max())
    if isnan(low):  # as of any of its numbers
        raise InputError("expected a float picture in [0, 1], got values that are no numbers (NaN)")
    if not (low >= 0.0 and high <= 1.0):
        raise InputError(
            f"expected a float picture in [0, 1], got values from {low:g} to {high:g}; "
            "divide by 255?"
        )
    return np.rint(picture * 255.0).astype(np.uint8)
