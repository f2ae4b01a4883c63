"""Which triangle covers which pixel: a z-buffer in numpy, vectorised over all triangles at once.

Each triangle is cut into one span a row, each span into its pixels, both by ``np.repeat``, so that only
covered pixels are ever touched. The nearest fragment of each pixel is found by ``np.maximum.at`` on the
inverse depth, which, unlike the depth, is linear over the picture (Blinn, "Hyperbolic interpolation", 1992).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handheld.hands.training.render.mesh import Floats, Integers
from handheld.hands.training.render.skinning import Doubles

NEAR = 0.02
"""Metres: a triangle that comes nearer to the camera is left out, as its projection is no triangle any more."""


@dataclass(frozen=True)
class Fragments:
    """The N covered pixels: ``pixel`` (N,) flat index, ``triangle`` (N,), ``weights`` (N, 3) perspective-correct
    barycentric, ``depth`` (N,) along the optical axis, in the unit of the input.
    """

    pixel: Integers
    triangle: Integers
    weights: Floats
    depth: Floats


def rasterise(corners: Floats, depths: Floats, width: int, height: int) -> Fragments:
    """Find the nearest front-facing triangle of every pixel.

    ``corners`` (T, 3, 2): pixels, with the centre of the first pixel at (0.5, 0.5) and y downward; ``depths``
    (T, 3) along the optical axis. A triangle faces the camera if its corners run counter-clockwise in the
    picture as a person sees it.
    """
    kept = np.flatnonzero(_facing(corners) & (depths.min(axis=1) > NEAR) & _inside(corners, width, height))
    corners, depths = corners[kept], depths[kept]
    planes = _planes(corners.astype(np.float64), 1 / depths.astype(np.float64))
    triangle, row, first, last = _spans(corners, width, height)
    span, offset = _unroll(last - first)
    pixel = (row * width + first)[span] + offset
    owner = triangle[span]
    slope = planes[:, 0, 0].take(owner)
    inverse = _at(planes[:, 0], triangle, first, row)[span] + slope * offset.astype(np.float32)
    nearest = np.zeros(width * height, np.float32)
    np.maximum.at(nearest, pixel, inverse)
    won = np.flatnonzero(inverse == nearest.take(pixel))
    pixel, owner, inverse = pixel[won], owner[won], inverse[won]
    row, column = np.divmod(pixel, width)
    weights = np.empty((len(won), 3), np.float32)
    for corner in (1, 2):
        weights[:, corner] = _at(planes[:, corner], owner, column, row) / inverse
    weights[:, 0] = 1 - weights[:, 1] - weights[:, 2]
    return Fragments(pixel, kept[owner], weights, np.reciprocal(inverse))


def _facing(corners: Floats) -> NDArray[np.bool_]:
    facing: NDArray[np.bool_] = _doubled_area(corners) < -1e-6
    return facing


def _doubled_area(corners: Floats | Doubles) -> Floats | Doubles:
    (ax, ay), (bx, by) = (corners[:, 1] - corners[:, 0]).T, (corners[:, 2] - corners[:, 0]).T
    area: Floats | Doubles = ax * by - ay * bx
    return area


def _inside(corners: Floats, width: int, height: int) -> NDArray[np.bool_]:
    low, high = corners.min(axis=1), corners.max(axis=1)
    inside: NDArray[np.bool_] = ((high > 0) & (low < (width, height))).all(axis=1)
    return inside


def _planes(corners: Doubles, inverse: Doubles) -> Floats:
    """Coefficients (T, 3, 3) of ``a x + b y + c``: inverse depth, then corner 1's and 2's share of it."""
    share = np.stack([inverse, np.zeros_like(inverse), np.zeros_like(inverse)], axis=1)
    share[:, 1, 1], share[:, 2, 2] = inverse[:, 1], inverse[:, 2]
    (ax, ay), (bx, by) = (
        (corners[:, 1] - corners[:, 0]).T[..., None],
        (corners[:, 2] - corners[:, 0]).T[..., None],
    )
    rise_a, rise_b = share[..., 1] - share[..., 0], share[..., 2] - share[..., 0]
    area = _doubled_area(corners)[:, None]
    slope_x, slope_y = (rise_a * by - rise_b * ay) / area, (rise_b * ax - rise_a * bx) / area
    base = share[..., 0] - slope_x * corners[:, :1, 0] - slope_y * corners[:, :1, 1]
    return np.stack([slope_x, slope_y, base], axis=2).astype(np.float32)


def _at(plane: Floats, triangle: Integers, column: Integers, row: Integers) -> Floats:
    """Value of each one's plane at its pixel's centre."""
    x, y = column.astype(np.float32) + np.float32(0.5), row.astype(np.float32) + np.float32(0.5)
    slope_x, slope_y, base = np.ascontiguousarray(plane.T)
    value: Floats = slope_x.take(triangle) * x + slope_y.take(triangle) * y + base.take(triangle)
    return value


def _spans(corners: Floats, width: int, height: int) -> tuple[Integers, Integers, Integers, Integers]:
    """Cut triangles into rows: triangle, row, first column, and the column after the last."""
    order = np.argsort(corners[..., 1], axis=1)
    top, middle, bottom = np.moveaxis(np.take_along_axis(corners, order[..., None], axis=1), 1, 0)
    first = np.ceil(np.clip(top[:, 1], 0, height) - 0.5).astype(np.int64)
    last = np.ceil(np.clip(bottom[:, 1], 0, height) - 0.5).astype(np.int64)
    triangle, offset = _unroll(last - first)
    row = first[triangle] + offset
    y = row.astype(np.float32) + np.float32(0.5)
    long_edge = _crossing(top, bottom, triangle, y)
    upper = y < middle[triangle, 1]
    short_edge = np.where(upper, _crossing(top, middle, triangle, y), _crossing(middle, bottom, triangle, y))
    left, right = np.minimum(long_edge, short_edge), np.maximum(long_edge, short_edge)
    start = np.ceil(np.clip(left, 0, width) - 0.5).astype(np.int64)
    return triangle, row, start, np.ceil(np.clip(right, 0, width) - 0.5).astype(np.int64)


def _crossing(start: Floats, end: Floats, triangle: Integers, y: Floats) -> Floats:
    """x at which each edge crosses ``y``; a level edge is never asked for, only kept from dividing by zero."""
    rise = end[:, 1] - start[:, 1]
    slope = (end[:, 0] - start[:, 0]) / np.where(rise == 0, 1, rise)
    x: Floats = start[triangle, 0] + slope[triangle] * (y - start[triangle, 1])
    return x


def _unroll(counts: Integers) -> tuple[Integers, Integers]:
    """For ``[2, 0, 3]``: owners ``[0, 0, 2, 2, 2]`` and places within them ``[0, 1, 0, 1, 2]``."""
    owner = np.repeat(np.arange(len(counts)), counts)
    before = np.cumsum(counts) - counts
    return owner, np.arange(len(owner)) - before[owner]
