"""Pinches: thumb and index finger go from apart to touching."""

from handheld.hands.motion.events import MotionDetector, MotionSpan
from handheld.hands.motion.moments import Moment

# Palm lengths between the tips: apart above the first, touching below the second. Rendered hands
# that pinch have 0.24; on photos of the sign for nine the median is 0.26, and of open hands 95 in
# 100 have more than 0.66.
_APART = 0.6
_TOUCHING = 0.34
# Seconds in which tips close: slower, a hand comes to rest.
_LONGEST = 0.6
# Seconds that they touch: a single frame may err.
_HELD = 0.05
# The hand's way while its fingers close, palm lengths: further, it does something else.
_LARGEST_WAY = 0.6


class PinchDetector(MotionDetector):
    """Finds pinches, each told once its tips have touched for 0.05 s; the next one begins when they
    are apart again.
    """

    def __init__(self) -> None:
        # The last moment at which tips were apart; None until they are, and after each pinch.
        self._apart: Moment | None = None
        self._touched: Moment | None = None

    def update(self, moment: Moment) -> MotionSpan | None:
        """Follow the gap between the tips."""
        if moment.unseen & {"thumb", "index"}:
            return None
        if moment.gap >= _APART:
            self._apart = moment
            self._touched = None
            return None
        if moment.gap > _TOUCHING or moment.is_curled:
            self._touched = None
            return None
        self._touched = self._touched or moment
        return self._held(moment)

    def _held(self, moment: Moment) -> MotionSpan | None:
        """Return the pinch, if tips have touched for long enough and closed fast enough."""
        apart = self._apart
        touched = self._touched
        if apart is None or touched is None or moment.seconds - touched.seconds < _HELD:
            return None
        self._apart = None
        moved = touched.centre - apart.centre
        is_quick = touched.seconds - apart.seconds <= _LONGEST
        if not is_quick or float(moved @ moved) > _LARGEST_WAY**2:
            return None
        return MotionSpan("pinch", apart, touched)
