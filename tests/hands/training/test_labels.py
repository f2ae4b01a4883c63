import numpy as np
import pytest

from handheld.hands.training.labels import palm_box

HAND = np.zeros((21, 3))
HAND[[0, 5, 9, 13, 17], :2] = [(50, 100), (70, 20), (50, 10), (35, 15), (20, 25)]
HAND[[1, 2], :2] = [(65, 85), (80, 60)]
HAND[8, :2] = (75, -60)


def test_a_palm_is_a_square_around_seven_keypoints_and_a_twentieth_larger() -> None:
    box, points = palm_box(HAND)
    # They reach from 20 to 80 and from 10 to 100: the longer side is 90.
    np.testing.assert_allclose(box, [50 - 47.25, 55 - 47.25, 50 + 47.25, 55 + 47.25])
    assert points.tolist() == [
        [50, 100],
        [70, 20],
        [50, 10],
        [35, 15],
        [20, 25],
        [65, 85],
        [80, 60],
    ]


def test_fingers_are_no_part_of_the_palm() -> None:
    bent = HAND.copy()
    bent[8] = np.nan
    np.testing.assert_array_equal(palm_box(bent)[0], palm_box(HAND)[0])


@pytest.mark.parametrize("keypoint", [0, 17])
def test_a_palm_with_an_unknown_keypoint_has_no_box(keypoint: int) -> None:
    partly = HAND.copy()
    partly[keypoint] = np.nan
    assert np.isnan(palm_box(partly)[0]).all()
