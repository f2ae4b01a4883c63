import numpy as np
import pytest

from handheld.hands.training.render.mesh import HandMesh
from handheld.hands.training.render.poses import GESTURES
from handheld.hands.training.render.props import (
    Surface,
    arm_shape,
    ellipsoid,
    forearm,
    sleeve,
    straight_tube,
)
from handheld.hands.training.render.rig import posed, rig_of
from handheld.hands.training.render.skinning import skin

ORIGIN = np.zeros(3)
UP = np.array([0.0, 1.0, 0.0])
FRONT = np.array([0.0, 0.0, 1.0])


def volume(surface: Surface, vertices: np.ndarray) -> float:
    """Of a closed surface whose outside is where it should be; less than nothing if it is inside
    out.
    """
    a, b, c = np.moveaxis(vertices[surface.faces].astype(float), 1, 0)
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


def test_a_cylinder_is_closed_and_its_outside_is_outside() -> None:
    surface, vertices = straight_tube(ORIGIN, 2 * UP, FRONT, (0.5, 0.5), sides=64)
    assert volume(surface, vertices) == pytest.approx(np.pi * 0.25 * 2, rel=0.01)


def test_a_box_has_flat_sides() -> None:
    # Four sides around a circle of radius sqrt(2): a square of side 2, and 3 high.
    surface, vertices = straight_tube(ORIGIN, 3 * UP, FRONT, (2**0.5, 2**0.5), sides=4)
    assert volume(surface, vertices) == pytest.approx(12, rel=1e-5)
    assert np.abs(vertices[:, [0, 2]]).max() == pytest.approx(1, rel=1e-5)


def test_an_ellipsoid_has_its_radii() -> None:
    surface, vertices = ellipsoid(ORIGIN + 1, np.eye(3), (1.0, 2.0, 3.0))
    np.testing.assert_allclose(np.ptp(vertices, axis=0) / 2, (1, 2, 3), rtol=0.03)
    np.testing.assert_allclose(vertices.mean(axis=0), (1, 1, 1), atol=0.15)
    assert volume(surface, vertices) == pytest.approx(4 / 3 * np.pi * 6, rel=0.1)


@pytest.mark.parametrize("sides", [4, 20])
def test_a_tubes_skin_is_within_its_picture(sides: int) -> None:
    surface, _ = straight_tube(ORIGIN, UP, FRONT, (1.0, 1.0), sides=sides)
    assert surface.texture_faces.shape == surface.faces.shape
    assert surface.texture_faces.max() < len(surface.uv)
    assert surface.uv.min() >= 0
    assert surface.uv.max() <= 1


def test_a_forearm_ends_where_it_is_told_to(stick: HandMesh) -> None:
    rig = rig_of(stick)
    surface, vertices = forearm(rig, (0.03, 0.02), begin=0.01, end=0.4)
    # The wrist is at the origin, and the hand goes along +y.
    assert vertices[:, 1].max() == pytest.approx(-0.01)
    assert vertices[:, 1].min() == pytest.approx(-0.4)
    assert volume(surface, vertices) > 0


def test_a_sleeve_lies_around_the_arm_and_leaves_the_hand_bare(stick: HandMesh) -> None:
    rig = rig_of(stick)
    vertices = skin(stick, posed(rig, GESTURES["fist"]))
    surface, cloth = sleeve(rig, arm_shape(rig), vertices, begin=0.05, thickness=0.004)
    covered = np.unique(surface.faces)
    # Of the arm's four bones those that begin 0.15 and 0.3 m behind the wrist, and farther, are
    # covered.
    assert len(covered) > 0
    assert (stick.vertices[covered, 1] < -0.05).all()
    moved = np.linalg.norm(cloth[covered] - vertices[covered], axis=1)
    assert (moved > 0.002).all()
    assert (moved < 0.02).all()
