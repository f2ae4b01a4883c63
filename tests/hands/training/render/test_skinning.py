import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from handheld.hands.training.render.mesh import HandMesh
from handheld.hands.training.render.skinning import (
    Doubles,
    carry,
    forward,
    relative,
    rotation,
    skin,
)

QUARTER = np.pi / 2


def turned(box: HandMesh, bone: int, angle: float) -> Doubles:
    """Transforms of the box when one bone turns about x."""
    turn = np.tile(np.eye(3), (2, 1, 1))
    turn[bone] = rotation(np.array([1.0, 0.0, 0.0]), angle)
    return forward(box, box.heads.astype(np.float64) @ box.vertices, turn)


def test_no_rotation_leaves_the_rest(box: HandMesh) -> None:
    np.testing.assert_allclose(skin(box, turned(box, 0, 0.0)), box.vertices[:8], atol=1e-7)


def test_a_bone_moves_its_own_vertices_and_no_others(box: HandMesh) -> None:
    moved = skin(box, turned(box, 1, QUARTER))
    np.testing.assert_allclose(moved[:4], box.vertices[:4], atol=1e-7)
    # About x through (., 1, 0.5): what lay half a metre before it in z now lies half a metre above
    # it in y.
    np.testing.assert_allclose(
        moved[4:], [(0, 1.5, 0.5), (1, 1.5, 0.5), (1, 0.5, 0.5), (0, 0.5, 0.5)], atol=1e-6
    )


def test_a_child_follows_its_parent(box: HandMesh) -> None:
    transforms = turned(box, 0, QUARTER)
    np.testing.assert_allclose(transforms[1], transforms[0], atol=1e-12)
    # The second bone's head was a metre along y from the first's, and is now a metre along z.
    np.testing.assert_allclose(
        carry(transforms[1:], np.array([[0.5, 1, 0.5]])), [(0.5, 0, 1.5)], atol=1e-12
    )


def test_shared_weights_give_the_mean(box: HandMesh) -> None:
    shared = HandMesh(
        **{
            **vars(box),
            "influences": np.tile([0, 1], (8, 1)),
            "weights": np.full((8, 2), 0.5, np.float32),
        }
    )
    transforms = turned(box, 1, QUARTER)
    halfway = (box.vertices[4] + skin(box, transforms)[4]) / 2
    np.testing.assert_allclose(skin(shared, transforms)[4], halfway, atol=1e-6)


def test_relative_puts_a_bone_back_where_it_rests(box: HandMesh) -> None:
    back = relative(turned(box, 1, 0.3), 1)
    np.testing.assert_allclose(back[1], np.eye(3, 4), atol=1e-12)
    np.testing.assert_allclose(
        back[0, :, :3], rotation(np.array([1.0, 0.0, 0.0]), -0.3), atol=1e-12
    )


@given(
    st.lists(st.floats(-1, 1), min_size=3, max_size=3).filter(
        lambda axis: np.linalg.norm(axis) > 0.1
    ),
    st.floats(-7, 7),
)
def test_a_rotation_is_orthogonal_and_keeps_its_axis(axis: list[float], angle: float) -> None:
    unit = np.array(axis) / np.linalg.norm(axis)
    turn = rotation(unit, angle)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(turn @ unit, unit, atol=1e-12)
    np.testing.assert_allclose(np.trace(turn), 1 + 2 * np.cos(angle), atol=1e-12)
