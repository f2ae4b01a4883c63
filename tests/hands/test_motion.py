"""Motions by formulas of their own: straight lines, sines and circles in palm lengths."""

import json
from dataclasses import replace
from math import cos, pi, sin

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import open_hand

from handheld.errors import InputError, ModelError, TimestampError
from handheld.hands import HandResult, MotionEvent, MotionRecogniser, count
from handheld.hands.motion.learned import (
    CHANNELS,
    FEATURES,
    SHIPPED,
    WINDOW,
    LearnedDetector,
    window_features,
)
from handheld.hands.motion.moments import MomentMaker
from handheld.hands.perceptron import Perceptron
from handheld.media import Rect

FINGERS = {"index": 5, "middle": 9, "ring": 13, "pinky": 17}


def fold(points, *fingers):
    """Fold fingers into the palm, each segment turned by 80 degrees more than the one before."""
    for finger in fingers:
        first = FINGERS[finger]
        bend = 0.0
        for joint in range(first + 1, first + 4):
            bend += 80 * pi / 180
            step = 0.25 * np.array([0, -cos(bend), -sin(bend)])
            points[joint] = points[joint - 1] + step
    return points


def standing(*, folded=(), gap=None):
    """A hand of palm length 1 with its wrist at (0, 0); ``gap``: between thumb and index tip."""
    points = fold(open_hand(size=1.0).astype(np.float64), *folded)
    if gap is not None:
        points[4] = points[8] + (-gap, 0, 0)
    return points


OPEN = standing()
POINTING = standing(folded=("middle", "ring", "pinky"))
FIST = standing(folded=FINGERS)


def result(points, *, size=100.0, at=(300, 300), hand_id=0):
    pixels = points * size + np.array([*at, 0])
    return HandResult(
        id=hand_id,
        roi=Rect(0, 0, 1, 1),
        score=1.0,
        landmarks=pixels.astype(np.float32),
        world=(points / 10).astype(np.float32),
    )


def turned(points, roll):
    c, s = cos(roll), sin(roll)
    flat = points[:, :2] @ np.array([[c, s], [-s, c]])
    return np.concatenate([flat, points[:, 2:]], axis=1)


def swept(way, seconds, *, begin=0.5, points=OPEN):
    """A hand that rests, goes ``way`` at an even pace, and rests."""

    def at(time):
        share = min(max((time - begin) / seconds, 0), 1)
        return points + share * np.array([*way, 0])

    return at


def waved(rate, roll, *, cycles=3, begin=0.4, points=OPEN):
    def at(time):
        inside = begin < time < begin + cycles / rate
        return turned(points, roll * sin(2 * pi * rate * (time - begin)) if inside else 0.0)

    return at


def circled(radius, seconds, *, sense=1, begin=0.4, around=2 * pi, points=POINTING):
    def at(time):
        angle = sense * around * min(max((time - begin) / seconds, 0), 1)
        return points + radius * np.array([cos(angle) - 1, sin(angle), 0])

    return at


def closed(seconds, *, begin=0.4, apart=0.8, together=0.2, folded=()):
    def at(time):
        share = min(max((time - begin) / seconds, 0), 1)
        return standing(folded=folded, gap=apart + share * (together - apart))

    return at


def events(
    at, *, seconds=2.5, rate=30.0, size=100.0, jitter=0.0, lost=(), scale=None, method="rules"
):
    """What is told of a motion that is seen so many times a second."""
    random = np.random.default_rng(0)
    recogniser = MotionRecogniser(method)
    told = []
    for index in range(round(seconds * rate)):
        time = index / rate
        if any(begin <= time < end for begin, end in lost):
            told += recogniser.update([], round(time * 1e6))
            continue
        points = at(time) + random.normal(0, jitter, (21, 3))
        pixels = size * (scale(time) if scale else 1)
        told += recogniser.update([result(points, size=pixels)], round(time * 1e6))
    return told + recogniser.finish()


def names(*arguments, **options):
    return [event.name for event in events(*arguments, **options)]


WAYS = {"left": (-3, 0), "right": (3, 0), "up": (0, -3), "down": (0, 3)}


@pytest.mark.parametrize(("direction", "way"), WAYS.items())
@pytest.mark.parametrize("rate", [15.0, 30.0, 60.0])
@pytest.mark.parametrize("size", [30.0, 300.0])
def test_a_swipe_is_told_once_at_any_rate_and_size(direction, way, rate, size):
    (event,) = events(swept(way, 0.25), rate=rate, size=size, jitter=0.01)
    assert event.name == f"swipe {direction}"
    # A frame and the 0.06 s that speeds are measured over.
    tolerance = 1 / rate + 0.07
    assert event.begin_us / 1e6 == pytest.approx(0.5, abs=tolerance)
    assert event.end_us / 1e6 == pytest.approx(0.75, abs=tolerance)


SPEEDS = {
    "12 palm lengths a second": (0.25, ["swipe right"]),
    "3 palm lengths a second": (1.0, []),
}


@pytest.mark.parametrize(("seconds", "expected"), SPEEDS.values(), ids=SPEEDS)
def test_a_slow_hand_only_goes_somewhere(seconds, expected):
    assert names(swept((3, 0), seconds)) == expected


@pytest.mark.parametrize("way", [(2.2, 2.2), (-2.2, 2.2)])
def test_a_diagonal_is_no_swipe(way):
    assert names(swept(way, 0.25)) == []


def test_a_fist_does_not_swipe():
    assert names(swept((3, 0), 0.25, points=FIST)) == []


def test_a_hand_that_comes_nearer_does_not_swipe():
    assert names(swept((3, 0), 0.25), scale=lambda time: 1.0 if time < 0.5 else 1.8) == []


def test_the_way_back_is_no_swipe():
    out = swept((3, 0), 0.25)
    back = swept((-3, 0), 0.25, begin=1.1)
    assert names(lambda time: out(time) + back(time) - OPEN) == ["swipe right"]


def test_a_hand_that_turns_back_at_once_does_not_swipe():
    out = swept((3, 0), 0.2)
    back = swept((-3, 0), 0.2, begin=0.7)
    assert names(lambda time: out(time) + back(time) - OPEN) == []


def test_a_swipe_out_of_the_picture_ends_where_the_hand_was_lost():
    (event,) = events(swept((4, 0), 0.4), lost=[(0.8, 2.5)])
    assert event.name == "swipe right"
    assert event.end_us <= 800_000


@pytest.mark.parametrize("rate", [20.0, 30.0, 60.0])
@pytest.mark.parametrize("points", [OPEN, OPEN * (-1, 1, 1)], ids=["one side", "the other"])
def test_a_wave_is_told_once_with_its_begin_and_end(rate, points):
    (event,) = events(waved(2.0, 0.4, points=points), rate=rate, seconds=3.5, jitter=0.01)
    assert event.name == "wave"
    # Three cycles at 2 a second.
    assert event.begin_us / 1e6 == pytest.approx(0.4, abs=0.1)
    assert event.end_us / 1e6 == pytest.approx(1.9, abs=0.1)


NO_WAVES = {
    "a tremor": waved(6.0, 0.05),
    "a finger that wags": waved(2.0, 0.4, points=POINTING),
    "a fist": waved(2.0, 0.4, points=FIST),
    "one cycle": waved(2.0, 0.4, cycles=1),
    "a slow sway": waved(0.5, 0.4),
    "fingers down": waved(2.0, 0.4, points=OPEN * (1, -1, 1)),
}


@pytest.mark.parametrize("at", NO_WAVES.values(), ids=NO_WAVES)
def test_what_is_nearly_a_wave_is_none(at):
    assert names(at, seconds=8) == []


@pytest.mark.parametrize("rate", [15.0, 30.0, 60.0])
def test_a_pinch_is_told_once_from_apart_to_touching(rate):
    told = events(closed(0.2), rate=rate)
    (event,) = told
    assert event.name == "pinch"
    # From 0.8 to 0.2 palm lengths in 0.2 s: 0.6 is passed after 0.067 s, 0.34 after 0.153 s.
    assert event.begin_us / 1e6 == pytest.approx(0.467, abs=1 / rate + 1e-3)
    assert event.end_us / 1e6 == pytest.approx(0.553, abs=1 / rate + 1e-3)


def test_two_pinches_are_two():
    def at(time):
        return standing(gap=0.5 + 0.35 * cos(2 * pi * time))

    # 0.85 apart at 0 and 1 s, 0.15 at 0.5 and 1.5 s.
    assert names(at, seconds=2) == ["pinch", "pinch"]


NO_PINCHES = {
    "tips that come near": closed(0.2, together=0.45),
    "tips that close slowly": closed(2.0),
    "tips that touch from the start": closed(0.2, apart=0.2),
    "a fist": closed(0.2, folded=tuple(FINGERS)),
}


@pytest.mark.parametrize("at", NO_PINCHES.values(), ids=NO_PINCHES)
def test_what_is_nearly_a_pinch_is_none(at):
    assert names(at, seconds=3) == []


def test_no_pinch_of_fingers_outside_the_picture():
    recogniser = MotionRecogniser()
    at = closed(0.2)
    told = []
    for index in range(60):
        hand = result(at(index / 30), at=(10, 300))  # the thumb's tip is left of the picture
        told += recogniser.update([hand], index * 33_333, size=(600, 800))
    assert told == []


@pytest.mark.parametrize("rate", [20.0, 30.0, 60.0])
@pytest.mark.parametrize(("sense", "name"), [(1, "clockwise"), (-1, "counterclockwise")])
def test_a_circle_is_told_as_it_closes(rate, sense, name):
    (event,) = events(circled(1.0, 1.0, sense=sense), rate=rate, jitter=0.01)
    assert event.name == f"circle {name}"
    assert event.begin_us / 1e6 == pytest.approx(0.4, abs=0.15)
    assert event.end_us / 1e6 == pytest.approx(1.4, abs=0.15)


def test_two_turns_are_two_circles():
    assert names(circled(1.0, 2.0, around=4 * pi), seconds=3) == ["circle clockwise"] * 2


def eight(time):
    """A lying figure of eight, whose two halves turn opposite ways."""
    angle = 2 * pi * min(max((time - 0.4) / 1.2, 0), 1)
    return POINTING + np.array([2 * sin(angle), sin(2 * angle), 0])


NO_CIRCLES = {
    "half a circle": circled(1.0, 0.6, around=pi),
    "a small one": circled(0.2, 0.8),
    "one that takes too long": circled(1.0, 4.5),
    "an open hand": circled(1.0, 1.0, points=OPEN),
    "a fist": circled(1.0, 1.0, points=FIST),
    "a finger that wags": waved(2.0, 0.4, points=POINTING),
    "there and back": lambda time: POINTING + np.array([2 * sin(pi * min(time, 2)), 0, 0]),
    "an eight": eight,
    "an ellipse that is almost a line": lambda time: (
        circled(1.0, 1.0)(time) * (1, 0.3, 1) + POINTING * (0, 0.7, 0)
    ),
}


@pytest.mark.parametrize("at", NO_CIRCLES.values(), ids=NO_CIRCLES)
def test_what_is_nearly_a_circle_is_none(at):
    assert names(at, seconds=6) == []


MOTIONS = {
    "swipe left": swept((-3, 0), 0.25),
    "wave": waved(2.0, 0.4),
    "pinch": closed(0.2),
    "circle clockwise": circled(1.0, 1.0),
}


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(sorted(MOTIONS)),
    rate=st.floats(24, 90),
    size=st.floats(20, 400),
    start=st.floats(0.6, 1.4),
)
def test_neither_rate_nor_size_nor_one_lost_frame_matters(name, rate, size, start):
    lost = [(start, start + 1 / rate)]
    assert names(MOTIONS[name], rate=rate, size=size, seconds=3, lost=lost) == [name]


def test_a_hand_that_rests_shows_nothing():
    assert names(lambda time: OPEN, seconds=5, jitter=0.03) == []


def test_each_hand_has_motions_of_its_own():
    recogniser = MotionRecogniser()
    told = []
    swipe, pinch = MOTIONS["swipe left"], MOTIONS["pinch"]
    for index in range(75):
        time = index / 30
        first = result(swipe(time), hand_id=4)
        second = result(pinch(time), hand_id=7, at=(900, 300))
        # In any order: a hand is known by its id.
        hands = [first, second] if index % 2 else [second, first]
        told += recogniser.update(hands, index * 33_333)
    assert [(event.name, event.hand_id) for event in told] == [("pinch", 7), ("swipe left", 4)]


def test_a_hand_that_was_gone_begins_anew():
    # It is away for the middle of its swipe: what is left is no motion.
    assert names(swept((6, 0), 0.6), lost=[(0.55, 1.05)]) == []


def test_a_long_gap_ends_a_wave():
    (event,) = events(waved(2.0, 0.4, cycles=12), seconds=5, lost=[(2.0, 5.0)])
    assert event.name == "wave"
    assert event.end_us <= 2_000_000


def test_time_that_runs_back_is_refused_and_a_new_stream_is_not():
    recogniser = MotionRecogniser()
    recogniser.update([], 100)
    for t_us in (100, 50):
        with pytest.raises(TimestampError, match="call finish"):
            recogniser.update([], t_us)
    assert recogniser.finish() == []
    assert recogniser.update([], 0) == []


def test_two_hands_of_one_id_are_refused():
    hands = [result(OPEN), result(OPEN)]
    with pytest.raises(InputError, match="an id for each hand"):
        MotionRecogniser().update(hands, 0)


def test_hands_without_landmarks_or_of_no_length_are_left_out():
    recogniser = MotionRecogniser()
    bare = HandResult(id=0, roi=Rect(0, 0, 1, 1), score=1.0)
    flat = result(np.zeros((21, 3)), hand_id=1)
    assert recogniser.update([bare, flat], 0) == []


@pytest.mark.parametrize("method", ["rules", "learned"])
@pytest.mark.parametrize("number", [np.nan, np.inf, -1e30])
@pytest.mark.parametrize("field", ["landmarks", "world"])
def test_a_frame_whose_keypoints_are_no_numbers_is_a_lost_one(method, number, field):
    told = []
    recogniser = MotionRecogniser(method)
    for index in range(60):
        hand = result(swept((3, 0), 0.3)(index / 30))
        if index == 8:
            hand = replace(hand, **{field: np.full((21, 3), number, np.float32)})
        told += recogniser.update([hand], round(index / 30 * 1e6))
    assert [event.name for event in told + recogniser.finish()] == ["swipe right"]


@pytest.mark.parametrize("t_us", [np.nan, np.inf, 0.5, "0", None, True, 10**30])
def test_a_time_that_is_no_whole_number_is_refused_and_changes_nothing(t_us):
    recogniser = MotionRecogniser("learned")
    with pytest.raises(InputError, match="t_us: expected a whole number"):
        recogniser.update([result(OPEN)], t_us)
    assert recogniser.update([result(OPEN)], -5) == []


def test_numbers_of_numpy_are_told_as_json():
    recogniser = MotionRecogniser()
    told = []
    for index in range(60):
        hand = result(swept((3, 0), 0.3)(index / 30), hand_id=np.int64(7))
        told += recogniser.update([hand], np.uint64(round(index / 30 * 1e6)))
    (event,) = json.loads(json.dumps([event.to_json() for event in told]))
    assert (event["name"], event["hand_id"]) == ("swipe right", 7)


@pytest.mark.parametrize("size", [(480,), (480, 640, 3), 480])
def test_a_size_is_height_and_width(size):
    with pytest.raises(InputError, match="size: expected height and width"):
        MotionRecogniser().update([result(OPEN)], 0, size=size)
    with pytest.raises(InputError, match="size: expected height and width"):
        count([result(OPEN)], "chinese", size=size)


def test_a_picture_without_height_is_none():
    with pytest.raises(InputError, match=r"size: expected a number in \(0, "):
        MotionRecogniser().update([result(OPEN)], 0, size=(0, 640))


def moments(at, *, seconds, rate=30.0):
    maker = MomentMaker()
    made = []
    for index in range(round(seconds * rate) + 1):
        hand = result(at(index / rate))
        made.append(maker.make(hand, hand.landmarks, round(index / rate * 1e6), None))
    return made


def test_a_window_holds_a_steady_motion_as_a_straight_line_at_any_rate():
    # 2 palm lengths a second to the right, for longer than the window.
    def at(time):
        return OPEN + np.array([2 * time, 0, 0])

    for rate in (15.0, 47.0):
        channels = window_features(moments(at, seconds=3, rate=rate)).reshape(CHANNELS, -1)
        expected = np.linspace(-2 * WINDOW, 0, channels.shape[1])
        np.testing.assert_allclose(channels[0], expected, atol=0.01)
        np.testing.assert_allclose(channels[1], 0, atol=0.01)
        np.testing.assert_allclose(channels[7], 1)  # all four fingers are straight


def test_before_a_hand_was_seen_it_counts_as_resting():
    (channels,) = [window_features(moments(lambda time: OPEN, seconds=0))]
    assert channels.shape == (FEATURES,)
    rows = channels.reshape(CHANNELS, -1)
    assert (rows == rows[:, :1]).all()


def far_right():
    """A network that is sure of a swipe where the palm was 2 palm lengths or more to the left at
    the window's begin.
    """
    first = np.zeros((FEATURES, 1), np.float32)
    first[0] = -10
    second = np.array([[1, 0]], np.float32)
    biases = (np.array([-20], np.float32), np.array([-5, 0], np.float32))
    return Perceptron(("swipe right", "none"), (first, second), biases, 0.9)


def test_the_learned_detector_tells_once_what_the_network_is_sure_of():
    detector = LearnedDetector(far_right())
    # 3 palm lengths from 0.5 to 1 s, then at rest: the window forgets them 1.6 s later.
    spans = [detector.update(moment) for moment in moments(swept((3, 0), 0.5), seconds=4)]
    (span,) = [span for span in spans if span]
    assert span.name == "swipe right"
    assert span.begin.seconds == pytest.approx(0.5, abs=0.04)
    # 10 (x - 2) - 5 is sure enough from a logit of 2.2 on: at 2.72 palm lengths, after 0.453 s.
    assert span.end.seconds == pytest.approx(0.953, abs=0.04)


def test_the_learned_detector_tells_the_next_one_when_the_last_is_over():
    detector = LearnedDetector(far_right())
    first, second = swept((3, 0), 0.5), swept((3, 0), 0.5, begin=3.5)

    def at(time):
        return first(time) + second(time) - OPEN

    spans = [detector.update(moment) for moment in moments(at, seconds=6)]
    assert [span.name for span in spans if span] == ["swipe right"] * 2


@pytest.mark.parametrize("name", MOTIONS)
def test_the_network_that_ships_knows_motions_by_formulas_too(name):
    assert names(MOTIONS[name], seconds=3, method="learned") == [name]


@pytest.mark.parametrize("rate", [15.0, 30.0, 60.0])
@pytest.mark.parametrize("waves", [1.5, 2.0, 2.5])
@pytest.mark.parametrize("roll", [0.4, 0.5])
def test_the_network_that_ships_knows_waves_of_the_wrist_alone(rate, waves, roll):
    """Of 23 degrees to each side it missed a third: nearly all that it had learned from swayed."""
    at = waved(waves, roll)
    assert names(at, seconds=3.5, rate=rate, jitter=0.01, method="learned") == ["wave"]


NONE_LEARNED = {
    "fingers that hang down": waved(2.0, 0.4, points=OPEN * (1, -1, 1)),
    "an open hand that goes round": circled(1.0, 1.0, points=OPEN),
    "a finger that wags": waved(2.0, 0.4, points=POINTING),
    "a slow sway": waved(0.5, 0.4),
}


@pytest.mark.parametrize("at", NONE_LEARNED.values(), ids=NONE_LEARNED)
def test_the_network_that_ships_takes_what_is_nearly_a_motion_for_none(at):
    assert names(at, seconds=6, jitter=0.01, method="learned") == []


def test_the_network_that_ships_tells_nothing_of_a_hand_that_rests_or_trembles():
    for at in (lambda time: OPEN, waved(6.0, 0.05), swept((3, 0), 1.5)):
        assert names(at, seconds=4, jitter=0.01, method="learned") == []


def test_another_method_is_refused():
    with pytest.raises(
        InputError, match=r"method: expected rules, learned or an \.npz file, got 'guess'"
    ):
        MotionRecogniser("guess")


def test_a_trained_network_is_taken_from_its_file(tmp_path):
    mine = tmp_path / "mine.npz"
    mine.write_bytes(SHIPPED.read_bytes())
    at = swept((3, 0), 0.35)
    assert names(at, method=mine) == names(at, method="learned")
    with pytest.raises(ModelError, match=r"other\.npz: "):
        MotionRecogniser(tmp_path / "other.npz")


def test_an_event_as_json():
    event = MotionEvent("wave", 3, 100, 200)
    expected = {"name": "wave", "hand_id": 3, "begin_us": 100, "end_us": 200}
    assert event.to_json() == expected
