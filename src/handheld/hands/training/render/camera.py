"""From posed hands to a picture: projection, anti-aliasing, and the depth that
tells what is hidden.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from handheld._kernels import kernel
from handheld.hands.training.render.mesh import Floats, Integers
from handheld.hands.training.render.raster import Fragments, rasterise, rasterise_merged
from handheld.hands.training.render.shade import Body, Light, Picture, paint
from handheld.hands.training.render.skinning import Doubles

SUPERSAMPLING = 2
"""Samples of a pixel along each side: of four, an edge has five levels."""
# Pixels between those in which surroundings are looked at where speed counts: they are means of
# many, and look the same.
_CREVICE_STEP = 4

# What lies behind skin within a sixtieth of a metre, about a finger, is in a crevice.
_CREVICES_A_METRE = 60

# For the kernels: a Python number would make their sums double, and slower.
_ZERO = np.float32(0)
_ONE = np.float32(1)
_LEVEL = np.float32(1 / 255)
_LEAST_COVERED = np.float32(1e-3)
_LEAST_NEARNESS = np.float32(1e-6)
# How much deeper than its surroundings, as a share of the depth, skin must lie to be darkened
# fully.
_FULL_CREVICE = np.float32(0.06)


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole that looks along z, with x right and y down.

    Attributes:
        focal: length in pixels.
        width, height: of the picture, pixels.
        view: (2, 3), brings pixels around the optical axis to those of the picture, for a
            crop that is rendered as such; by default the axis hits the picture's middle. It
            turns, scales and moves.
    """

    focal: float
    width: int = 640
    height: int = 480
    view: Doubles | None = None

    def project(self, points: Floats) -> Floats:
        """Project points (..., 3) in metres to (..., 2) pixels.

        A point that is not before the camera has no place in the picture: it lands far outside.
        """
        depth = points[..., 2:].clip(1e-6)
        flat = points[..., :2] * (self.focal / depth)
        if self.view is None:
            middle = np.array([self.width / 2, self.height / 2], points.dtype)
            return cast(Floats, flat + middle)
        # In the points' own type: the meshes' many vertices are float32.
        view = self.view.astype(points.dtype)
        return cast(Floats, flat @ view[:, :2].T + view[:, 2])

    @property
    def scale(self) -> float:
        """Pixels of the picture for a metre at the distance of a metre."""
        if self.view is None:
            return self.focal
        enlargement = np.hypot(self.view[0, 0], self.view[1, 0])
        return self.focal * float(enlargement)

    @property
    def turn(self) -> Doubles:
        """(2, 2): how directions before the camera lie in the picture."""
        if self.view is None:
            return np.eye(2)
        turned: Doubles = self.view[:, :2] * (self.focal / self.scale)
        return turned


@dataclass(frozen=True)
class Rendering:
    """What the camera sees of the arms.

    ``colour`` (H, W, 3): RGB in 0..255, premultiplied by ``coverage`` (H, W) in
    0..1; ``depth`` (H, W):
    metres along the optical axis to the nearest skin in each pixel, infinite where there is none;
    ``owner`` (H, W): number of the body there, from 1, and 0 where there is none.
    """

    colour: Floats
    coverage: Floats
    depth: Floats
    owner: NDArray[np.uint8]

    def over(self, background: Picture) -> Picture:
        """Lay the rendering over a picture of its size."""
        uncovered = 1 - self.coverage[..., None]
        blended = self.colour + background * uncovered
        # A half is added, as a cast cuts off.
        rounded = np.clip(blended + 0.5, 0, 255)
        return rounded.astype(np.uint8)

    def visible(self, points: Floats, depths: Floats, flesh: Doubles) -> NDArray[np.bool_]:
        """Tell which points, (N, 2) pixels at (N,) metres, lie in the picture with nothing else
        before them.

        ``flesh`` (N,): metres of skin before a point that are its own.
        """
        height, width = self.depth.shape
        column, row = np.floor(points).astype(np.int64).T
        inside_column = (column >= 0) & (column < width)
        inside_row = (row >= 0) & (row < height)
        # Clipped for the lookup alone: points outside are out by the two above.
        surface = self.depth[row.clip(0, height - 1), column.clip(0, width - 1)]
        is_near = depths - surface < flesh
        return cast(NDArray[np.bool_], inside_column & inside_row & is_near)


def render(
    bodies: Sequence[Body],
    camera: Camera,
    light: Light,
    *,
    merged: bool = False,
) -> Rendering:
    """Draw bodies that hide each other, with ``SUPERSAMPLING`` squared samples a pixel.

    Args:
        bodies: what there is.
        camera: sees them.
        light: on them.
        merged: paint each triangle once a pixel instead of once a sample, and look for crevices in
            a smaller picture: a third of the time, and what nobody sees is lost.
    """
    if merged:
        layers = _painted_merged(bodies, camera, light)
        return _shadowed(layers, camera, light, _CREVICE_STEP)
    layers = _painted(bodies, camera, light)
    return _shadowed(layers, camera, light, step=1)


@dataclass(frozen=True, eq=False)
class _Layers:
    """Painted bodies before they shade each other: ``pixels`` (H, W, 4), RGB times coverage, and
    coverage, all in 0..255; ``nearness`` (H, W), inverse metres; ``owner`` (H, W).
    """

    pixels: Floats
    nearness: Floats
    owner: NDArray[np.uint8]


def _painted(bodies: Sequence[Body], camera: Camera, light: Light) -> _Layers:
    height = SUPERSAMPLING * camera.height
    width = SUPERSAMPLING * camera.width
    corners, depths = _triangles(bodies, camera)
    fragments = rasterise(corners, depths, width=width, height=height)
    samples = np.zeros((height * width, 4), np.uint8)
    owner = np.zeros(len(samples), np.uint8)
    nearness = np.zeros(len(samples), np.float32)
    for number, shown, colours in _colours(bodies, fragments, light):
        pixel = fragments.pixel[shown]
        samples[pixel, :3] = colours
        owner[pixel] = number
    samples[fragments.pixel, 3] = 255
    nearness[fragments.pixel] = 1 / fragments.depth
    return _Layers(
        pixels=_averaged(samples.reshape(height, width, 4), camera),
        # Front-most sample of each block: at an edge a mean would lie between the hand and nothing.
        nearness=_largest(nearness.reshape(height, width)),
        owner=_largest(owner.reshape(height, width)),
    )


def _averaged(samples: Picture, camera: Camera) -> Floats:
    """Return the mean of each pixel's samples."""
    size = (camera.width, camera.height)
    mean = cv2.resize(samples, size, interpolation=cv2.INTER_AREA)
    return cast(Floats, mean.astype(np.float32))


def _painted_merged(bodies: Sequence[Body], camera: Camera, light: Light) -> _Layers:
    corners, depths = _triangles(bodies, camera)
    fragments = rasterise_merged(corners, depths, camera.width, camera.height)
    pixels = np.zeros((camera.height * camera.width, 4), np.float32)
    nearness = np.zeros(len(pixels), np.float32)
    owner = np.zeros(len(pixels), np.uint8)
    for number, shown, colours in _colours(bodies, fragments, light):
        _add_up(
            fragments.pixel[shown],
            fragments.share[shown],
            fragments.depth[shown],
            colours,
            number,
            pixels,
            nearness,
            owner,
        )
    size = (camera.height, camera.width)
    return _Layers(pixels.reshape(*size, 4), nearness.reshape(size), owner.reshape(size))


@kernel()
def _add_up(
    pixel: Integers,
    share: Floats,
    depth: Floats,
    colours: Picture,
    number: int,
    pixels: Floats,
    nearness: Floats,
    owner: NDArray[np.uint8],
) -> None:
    """Add one body's fragments to the pixels; the nearest one of a pixel owns it."""
    for index in range(len(pixel)):
        target = pixel[index]
        for channel in range(3):
            pixels[target, channel] += share[index] * colours[index, channel]
        pixels[target, 3] += share[index] * 255
        if 1 / depth[index] > nearness[target]:
            nearness[target] = 1 / depth[index]
            owner[target] = number


def _colours(
    bodies: Sequence[Body],
    fragments: Fragments,
    light: Light,
) -> Iterator[tuple[int, Integers, Picture]]:
    """Paint body by body: its number from 1, which fragments are its, and their colours."""
    start = 0
    # Once for all bodies: it is as long as the picture.
    chosen = np.empty(len(fragments.triangle), np.int64)
    for number, body in enumerate(bodies, 1):
        end = start + len(body.mesh.faces)
        count = _choose(fragments.triangle, start, end, chosen)
        shown = chosen[:count]
        triangle = fragments.triangle[shown] - start
        colours = paint(body, triangle, fragments.weights[shown], light)
        yield number, shown, colours
        start = end


@kernel()
def _choose(triangle: Integers, start: int, end: int, chosen: Integers) -> int:
    """Fill in which fragments show one of these triangles; return how many there are."""
    count = 0
    for index in range(len(triangle)):
        if start <= triangle[index] < end:
            chosen[count] = index
            count += 1
    return count


def _triangles(bodies: Sequence[Body], camera: Camera) -> tuple[Floats, Floats]:
    """Return the samples (T, 3, 2) and metres (T, 3) at which all triangles'
    corners lie, body by body.
    """
    count = sum(len(body.mesh.faces) for body in bodies)
    corners = np.empty((count, 3, 2), np.float32)
    depths = np.empty((count, 3), np.float32)
    start = 0
    for body in bodies:
        faces = body.mesh.faces
        end = start + len(faces)
        samples = SUPERSAMPLING * camera.project(body.vertices)
        # Into the one array of all bodies: to join their arrays would copy each once more.
        _gather(samples, body.vertices, faces, corners[start:end], depths[start:end])
        start = end
    return corners, depths


@kernel()
def _gather(
    flat: Floats,
    vertices: Floats,
    faces: Integers,
    corners: Floats,
    depths: Floats,
) -> None:
    """Fill in where the corners of triangles (T, 3) lie in the picture, and how far away."""
    for triangle in range(len(faces)):
        for corner in range(3):
            vertex = faces[triangle, corner]
            corners[triangle, corner, 0] = flat[vertex, 0]
            corners[triangle, corner, 1] = flat[vertex, 1]
            depths[triangle, corner] = vertices[vertex, 2]


def _shadowed(layers: _Layers, camera: Camera, light: Light, step: int) -> Rendering:
    """Darken what lies behind its surroundings, which are looked at in every ``step``-th pixel.

    It is Luft et al., "Image enhancement by unsharp masking the depth buffer", 2006.
    """
    nearness = layers.nearness
    colour = np.empty((*nearness.shape, 3), np.float32)
    coverage = np.empty_like(nearness)
    hidden = _crevices(nearness, camera.scale / _CREVICES_A_METRE, step)
    _darken(layers.pixels, hidden, np.float32(light.crevices), colour, coverage)
    # Where there is nothing the depth is infinite, which is what a rendering says.
    with np.errstate(divide="ignore"):
        depth = np.reciprocal(nearness)
    return Rendering(colour, coverage, depth, layers.owner)


def _crevices(nearness: Floats, spread: float, step: int) -> Floats:
    """Return how far each pixel lies behind its surroundings, 0 to 1."""
    covered = (nearness > 0).astype(np.float32)
    behind = np.empty_like(nearness)
    # Both blurred, and divided: the mean of what is covered, or every outline would be dark.
    blurred = _blur(nearness, spread, step)
    blurred_cover = _blur(covered, spread, step)
    _look_behind(nearness, blurred, blurred_cover, behind)
    # Softened by a pixel, as it would else jump along the edge of a finger that lies over another.
    return _blur(behind, 1)


@kernel()
def _look_behind(nearness: Floats, blurred: Floats, covered: Floats, behind: Floats) -> None:
    """Fill in how far each pixel lies behind its surroundings, 0 to 1."""
    rows, columns = nearness.shape
    for row in range(rows):
        for column in range(columns):
            here = nearness[row, column]
            behind[row, column] = _ZERO
            if here > 0:
                surroundings = blurred[row, column] / max(covered[row, column], _LEAST_COVERED)
                deeper = surroundings / max(here, _LEAST_NEARNESS) - _ONE
                behind[row, column] = min(max(deeper, _ZERO), _FULL_CREVICE) / _FULL_CREVICE


@kernel()
def _darken(
    pixels: Floats,
    hidden: Floats,
    crevices: np.float32,
    colour: Floats,
    coverage: Floats,
) -> None:
    """Fill in the colour (H, W, 3) with its shadows, and the coverage (H, W) in 0..1."""
    rows, columns = hidden.shape
    for row in range(rows):
        for column in range(columns):
            shadow = _ONE - crevices * hidden[row, column]
            for channel in range(3):
                colour[row, column, channel] = pixels[row, column, channel] * shadow
            coverage[row, column] = pixels[row, column, 3] * _LEVEL


def _blur(values: Floats, spread: float, step: int = 1) -> Floats:
    if step == 1:
        return cast(Floats, cv2.GaussianBlur(values, (0, 0), spread))
    height, width = values.shape
    # A wide blur of a picture is that of a smaller one, at a fraction of the cost.
    size = (width // step, height // step)
    small = cv2.resize(values, size, interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (0, 0), spread / step)
    return cast(Floats, cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR))


def _largest(samples: NDArray[Any]) -> NDArray[Any]:
    """Return the largest sample of each pixel."""
    rows = np.maximum(samples[0::SUPERSAMPLING], samples[1::SUPERSAMPLING])
    even = rows[:, 0::SUPERSAMPLING]
    odd = rows[:, 1::SUPERSAMPLING]
    largest: NDArray[Any] = np.maximum(even, odd)
    return largest
