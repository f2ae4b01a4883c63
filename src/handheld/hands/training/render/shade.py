"""What each pixel of a hand looks like: light on its vertices, times the skin's colour."""

from dataclasses import dataclass
from typing import Protocol, TypeAlias, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from handheld._kernels import kernel
from handheld.hands.training.render.mesh import Floats, Integers
from handheld.hands.training.render.skinning import Doubles

Picture: TypeAlias = NDArray[np.uint8]

# Of sRGB, nearly: light adds up in linear numbers, pictures are coded.
_GAMMA = 2.2

# Tables, as a power for each channel of each pixel would cost more than all else. 256 levels are
# coded; back, 4096 steps miss no level but a few of the darkest.
_LINEAR = (np.arange(256) / 255).astype(np.float32) ** np.float32(_GAMMA)
_CODED = np.round(255 * (np.arange(4096) / 4095) ** (1 / _GAMMA)).astype(np.uint8)
_CODES = np.float32(4095)
# For the kernels: a Python number would make their sums double, and slower.
_ZERO = np.float32(0)
_HALF = np.float32(0.5)
_ONE = np.float32(1)
# Places are looked up in rows of so many: OpenCV takes maps of at most 32,767 a side.
_ROW = 512
# How far red, green and blue reach past the shadow's edge: flesh lets red through, so shadows on
# skin are warm.
_SUBSURFACE = np.array([0.45, 0.22, 0.16], np.float32)


# Exponent of the highlight (Blinn, 1977): higher is smaller, as of something wet.
_SHININESS = 24

# By which `gloss` is multiplied: a glint of 0.2 at its default.
_HIGHLIGHT = 4


@dataclass(frozen=True)
class Light:
    """One far lamp and the light of the room.

    ``towards``: unit vector to the lamp, in the camera's axes; ``lamp``, ``sky``
    (from above) and ``ground``
    (from below): linear RGB; ``gloss``: strength of the highlight; ``crevices``: how much of the
    light, 0..1, is lost deep between fingers.
    """

    towards: tuple[float, float, float] = (0.48, -0.6, -0.64)
    lamp: tuple[float, float, float] = (0.86, 0.81, 0.75)
    sky: tuple[float, float, float] = (0.34, 0.35, 0.37)
    ground: tuple[float, float, float] = (0.19, 0.165, 0.14)
    gloss: float = 0.05
    crevices: float = 0.55


class Textured(Protocol):
    """Triangles with a skin: a hand's mesh, or the surface of a thing.

    ``faces`` (T, 3): indices of vertices, counter-clockwise from outside; ``texture_faces`` (T, 3):
    indices into ``uv`` (U, 2), fractions of the skin's picture with v upward.
    """

    @property
    def faces(self) -> Integers:
        """(T, 3)."""

    @property
    def texture_faces(self) -> Integers:
        """(T, 3)."""

    @property
    def uv(self) -> Floats:
        """(U, 2)."""


@dataclass(frozen=True)
class Body:
    """One thing before the camera.

    ``vertices`` (drawn, 3) in the camera's metres; ``skin`` (N, N, 3) RGB; ``tint`` (3,) or (drawn,
    3): what its linear colour is multiplied by; ``gloss``: of the light's, how much it shines.
    """

    mesh: Textured
    vertices: Floats
    skin: Picture
    tint: Floats | None = None
    gloss: float = 1.0


def paint(body: Body, triangle: Integers, weights: Floats, light: Light) -> Picture:
    """Colour N positions on a body, each by its triangle (N,) and barycentric weights (N, 3):
    (N, 3) RGB.
    """
    painted = np.empty((len(triangle), 3), np.uint8)
    # OpenCV refuses an empty map.
    if len(triangle):
        colours = _sampled(body, triangle, weights)
        vertex_light = _vertex_light(body, light)
        _lit(triangle, weights, vertex_light, body.mesh.faces, colours, painted)
    return painted


def _sampled(body: Body, triangle: Integers, weights: Floats) -> Picture:
    """Return the skin's colours (at least N, 3) at positions on a body."""
    rows = -(-len(triangle) // _ROW)
    pixels = np.zeros((2, rows, _ROW), np.float32)
    positions = pixels.reshape(2, -1)
    mesh = body.mesh
    _lookup(triangle, weights, mesh.uv, mesh.texture_faces, len(body.skin), positions)
    columns, lines = pixels
    # OpenCV's sampler between two kernels: it is vectorised, and blends four pixels.
    sampled = cv2.remap(body.skin, columns, lines, cv2.INTER_LINEAR)
    return cast(Picture, sampled.reshape(-1, 3))


@kernel()
def _lookup(
    triangle: Integers,
    weights: Floats,
    uv: Floats,
    texture_faces: Integers,
    size: int,
    positions: Floats,
) -> None:
    """Fill in columns and rows (2, at least N) of the skin's picture."""
    side = np.float32(size)
    for index in range(len(triangle)):
        a, b, c = texture_faces[triangle[index]]
        weight = weights[index]
        u = uv[a, 0] * weight[0] + uv[b, 0] * weight[1] + uv[c, 0] * weight[2]
        v = uv[a, 1] * weight[0] + uv[b, 1] * weight[1] + uv[c, 1] * weight[2]
        positions[0, index] = u * side - _HALF
        positions[1, index] = (_ONE - v) * side - _HALF


@kernel()
def _lit(
    triangle: Integers,
    weights: Floats,
    light: Floats,
    faces: Integers,
    colours: Picture,
    painted: Picture,
) -> None:
    """Fill in the colours (N, 3) of skin in the light of its vertices."""
    for index in range(len(triangle)):
        a, b, c = faces[triangle[index]]
        weight = weights[index]
        for channel in range(3):
            shade = light[a, channel] * weight[0]
            shade += light[b, channel] * weight[1]
            shade += light[c, channel] * weight[2]
            linear = min(max(_LINEAR[colours[index, channel]] * shade, _ZERO), _ONE)
            painted[index, channel] = _CODED[int(linear * _CODES)]


def _vertex_light(body: Body, light: Light) -> Floats:
    """Light that each vertex returns to the camera, (V, 3): wrapped diffuse, hemispheric ambient,
    highlight.
    """
    normals = vertex_normals(body.vertices, body.mesh.faces)
    # At vertices, not at pixels: they are fewer, and skin is smooth between them.
    diffuse = _diffuse(normals, light)
    ambient = _ambient(normals, light)
    strength = light.gloss * body.gloss * _HIGHLIGHT
    highlight = strength * _glint(normals, body.vertices, light)
    returned = (diffuse + ambient + highlight).astype(np.float32)
    if body.tint is not None:
        returned = returned * body.tint
    return cast(Floats, returned)


def _diffuse(normals: Floats, light: Light) -> Floats:
    towards = np.array(light.towards, np.float32)
    facing = (normals @ towards)[:, None]
    # Wrapped: flesh in the shadow's edge is lit through the flesh beside it.
    wrapped = np.clip((facing + _SUBSURFACE) / (1 + _SUBSURFACE), 0, None)
    return cast(Floats, wrapped * np.array(light.lamp, np.float32))


def _ambient(normals: Floats, light: Light) -> Floats:
    # y is downward: a normal of -1 looks up.
    upward = (0.5 - 0.5 * normals[:, 1])[:, None]
    sky = upward * np.array(light.sky, np.float32)
    ground = (1 - upward) * np.array(light.ground, np.float32)
    return cast(Floats, sky + ground)


def _glint(normals: Floats, vertices: Floats, light: Light) -> Floats:
    """Return how much of the lamp each vertex mirrors to the camera, (V, 1)."""
    distance = np.linalg.norm(vertices, axis=1, keepdims=True)
    view = -vertices / distance
    # Halfway between lamp and camera: a surface that looks there mirrors one to the other.
    half = np.array(light.towards, np.float32) + view
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    facing = np.sum(normals * half, axis=1, keepdims=True)
    return cast(Floats, np.clip(facing, 0, None) ** _SHININESS)


def vertex_normals(vertices: Floats, faces: Integers) -> Floats:
    """Unit normals (V, 3): the mean of the adjoining triangles', weighted by area."""
    normals = np.empty((len(vertices), 3), np.float32)
    _add_normals(vertices, faces, np.zeros((len(vertices), 3)), normals)
    return normals


@kernel()
def _add_normals(vertices: Floats, faces: Integers, summed: Doubles, normals: Floats) -> None:
    """Fill in the normals (V, 3); ``summed`` (V, 3) is zero to begin with."""
    for a, b, c in faces:
        ux = vertices[b, 0] - vertices[a, 0]
        uy = vertices[b, 1] - vertices[a, 1]
        uz = vertices[b, 2] - vertices[a, 2]
        vx = vertices[c, 0] - vertices[a, 0]
        vy = vertices[c, 1] - vertices[a, 1]
        vz = vertices[c, 2] - vertices[a, 2]
        for corner in (a, b, c):
            summed[corner, 0] += uy * vz - uz * vy
            summed[corner, 1] += uz * vx - ux * vz
            summed[corner, 2] += ux * vy - uy * vx
    for vertex in range(len(vertices)):
        x = summed[vertex, 0]
        y = summed[vertex, 1]
        z = summed[vertex, 2]
        # A vertex of no triangle has no normal.
        length = max(np.sqrt(x * x + y * y + z * z), 1e-12)
        normals[vertex, 0] = x / length
        normals[vertex, 1] = y / length
        normals[vertex, 2] = z / length
