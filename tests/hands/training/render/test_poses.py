import numpy as np
import pytest

from handheld.hands.training.render.poses import GESTURES, blend

STRAIGHT = {
    "fist": 0,
    "thumb_up": 0,
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 4,
    "open_palm": 4,
}


@pytest.mark.parametrize(("name", "count"), STRAIGHT.items())
def test_a_gesture_holds_its_fingers_straight(name: str, count: int) -> None:
    assert (GESTURES[name].bend[1:].sum(axis=1) < 0.5).sum() == count


def test_half_a_blend_is_the_mean_angle() -> None:
    start, end = GESTURES["fist"], GESTURES["thumb_up"]
    middle = blend(start, end, 0.5)
    np.testing.assert_allclose(middle.bend, (start.bend + end.bend) / 2)
    assert middle.wrist == pytest.approx(np.add(start.wrist, end.wrist) / 2)
    assert middle.opposition == pytest.approx((start.opposition + end.opposition) / 2)


@pytest.mark.parametrize(("share", "name"), [(0.0, "one"), (1.0, "five")])
def test_a_blend_begins_and_ends_at_its_poses(share: float, name: str) -> None:
    mixed = blend(GESTURES["one"], GESTURES["five"], share)
    np.testing.assert_allclose(mixed.bend, GESTURES[name].bend)
    np.testing.assert_allclose(mixed.spread, GESTURES[name].spread)
