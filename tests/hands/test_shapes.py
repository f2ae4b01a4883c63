import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import open_hand

from handheld.hands import HandResult
from handheld.hands.shapes import hand_shape
from handheld.media import Rect

HAND = open_hand(size=1.0).astype(np.float64)
HAND[[8, 12, 16, 20], 2] = -0.3  # bent a little towards the camera


def result(points, handedness="Right"):
    points = points.astype(np.float32)
    return HandResult(0, Rect(0, 0, 1, 1), 1.0, handedness, 1.0, points, points)


def rotated(axis, angle):
    """The matrix of a rotation, by the definition of the exponential of a skew matrix."""
    x, y, z = axis
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * skew @ skew


@given(
    size=st.floats(0.05, 400),
    turn=st.floats(-3.1, 3.1),
    x=st.floats(-500, 500),
    is_left=st.booleans(),
    mirrored=st.booleans(),
)
def test_a_shape_depends_on_neither_place_size_turn_nor_side(size, turn, x, is_left, mirrored):
    points = HAND @ rotated((0, 0, 1), turn).T
    # A left hand is a right one in a mirror; in a mirror image it looks like a right one again.
    if is_left != mirrored:
        points = points * (-1, 1, 1)
    shape = hand_shape(
        result(points * size + (x, 7, 3), "Left" if is_left else "Right"), mirrored=mirrored
    )
    np.testing.assert_allclose(shape.points, hand_shape(result(HAND)).points, atol=1e-2)
    assert np.cos(shape.turn - turn) == pytest.approx(1, abs=1e-3)


def test_a_shape_has_a_palm_of_length_one_and_its_knuckle_above_the_wrist():
    shape = hand_shape(result(HAND @ rotated((0, 0, 1), 0.7).T * 80))
    along = shape.points[9] - shape.points[0]
    assert np.linalg.norm(along) == pytest.approx(1, abs=1e-6)
    assert along[:2] == pytest.approx((0, -1), abs=1e-6)
    assert shape.points[[0, 5, 9, 13, 17]].mean(axis=0) == pytest.approx((0, 0, 0), abs=1e-6)
    assert shape.turn == pytest.approx(0.7, abs=1e-6)


@given(
    axis=st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda axis: np.linalg.norm(axis) > 0.1),
    angle=st.floats(-3.1, 3.1),
)
def test_in_the_palms_axes_it_is_the_same_from_every_side(axis, angle):
    unit = np.array(axis) / np.linalg.norm(axis)
    points = HAND @ rotated(unit, angle).T
    seen = hand_shape(result(points)).in_palm()
    np.testing.assert_allclose(seen, hand_shape(result(HAND)).in_palm(), atol=1e-4)


def test_palm_axes_go_across_along_and_out():
    seen = hand_shape(result(HAND)).in_palm()
    # Upright, the wrist below: along is up; across is from the little finger to the index.
    assert seen[9] - seen[0] == pytest.approx((0, 1, 0), abs=1e-6)
    assert (seen[5] - seen[17])[0] > 0


@pytest.mark.parametrize("points", [None, np.zeros((21, 3))])
def test_without_landmarks_or_of_no_length_there_is_no_shape(points):
    bare = HandResult(0, Rect(0, 0, 1, 1), 1.0)
    assert hand_shape(bare if points is None else result(points)) is None
