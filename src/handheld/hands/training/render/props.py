"""What hands wear and hold: sleeves, forearms, cylinders, boxes, balls, a body behind the arm.

Each is a surface with vertices in metres, in the axes of the resting mesh or of the palm.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from handheld.hands.training.render.mesh import Floats, HandMesh, Integers
from handheld.hands.training.render.rig import Rig
from handheld.hands.training.render.shade import vertex_normals
from handheld.hands.training.render.skinning import Doubles, cross

Triangle: TypeAlias = tuple[int, int, int]
"""Indices of vertices, counter-clockwise from outside."""

_ARM_BONES = ("lowerarm02.R", "lowerarm01.R", "upperarm02.R", "upperarm01.R")
# Metres of cloth that a picture of it covers.
_CLOTH = 0.3
# Of a ball or a body, from pole to pole.
_RINGS = 10

# Radians from a pole to the first ring: a ring of no size would have no normal.
_POLE = 0.02

# Sides up to which a tube is a box, whose edges are sharp.
_BOX_SIDES = 6

# Metres of the wrist that its girth is measured on: where they are, and half of how many.
_WRIST_RING = (-0.01, 0.012)

# Folds of a sleeve: how far they stand out, as a share of its looseness, and how many radians a
# metre; a second wave keeps them from being regular.
_FOLD = 0.35
_FOLDS = 180
_IRREGULAR = 47


@dataclass(frozen=True)
class Surface:
    """Triangles with a skin, as ``shade.Textured`` says."""

    faces: Integers
    texture_faces: Integers
    uv: Floats


def tube(
    stations: Doubles,
    across: Doubles,
    out: Doubles,
    radii: Doubles,
    sides: int = 20,
) -> tuple[Surface, Floats]:
    """Make a tube of elliptic rings, closed at both ends.

    Args:
        stations: (N, 3) middles of the rings, in order.
        across, out: (3,) unit axes of the rings; ``out`` x ``across`` looks along the tube.
        radii: (N, 2) along both axes.
        sides: of each ring; four make a box, whose edges stay sharp.

    Returns:
        The surface and its vertices (V, 3).
    """
    flat = radii[:, None] * _circle(sides)
    rings = stations[:, None] + flat @ np.stack([across, out])
    if sides <= _BOX_SIDES:
        # Each corner twice: a normal of its own for each of the two sides that meet there.
        rings = np.repeat(rings, 2, axis=1)
    # The ends' rings once more, so that lids have an edge too.
    ends = np.concatenate([rings[0], rings[-1]])
    middles = stations[[0, -1]]
    vertices = np.concatenate([rings.reshape(-1, 3), ends, middles])
    return _tube_surface(len(stations), sides), vertices.astype(np.float32)


def _circle(sides: int) -> Doubles:
    """Return the corners (sides, 2) of a regular polygon in a circle of radius 1."""
    angles = np.arange(sides, dtype=np.float64) * (2 * np.pi / sides)
    if sides <= _BOX_SIDES:
        # A box lies flat, not on an edge.
        angles = angles + np.pi / sides
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


@lru_cache(16)
def _tube_surface(rings: int, sides: int) -> Surface:
    """Triangles of a tube with two lids; rows of vertices: rings, first and last ring again,
    middles.
    """
    corners = _ring_sides(sides)
    # A box has each of its corners twice.
    width = 2 * sides if sides <= _BOX_SIDES else sides
    texture = _TubeTexture(rings, width)
    faces: list[Triangle] = []
    for ring in range(rings - 1):
        for start, end in corners:
            faces += _side_faces(ring * width + start, ring * width + end, width)
            texture.side(ring, start, end)
    for start, end in corners:
        faces += _lid_faces(start, end, rings * width, width)
        texture.lids(start, end)
    uv = np.array(texture.uv, np.float32)
    # Each corner of each triangle has a place of its own.
    texture_faces = np.arange(len(uv)).reshape(-1, 3)
    return Surface(np.array(faces), texture_faces, uv)


def _side_faces(start: int, end: int, width: int) -> list[Triangle]:
    """Return the two triangles between two neighbours of a ring and those above them."""
    return [(start, end, start + width), (end, end + width, start + width)]


def _lid_faces(start: int, end: int, bottom: int, width: int) -> list[Triangle]:
    """Return a side's triangles in both lids, whose rings begin at ``bottom``."""
    top = bottom + width
    middle = top + width
    # Turned the other way about: both lids look outward.
    below = (bottom + end, bottom + start, middle)
    above = (top + start, top + end, middle + 1)
    return [below, above]


def _ring_sides(sides: int) -> list[tuple[int, int]]:
    """Return the two vertices of each side, counted within a ring."""
    pairs = [(side, (side + 1) % sides) for side in range(sides)]
    if sides > _BOX_SIDES:
        return pairs
    # Of a corner's two vertices the second one begins a side, the first one ends the side before.
    return [(2 * start + 1, 2 * end) for start, end in pairs]


class _TubeTexture:
    """Places in the skin's picture: once around is the picture's width."""

    def __init__(self, rings: int, width: int) -> None:
        self._rings = rings
        self._width = width
        self.uv: list[tuple[float, float]] = []

    def side(self, ring: int, start: int, end: int) -> None:
        """Add the places of the two triangles of a side."""
        # The last side ends where the first one begins: at the picture's other edge.
        if end <= start:
            end = self._width
        x0 = start / self._width
        x1 = end / self._width
        low = ring / (self._rings - 1)
        high = (ring + 1) / (self._rings - 1)
        self.uv += [(x0, low), (x1, low), (x0, high)]
        self.uv += [(x1, low), (x1, high), (x0, high)]

    def lids(self, start: int, end: int) -> None:
        """Add the places of a side's triangles in both lids: a circle in the picture's middle."""
        first = self._on_circle(start)
        second = self._on_circle(end)
        self.uv += [second, first, (0.5, 0.5)]
        self.uv += [first, second, (0.5, 0.5)]

    def _on_circle(self, corner: int) -> tuple[float, float]:
        angle = 2 * np.pi * corner / self._width
        return 0.5 + 0.2 * np.cos(angle), 0.5 + 0.2 * np.sin(angle)


def ellipsoid(centre: Doubles, axes: Doubles, radii: Sequence[float]) -> tuple[Surface, Floats]:
    """Make an ellipsoid around ``centre`` (3,) with unit ``axes`` (3, 3), rows, and three radii."""
    polar = np.linspace(0, np.pi, _RINGS)
    polar[[0, -1]] = (_POLE, np.pi - _POLE)
    heights = radii[2] * np.cos(polar[::-1])
    stations = centre + heights[:, None] * axes[2]
    girth = np.sin(polar)[:, None] * np.array(radii[:2])
    return tube(stations, axes[0], axes[1], girth)


def straight_tube(
    start: Doubles,
    end: Doubles,
    out: Doubles,
    radii: tuple[float, float],
    sides: int = 20,
) -> tuple[Surface, Floats]:
    """Make a cylinder, or with few sides a box, between two points; ``out`` (3,) is about across
    it.
    """
    axis = (end - start) / np.linalg.norm(end - start)
    across = cross(out, axis)
    across /= np.linalg.norm(across)
    # More rings than two: light is worked out at vertices, and a long side has a gradient.
    stations = np.linspace(start, end, 4)
    girth = np.tile(radii, (4, 1))
    return tube(stations, across, cross(axis, across), girth, sides)


def forearm(
    rig: Rig,
    radii: tuple[float, float],
    begin: float,
    end: float,
) -> tuple[Surface, Floats]:
    """Make an arm or a sleeve for a mesh that ends at the wrist.

    Args:
        rig: of the resting mesh.
        radii: at the wrist, across the palm and out of it, metres; it widens towards the elbow.
        begin, end: metres behind the wrist.
    """
    distance = np.linspace(end, begin, 8)
    stations = rig.heads[rig.wrist] - distance[:, None] * rig.frame[1]
    # As forearms do: up to the elbow, a quarter of a metre away, and no further.
    wider = 1 + 1.5 * distance.clip(0, 0.25)
    girth = wider[:, None] * np.array(radii)
    # Across, out and along are right-handed, and the stations go towards the hand.
    return tube(stations, rig.frame[0], -rig.frame[2], girth)


def wrist_radii(rig: Rig) -> tuple[float, float]:
    """Return half the width of a mesh at its wrist, across the palm and out of it, metres."""
    local = _in_palm(rig)
    position, half = _WRIST_RING
    is_wrist = np.abs(local[:, 1] - position) < half
    across, _, out = np.ptp(local[is_wrist], axis=0) / 2
    return float(across), float(out)


def _in_palm(rig: Rig) -> Doubles:
    """Return the drawn vertices (drawn, 3) across the palm, along the hand and out of the palm."""
    vertices = rig.mesh.vertices[: rig.mesh.drawn]
    local: Doubles = (vertices - rig.heads[rig.wrist]) @ rig.frame.T
    return local


@dataclass(frozen=True, eq=False)
class ArmShape:
    """What clothes need to know of a resting arm, for each drawn vertex.

    Attributes:
        on_arm: (drawn,) whether it hangs on the arm rather than on the hand.
        behind: (drawn,) metres behind the wrist, -1 on the hand.
        cloth: (drawn, 2) where it lies in a picture of cloth.
    """

    on_arm: NDArray[np.bool_]
    behind: Doubles
    cloth: Floats


def arm_shape(rig: Rig) -> ArmShape:
    """Measure a resting arm."""
    hanging = on_arm(rig.mesh)
    wrist = rig.heads[rig.wrist]
    back = rig.heads[rig.mesh.bones.index("lowerarm01.R")] - wrist
    back /= np.linalg.norm(back)
    vertices = rig.mesh.vertices[: rig.mesh.drawn].astype(np.float64)
    distance = (vertices - wrist) @ back
    # Fingers that are bent back far would else wear the sleeve too.
    behind = np.where(hanging, distance, -1.0)
    return ArmShape(hanging, behind, _cloth_uv(rig))


def sleeve(
    rig: Rig,
    arm: ArmShape,
    posed: Floats,
    begin: float,
    thickness: float,
) -> tuple[Surface, Floats]:
    """Put a sleeve on an arm: its own skin, moved outward.

    Args:
        rig: of the resting mesh, which goes on behind the wrist.
        arm: of the same.
        posed: (drawn, 3) metres, the skin as it is posed.
        begin: metres behind the wrist at which the sleeve ends.
        thickness: metres of cloth and air, at the cuff; more towards the elbow.
    """
    covered = arm.behind > begin
    # Triangles of which all corners are covered: the cuff has an even edge.
    is_cloth = covered[rig.mesh.faces].all(axis=1)
    faces = rig.mesh.faces[is_cloth]
    loose = thickness * (1 + 3 * (arm.behind - begin).clip(0, 0.3))
    loose *= _folds(arm.behind)
    # Of the sleeve's own triangles: at its end they look along the arm's skin, not over the hand.
    normals = vertex_normals(posed, faces)
    vertices = posed + normals * loose[:, None].astype(np.float32)
    return Surface(faces, faces, arm.cloth), vertices.astype(np.float32)


def _folds(behind: Doubles) -> Doubles:
    """Return how far cloth stands out, beside 1, by the distance behind the wrist."""
    # Folds go around the arm; they are what the eye takes for cloth.
    phase = behind * _FOLDS + 2 * np.sin(behind * _IRREGULAR)
    folds: Doubles = 1 + _FOLD * np.sin(phase)
    return folds


def on_arm(mesh: HandMesh) -> NDArray[np.bool_]:
    """Whether each drawn vertex (drawn,) hangs on the arm rather than on the hand."""
    arm = np.array([bone in _ARM_BONES for bone in mesh.bones])
    hanging: NDArray[np.bool_] = arm[strongest_bones(mesh)]
    return hanging


def strongest_bones(mesh: HandMesh) -> Integers:
    """Return the bone that moves each drawn vertex most, (drawn,)."""
    strongest = mesh.weights.argmax(axis=1)
    bones: Integers = mesh.influences[np.arange(mesh.drawn), strongest]
    return bones


def _cloth_uv(rig: Rig) -> Floats:
    """Lay cloth on the resting arm from the front: at its sides it is stretched, but there is no
    seam.
    """
    across_and_along = _in_palm(rig)[:, [0, 1]]
    # A picture of cloth is repeated four times a side, see `sources.read_tile`.
    uv = 0.5 + across_and_along / (4 * _CLOTH)
    return cast(Floats, uv.clip(0.01, 0.99).astype(np.float32))
