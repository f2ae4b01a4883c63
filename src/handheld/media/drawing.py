"""Drawing on pictures: skeletons, boxes, labels, traces. Every function returns the picture that it changed in place."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from handheld.media._opencv import cv2
from handheld.media.frame import Image

Colour = tuple[int, int, int]
"""RGB, 0 to 255."""

PALETTE: tuple[Colour, ...] = (
    (255, 122, 61),
    (61, 169, 255),
    (122, 214, 92),
    (229, 92, 214),
    (255, 205, 61),
    (140, 120, 255),
)
"""Colours that differ from each other and from skin; item ``id % 6`` for the thing with that id."""

_SUBPIXEL = 3  # OpenCV's fixed point: coordinates in eighths of a pixel


def draw_skeleton(
    image: Image,
    points: ArrayLike,
    bones: Iterable[tuple[int, int]],
    *,
    colour: Colour = PALETTE[0],
    thickness: int = 2,
) -> Image:
    """Draw lines between points and a dot on each; ``points`` is (n, 2 or more) pixels, points with NaN are left out."""
    xy = np.asarray(points, dtype=np.float64)[:, :2]
    fixed = _fixed(xy)
    known = np.atleast_1d(np.isfinite(xy).all(axis=1))
    for start, end in bones:
        if known[start] and known[end]:
            cv2.line(image, fixed[start], fixed[end], colour, thickness, cv2.LINE_AA, _SUBPIXEL)
    for point in np.flatnonzero(known):
        cv2.circle(image, fixed[point], (thickness + 1) << _SUBPIXEL, (255, 255, 255), -1, cv2.LINE_AA, _SUBPIXEL)
        cv2.circle(image, fixed[point], thickness << _SUBPIXEL, colour, -1, cv2.LINE_AA, _SUBPIXEL)
    return image


def draw_polygon(image: Image, corners: ArrayLike, *, colour: Colour = PALETTE[0], thickness: int = 1) -> Image:
    """Draw a closed outline, such as a rotated box; ``corners`` is (n, 2) pixels."""
    outline = np.array(_fixed(np.asarray(corners, dtype=np.float64)), dtype=np.int32)
    cv2.polylines(image, [outline], True, colour, thickness, cv2.LINE_AA, _SUBPIXEL)
    return image


def draw_trace(image: Image, points: Sequence[ArrayLike], *, colour: Colour = PALETTE[0], thickness: int = 2) -> Image:
    """Draw the path of a point, older parts thinner; ``points`` are (2,) pixels, oldest first."""
    fixed = _fixed(np.asarray(points, dtype=np.float64).reshape(-1, 2))
    for step, (start, end) in enumerate(pairwise(fixed), start=1):
        cv2.line(image, start, end, colour, max(1, round(thickness * step / len(fixed))), cv2.LINE_AA, _SUBPIXEL)
    return image


def draw_label(image: Image, text: str, corner: Sequence[float], *, colour: Colour = PALETTE[0], scale: float = 0.5) -> Image:
    """Write text on a filled box whose bottom left is at ``corner`` (x, y pixels), moved to stay inside the picture."""
    font: Any = cv2.FONT_HERSHEY_SIMPLEX
    (width, height), baseline = cv2.getTextSize(text, font, scale, 1)
    x = int(np.clip(corner[0], 0, max(0, image.shape[1] - width - 6)))
    y = int(np.clip(corner[1], height + baseline + 4, image.shape[0]))
    cv2.rectangle(image, (x, y - height - baseline - 4), (x + width + 6, y), colour, -1)
    dark = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] < 140
    cv2.putText(
        image,
        text,
        (x + 3, y - baseline - 1),
        font,
        scale,
        (255, 255, 255) if dark else (20, 20, 20),
        1,
        cv2.LINE_AA,
    )
    return image


def _fixed(xy: Any) -> list[tuple[int, int]]:
    safe = np.clip(np.nan_to_num(xy), -8191, 32767)
    return [(int(x), int(y)) for x, y in np.rint(safe * (1 << _SUBPIXEL))]
