from math import cos, pi, sin

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import open_hand

from handheld.hands.geometry import (
    LANDMARK_RULE,
    PALM_RULE,
    hand_angle,
    overlap,
    region_from_landmarks,
    region_from_palm,
)
from handheld.media import Rect

ANGLES = st.floats(-pi, pi)


def turned(points, angle):
    c, s = cos(angle), sin(angle)
    result = points.copy()
    result[:, :2] = points[:, :2] @ np.array([[c, s], [-s, c]])
    return result


def test_the_region_of_an_upright_palm_by_hand():
    keypoints = np.zeros((7, 2), np.float32)
    keypoints[0], keypoints[2] = (50, 70), (50, 30)
    region = region_from_palm(Rect(50, 50, 30, 40), keypoints)
    assert (region.x, region.y, region.angle) == pytest.approx((50, 50 - 0.5 * 40, 0))
    assert (region.width, region.height) == pytest.approx((104, 104))


def test_the_region_of_a_palm_that_points_right():
    keypoints = np.zeros((7, 2), np.float32)
    keypoints[0], keypoints[2] = (30, 50), (70, 50)
    region = region_from_palm(Rect(50, 50, 40, 40), keypoints)
    assert region.angle == pytest.approx(pi / 2)
    assert (region.x, region.y) == pytest.approx((70, 50))


def test_the_region_of_an_open_hand_holds_the_whole_hand():
    hand = open_hand(200, 300, 80)
    region = region_from_landmarks(hand)
    inside = (hand[:, :2] - region.matrix[:, 2]) @ np.linalg.inv(region.matrix[:, :2]).T
    assert inside.min() > 0
    assert inside.max() < 1
    assert abs(region.angle) < 0.05


@given(angle=ANGLES, size=st.floats(5, 500), x=st.floats(-500, 500))
def test_a_turned_hand_has_a_turned_region(angle, size, x):
    upright = region_from_landmarks(open_hand(x, 0, size))
    other = region_from_landmarks(turned(open_hand(x, 0, size), angle))
    c, s = cos(angle), sin(angle)
    assert other.width == pytest.approx(upright.width, rel=1e-3)
    assert (other.x, other.y) == pytest.approx(
        (c * upright.x - s * upright.y, s * upright.x + c * upright.y), abs=1e-3 * (500 + size)
    )
    assert cos(other.angle - upright.angle - angle) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("rule", [PALM_RULE, LANDMARK_RULE])
@given(angle=ANGLES)
def test_angles_stay_in_one_turn(rule, angle):
    assert -pi <= hand_angle(turned(open_hand(), angle), rule) <= pi


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (Rect(0, 0, 2, 2), 1.0),
        (Rect(1, 0, 2, 2), 1 / 3),
        (Rect(1, 1, 2, 2), 1 / 7),
        (Rect(2, 0, 2, 2), 0.0),
        (Rect(9, 9, 2, 2), 0.0),
    ],
)
def test_overlap(other, expected):
    assert overlap(Rect(0, 0, 2, 2), other) == pytest.approx(expected)
