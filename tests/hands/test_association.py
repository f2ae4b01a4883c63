import numpy as np
import pytest
from made import hand, open_hand

from handheld.hands.association import drop_duplicates, join_regions
from handheld.hands.result import Region
from handheld.media import Rect


def region(x, *, side=100.0, size=40.0, track=None, angle=0.0):
    return Region(Rect(x, 0, side, side, angle), np.array([x, 0], np.float32), size, track)


def test_followed_hands_come_first_and_count():
    followed, new = [region(0, track=1)], [region(300), region(600)]
    assert join_regions(followed, new, max_hands=2) == [followed[0], new[0]]
    assert join_regions(followed, new, max_hands=1) == followed
    assert join_regions([], new, max_hands=5) == new


@pytest.mark.parametrize(
    "new",
    [region(20), region(15, side=300.0)],
    ids=["squares overlap", "palms coincide, squares differ"],
)
def test_a_followed_hand_is_not_found_again(new):
    assert len(join_regions([region(0, track=1)], [new], max_hands=2)) == 1


def test_two_palms_of_one_hand_are_one():
    assert len(join_regions([], [region(0), region(10)], max_hands=2)) == 1


def test_two_new_palms_in_one_place_that_point_elsewhere_are_two():
    new = [region(0), region(5, angle=1.0)]
    assert join_regions([], new, max_hands=2) == new
    assert len(join_regions([], [region(0), region(5, angle=0.4)], max_hands=2)) == 1
    # A followed hand's angle is of other keypoints: its palm tells nothing against it.
    assert len(join_regions([region(0, track=1)], [region(5, angle=1.0)], max_hands=2)) == 1


def turned(points, angle):
    """Keypoints (21, 3) turned about the middle of the palm."""
    middle = (points[0] + points[9]) / 2
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    return ((points - middle) @ turn.T + middle).astype(np.float32)


@pytest.mark.parametrize("track", [None, 2])
def test_hands_that_clasp_each_other_have_their_palms_in_one_place(track):
    points = open_hand(100, 100)
    first, second = hand(points, track=1), hand(turned(points, 1.2), track=track)
    assert drop_duplicates([first, second]) == [first, second]
    # So little of a turn is one hand, seen twice.
    assert drop_duplicates([first, hand(turned(points, 0.3), track=track)]) == [first]


def test_of_two_results_on_one_hand_the_one_that_moved_least_stays():
    here, far = open_hand(100, 100), open_hand(400, 100)
    stayed, jumped = hand(here, track=1), hand(here + 1, track=2, came_from=far)
    assert drop_duplicates([jumped, stayed]) == [stayed]
    assert drop_duplicates([stayed, jumped]) == [stayed]


def test_a_followed_hand_stays_before_a_new_one():
    new, followed = hand(open_hand(), score=0.99), hand(open_hand(3, 3), track=4, score=0.6)
    assert drop_duplicates([new, followed]) == [followed]


def test_hands_that_touch_are_two():
    left, right = hand(open_hand(0, 0), track=1), hand(open_hand(60, 0), track=2)
    assert drop_duplicates([left, right]) == [left, right]
    assert drop_duplicates([]) == []


def test_fists_side_by_side_are_in_each_others_squares_and_are_two():
    """Squares are 2.6 palms wide, so those of hands that touch overlap by more than half."""
    followed, new = region(0, side=120.0, track=1), region(38, side=120.0)
    assert join_regions([followed], [new], max_hands=2) == [followed, new]
    assert join_regions([followed], [region(35, side=120.0)], max_hands=2) == [followed]


def test_a_palm_without_a_size_is_compared():
    assert len(join_regions([region(0, size=0.0, track=1)], [region(300)], max_hands=2)) == 2


def fist(x, y, *, turn=0.0, spread=18.0):
    """Keypoints (21, 3) within a disc, palm of 40 pixels."""
    random = np.random.default_rng(1)
    points = np.zeros((21, 3), np.float32)
    angles = random.uniform(0, 2 * np.pi, 21) + turn
    points[:, 0] = x + spread * np.cos(angles)
    points[:, 1] = y + spread * np.sin(angles)
    points[0, :2] = x, y + 22
    points[[5, 9, 17], :2] = [[x - 12, y - 18], [x, y - 18], [x + 14, y - 14]]
    return points


def test_a_fist_that_is_seen_a_second_time_is_one():
    """The second answer names other fingers, and its palm is two thirds of a palm away."""
    followed = hand(fist(100, 100), track=1)
    again = hand(fist(112, 120, turn=0.7))
    assert drop_duplicates([followed, again]) == [followed]
    # Both were followed before: they are two that cross.
    crossing = hand(fist(112, 120, turn=0.7), track=2)
    assert drop_duplicates([followed, crossing]) == [followed, crossing]


def test_a_new_fist_beside_another_is_another():
    followed, beside = hand(fist(100, 100), track=1), hand(fist(140, 100))
    assert drop_duplicates([followed, beside]) == [followed, beside]


@pytest.mark.parametrize("track", [None, 3])
def test_fingers_that_were_taken_for_a_hand_are_none(track):
    points = open_hand(100, 100)
    fingers = points[[8, 12, 16, 20]].mean(axis=0) + 0.2 * (points - points.mean(axis=0))
    complete, part = hand(points), hand(fingers, track=track)
    assert drop_duplicates([part, complete]) == [complete]
    assert drop_duplicates([complete, part]) == [complete]


def test_a_fist_that_holds_a_smaller_hand_is_one_where_neither_was_followed():
    points = open_hand(100, 100)
    middle = points.mean(axis=0)
    inner = middle + 0.65 * (points - middle) + 0.3 * (points[9] - points[0])
    complete, part = hand(points), hand(inner)
    assert drop_duplicates([part, complete]) == [complete]
    followed = hand(inner, track=3)
    assert drop_duplicates([complete, followed]) == [complete, followed]


def test_a_small_hand_beside_a_large_one_is_a_hand():
    points = open_hand(100, 100)
    far_away = points[9] + 0.3 * (points - points[0]) + (2 * np.ptp(points[:, 0]), 0, 0)
    large, small = hand(points), hand(far_away.astype(np.float32))
    assert drop_duplicates([large, small]) == [large, small]
