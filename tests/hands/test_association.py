import numpy as np
import pytest
from made import hand, open_hand

from handheld.hands.association import drop_duplicates, join_regions
from handheld.hands.result import Region
from handheld.media import Rect


def region(x, *, side=100.0, size=40.0, track=None):
    return Region(Rect(x, 0, side, side), np.array([x, 0], np.float32), size, track)


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
