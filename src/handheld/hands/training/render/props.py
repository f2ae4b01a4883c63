"""What hands wear and hold: sleeves, forearms, cylinders, boxes, balls, a body behind the arm.

Each is a surface with vertices in metres, in the axes of the resting mesh or of the palm.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
from numpy.typing import NDArray

from handheld.hands.training.render.mesh import Floats, HandMesh, Integers
from handheld.hands.training.render.rig import Rig
from handheld.hands.training.render.shade import vertex_normals
from handheld.hands.training.render.skinning import Doubles, cross

_ARM_BONES = ("lowerarm02.R", "lowerarm01.R", "upperarm02.R", "upperarm01.R")
# Metres of cloth that a picture of it covers.
_CLOTH = 0.3
_RINGS = 10


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
    surface = _tube_surface(len(stations), sides)
    angles = _angles(sides)
    if sides <= _BOX_SIDES:
        angles = angles + np.pi / sides
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    rings = stations[:, None] + (radii[:, None] * circle) @ np.stack([across, out])
    if sides <= _BOX_SIDES:
        # Each corner twice: a normal of its own for each of the two sides that meet there.
        rings = np.repeat(rings, 2, axis=1)
    ends = np.concatenate([rings[0], rings[-1]])
    vertices = np.concatenate([rings.reshape(-1, 3), ends, stations[[0, -1]]])
    return surface, vertices.astype(np.float32)


_BOX_SIDES = 6


def _angles(sides: int) -> Doubles:
    angles: Doubles = np.arange(sides, dtype=np.float64) * (2 * np.pi / sides)
    return angles


@lru_cache(16)
def _tube_surface(rings: int, sides: int) -> Surface:
    """Triangles of a tube with two lids; rows of vertices: rings, first and
    last ring again, middles.
    """
    width = 2 * sides if sides <= _BOX_SIDES else sides
    faces: list[tuple[int, int, int]] = []
    texture = _TubeTexture(rings, width)
    for ring in range(rings - 1):
        for start, end in _ring_sides(sides):
            a, b = ring * width + start, ring * width + end
            faces += [(a, b, a + width), (b, b + width, a + width)]
            texture.side(ring, start, end)
    first = rings * width
    middle = first + 2 * width
    for start, end in _ring_sides(sides):
        faces.append((first + end, first + start, middle))
        faces.append((first + width + start, first + width + end, middle + 1))
        texture.lids(start, end)
    uv = np.array(texture.uv, np.float32)
    return Surface(np.array(faces), np.arange(len(uv)).reshape(-1, 3), uv)


def _ring_sides(sides: int) -> list[tuple[int, int]]:
    """Return the two vertices of each side, counted within a ring."""
    if sides > _BOX_SIDES:
        return [(side, (side + 1) % sides) for side in range(sides)]
    return [(2 * side + 1, 2 * ((side + 1) % sides)) for side in range(sides)]


class _TubeTexture:
    """Places in the skin's picture: once around is the picture's width."""

    def __init__(self, rings: int, width: int) -> None:
        self._rings = rings
        self._width = width
        self.uv: list[tuple[float, float]] = []

    def side(self, ring: int, start: int, end: int) -> None:
        left = start / self._width
        right = (end if end > start else self._width) / self._width
        low = ring / (self._rings - 1)
        high = (ring + 1) / (self._rings - 1)
        self.uv += [(left, low), (right, low), (left, high)]
        self.uv += [(right, low), (right, high), (left, high)]

    def lids(self, start: int, end: int) -> None:
        first = 2 * np.pi * start / self._width
        second = 2 * np.pi * end / self._width
        corners = [(0.5 + 0.2 * np.cos(a), 0.5 + 0.2 * np.sin(a)) for a in (first, second)]
        self.uv += [corners[1], corners[0], (0.5, 0.5)]
        self.uv += [corners[0], corners[1], (0.5, 0.5)]


def ellipsoid(centre: Doubles, axes: Doubles, radii: Sequence[float]) -> tuple[Surface, Floats]:
    """Make an ellipsoid around ``centre`` (3,) with unit ``axes`` (3, 3), rows, and three radii."""
    polar = np.linspace(0, np.pi, _RINGS)
    # A ring of no size would have no normal.
    polar[[0, -1]] = (0.02, np.pi - 0.02)
    stations = centre + radii[2] * np.cos(polar[::-1])[:, None] * axes[2]
    girth = np.sin(polar)[:, None] * np.array(radii[:2])
    return tube(stations, axes[0], axes[1], girth)


def straight_tube(
    start: Doubles,
    end: Doubles,
    out: Doubles,
    radii: tuple[float, float],
    sides: int = 20,
) -> tuple[Surface, Floats]:
    """Make a cylinder, or with few sides a box, between two points; ``out``
    (3,) is about across it.
    """
    axis = (end - start) / np.linalg.norm(end - start)
    across = cross(out, axis)
    across /= np.linalg.norm(across)
    stations = np.linspace(start, end, 4)
    return tube(stations, across, cross(axis, across), np.tile(radii, (4, 1)), sides)


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
    wrist = rig.heads[rig.mesh.bones.index("wrist.R")]
    distance = np.linspace(end, begin, 8)
    stations = wrist - distance[:, None] * rig.frame[1]
    wider = 1 + 1.5 * distance.clip(0, 0.25)
    girth = wider[:, None] * np.array(radii)
    # Across, out and along are right-handed, and the stations go towards the hand.
    return tube(stations, rig.frame[0], -rig.frame[2], girth)


def wrist_radii(rig: Rig) -> tuple[float, float]:
    """Return half the width of a mesh at its wrist, across the palm and out of it, metres."""
    wrist = rig.heads[rig.mesh.bones.index("wrist.R")]
    local = (rig.mesh.vertices[: rig.mesh.drawn] - wrist) @ rig.frame.T
    ring = local[np.abs(local[:, 1] + 0.01) < 0.012]
    across = np.ptp(ring[:, 0]) / 2
    out = np.ptp(ring[:, 2]) / 2
    return float(across), float(out)


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
    wrist = rig.heads[rig.mesh.bones.index("wrist.R")]
    back = rig.heads[rig.mesh.bones.index("lowerarm01.R")] - wrist
    back /= np.linalg.norm(back)
    distance = (rig.mesh.vertices[: rig.mesh.drawn].astype(np.float64) - wrist) @ back
    return ArmShape(hanging, np.where(hanging, distance, -1.0), _cloth_uv(rig))


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
    mesh = rig.mesh
    behind = arm.behind
    covered = behind > begin
    kept = covered[mesh.faces].all(axis=1)
    faces = mesh.faces[kept]
    loose = thickness * (1 + 3 * (behind - begin).clip(0, 0.3))
    # Folds go around the arm; they are what the eye takes for cloth.
    loose *= 1 + 0.35 * np.sin(behind * 180 + 2 * np.sin(behind * 47))
    normals = vertex_normals(posed, faces)
    vertices = posed + normals * loose[:, None].astype(np.float32)
    return Surface(faces, faces, arm.cloth), vertices.astype(np.float32)


def on_arm(mesh: HandMesh) -> NDArray[np.bool_]:
    """Whether each drawn vertex (drawn,) hangs on the arm rather than on the hand."""
    arm = np.array([bone in _ARM_BONES for bone in mesh.bones])
    strongest = mesh.influences[np.arange(mesh.drawn), mesh.weights.argmax(axis=1)]
    hanging: NDArray[np.bool_] = arm[strongest]
    return hanging


def _cloth_uv(rig: Rig) -> Floats:
    """Lay cloth on the resting arm from the front: at its sides it is
    stretched, but there is no seam.
    """
    wrist = rig.heads[rig.mesh.bones.index("wrist.R")]
    local = (rig.mesh.vertices[: rig.mesh.drawn] - wrist) @ rig.frame.T
    uv = 0.5 + local[:, [0, 1]] / (4 * _CLOTH)
    return cast(Floats, uv.clip(0.01, 0.99).astype(np.float32))
