import numpy as np
import pytest

from handheld.hands.training.render.convention import FLESH, MEDIAPIPE_OFFSETS, keypoints_of
from handheld.hands.training.render.mesh import HandMesh, mirrored
from handheld.hands.training.render.poses import GESTURES
from handheld.hands.training.render.rig import posed, rig_of


@pytest.mark.parametrize("left", [False, True])
def test_on_an_open_hand_the_offsets_are_the_table(stick: HandMesh, left: bool) -> None:
    rig = rig_of(mirrored(stick) if left else stick)
    transforms = posed(rig, GESTURES["open_palm"])
    moved = keypoints_of(rig).posed(transforms) - keypoints_of(rig, mediapipe=False).posed(
        transforms
    )
    along, thumbward = rig.frame[1], rig.thumbward * rig.frame[0]
    np.testing.assert_allclose(
        np.stack([moved @ along, moved @ thumbward], axis=1), MEDIAPIPE_OFFSETS * 0.1, atol=1e-9
    )
    np.testing.assert_allclose(moved @ rig.frame[2], 0, atol=1e-9)


def test_a_bent_fingers_tip_moves_along_the_finger(stick: HandMesh) -> None:
    rig = rig_of(stick)
    transforms = posed(rig, GESTURES["fist"])
    ours, theirs = (
        keypoints_of(rig, mediapipe=mediapipe).posed(transforms) for mediapipe in (False, True)
    )
    last_bone = ours[12] - ours[11]
    assert (theirs[12] - ours[12]) @ last_bone == pytest.approx(
        -0.005 * np.linalg.norm(last_bone), rel=0.03
    )


def test_the_middle_joints_are_the_same_in_both_conventions() -> None:
    middles = [3, 6, 7, 10, 11, 14, 15, 18, 19]
    assert not MEDIAPIPE_OFFSETS[middles].any()
    assert (np.delete(MEDIAPIPE_OFFSETS, middles, axis=0).any(axis=1)).all()


def test_every_keypoint_has_its_flesh() -> None:
    assert FLESH.shape == (21,)
    assert ((FLESH > 0.1) & (FLESH < 0.4)).all()
