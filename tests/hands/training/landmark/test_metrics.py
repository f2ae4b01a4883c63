import numpy as np
import pytest

from handheld.hands.training.landmark.metrics import (
    LandmarkAnswers,
    calibration_error,
    landmark_scores,
)

NAN = np.nan


def answers():
    """Two hands, off by 0.1 and 0.3 everywhere, the second's thumb tip unknown; one crop without a
    hand.
    """
    errors = np.full((3, 21), NAN, np.float32)
    errors[0] = 0.1
    errors[1] = 0.3
    errors[1, 4] = NAN
    return LandmarkAnswers(
        errors=errors,
        confidence=np.tile(np.float32([[1.0], [0.0], [0.5]]), (1, 21)),
        presence=np.float32([0.9, 0.4, 0.8]),
        handedness=np.float32([0.2, 0.2, 0.5]),
        has_hand=np.float32([1, 1, 0]),
        is_right=np.float32([0, 1, NAN]),
        groups=("digits", "ti1k", "empty"),
    )


def test_scores_by_hand():
    scores = landmark_scores(answers(), close=0.15)
    assert scores.mean == pytest.approx((21 * 0.1 + 20 * 0.3) / 41)
    assert scores.groups == pytest.approx({"digits": 0.1, "ti1k": 0.3})
    assert scores.points[4] == pytest.approx(0.1)
    assert scores.points[8] == pytest.approx(0.2)
    assert (scores.present, scores.absent, scores.handedness, scores.hands) == (0.5, 0.0, 0.5, 2)
    assert scores.calibration == pytest.approx(0.0)


def test_confidence_that_is_always_wrong_is_off_by_one():
    assert calibration_error(
        np.float32([1, 1, 0]), np.array([False, False, True])
    ) == pytest.approx(1.0)
    # Eight of ten right at a confidence of 0.7: a tenth off.
    right = np.arange(10) < 8
    assert calibration_error(np.full(10, 0.7, np.float32), right) == pytest.approx(0.1)


def test_scores_of_nothing_are_none_in_json():
    empty = LandmarkAnswers(
        *(np.empty((0, 21), np.float32),) * 2, *(np.empty(0, np.float32),) * 4, ()
    )
    assert landmark_scores(empty, 0.15).to_json()["mean"] is None
