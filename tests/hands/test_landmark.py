from math import pi

import numpy as np
import pytest

from handheld.hands.landmark import (
    LandmarkGeometry,
    is_right_hand,
    project_landmarks,
    project_world,
)
from handheld.media import Rect

GEOMETRY = LandmarkGeometry()


def raw(x, y, z):
    points = np.zeros((21, 3), np.float32)
    points[1] = x, y, z
    return points.ravel()


def test_upright_projection_by_hand():
    landmarks = project_landmarks(raw(112, 224, 22.4), Rect(100, 200, 448, 448), GEOMETRY)
    assert landmarks.dtype == np.float32
    assert landmarks[0] == pytest.approx([100 - 224, 200 - 224, 0])
    assert landmarks[1] == pytest.approx([100, 200 + 224, 0.1 / 0.4 * 448])


def test_a_quarter_turn_to_the_right():
    landmarks = project_landmarks(raw(112, 0, 0), Rect(0, 0, 100, 100, pi / 2), GEOMETRY)
    assert landmarks[1] == pytest.approx(
        [50, 0, 0], abs=1e-4
    )  # the top of the crop lies to the right
    assert project_world(raw(0, -0.1, 0.02), Rect(0, 0, 1, 1, pi / 2))[1] == pytest.approx(
        [0.1, 0, 0.02], abs=1e-6
    )


def test_depth_is_relative_to_the_wrist():
    points = np.full((21, 3), 5, np.float32)
    assert project_landmarks(points.ravel(), Rect(0, 0, 224, 224), GEOMETRY)[:, 2] == pytest.approx(
        np.zeros(21)
    )


@pytest.mark.parametrize(
    ("raw_score", "mirrored", "expected"),
    [
        (0.9, False, (True, 0.9)),
        (0.9, True, (False, 0.9)),
        (0.2, False, (False, 0.8)),
        (0.2, True, (True, 0.8)),
    ],
)
def test_handedness_knows_mirrors(raw_score, mirrored, expected):
    right, certainty = is_right_hand(raw_score, GEOMETRY, mirrored=mirrored)
    assert (right, pytest.approx(certainty)) == expected
    other = LandmarkGeometry(right_if_mirrored=True)
    assert is_right_hand(raw_score, other, mirrored=not mirrored)[0] == right
