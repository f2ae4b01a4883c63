"""Rotated rectangles, which need no library that draws."""

from dataclasses import dataclass
from math import cos, sin

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Rect:
    """A rotated rectangle in pixels.

    Attributes:
        x, y: of its centre; y points down.
        width: along its own upper edge.
        height: along its own left edge.
        angle: radians, clockwise as seen.
    """

    x: float
    y: float
    width: float
    height: float
    angle: float = 0.0

    @property
    def matrix(self) -> NDArray[np.float64]:
        """(2, 3): maps the unit square (0, 0) to (1, 1), upright in it, to the picture's pixels."""
        cosine = cos(self.angle)
        sine = sin(self.angle)
        # Where its own edges lead: from the left to the right, and from the top to the bottom.
        right_x = cosine * self.width
        right_y = sine * self.width
        down_x = -sine * self.height
        down_y = cosine * self.height
        return np.array(
            [
                [right_x, down_x, self.x - (right_x + down_x) / 2],
                [right_y, down_y, self.y - (right_y + down_y) / 2],
            ]
        )

    @property
    def corners(self) -> NDArray[np.float64]:
        """(4, 2) pixels: top left, top right, bottom right, bottom left, as seen upright in it."""
        unit = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
        return unit @ self.matrix[:, :2].T + self.matrix[:, 2]


def letterbox(height: int, width: int) -> Rect:
    """Return the smallest upright square around the centre of a picture that holds all of it.

    Args:
        height: of the picture, in pixels.
        width: of the picture, in pixels.
    """
    side = float(max(height, width))
    return Rect(width / 2, height / 2, side, side)
