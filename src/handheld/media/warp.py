"""Rotated crops: how a picture becomes a model's input."""

from functools import partial
from math import cos, sin
from typing import Any, Literal, get_args

import numpy as np

from handheld.errors import InputError
from handheld.media._opencv import cv2
from handheld.media.frame import Image
from handheld.media.rect import Rect

Border = Literal["black", "replicate"]
"""What lies beyond a picture: black, or the nearest pixel."""

_BORDERS = get_args(Border)

# Pixels of a side that OpenCV warps: it counts them in 16 bits.
_LONGEST_SIDE = 32_000

# Up to how many times the crop's own pixels it pays to give a fourth channel to: OpenCV warps four
# channels in less than half the time of three.
_SMALL = 6


def crop(image: Image, rect: Rect, size: tuple[int, int], *, border: Border = "black") -> Image:
    """Return what a rotated rectangle shows, upright, bilinearly sampled.

    Args:
        image: (height, width, 3) uint8.
        rect: may reach beyond the picture; there it is black, or with ``border="replicate"`` the
            nearest pixel.
        size: (height, width) of the result.

    Raises:
        InputError: another border.
    """
    if border not in _BORDERS:
        raise InputError(f"border: expected black or replicate, got {border!r}")
    height, width = size
    image, rect = _thinned(image, rect)
    # Whole coordinates are the middles of pixels in both pictures, with no half-pixel shift:
    # MediaPipe's models were trained so, and with the shift the landmarks of its own test clip come
    # out half a pixel off.
    to_pixels = rect.matrix / (width, height, 1.0)
    warp = partial(
        cv2.warpAffine,
        M=to_pixels,
        dsize=(width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE if border == "replicate" else cv2.BORDER_CONSTANT,
    )
    rows, columns = _surroundings(rect, image)
    surroundings = image[rows, columns]
    pixels = surroundings.shape[0] * surroundings.shape[1]
    result: Any
    if pixels > _SMALL * height * width:
        result = warp(image)
    else:
        # In place: the warp holds this very matrix.
        to_pixels[:, 2] -= columns.start, rows.start
        with_alpha = cv2.cvtColor(surroundings, cv2.COLOR_RGB2RGBA)
        result = cv2.cvtColor(warp(with_alpha), cv2.COLOR_RGBA2RGB)
    return np.asarray(result, dtype=np.uint8)


def _thinned(image: Image, rect: Rect) -> tuple[Image, Rect]:
    """Take every n-th pixel of a panorama, which is finer than a crop all the same."""
    longest = max(image.shape[:2])
    if longest <= _LONGEST_SIDE:
        return image, rect
    step = -(-longest // _LONGEST_SIDE)
    thinned = Rect(
        rect.x / step,
        rect.y / step,
        rect.width / step,
        rect.height / step,
        rect.angle,
    )
    return image[::step, ::step], thinned


def _surroundings(rect: Rect, image: Image) -> tuple[slice, slice]:
    """Return the rows and columns of a picture that a crop can touch; one pixel at least."""
    diagonal = abs(cos(rect.angle)) + abs(sin(rect.angle))
    # Two more, for the neighbours between which the sampling goes.
    reach = 0.5 * diagonal * max(rect.width, rect.height) + 2
    height, width = image.shape[:2]
    return _span(rect.y, reach, height), _span(rect.x, reach, width)


def _span(centre: float, reach: float, length: int) -> slice:
    """Return the pixels around a centre, of a row or column of that length; one at least."""
    first = min(max(0, int(centre - reach)), length - 1)
    end = max(min(length, int(centre + reach) + 1), first + 1)
    return slice(first, end)
