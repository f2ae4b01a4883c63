"""From posed hands to a picture: projection, anti-aliasing, and the depth that tells what is hidden."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from handheld.hands.training.render.mesh import Floats
from handheld.hands.training.render.raster import rasterise
from handheld.hands.training.render.shade import Body, Light, Picture, paint
from handheld.hands.training.render.skinning import Doubles

SUPERSAMPLING = 2
_CREVICE = 0.06
"""How much deeper than its surroundings, as a share of the depth, skin must lie to be darkened fully."""


@dataclass(frozen=True)
class Camera:
    """A pinhole that looks along z, with x right and y down: ``focal`` length and picture size in pixels."""

    focal: float
    width: int = 640
    height: int = 480

    def project(self, points: Floats) -> Floats:
        """Project points (..., 3) in metres to (..., 2) pixels; the optical axis hits the picture's middle.

        A point that is not before the camera has no place in the picture: it lands far outside.
        """
        middle = np.array([self.width / 2, self.height / 2], points.dtype)
        return cast(Floats, points[..., :2] * (self.focal / points[..., 2:].clip(1e-6)) + middle)


@dataclass(frozen=True)
class Rendering:
    """What the camera sees of the arms.

    ``colour`` (H, W, 3): RGB in 0..255, premultiplied by ``coverage`` (H, W) in 0..1; ``depth`` (H, W):
    metres along the optical axis to the nearest skin in each pixel, infinite where there is none.
    """

    colour: Floats
    coverage: Floats
    depth: Floats

    def over(self, background: Picture) -> Picture:
        """Lay the rendering over a picture of its size."""
        blended = self.colour + background * (1 - self.coverage[..., None])
        return cast(Picture, np.clip(blended + 0.5, 0, 255).astype(np.uint8))

    def visible(self, points: Floats, depths: Floats, flesh: Doubles) -> NDArray[np.bool_]:
        """Tell which points, (N, 2) pixels at (N,) metres, lie in the picture with nothing else before them.

        ``flesh`` (N,): metres of skin before a point that are its own.
        """
        height, width = self.depth.shape
        column, row = np.floor(points).astype(np.int64).T
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        surface = self.depth[row.clip(0, height - 1), column.clip(0, width - 1)]
        return cast(NDArray[np.bool_], inside & (depths - surface < flesh))


def render(bodies: Sequence[Body], camera: Camera, light: Light) -> Rendering:
    """Draw arms that hide each other, with ``SUPERSAMPLING`` squared samples a pixel."""
    width, height = SUPERSAMPLING * camera.width, SUPERSAMPLING * camera.height
    faces = [body.vertices[body.mesh.faces] for body in bodies]
    corners = np.concatenate(faces) if faces else np.empty((0, 3, 3), np.float32)
    flat = SUPERSAMPLING * camera.project(corners)
    found = rasterise(flat, np.ascontiguousarray(corners[..., 2]), width, height)
    samples = np.zeros((height * width, 4), np.uint8)
    start = 0
    for body in bodies:
        mine = np.flatnonzero((found.triangle >= start) & (found.triangle < start + len(body.mesh.faces)))
        samples[found.pixel[mine], :3] = paint(body, found.triangle[mine] - start, found.weights[mine], light)
        start += len(body.mesh.faces)
    samples[found.pixel, 3] = 255
    nearness = np.zeros(height * width, np.float32)
    nearness[found.pixel] = 1 / found.depth
    return _resolve(samples.reshape(height, width, 4), nearness.reshape(height, width), camera, light)


def _resolve(samples: Picture, nearness: Floats, camera: Camera, light: Light) -> Rendering:
    """Average the samples, and darken what lies behind its surroundings.

    The latter is Luft et al., "Image enhancement by unsharp masking the depth buffer", 2006.
    """
    size = (camera.width, camera.height)
    pixels = cv2.resize(samples, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    # Front-most sample of each block: at an edge a mean would lie between the hand and nothing.
    steps = range(SUPERSAMPLING)
    blocks = reduce(np.maximum, (nearness[i::SUPERSAMPLING, j::SUPERSAMPLING] for i in steps for j in steps))
    covered = (blocks > 0).astype(np.float32)
    surroundings = _blur(blocks, camera.focal / 60) / _blur(covered, camera.focal / 60).clip(1e-3)
    behind = covered * (surroundings / blocks.clip(1e-6) - 1).clip(0, _CREVICE) / _CREVICE
    # Softened by a pixel, as it would else jump along the edge of a finger that lies over another.
    shadow = 1 - light.crevices * _blur(behind, 1)
    with np.errstate(divide="ignore"):
        depth = np.reciprocal(blocks)
    coverage = pixels[..., 3] * np.float32(1 / 255)
    return Rendering(pixels[..., :3] * shadow[..., None], coverage, depth)


def _blur(values: Floats, spread: float) -> Floats:
    return cast(Floats, cv2.GaussianBlur(values, (0, 0), spread))
