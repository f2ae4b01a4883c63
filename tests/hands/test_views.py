"""Where the palm detector looks."""

import numpy as np
import pytest

from handheld.hands import HandTracker
from handheld.hands.views import is_whole, views_of_still, views_of_stream
from handheld.media import Frame, Rect, letterbox

SIZES = [
    (480, 640),
    (640, 480),
    (360, 640),
    (100, 100),
    (90, 1000),
    (1000, 90),
    (3, 20_000),
    (1, 1),
    (3, 2),
]


def covered(views, height, width):
    """Which pixels of a picture are in a view."""
    rows, columns = np.mgrid[:height, :width] + 0.5
    seen = np.zeros((height, width), bool)
    for view in views:
        across = np.abs(columns - view.x) <= view.width / 2
        seen |= across & (np.abs(rows - view.y) <= view.height / 2)
    return seen


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_frames_are_looked_at_as_a_whole_and_in_turn_closer(height, width):
    views = views_of_stream(height, width)
    assert set(views[::2]) == {letterbox(height, width)}
    closer = views[1::2]
    assert len(set(closer)) == len(closer)
    # What lies in no closer look is a tenth of one at most, on the picture's edge.
    assert covered(closer, height, width).mean() >= 0.9
    assert {view.width for view in closer} == {0.6 * max(height, width)}


def test_a_webcams_picture_has_four_closer_looks_within_it():
    closer = views_of_stream(480, 640)[1::2]
    assert [(view.x, view.y) for view in closer] == [
        pytest.approx(middle) for middle in [(192, 192), (448, 192), (192, 288), (448, 288)]
    ]
    assert len(views_of_stream(360, 640)[1::2]) == 2


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_a_still_is_looked_at_as_a_whole_and_in_parts(height, width):
    whole, *parts = views_of_still(height, width)
    assert whole == letterbox(height, width)
    assert len(parts) != 1
    if parts:
        assert {view.width for view in parts} == {max(min(height, width), max(height, width) / 3)}
        assert len(parts) <= 3
        assert covered(parts, height, width).mean() >= 0.9


def looks(tracker, frames):
    """The views of each frame, by their number."""
    seen = {}
    tracker.observe("views", lambda packet: seen.update({packet.timestamp: packet.payload}))
    for frame in frames:
        tracker.track(frame)
    return [seen.get(frame.t_us, []) for frame in frames]


def test_a_tracker_looks_closer_in_every_other_frame_while_it_sees_no_hand():
    frames = [Frame(np.full((480, 640, 3), 90, np.uint8), 40_000 * i, i) for i in range(10)]
    expected = views_of_stream(480, 640)
    with HandTracker() as tracker:
        assert looks(tracker, frames) == [[expected[index % 8]] for index in range(10)]
    with HandTracker(look_closer=False) as tracker:
        assert looks(tracker, frames) == [[letterbox(480, 640)]] * 10


@pytest.mark.parametrize(
    ("x", "y", "whole"),
    [
        (100, 100, True),
        (10, 100, True),  # beyond the picture's edge, which no other view moves
        (100, 5, True),
        (370, 100, False),  # the view ends within it, the picture goes on
        (100, 380, False),
        (360, 100, True),  # up to the view's edge
    ],
)
def test_what_a_closer_look_cuts_off_is_left_to_another(x, y, whole):
    first = views_of_stream(480, 640)[1]
    assert is_whole(Rect(x, y, 48.0, 48.0, 0.0), first, 480, 640) is whole
    assert is_whole(Rect(x, y, 48.0, 48.0, 0.0), letterbox(480, 640), 480, 640)
