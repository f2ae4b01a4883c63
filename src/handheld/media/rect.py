"""Rotated rectangles, which need no library that draws."""

from dataclasses import dataclass
from math import cos, sin

import numpy as np
from numpy.typing import NDArray


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
        c, s = cos(self.angle), sin(self.angle)
        a, b, d, e = c * self.width, -s * self.height, s * self.width, c * self.height
        return np.array([[a, b, self.x - (a + b) / 2], [d, e, self.y - (d + e) / 2]])

    @property
    def corners(self) -> NDArray[np.float64]:
        """(4, 2) pixels: top left, top right, bottom right, bottom left, as seen upright in the rectangle."""
        unit = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
        return unit @ self.matrix[:, :2].T + self.matrix[:, 2]


def letterbox(height: int, width: int) -> Rect:
    """Return the smallest upright square, around the centre of a picture of that size, that holds all of it."""
    side = float(max(height, width))
    return Rect(width / 2, height / 2, side, side)
