import numpy as np
import pytest

from handheld.hands.training.render.poses import POSTURES
from handheld.hands.training.render.rig import HandPose
from handheld.hands.training.render.sampling import (
    LIMITS,
    Side,
    draw_axes,
    draw_axes_ahead,
    draw_fist,
    draw_grasp,
    draw_light,
    draw_pose,
    is_tangled,
    limited,
    pick,
)


@pytest.mark.parametrize("draw", [draw_pose, draw_grasp, draw_fist])
def test_every_pose_is_within_the_joints_limits(draw: object) -> None:
    random = np.random.default_rng(0)
    for _ in range(300):
        pose = draw(random)  # type: ignore[operator]
        assert (pose.bend >= LIMITS[..., 0] - 1e-9).all()
        assert (pose.bend <= LIMITS[..., 1] + 1e-9).all()
        assert (np.abs(pose.spread[1:]) <= np.radians(16) + 1e-9).all()
        # A fist is 82 + 98 + 58 degrees; with much more the tip would be inside the palm.
        assert (pose.bend[1:].sum(axis=1) <= np.radians(251)).all()


def test_known_postures_need_no_limits() -> None:
    for name, pose in POSTURES.items():
        np.testing.assert_allclose(limited(pose).bend, pose.bend, atol=0.02, err_msg=name)


def test_a_finger_bent_too_far_keeps_the_shares_of_its_joints() -> None:
    bend = np.zeros((5, 3))
    bend[1] = np.radians((90, 110, 75))
    bent = limited(HandPose(bend, np.zeros(5)))
    np.testing.assert_allclose(bent.bend[1], bend[1] * 250 / 275)


def test_poses_differ_and_depend_on_the_generator_alone() -> None:
    first = [draw_pose(np.random.default_rng(seed)).bend for seed in range(4)]
    again = [draw_pose(np.random.default_rng(seed)).bend for seed in range(4)]
    np.testing.assert_array_equal(first, again)
    assert np.ptp(first, axis=0).min() > 0


def test_a_fist_is_closed() -> None:
    random = np.random.default_rng(0)
    for _ in range(100):
        pose = draw_fist(random)
        # 205 degrees leave a finger out of the palm.
        assert (pose.bend[1:].sum(axis=1) > np.radians(205)).all()


@pytest.mark.parametrize("side", ["palm", "back"])
def test_a_hand_that_is_held_out_points_at_the_camera(side: Side) -> None:
    random = np.random.default_rng(0)
    for _ in range(100):
        axes = draw_axes_ahead(random, side)
        np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-9)
        assert np.linalg.det(axes) == pytest.approx(1)
        _, along, out = axes
        # The camera looks along z.
        assert np.cos(np.radians(50)) - 1e-9 <= -along[2] <= np.cos(np.radians(10)) + 1e-9
        assert (out[2] < 0) == (side == "palm")


@pytest.mark.parametrize(("side", "sign"), [("palm", -1), ("back", 1)])
def test_the_camera_sees_the_side_that_was_asked_for(side: Side, sign: int) -> None:
    random = np.random.default_rng(1)
    drawn = np.array([draw_axes(random, side) for _ in range(400)])
    np.testing.assert_allclose(
        drawn @ drawn.transpose(0, 2, 1), np.tile(np.eye(3), (400, 1, 1)), atol=1e-9
    )
    np.testing.assert_allclose(np.linalg.det(drawn), 1)
    out = drawn[:, 2, 2] * sign
    assert (out > 0).all()
    edge_on = (out < np.cos(np.radians(65))).mean()
    assert 0.08 < edge_on < 0.18
    # Never end-on: half of the hand's length can be seen, and more.
    assert (np.hypot(drawn[:, 1, 0], drawn[:, 1, 1]) > 0.5).all()


def fingers() -> np.ndarray:
    """Five straight fingers of length 3 side by side, 1 apart, from the knuckles at y = 0."""
    joints = np.zeros((21, 3))
    for finger in range(5):
        for bone in range(4):
            joints[1 + 4 * finger + bone] = (finger, bone, 0)
    return joints


def test_fingers_side_by_side_are_not_tangled() -> None:
    # Nearer than 0.085 of the hand's size is too near: 1 apart is just not, in a hand of size 11.
    assert not is_tangled(fingers(), 11.0)
    assert is_tangled(fingers(), 12.0)


def test_a_finger_through_another_is_tangled() -> None:
    crossed = fingers()
    crossed[8] = (2.0, 2.0, 0.0)
    assert is_tangled(crossed, 1.0)
    over = fingers()
    over[8] = (2.0, 2.0, 0.5)
    assert not is_tangled(over, 1.0)


def test_light_comes_from_before_the_hand_and_has_the_rooms_colour() -> None:
    random = np.random.default_rng(2)
    for _ in range(50):
        light = draw_light(random, np.array([0.8, 0.4, 0.2]))
        assert np.linalg.norm(light.towards) == pytest.approx(1)
        assert light.towards[2] < 0
        assert light.sky[0] > light.sky[1] > light.sky[2]
        assert max(light.ground) < max(light.sky)


def test_each_is_picked_equally_often() -> None:
    random = np.random.default_rng(0)
    counts = np.bincount([pick(random, (0, 1, 2)) for _ in range(900)])
    assert (np.abs(counts - 300) < 60).all()
