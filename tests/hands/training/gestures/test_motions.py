from math import pi

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handheld.hands.motion import MOTIONS
from handheld.hands.training.gestures.motions import PLANS, PlannedHand, eased, frame_times


def path(plan, count=400):
    times = np.linspace(0, plan.seconds, count)
    return times, np.array([plan.at(time).place for time in times])


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("seed", range(3))
def test_a_plan_is_the_same_again_and_begins_and_ends_in_its_time(name, seed):
    first = PLANS[name](np.random.default_rng(seed))
    second = PLANS[name](np.random.default_rng(seed))
    assert first.name == name
    assert first.motion == (name if name in MOTIONS else None)
    assert 0 <= first.begin < first.end <= first.seconds
    np.testing.assert_array_equal(path(first)[1], path(second)[1])
    assert isinstance(first.at(0.0), PlannedHand)


@given(st.floats(0, 1))
def test_the_way_with_the_least_jerk_is_even_about_its_middle(share):
    assert eased(share, 0, 1) + eased(1 - share, 0, 1) == pytest.approx(1)
    assert eased(-1, 0, 1) == 0
    assert eased(2, 0, 1) == 1


def test_its_highest_speed_is_15_eighths_of_the_mean_one():
    times = np.linspace(0, 1, 2001)
    speeds = np.diff([eased(time, 0, 1) for time in times]) / np.diff(times)
    assert speeds.max() == pytest.approx(15 / 8, rel=1e-4)


SIGNS = {"left": (0, -1), "right": (0, 1), "up": (1, -1), "down": (1, 1)}


@pytest.mark.parametrize(("direction", "axis_and_sign"), SIGNS.items())
def test_swipes_go_where_they_are_named(direction, axis_and_sign):
    axis, sign = axis_and_sign
    for seed in range(5):
        plan = PLANS[f"swipe {direction}"](np.random.default_rng(seed))
        way = plan.at(plan.end).place - plan.at(plan.begin).place
        assert sign * way[axis] > 2
        times, places = path(plan, 4000)
        speeds = np.linalg.norm(np.diff(places, axis=0), axis=1) / np.diff(times)
        assert 9 < speeds.max() < 31  # palm lengths a second


@pytest.mark.parametrize(("name", "sense"), [("clockwise", 1), ("counterclockwise", -1)])
def test_circles_go_around_once_in_their_sense(name, sense):
    for seed in range(5):
        plan = PLANS[f"circle {name}"](np.random.default_rng(seed))
        _, places = path(plan, 2000)
        # The signed area of a closed path (the shoelace formula); y downwards, so that clockwise
        # is positive.
        x, y = places[:, 0], places[:, 1]
        area = 0.5 * np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)
        width, height = np.ptp(x), np.ptp(y)
        assert sense * area == pytest.approx(pi / 4 * width * height, rel=0.05)


def test_frames_come_at_12_to_60_a_second_and_one_in_ten_may_fail():
    for seed in range(20):
        times = np.array(list(frame_times(2.0, np.random.default_rng(seed))))
        assert (np.diff(times) > 0).all()
        assert 12 * 0.9 * 0.8 < len(times) / 2.0 < 60 / 0.9
        assert times[-1] < 2.0
