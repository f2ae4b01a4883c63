"""Which triangle covers which pixel: a z-buffer, compiled by numba.

Each triangle is cut into one span a row, and the spans' pixels are compared by inverse depth,
which, unlike the depth, is linear over the picture (Blinn, "Hyperbolic interpolation", 1992).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handheld._kernels import kernel
from handheld.hands.training.render.mesh import Floats, Integers

NEAR = 0.02
"""Metres: a triangle that comes nearer to the camera is left out: its projection is none any more.
"""

# Of a pixel in which no triangle is.
_NOTHING = -1
# Square pixels, twice: a triangle of less is seen edge-on, and its planes would be noise.
_EDGE_ON = np.float32(-1e-6)
# For the kernels: a Python number would make their sums double, and slower.
_HALF = np.float32(0.5)
_ONE = np.float32(1)
_QUARTER = np.float32(0.25)


@dataclass(frozen=True)
class Fragments:
    """The N covered pixels.

    Attributes:
        pixel: (N,) flat index, ascending.
        triangle: (N,) index of the nearest triangle.
        weights: (N, 3) perspective-correct barycentric weights of its corners.
        depth: (N,) along the optical axis, in the unit of the input.
        share: (N,) of the pixel that the triangle covers; one triangle covers a pixel wholly where
            there is one sample a pixel.
    """

    pixel: Integers
    triangle: Integers
    weights: Floats
    depth: Floats
    share: Floats


def rasterise(corners: Floats, depths: Floats, width: int, height: int) -> Fragments:
    """Find the nearest front-facing triangle of every pixel.

    A triangle faces the camera if its corners run counter-clockwise in the
    picture as a person sees it.

    Args:
        corners: (T, 3, 2) pixels, the centre of the first pixel at (0.5, 0.5), y downward.
        depths: (T, 3) along the optical axis.
        width, height: of the picture, pixels.
    """
    nearest, owner, planes = _covered(corners, depths, width, height)
    pixel = np.flatnonzero(owner >= 0)
    triangle = owner[pixel].astype(np.int64)
    weights = np.empty((len(pixel), 3), np.float32)
    _weigh(pixel, triangle, planes, width, nearest, weights)
    share = np.ones(len(pixel), np.float32)
    return Fragments(pixel, triangle, weights, np.reciprocal(nearest[pixel]), share)


def rasterise_merged(corners: Floats, depths: Floats, width: int, height: int) -> Fragments:
    """Find the nearest triangles of every pixel by four samples, each triangle of a pixel once.

    What a triangle looks like changes little within a pixel, so that a fragment stands
    for all samples of the triangle in the pixel (multisampling): a third of the fragments
    of four times the pixels.

    Args:
        corners: (T, 3, 2) samples, of which a pixel has two by two.
        depths: (T, 3) along the optical axis.
        width, height: of the picture, pixels.
    """
    _, owner, planes = _covered(corners, depths, 2 * width, 2 * height)
    # As many as if no two samples of a pixel showed one triangle: the kernel cannot grow them.
    limit = int(np.count_nonzero(owner >= 0))
    pixel = np.empty(limit, np.int64)
    triangle = np.empty(limit, np.int64)
    weights = np.empty((limit, 3), np.float32)
    depth = np.empty(limit, np.float32)
    share = np.empty(limit, np.float32)
    count = _merge(owner, planes, width, pixel, triangle, weights, depth, share)
    return Fragments(pixel[:count], triangle[:count], weights[:count], depth[:count], share[:count])


def _covered(
    corners: Floats,
    depths: Floats,
    width: int,
    height: int,
) -> tuple[Floats, NDArray[np.int32], Floats]:
    """Return inverse depth and triangle of each pixel, flat, and planes (T, 3, 3)."""
    # Of inverse depth the largest is the nearest: nothing is infinitely far.
    nearest = np.zeros(width * height, np.float32)
    owner = np.full(width * height, _NOTHING, np.int32)
    planes = np.empty((len(corners), 3, 3), np.float32)
    # Of one layout, as numba compiles a kernel once for each.
    corners = np.ascontiguousarray(corners, np.float32)
    depths = np.ascontiguousarray(depths, np.float32)
    _cover(corners, depths, planes, width, nearest, owner)
    return nearest, owner, planes


@kernel()
def _cover(
    corners: Floats,
    depths: Floats,
    planes: Floats,
    width: int,
    nearest: Floats,
    owner: NDArray[np.int32],
) -> None:
    """Fill in inverse depth and triangle of each pixel, and the drawn triangles' planes."""
    height = len(nearest) // width
    for triangle in range(len(corners)):
        if _is_seen(corners, depths, triangle, width, height):
            _plane(corners[triangle], depths[triangle], planes[triangle])
            _fill(corners[triangle], planes[triangle, 0], triangle, width, nearest, owner)


@kernel()
def _is_seen(corners: Floats, depths: Floats, triangle: int, width: int, height: int) -> bool:
    """Whether a triangle faces the camera, is before it, and touches the picture."""
    x0 = corners[triangle, 0, 0]
    y0 = corners[triangle, 0, 1]
    x1 = corners[triangle, 1, 0]
    y1 = corners[triangle, 1, 1]
    x2 = corners[triangle, 2, 0]
    y2 = corners[triangle, 2, 1]
    # Half of all triangles look away, which is cheap to see.
    if (x1 - x0) * (y2 - y0) - (y1 - y0) * (x2 - x0) >= _EDGE_ON:
        return False
    if min(depths[triangle, 0], depths[triangle, 1], depths[triangle, 2]) <= NEAR:
        return False
    if max(x0, x1, x2) <= 0 or max(y0, y1, y2) <= 0:
        return False
    return bool(min(x0, x1, x2) < width and min(y0, y1, y2) < height)


@kernel()
def _plane(corners: Floats, depths: Floats, planes: Floats) -> None:
    """Coefficients of ``a x + b y + c``: inverse depth, then corner 1's and 2's share of it."""
    # In doubles: of a sliver the area is a difference of nearly equal products.
    x0 = np.float64(corners[0, 0])
    y0 = np.float64(corners[0, 1])
    ax = np.float64(corners[1, 0]) - x0
    ay = np.float64(corners[1, 1]) - y0
    bx = np.float64(corners[2, 0]) - x0
    by = np.float64(corners[2, 1]) - y0
    area = ax * by - ay * bx
    first = 1 / np.float64(depths[0])
    second = 1 / np.float64(depths[1])
    third = 1 / np.float64(depths[2])
    _incline(planes[0], second - first, third - first, first, ax, ay, bx, by, area, x0, y0)
    _incline(planes[1], second, 0.0, 0.0, ax, ay, bx, by, area, x0, y0)
    _incline(planes[2], 0.0, third, 0.0, ax, ay, bx, by, area, x0, y0)


@kernel()
def _incline(
    plane: Floats,
    rise_a: float,
    rise_b: float,
    base: float,
    ax: float,
    ay: float,
    bx: float,
    by: float,
    area: float,
    x0: float,
    y0: float,
) -> None:
    """Fill in one plane, which rises from ``base`` at corner 0 by so much towards the other two."""
    slope_x = (rise_a * by - rise_b * ay) / area
    slope_y = (rise_b * ax - rise_a * bx) / area
    plane[0] = slope_x
    plane[1] = slope_y
    plane[2] = base - slope_x * x0 - slope_y * y0


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
        # From the row's first pixel on, one product a pixel: sums would add up their errors.
        start = _first(min(one, other), width)
        begin = plane[0] * (np.float32(start) + _HALF) + plane[1] * y + plane[2]
        for column in range(start, _first(max(one, other), width)):
            inverse = begin + plane[0] * np.float32(column - start)
            target = row * width + column
            # Of two triangles at one depth the later one wins.
            if inverse >= nearest[target]:
                nearest[target] = inverse
                owner[target] = triangle


@kernel()
def _by_row(y: Floats) -> tuple[int, int, int]:
    """Indices of three corners from top to bottom."""
    top = 0
    middle = 1
    bottom = 2
    # A network of three exchanges: no loop, no memory.
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
    slope: np.float32 = (end[0] - start[0]) / rise
    return slope


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


@kernel()
def _merge(
    owner: NDArray[np.int32],
    planes: Floats,
    width: int,
    pixels: Integers,
    triangles: Integers,
    weights: Floats,
    depths: Floats,
    shares: Floats,
) -> int:
    """Fill in the fragments, each taken at the middle of its samples; return how many there are."""
    index = 0
    samples = np.empty(4, np.int32)
    height = len(owner) // (4 * width)
    for row in range(height):
        upper = owner[4 * row * width : (4 * row + 2) * width]
        lower = owner[(4 * row + 2) * width : (4 * row + 4) * width]
        for column in range(width):
            samples[0] = upper[2 * column]
            samples[1] = upper[2 * column + 1]
            samples[2] = lower[2 * column]
            samples[3] = lower[2 * column + 1]
            for number in range(4):
                triangle = samples[number]
                if triangle < 0:
                    continue
                count = 0
                x = 0
                y = 0
                for other in range(number, 4):
                    if samples[other] == triangle:
                        # Taken once: the samples that follow must not count it again.
                        samples[other] = _NOTHING
                        count += 1
                        x += other & 1
                        y += other >> 1
                # The middle of the samples lies within the triangle, or hardly outside: a pixel's
                # own middle may not, and its weights would be wrong.
                plane = planes[triangle]
                across = np.float32(2 * column + x / count + 0.5)
                down = np.float32(2 * row + y / count + 0.5)
                inverse = plane[0, 0] * across + plane[0, 1] * down + plane[0, 2]
                depth = _ONE / inverse
                second = (plane[1, 0] * across + plane[1, 1] * down + plane[1, 2]) * depth
                third = (plane[2, 0] * across + plane[2, 1] * down + plane[2, 2]) * depth
                pixels[index] = row * width + column
                triangles[index] = triangle
                weights[index, 0] = _ONE - second - third
                weights[index, 1] = second
                weights[index, 2] = third
                depths[index] = depth
                shares[index] = np.float32(count) * _QUARTER
                index += 1
    return index
