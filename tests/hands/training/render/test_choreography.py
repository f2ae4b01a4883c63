import numpy as np
import pytest

from handheld.hands.training.render.choreography import SECONDS, Placement, hand_at
from handheld.hands.training.render.mesh import Handedness, HandMesh, mirrored
from handheld.hands.training.render.poses import GESTURES
from handheld.hands.training.render.rig import rig_of

STILL = np.zeros(6)


@pytest.mark.parametrize("left", [False, True])
def test_an_unturned_hand_points_up_with_its_palm_to_the_camera(
    stick: HandMesh, left: bool
) -> None:
    rig = rig_of(mirrored(stick) if left else stick)
    points = np.array([(0, 0, 0), (0, 0.1, 0), (0, 0, 0.1), (0.1, 0, 0)]) * (
        -1 if left else 1,
        1,
        1,
    )
    wrist, along, out, thumb = Placement((0.1, 0.2, 0.5)).apply(rig, points)
    np.testing.assert_allclose(wrist, (0.1, 0.2, 0.5), atol=1e-7)
    np.testing.assert_allclose(along - wrist, (0, -0.1, 0), atol=1e-7)
    np.testing.assert_allclose(out - wrist, (0, 0, -0.1), atol=1e-7)
    # The person faces the camera: the right hand's thumb is on the picture's right, the left hand's
    # on its left.
    np.testing.assert_allclose(thumb - wrist, (-0.1 if left else 0.1, 0, 0), atol=1e-7)


@pytest.mark.parametrize(
    ("place", "fingers"),
    [
        (Placement((0, 0, 0), roll=90), (0.1, 0, 0)),
        (Placement((0, 0, 0), pitch=90), (0, 0, -0.1)),
        (Placement((0, 0, 0), yaw=90), (0, -0.1, 0)),
    ],
)
def test_each_turn_has_its_way(
    stick: HandMesh, place: Placement, fingers: tuple[float, ...]
) -> None:
    np.testing.assert_allclose(
        place.apply(rig_of(stick), np.array([(0, 0.1, 0)]))[0], fingers, atol=1e-7
    )


@pytest.mark.parametrize(
    ("hand", "seconds", "gesture"),
    [
        ("Right", 0.5, "open_palm"),
        ("Right", 1.7, "two"),
        ("Right", 2.7, "one"),
        ("Right", 3.5, "fist"),
        ("Right", 4.5, "thumb_up"),
        ("Left", 0.3, "one"),
        ("Left", 1.2, "two"),
        ("Left", 2.2, "three"),
        ("Left", 3.0, "four"),
        ("Left", 4.0, "five"),
    ],
)
def test_the_gestures_come_in_order(hand: Handedness, seconds: float, gesture: str) -> None:
    pose, _ = hand_at(hand, seconds, STILL)
    np.testing.assert_allclose(pose.bend, GESTURES[gesture].bend)


@pytest.mark.parametrize("hand", ["Right", "Left"])
def test_no_hand_jumps(hand: Handedness) -> None:
    moments = np.arange(0, SECONDS, 0.01)
    seen = [hand_at(hand, float(moment), STILL) for moment in moments]
    steps = np.diff([place.wrist for _, place in seen], axis=0)
    assert np.linalg.norm(steps, axis=1).max() < 0.03
    assert np.abs(np.diff([pose.bend for pose, _ in seen], axis=0)).max() < 0.3


def test_the_hands_keep_apart() -> None:
    for moment in np.arange(0, SECONDS, 0.1):
        right, left = (
            hand_at(hand, float(moment), STILL)[1].wrist[0] for hand in ("Right", "Left")
        )
        assert left - right > 0.2
