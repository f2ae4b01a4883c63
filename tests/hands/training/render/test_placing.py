from pathlib import Path

import numpy as np
import pytest

from handheld.hands.training.render.mesh import Handedness
from handheld.hands.training.render.people import RenderedPerson, draw_person
from handheld.hands.training.render.placing import PlacedHand, is_shown, joints, place_hand
from handheld.hands.training.render.poses import GESTURES
from handheld.hands.training.render.rig import HandPose
from handheld.hands.training.render.sources import open_sources

FACING = np.array([(1.0, 0, 0), (0, -1.0, 0), (0, 0, -1.0)])
"""Across is right, along is up, the palm looks at the camera."""
CENTRE = np.array([0.1, -0.05, 0.6])


@pytest.fixture
def person(data_folder: Path) -> RenderedPerson:
    return draw_person(open_sources(data_folder), "somebody", np.random.default_rng(0))


def placed(
    person: RenderedPerson, handedness: Handedness = "Right", axes: np.ndarray = FACING
) -> PlacedHand:
    bent = GESTURES["open_palm"]
    pose = HandPose(bent.bend, bent.spread, bent.opposition, wrist=(0.5, 0.1))
    return place_hand(person, handedness, pose, axes, CENTRE)


@pytest.mark.parametrize("handedness", ["Right", "Left"])
def test_the_palm_is_where_it_is_put_and_looks_where_it_is_turned(
    person: RenderedPerson, handedness: Handedness
) -> None:
    hand = placed(person, handedness)
    np.testing.assert_allclose(hand.centre, CENTRE, atol=1e-9)
    np.testing.assert_allclose(hand.keypoints[[0, 5, 9, 13, 17]].mean(axis=0), CENTRE, atol=1e-9)
    along = joints(hand)[9] - joints(hand)[0]
    # Straight up in the picture, although the wrist is bent.
    np.testing.assert_allclose(
        hand.to_camera(joints(hand)[[0, 9]]) @ (1, 0, 0), hand.wrist[0], atol=2e-3
    )
    assert np.linalg.norm(along) == pytest.approx(hand.rig.size, rel=1e-5)
    assert hand.keypoints[12, 1] < hand.keypoints[0, 1] - hand.rig.size
    # A right hand's thumb is on the right of a picture that shows its palm.
    assert (hand.keypoints[2, 0] > CENTRE[0]) == (handedness == "Right")


def test_the_forearm_turns_with_the_wrist_and_the_palm_stays(person: RenderedPerson) -> None:
    straight = place_hand(person, "Right", GESTURES["open_palm"], FACING, CENTRE)
    bent = placed(person)
    np.testing.assert_allclose(straight.keypoints, bent.keypoints, atol=2e-3)
    assert np.linalg.norm(straight.shoulder - bent.shoulder) > 0.1


def test_what_is_fixed_to_the_forearm_goes_with_it(person: RenderedPerson) -> None:
    hand = placed(person)
    rig = hand.rig
    bone = rig.mesh.bones.index("lowerarm02.R")
    ends = np.stack([rig.heads[bone], rig.tails[bone]])
    moved = hand.with_forearm(ends)
    np.testing.assert_allclose(moved[1], hand.wrist, atol=1e-6)
    vertices = np.flatnonzero(rig.mesh.influences[:, 0] == bone)
    np.testing.assert_allclose(
        hand.with_forearm(rig.mesh.vertices[vertices]), hand.vertices[vertices], atol=1e-5
    )


def turned(degrees: float) -> np.ndarray:
    """The palm faces the camera; then the hand is tipped so that its fingers point away from it."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return FACING @ np.array([(1, 0, 0), (0, c, -s), (0, s, c)])


@pytest.mark.parametrize(("degrees", "shown"), [(0, True), (40, True), (80, False), (-40, True)])
def test_a_hand_behind_its_own_forearm_is_not_shown(
    person: RenderedPerson, degrees: float, shown: bool
) -> None:
    pose = GESTURES["open_palm"]
    hand = place_hand(person, "Right", pose, turned(degrees), np.array([0.0, 0.0, 0.7]))
    assert is_shown(hand) == shown


def test_an_elbow_at_the_camera_is_not_shown(person: RenderedPerson) -> None:
    hand = place_hand(
        person, "Right", GESTURES["open_palm"], turned(50), np.array([0.0, -0.1, 0.3])
    )
    assert not is_shown(hand)
