"""Rotated crops: how a picture becomes a model's input."""

from functools import partial
from math import cos, sin
from typing import Any, Literal

import numpy as np

from handheld.media._opencv import cv2
from handheld.media.frame import Image
from handheld.media.rect import Rect

Border = Literal["black", "replicate"]
"""What lies beyond a picture: black, or the nearest pixel."""


def crop(image: Image, rect: Rect, size: tuple[int, int], *, border: Border = "black") -> Image:
    """Return what a rotated rectangle shows, upright, bilinearly sampled.

    Args:
        image: (height, width, 3) uint8.
        rect: may reach beyond the picture; there it is black, or with ``border="replicate"`` the nearest pixel.
        size: (height, width) of the result.
    """
    height, width = size
    longest = max(image.shape[:2])
    if longest > _LONGEST_SIDE:  # a panorama: every n-th pixel, which is finer than the crop all the same
        step = -(-longest // _LONGEST_SIDE)
        image = image[::step, ::step]
        rect = Rect(rect.x / step, rect.y / step, rect.width / step, rect.height / step, rect.angle)
    # Whole coordinates are the middles of pixels in both pictures, with no half-pixel shift: MediaPipe's models were trained
    # so, and with the shift the landmarks of its own test clip come out half a pixel off.
    to_pixels = rect.matrix / (width, height, 1.0)
    mode = cv2.BORDER_REPLICATE if border == "replicate" else cv2.BORDER_CONSTANT
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    left, top, right, bottom = _surroundings(rect, image)
    result: Any
    warp = partial(cv2.warpAffine, M=to_pixels, dsize=(width, height), flags=flags, borderMode=mode)
    if (right - left) * (bottom - top) > _SMALL * height * width:
        result = warp(image)
    else:  # OpenCV warps four channels in less than half the time of three
        to_pixels[:, 2] -= left, top
        part = cv2.cvtColor(image[top:bottom, left:right], cv2.COLOR_RGB2RGBA)
        result = cv2.cvtColor(warp(part), cv2.COLOR_RGBA2RGB)
    return np.asarray(result, dtype=np.uint8)


_LONGEST_SIDE = 32_000
"""Pixels of a side that OpenCV warps: it counts them in 16 bits."""

_SMALL = 6
"""Up to how many times the crop's own pixels it pays to give a fourth channel to."""


def _surroundings(rect: Rect, image: Image) -> tuple[int, int, int, int]:
    """Return the part (left, top, right, bottom) of a picture that a crop can touch; one pixel at least."""
    reach = 0.5 * (abs(cos(rect.angle)) + abs(sin(rect.angle))) * max(rect.width, rect.height) + 2
    height, width = image.shape[:2]
    left, top = min(max(0, int(rect.x - reach)), width - 1), min(max(0, int(rect.y - reach)), height - 1)
    right, bottom = max(min(width, int(rect.x + reach) + 1), left + 1), max(min(height, int(rect.y + reach) + 1), top + 1)
    return left, top, right, bottom
