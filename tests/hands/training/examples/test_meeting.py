"""The mirror beside an independent one: pixel by pixel, from the definition of a reflection."""

from dataclasses import replace

import numpy as np
import pytest
from tests.hands.training.conftest import open_hand

from handheld.hands.training.examples import meeting
from handheld.hands.training.examples.meeting import draw_mirror, with_mirror_image
from handheld.hands.training.labels import LabelledHand


@pytest.fixture
def hand():
    points = open_hand(60, 110, 30)
    return LabelledHand(points, source="teacher", world=points / 1000, handedness="Right")


def reflected(point, mirror):
    """The point as far behind the line as it is before it."""
    normal = np.array([mirror.x, mirror.y])
    return point - 2 * (np.dot(point, normal) - mirror.distance) * normal


@pytest.fixture
def photo():
    rng = np.random.default_rng(3)
    # Smooth, so that what lies between pixels is about what lies in them.
    coarse = rng.uniform(0, 255, (5, 5, 3))
    rows = np.linspace(0, 3.99, 130)
    low, part = rows.astype(int), (rows % 1)[:, None, None]
    wide = coarse[low] * (1 - part) + coarse[low + 1] * part
    part = (rows % 1)[None, :, None]
    return (wide[:, low] * (1 - part) + wide[:, low + 1] * part).astype(np.uint8)


@pytest.mark.parametrize("seed", range(8))
def test_pixels_behind_the_line_are_those_before_it(photo, hand, seed):
    mirror = draw_mirror(hand, np.random.default_rng(seed))
    met, (one, _) = with_mirror_image(photo, hand, np.random.default_rng(seed))
    corner = hand.keypoints[0, :2] - one.keypoints[0, :2]
    compared = 0
    for y, x in np.ndindex(met.shape[:2]):
        there = np.array([x, y]) + corner
        if np.dot(there, [mirror.x, mirror.y]) > mirror.distance:
            there = reflected(there, mirror)
        column, row = np.round(there).astype(int)
        if 0 <= column < 130 and 0 <= row < 130:
            compared += 1
            assert np.abs(met[y, x].astype(int) - photo[row, column]).max() <= 6
    # All of the photo that is before the line, and nearly all of it once more.
    assert compared > 130 * 130 / 2


@pytest.mark.parametrize("seed", range(8))
def test_both_hands_are_whole_and_in_the_picture(photo, hand, seed):
    mirror = draw_mirror(hand, np.random.default_rng(seed))
    met, (one, other) = with_mirror_image(photo, hand, np.random.default_rng(seed))
    corner = hand.keypoints[0, :2] - one.keypoints[0, :2]
    assert np.array_equal(corner, np.round(corner))
    for before, here, there in zip(hand.keypoints, one.keypoints, other.keypoints, strict=True):
        assert here[:2] + corner == pytest.approx(before[:2])
        assert there[:2] + corner == pytest.approx(reflected(before[:2], mirror), abs=1e-3)
        assert here[2] == there[2] == before[2]
    height, width = met.shape[:2]
    for points in (one.keypoints[:, :2], other.keypoints[:, :2]):
        assert (points >= 0).all()
        assert (points < (width, height)).all()
    # No farther apart than the gap: they touch, or nearly do.
    palm = np.linalg.norm(hand.keypoints[9, :2] - hand.keypoints[0, :2])
    nearest = np.linalg.norm(one.keypoints[:, None, :2] - other.keypoints[None, :, :2], axis=2)
    assert nearest.min() <= 2 * meeting._GAP[1] * palm + 1e-3
    # The other hand of the same person, as far from the camera.
    assert (one.handedness, other.handedness) == ("Right", "Left")
    lengths = [np.linalg.norm(np.diff(each.world, axis=0), axis=1) for each in (one, other)]
    assert lengths[0] == pytest.approx(lengths[1], abs=1e-6)
    # In its own axes a world is mirrored as the keypoints are.
    ours = np.diff(one.world[:, :2], axis=0)
    theirs = np.diff(other.world[:, :2], axis=0)
    drawn = np.diff(other.keypoints[:, :2], axis=0)
    assert theirs == pytest.approx(drawn / 1000, abs=1e-5)
    assert not np.allclose(ours, theirs)


def test_the_mirror_is_never_on_the_side_of_the_arm(hand):
    along = hand.keypoints[9, :2] - hand.keypoints[0, :2]
    for seed in range(200):
        mirror = draw_mirror(hand, np.random.default_rng(seed))
        length = np.linalg.norm(along)
        assert np.dot(along, [mirror.x, mirror.y]) / length >= np.cos(meeting._MOST_TURN) - 1e-6
        assert np.hypot(mirror.x, mirror.y) == pytest.approx(1)


def test_what_is_not_known_of_a_hand_is_not_known_of_its_image(photo, hand):
    points = hand.keypoints.copy()
    points[[8, 12]] = np.nan
    unsure = replace(hand, keypoints=points, world=None, handedness=None)
    unsure = replace(unsure, box=np.array([5, 5, 20, 20]))
    _, (one, other) = with_mirror_image(photo, unsure, np.random.default_rng(0))
    for each in (one, other):
        assert each.box is None
        assert np.flatnonzero(np.isnan(each.keypoints[:, 0])).tolist() == [8, 12]
        assert each.world is None
        assert each.handedness is None
