"""Which triangle covers which pixel: a z-buffer, compiled by numba.

Each triangle is cut into one span a row, and the spans' pixels are compared by inverse depth, which,
unlike the depth, is linear over the picture (Blinn, "Hyperbolic interpolation", 1992).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handheld._kernels import kernel
from handheld.hands.training.render.mesh import Floats, Integers

NEAR = 0.02
"""Metres: a triangle that comes nearer to the camera is left out: its projection is none any more."""

_NOTHING = -1
_EDGE_ON = np.float32(-1e-6)
_HALF = np.float32(0.5)
_ONE = np.float32(1)


@dataclass(frozen=True)
class Fragments:
    """The N covered pixels.

    Attributes:
        pixel: (N,) flat index, ascending.
        triangle: (N,) index of the nearest triangle.
        weights: (N, 3) perspective-correct barycentric weights of its corners.
        depth: (N,) along the optical axis, in the unit of the input.
    """

    pixel: Integers
    triangle: Integers
    weights: Floats
    depth: Floats


def rasterise(corners: Floats, depths: Floats, width: int, height: int) -> Fragments:
    """Find the nearest front-facing triangle of every pixel.

    A triangle faces the camera if its corners run counter-clockwise in the picture as a person sees it.

    Args:
        corners: (T, 3, 2) pixels, the centre of the first pixel at (0.5, 0.5), y downward.
        depths: (T, 3) along the optical axis.
        width, height: of the picture, pixels.
    """
    nearest = np.zeros(width * height, np.float32)
    owner = np.full(width * height, _NOTHING, np.int32)
    planes = np.empty((len(corners), 3, 3), np.float32)
    _cover(np.asarray(corners, np.float32), np.asarray(depths, np.float32), planes, width, nearest, owner)
    pixel = np.flatnonzero(owner >= 0)
    triangle = owner[pixel].astype(np.int64)
    weights = np.empty((len(pixel), 3), np.float32)
    _weigh(pixel, triangle, planes, width, nearest, weights)
    return Fragments(pixel, triangle, weights, np.reciprocal(nearest[pixel]))


@kernel()
def _cover(
    corners: Floats,
    depths: Floats,
    planes: Floats,
    width: int,
    nearest: Floats,
    owner: NDArray[np.int32],
) -> None:
    """Fill in the inverse depth and the triangle of each pixel, and each drawn triangle's planes."""
    height = len(nearest) // width
    for triangle in range(len(corners)):
        if depths[triangle].min() <= NEAR or not _is_seen(corners[triangle], width, height):
            continue
        _plane(corners[triangle], depths[triangle], planes[triangle])
        _fill(corners[triangle], planes[triangle, 0], triangle, width, nearest, owner)


@kernel(inline="always")
def _is_seen(corners: Floats, width: int, height: int) -> bool:
    """Whether a triangle faces the camera and touches the picture."""
    ax = corners[1, 0] - corners[0, 0]
    ay = corners[1, 1] - corners[0, 1]
    bx = corners[2, 0] - corners[0, 0]
    by = corners[2, 1] - corners[0, 1]
    if ax * by - ay * bx >= _EDGE_ON:
        return False
    x = corners[:, 0]
    y = corners[:, 1]
    return x.max() > 0 and y.max() > 0 and x.min() < width and y.min() < height


@kernel()
def _plane(corners: Floats, depths: Floats, planes: Floats) -> None:
    """Coefficients of ``a x + b y + c``: inverse depth, then corner 1's and 2's share of it."""
    x = corners[:, 0].astype(np.float64)
    y = corners[:, 1].astype(np.float64)
    inverse = 1 / depths.astype(np.float64)
    ax = x[1] - x[0]
    ay = y[1] - y[0]
    bx = x[2] - x[0]
    by = y[2] - y[0]
    area = ax * by - ay * bx
    for quantity in range(3):
        # The depth's own values at the corners, or one corner's value with zero at the others.
        first = inverse[0] if quantity == 0 else 0.0
        rise_a = (inverse[1] if quantity < 2 else 0.0) - first
        rise_b = (inverse[2] if quantity != 1 else 0.0) - first
        slope_x = (rise_a * by - rise_b * ay) / area
        slope_y = (rise_b * ax - rise_a * bx) / area
        planes[quantity, 0] = slope_x
        planes[quantity, 1] = slope_y
        planes[quantity, 2] = first - slope_x * x[0] - slope_y * y[0]


@kernel()
def _fill(
    corners: Floats,
    plane: Floats,
    triangle: int,
    width: int,
    nearest: Floats,
    owner: NDArray[np.int32],
) -> None:
    """Fill in the pixels of one triangle, row by row, where nothing nearer is known."""
    height = len(nearest) // width
    top, middle, bottom = _by_row(corners[:, 1])
    upper_slope = _slope(corners[top], corners[middle])
    lower_slope = _slope(corners[middle], corners[bottom])
    long_slope = _slope(corners[top], corners[bottom])
    for row in range(_first(corners[top, 1], height), _first(corners[bottom, 1], height)):
        y = np.float32(row) + _HALF
        one = corners[top, 0] + long_slope * (y - corners[top, 1])
        if y < corners[middle, 1]:
            other = corners[top, 0] + upper_slope * (y - corners[top, 1])
        else:
            other = corners[middle, 0] + lower_slope * (y - corners[middle, 1])
        start = _first(min(one, other), width)
        begin = plane[0] * (np.float32(start) + _HALF) + plane[1] * y + plane[2]
        for column in range(start, _first(max(one, other), width)):
            inverse = begin + plane[0] * np.float32(column - start)
            place = row * width + column
            # Of two triangles at one depth the later one wins.
            if inverse >= nearest[place]:
                nearest[place] = inverse
                owner[place] = triangle


@kernel()
def _by_row(y: Floats) -> tuple[int, int, int]:
    """Indices of three corners from top to bottom."""
    top, middle, bottom = 0, 1, 2
    if y[middle] < y[top]:
        top, middle = middle, top
    if y[bottom] < y[middle]:
        middle, bottom = bottom, middle
    if y[middle] < y[top]:
        top, middle = middle, top
    return top, middle, bottom


@kernel()
def _slope(start: Floats, end: Floats) -> np.float32:
    rise = end[1] - start[1]
    # A level edge is never asked for.
    if rise == 0:
        rise = _ONE
    return (end[0] - start[0]) / rise


@kernel()
def _first(edge: np.float32, size: int) -> int:
    """Return the first pixel whose centre is at or past an edge, 0 to ``size``."""
    return int(np.ceil(min(max(edge, np.float32(0)), np.float32(size)) - _HALF))


@kernel()
def _weigh(
    pixel: Integers,
    triangle: Integers,
    planes: Floats,
    width: int,
    nearest: Floats,
    weights: Floats,
) -> None:
    """Fill in the corners' weights (N, 3) of each covered pixel."""
    for index in range(len(pixel)):
        x = np.float32(pixel[index] % width) + _HALF
        y = np.float32(pixel[index] // width) + _HALF
        inverse = nearest[pixel[index]]
        shares = planes[triangle[index]]
        second = (shares[1, 0] * x + shares[1, 1] * y + shares[1, 2]) / inverse
        third = (shares[2, 0] * x + shares[2, 1] * y + shares[2, 2]) / inverse
        weights[index, 0] = _ONE - second - third
        weights[index, 1] = second
        weights[index, 2] = third
