"""What each pixel of a hand looks like: light on its vertices, times the skin's colour."""

from dataclasses import dataclass
from typing import Protocol, TypeAlias, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from handheld.hands.training.render.mesh import Floats, Integers

Picture: TypeAlias = NDArray[np.uint8]

_GAMMA = 2.2
_LINEAR = (np.arange(256) / 255).astype(np.float32) ** np.float32(_GAMMA)
_CODED = np.round(255 * (np.arange(4096) / 4095) ** (1 / _GAMMA)).astype(np.uint8)
_SUBSURFACE = np.array([0.45, 0.22, 0.16], np.float32)
"""How far red, green and blue reach past the shadow's edge: flesh lets red through, so shadows on skin are warm."""


@dataclass(frozen=True)
class Light:
    """One far lamp and the light of the room.

    ``towards``: unit vector to the lamp, in the camera's axes; ``lamp``, ``sky`` (from above) and ``ground``
    (from below): linear RGB; ``gloss``: strength of the highlight; ``crevices``: how much of the light, 0..1,
    is lost deep between fingers.
    """

    towards: tuple[float, float, float] = (0.48, -0.6, -0.64)
    lamp: tuple[float, float, float] = (0.86, 0.81, 0.75)
    sky: tuple[float, float, float] = (0.34, 0.35, 0.37)
    ground: tuple[float, float, float] = (0.19, 0.165, 0.14)
    gloss: float = 0.05
    crevices: float = 0.55


class Textured(Protocol):
    """Triangles with a skin: a hand's mesh, or the surface of a thing.

    ``faces`` (T, 3): indices of vertices, counter-clockwise from outside; ``texture_faces`` (T, 3): indices
    into ``uv`` (U, 2), fractions of the skin's picture with v upward.
    """

    @property
    def faces(self) -> Integers: ...
    @property
    def texture_faces(self) -> Integers: ...
    @property
    def uv(self) -> Floats: ...


@dataclass(frozen=True)
class Body:
    """One thing before the camera.

    ``vertices`` (drawn, 3) in the camera's metres; ``skin`` (N, N, 3) RGB; ``tint`` (3,) or (drawn, 3): what
    its linear colour is multiplied by; ``gloss``: of the light's, how much it shines.
    """

    mesh: Textured
    vertices: Floats
    skin: Picture
    tint: Floats | None = None
    gloss: float = 1.0


def paint(body: Body, triangle: Integers, weights: Floats, light: Light) -> Picture:
    """Colour N places on a body, each by its triangle (N,) and barycentric weights (N, 3): (N, 3) RGB."""
    shade = _interpolate(_vertex_light(body, light), body.mesh.faces[triangle], weights)
    place = _interpolate(body.mesh.uv, body.mesh.texture_faces[triangle], weights)
    linear = _LINEAR[_sample(body.skin, place)] * shade
    return _CODED[(linear.clip(0, 1) * 4095).astype(np.int64)]


def _interpolate(values: Floats, corners: Integers, weights: Floats) -> Floats:
    mixed = values.take(corners[:, 0], axis=0) * weights[:, :1]
    for corner in (1, 2):
        mixed += values.take(corners[:, corner], axis=0) * weights[:, corner : corner + 1]
    return mixed


def _sample(skin: Picture, place: Floats, row: int = 512) -> Picture:
    """Look up colours bilinearly; OpenCV wants two-dimensional maps of at most 32767 a side, hence the rows."""
    count, size = len(place), len(skin)
    if not count:
        return np.empty((0, 3), np.uint8)
    columns, rows = np.zeros((2, -(-count // row) * row), np.float32)
    columns[:count] = place[:, 0] * size - 0.5
    rows[:count] = (1 - place[:, 1]) * size - 0.5
    colours = cv2.remap(skin, columns.reshape(-1, row), rows.reshape(-1, row), cv2.INTER_LINEAR)
    return cast(Picture, colours.reshape(-1, 3)[:count])


def _vertex_light(body: Body, light: Light) -> Floats:
    """Light that each vertex returns to the camera, (V, 3): wrapped diffuse, hemispheric ambient, highlight."""
    normals = vertex_normals(body.vertices, body.mesh.faces)
    towards = np.array(light.towards, np.float32)
    facing = (normals @ towards)[:, None]
    diffuse = np.clip((facing + _SUBSURFACE) / (1 + _SUBSURFACE), 0, None) * np.array(light.lamp, np.float32)
    upward = (0.5 - 0.5 * normals[:, 1])[:, None]
    ambient = upward * np.array(light.sky, np.float32) + (1 - upward) * np.array(light.ground, np.float32)
    view = -body.vertices / np.linalg.norm(body.vertices, axis=1, keepdims=True)
    half = towards + view
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    glint = np.clip(np.sum(normals * half, axis=1, keepdims=True), 0, None) ** 24
    returned = (diffuse + ambient + light.gloss * body.gloss * 4 * glint).astype(np.float32)
    if body.tint is not None:
        returned = returned * body.tint
    return cast(Floats, returned)


def vertex_normals(vertices: Floats, faces: Integers) -> Floats:
    """Unit normals (V, 3): the mean of the adjoining triangles', weighted by area."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    normal = np.cross(b - a, c - a)
    summed = np.stack(
        [np.bincount(faces.ravel(), np.repeat(normal[:, axis], 3), minlength=len(vertices)) for axis in range(3)],
        axis=1,
    )
    return cast(Floats, (summed / np.linalg.norm(summed, axis=1, keepdims=True).clip(1e-12)).astype(np.float32))
