"""What the named postures show, on the meshes where they are there."""

import os
from pathlib import Path

import numpy as np
import pytest

from handheld.hands import GestureTable, HandResult
from handheld.hands.motion.learned import FEATURES
from handheld.hands.training.gestures.classifier import NAMES, GestureConfig, rendered_examples
from handheld.hands.training.gestures.motion import (
    MotionConfig,
    label_at,
    mirrored,
    motion_windows,
    tracked_film,
)
from handheld.hands.training.gestures.motions import PLANS, MotionPlan, draw_motion_scene
from handheld.hands.training.gestures.postures import OTHERS, SHAPES, SHOWN, gesture_of
from handheld.hands.training.gestures.rendered import draw_gesture, photograph
from handheld.hands.training.render.people import draw_person
from handheld.hands.training.render.placing import place_hand
from handheld.hands.training.render.sources import open_sources
from handheld.media import Rect

MESHES = Path(os.environ.get("HANDHELD_DATA", "")) / "hands" / "mesh"
needs_meshes = pytest.mark.skipif(
    not MESHES.is_dir(), reason="the hand's mesh is not in HANDHELD_DATA"
)


@pytest.mark.parametrize(
    ("thumb", "expected"),
    [((0, -1), "thumb up"), ((0, 1), "thumb down"), ((1, 1), None), ((-1, -0.5), None)],
)
def test_a_fist_with_its_thumb_out_shows_where_the_thumb_points(thumb, expected):
    assert gesture_of("thumb", thumb) == expected
    assert gesture_of("ok", thumb) == "ok"


def result(points):
    points = points.astype(np.float32)
    return HandResult(0, Rect(0, 0, 1, 1), 1.0, "Right", 1.0, points * 1000, points)


@needs_meshes
def test_rules_name_the_postures_as_their_labels_do():
    person = draw_person(open_sources(), "p", np.random.default_rng(0))
    table = GestureTable.load("signs")
    # The palm towards the camera, fingers up: across to the right, along up, out towards it.
    facing = np.array([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]])
    for name in SHAPES:
        if name in ("six", "seven", "eight"):
            continue  # of the american table
        for pose in SHOWN[name]:
            hand = place_hand(person, "Right", pose, facing, np.array([0, 0, 0.5]))
            assert table.recognise(result(hand.keypoints)) == name


def test_hands_that_show_none_differ_from_each_gesture_by_a_finger():
    for other in OTHERS:
        for poses in SHOWN.values():
            for pose in poses:
                bends = np.degrees(other.bend.sum(axis=1) - pose.bend.sum(axis=1))
                moved = abs(np.degrees(other.opposition - pose.opposition))
                assert max(np.abs(bends).max(), moved) > 25


@needs_meshes
def test_a_drawn_gesture_is_the_same_again_and_its_picture_shows_a_hand():
    sources = open_sources()
    person = draw_person(sources, "p", np.random.default_rng(0))
    first, again = (draw_gesture(person, "ok", np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first.hand.keypoints, again.hand.keypoints)
    assert first.gesture == "ok"
    assert draw_gesture(person, None, np.random.default_rng(3)).gesture is None
    picture = photograph([first.hand], sources, np.random.default_rng(0))
    assert picture.pixels.shape == (320, 320, 3)
    (hand,) = picture.hands
    # Looked at straight on: the palm is in the middle.
    middle = hand.keypoints[[0, 5, 9, 13, 17], :2].mean(axis=0)
    assert middle == pytest.approx((160, 160), abs=8)


@needs_meshes
def test_examples_of_all_gestures_and_of_none():
    examples = rendered_examples(GestureConfig(rendered=200, people=2), 1, 200)
    assert examples.features.shape == (200, 65)
    assert np.isfinite(examples.features).all()
    assert 50 < (examples.labels == NAMES.index("none")).sum() < 110


def plan(name, begin, end):
    return MotionPlan(name, 3.0, begin, end, lambda seconds: None)


def test_a_window_shows_a_motion_at_its_end_and_a_little_after():
    swipe = plan("swipe left", 1.0, 1.4)
    expected = {
        0.5: "none",
        1.3: None,
        1.4: "swipe left",
        1.6: "swipe left",
        1.7: None,
        2.5: "none",
    }
    assert {seconds: label_at(swipe, seconds) for seconds in expected} == expected
    # A wave is one before it is over.
    wave = plan("wave", 1.0, 2.0)
    assert label_at(wave, 1.75) == "wave"
    assert label_at(plan("reach", 1.0, 1.4), 1.4) == "none"


@needs_meshes
def test_windows_in_a_mirror_are_those_of_the_mirrored_motion():
    windows = motion_windows(MotionConfig(films=10, people=1), 0, 1, lambda *_: None)
    assert windows.features.shape[1] == FEATURES
    # Each is followed by itself in a mirror.
    for window, other in zip(windows.features[::2], windows.features[1::2], strict=True):
        np.testing.assert_array_equal(mirrored(window), other)


@needs_meshes
def test_a_made_film_moves_as_its_plan_says():
    random = np.random.default_rng(0)
    swipe = PLANS["swipe right"](random)
    person = draw_person(open_sources(), "p", np.random.default_rng(0))
    film = list(tracked_film(swipe, draw_motion_scene(person, random), random))
    centres = {t_us / 1e6: hand.centre[0] / hand.size for t_us, hand in film}
    before = [x for seconds, x in centres.items() if seconds < swipe.begin]
    after = [x for seconds, x in centres.items() if swipe.end < seconds < swipe.end + 0.3]
    assert np.mean(after) - np.mean(before) > 1.5  # palm lengths to the right
