from dataclasses import replace

import numpy as np
import pytest

from handheld.hands.training.render.convention import keypoints_of
from handheld.hands.training.render.mesh import HandMesh, mirrored
from handheld.hands.training.render.rig import HandPose, Rig, posed, rig_of
from handheld.hands.training.render.skinning import Doubles

FLAT = HandPose(np.zeros((5, 3)), np.zeros(5))
INDEX_KNUCKLE, INDEX_MIDDLE, INDEX_TIP = 5, 6, 8


@pytest.fixture(params=["Right", "Left"])
def rig(request: pytest.FixtureRequest, stick: HandMesh) -> Rig:
    return rig_of(stick if request.param == "Right" else mirrored(stick))


def keypoints(rig: Rig, pose: HandPose) -> Doubles:
    """The mesh's own keypoints: along the palm's frame, in metres from the wrist, x towards the
    thumb's side.
    """
    points = keypoints_of(rig, mediapipe=False).posed(posed(rig, pose))
    framed: Doubles = (points - points[0]) @ rig.frame.T * (rig.thumbward, 1, 1)
    return framed


def test_the_palm_is_measured(rig: Rig) -> None:
    assert rig.size == pytest.approx(0.1)
    assert rig.thumbward == (1 if rig.mesh.handedness == "Right" else -1)
    np.testing.assert_allclose(np.abs(rig.frame), np.eye(3), atol=1e-6)
    np.testing.assert_allclose(rig.rest_bend[1:], 0.2, atol=1e-5)
    assert rig.rest_elbow == pytest.approx(np.arctan(1 / 3), abs=1e-5)


def test_no_bend_is_straight(rig: Rig) -> None:
    points = keypoints(rig, FLAT)
    np.testing.assert_allclose(
        points[5:9], [(0.03, y, 0) for y in (0.1, 0.13, 0.16, 0.19)], atol=1e-6
    )


def test_a_finger_bends_towards_the_palm(rig: Rig) -> None:
    bend = np.zeros((5, 3))
    bend[1, 1] = np.pi / 2
    points = keypoints(rig, replace(FLAT, bend=bend))
    np.testing.assert_allclose(points[INDEX_MIDDLE], (0.03, 0.13, 0), atol=1e-6)
    np.testing.assert_allclose(points[INDEX_TIP], (0.03, 0.13, 0.06), atol=1e-6)


def test_a_finger_spreads_towards_the_thumb(rig: Rig) -> None:
    spread = np.array([0, np.pi / 6, 0, 0, 0])
    points = keypoints(rig, replace(FLAT, spread=spread))
    np.testing.assert_allclose(
        points[INDEX_TIP] - points[INDEX_KNUCKLE], (0.045, 0.09 * np.cos(np.pi / 6), 0), atol=1e-6
    )


def test_the_wrist_bends_to_the_palm_and_deviates_to_the_thumb(rig: Rig) -> None:
    np.testing.assert_allclose(
        keypoints(rig, replace(FLAT, wrist=(np.pi / 2, 0.0)))[9], (0, 0, 0.1), atol=1e-6
    )
    np.testing.assert_allclose(
        keypoints(rig, replace(FLAT, wrist=(0.0, np.pi / 2)))[9], (0.1, 0, 0), atol=1e-6
    )


def test_opposition_swings_the_thumb_before_the_palm(rig: Rig) -> None:
    before, after = (
        keypoints(rig, replace(FLAT, spread=np.array([0.5, 0, 0, 0, 0]), opposition=o))[4]
        for o in (0.0, 0.6)
    )
    assert after[2] > before[2] + 0.005


def test_the_forearm_rests_and_the_elbow_is_straight(rig: Rig) -> None:
    transforms = posed(rig, FLAT)
    lower = rig.mesh.bones.index("lowerarm02.R")
    np.testing.assert_allclose(transforms[lower], np.eye(3, 4), atol=1e-9)
    shoulder = transforms[0] @ np.append(rig.heads[0], 1)
    np.testing.assert_allclose(shoulder, (0, -0.3 - np.hypot(0.3, 0.1), 0), atol=1e-6)
