"""Rotated crops and letterboxes: how a picture becomes a model's input."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.media._opencv import cv2
from handheld.media.frame import Image


@dataclass(frozen=True, slots=True)
class Rect:
    """A rotated rectangle in pixels: centre, size, and angle in radians, clockwise as seen (y points down)."""

    x: float
    y: float
    width: float
    height: float
    angle: float = 0.0

    @property
    def matrix(self) -> NDArray[np.float64]:
        """(2, 3): maps the unit square (0, 0) to (1, 1), upright in the rectangle, to pixels of the picture."""
        cos, sin = float(np.cos(self.angle)), float(np.sin(self.angle))
        columns = np.array([[cos * self.width, -sin * self.height], [sin * self.width, cos * self.height]])
        return np.column_stack([columns, [self.x, self.y] - columns @ [0.5, 0.5]])

    @property
    def corners(self) -> NDArray[np.float64]:
        """(4, 2) pixels: top left, top right, bottom right, bottom left, as seen upright in the rectangle."""
        unit = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
        return unit @ self.matrix[:, :2].T + self.matrix[:, 2]


def crop(image: Image, rect: Rect, size: tuple[int, int], *, border: str = "black") -> Image:
    """Return what a rotated rectangle shows, upright, bilinearly sampled.

    Args:
        image: (height, width, 3) uint8.
        rect: may reach beyond the picture; there it is black, or with ``border="replicate"`` the nearest pixel.
        size: (height, width) of the result.
    """
    height, width = size
    matrix = rect.matrix
    to_pixels = np.column_stack([matrix[:, 0] / width, matrix[:, 1] / height, matrix[:, 2]])
    # Whole coordinates are the middles of pixels in both pictures, with no half-pixel shift: MediaPipe's models were trained so,
    # and with the shift the landmarks of its own test clip come out half a pixel off.
    mode = cv2.BORDER_REPLICATE if border == "replicate" else cv2.BORDER_CONSTANT
    result: Any = cv2.warpAffine(
        image, to_pixels, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=mode
    )
    return np.asarray(result, dtype=np.uint8)


def letterbox(height: int, width: int) -> Rect:
    """Return the smallest upright square, around the centre of a picture of that size, that holds all of it."""
    side = float(max(height, width))
    return Rect(width / 2, height / 2, side, side)
