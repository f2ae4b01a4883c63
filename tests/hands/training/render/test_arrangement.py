"""How two hands lie by each other."""

import numpy as np
import pytest

from handheld.hands.training.render.arrangement import TOGETHER
from handheld.hands.training.render.casting import Casting, draw_meeting
from handheld.hands.training.render.people import draw_person
from handheld.hands.training.render.studio import draw_close_centre


def pairs(sources, name, count=6):
    random = np.random.default_rng(0)
    person = draw_person(sources, "somebody", random)
    casting = Casting(person, sources, draw_close_centre)
    return [draw_meeting(casting, TOGETHER[name], random) for _ in range(count)]


@pytest.mark.parametrize("name", sorted(TOGETHER))
def test_hands_that_meet_are_a_right_and_a_left_one(sources, name):
    for hands in pairs(sources, name):
        assert {hand.handedness for hand in hands} == {"Left", "Right"}
        first, second = hands
        # Of a hand's length, 0.19 metres.
        assert np.linalg.norm(first.centre - second.centre) < 0.3


@pytest.mark.parametrize("name", ["fist_to_fist", "tip_to_tip"])
def test_hands_in_one_plane_point_at_each_other(sources, name):
    low, high = TOGETHER[name].ahead
    for first, second in pairs(sources, name):
        _, along, out = first.axes
        apart = second.centre - first.centre
        slide = 4 * TOGETHER[name].slide
        assert low - slide < apart @ along < high + slide
        assert abs(apart @ out) < 0.03
        # The same side of both is seen, and the arms come from two sides.
        assert second.axes[2] @ out > 0.99
        assert second.axes[1] @ along < -0.3
