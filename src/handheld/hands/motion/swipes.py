"""Swipes: one fast, straight stroke of an open hand along an axis of the picture."""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from handheld.hands.motion.events import MotionDetector, MotionSpan
from handheld.hands.motion.moments import Moment, Point

# Palm lengths a second: a stroke begins above the first, ends below the second, and is a swipe if
# it was as fast as the third. A palm length is some 0.1 m; hands that reach for something or sign
# seldom pass 0.8 m/s with the fingers straight, swipes do.
_BEGIN_SPEED = 4.0
_END_SPEED = 2.5
_PEAK_SPEED = 8.0
# Seconds that a speed is measured over: from one frame to the next at 60 a second the jitter of
# keypoints alone would be 2 palm lengths a second.
_LAG = 0.06
# Palm lengths from end to end.
_LEAST_WAY = 1.5
# Seconds: a longer stroke is a hand that goes somewhere.
_LONGEST = 0.6
# Least share of its way that a stroke is long, and of its length that lies along the axis.
_STRAIGHTNESS = 0.9
_ALONG = 0.9
# Of the palm's length in pixels from one end to the other: more is a hand that comes or goes.
_SCALE_CHANGE = 1.35
# Seconds after a stroke: a hand that turns back within the first waves or shakes, and one that goes
# back within the second returns from the swipe.
_SETTLE = 0.2
_RETURN = 1.0
# Cosine of the angle between two strokes that go opposite ways.
_OPPOSITE = -0.7
# The same of two steps of one stroke.
_ONWARD = 0.3


@dataclass(frozen=True)
class _Stroke:
    """A fast way of a hand.

    Attributes:
        moments: of it, in order, at least two.
        peak: its highest speed.
    """

    moments: tuple[Moment, ...]
    peak: float

    @property
    def begin(self) -> Moment:
        return self.moments[0]

    @property
    def end(self) -> Moment:
        return self.moments[-1]

    @property
    def displacement(self) -> Point:
        """(2,) from its begin to its end."""
        return self.end.centre - self.begin.centre

    def name(self) -> str | None:
        """Return which swipe it is, or ``None``."""
        length = float(np.linalg.norm(self.displacement))
        is_short = self.end.seconds - self.begin.seconds <= _LONGEST
        if not (is_short and length >= _LEAST_WAY and self.peak >= _PEAK_SPEED):
            return None
        if length < _STRAIGHTNESS * _length(self.moments) or not self._is_flat_and_open():
            return None
        return _direction(self.displacement, length)

    def _is_flat_and_open(self) -> bool:
        """Whether the hand stayed as far from the camera, and was mostly open."""
        change = self.end.length / self.begin.length
        is_flat = 1 / _SCALE_CHANGE < change < _SCALE_CHANGE
        # A hand in fast motion is a blur, in which single frames see other fingers.
        open_moments = sum(moment.is_open for moment in self.moments)
        return is_flat and 2 * open_moments >= len(self.moments)


class SwipeDetector(MotionDetector):
    """Finds swipes, each told 0.2 s after its end, when the hand has not turned back."""

    def __init__(self) -> None:
        # Moments since the stroke's begin or, without one, of the last 0.06 s.
        self._recent: list[Moment] = []
        # Highest speed of the stroke; None: there is no stroke.
        self._peak: float | None = None
        # A swipe that may still turn out to be the half of a wave.
        self._waiting: tuple[str, _Stroke] | None = None
        self._last: _Stroke | None = None

    def update(self, moment: Moment) -> MotionSpan | None:
        """Follow the hand."""
        self._recent.append(moment)
        earlier = self._before(moment.seconds - _LAG)
        if earlier is None:
            return None
        step = moment.centre - earlier.centre
        speed = float(np.linalg.norm(step)) / (moment.seconds - earlier.seconds)
        if self._peak is None:
            self._begin(earlier, speed)
        elif speed < _END_SPEED or self._turns(step):
            self._end()
        else:
            self._peak = max(self._peak, speed)
        return self._settled(moment.seconds)

    def finish(self) -> MotionSpan | None:
        """Take a stroke that leaves the picture as one that ends there."""
        if self._peak is not None:
            self._end()
        return self._settled(math.inf)

    def _before(self, seconds: float) -> Moment | None:
        """Return the last moment at or before a time; without a stroke, forget those before it."""
        earlier = [moment for moment in self._recent if moment.seconds <= seconds + 1e-9]
        if not earlier:
            return None
        if self._peak is None:
            self._recent = self._recent[len(earlier) - 1 :]
        return earlier[-1]

    def _begin(self, earlier: Moment, speed: float) -> None:
        if speed < _BEGIN_SPEED:
            return
        self._peak = speed
        self._recent = [moment for moment in self._recent if moment.t_us >= earlier.t_us]

    def _turns(self, step: Point) -> bool:
        """Whether a step goes another way than the stroke before it."""
        stroke = self._recent[-2].centre - self._recent[0].centre
        lengths = float(np.linalg.norm(step) * np.linalg.norm(stroke))
        return float(step @ stroke) < _ONWARD * lengths

    def _end(self) -> None:
        """Judge the stroke that ends before the last moment."""
        assert self._peak is not None
        # The last moment is where the hand was already slow, or on its way back.
        moments = tuple(self._recent[:-1])
        stroke = _Stroke(moments, self._peak)
        self._peak = None
        self._recent = self._recent[-1:]
        if len(moments) > 1:
            self._take(stroke)

    def _take(self, stroke: _Stroke) -> None:
        """Set a stroke beside the one before it."""
        before = self._last
        self._last = stroke
        if before is not None and _is_opposite(before, stroke):
            pause = stroke.begin.seconds - before.end.seconds
            if pause < _SETTLE:
                self._waiting = None
            if pause < _RETURN:
                return
        name = stroke.name()
        if name is not None:
            self._waiting = (name, stroke)

    def _settled(self, seconds: float) -> MotionSpan | None:
        """Return the swipe that waits, once the hand has had the time to turn back.

        While a stroke is under way it may be the way back.
        """
        if self._waiting is None or self._peak is not None:
            return None
        name, stroke = self._waiting
        if seconds - stroke.end.seconds < _SETTLE:
            return None
        self._waiting = None
        return MotionSpan(name, stroke.begin, stroke.end)


def _is_opposite(first: _Stroke, second: _Stroke) -> bool:
    lengths = float(np.linalg.norm(first.displacement) * np.linalg.norm(second.displacement))
    return float(first.displacement @ second.displacement) < _OPPOSITE * lengths


def _length(moments: tuple[Moment, ...]) -> float:
    """Return the length of a way, all its turns included."""
    steps = [float(np.linalg.norm(end.centre - begin.centre)) for begin, end in pairwise(moments)]
    return sum(steps)


def _direction(displacement: Point, length: float) -> str | None:
    across, down = displacement.tolist()
    if abs(across) >= _ALONG * length:
        return "swipe right" if across > 0 else "swipe left"
    if abs(down) >= _ALONG * length:
        return "swipe down" if down > 0 else "swipe up"
    return None
