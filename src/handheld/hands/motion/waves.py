"""Waves: an open hand that goes from side to side, and back, and again."""

from itertools import pairwise

from handheld.hands.motion.events import MotionDetector, MotionSpan
from handheld.hands.motion.moments import Moment

# Palm lengths that the middle fingertip goes from one side to the other: less is a hand that
# shakes, more is an arm that swings.
_LEAST_SWING = 0.5
_LARGEST_SWING = 4.5
# Seconds of a swing.
_SHORTEST = 0.06
_LONGEST = 0.6
# Swings that make a wave: there and back, twice.
_SWINGS = 4
# The largest swing of a wave is at most so many times its smallest; the first and the last, which
# begin and end in the middle, aside.
_EVENNESS = 3.0
# Up and down, as a share of from side to side.
_FLATNESS = 0.7
# Share of a wave in which the hand is open and its fingers are up.
_SHOWN = 0.6
# Palm lengths within which a fingertip is still at the end of a swing: before a wave and after it
# the hand rests there.
_AT_END = 0.15


class WaveDetector(MotionDetector):
    """Finds waves, each told when the hand has stopped."""

    def __init__(self) -> None:
        self._moments: list[Moment] = []
        # Where the fingertip turned back: the ends of swings.
        self._turns: list[Moment] = []
        # The moment furthest in the direction in which the hand goes.
        self._furthest: Moment | None = None

    def update(self, moment: Moment) -> MotionSpan | None:
        """Follow the middle fingertip."""
        if "middle" in moment.unseen:
            return None
        self._moments.append(moment)
        if self._furthest is None:
            self._restart(moment)
            return None
        span = None
        if moment.seconds - self._furthest.seconds > _LONGEST:
            span = self._ended()
            self._restart(moment)
        else:
            span = self._follow(moment, self._furthest)
        return span

    def finish(self) -> MotionSpan | None:
        """End with the last swing."""
        return self._ended()

    def _restart(self, moment: Moment) -> None:
        """Begin anew: the hand may now go either way."""
        self._moments = [moment]
        self._turns = [moment]
        self._furthest = moment

    def _follow(self, moment: Moment, furthest: Moment) -> MotionSpan | None:
        """Move the furthest moment on, or see that the hand has turned back there."""
        ahead = _across(self._turns[-1], furthest)
        step = _across(furthest, moment)
        if ahead * step >= 0:
            # Still the same way, or the first step of all.
            self._furthest = moment
            return None
        if abs(step) < _LEAST_SWING:
            return None
        self._furthest = moment
        if _is_swing(self._turns[-1], furthest):
            self._turns.append(furthest)
            return None
        span = self._ended()
        # The swing that has begun may be the first of a wave.
        self._moments = [kept for kept in self._moments if kept.t_us >= furthest.t_us]
        self._turns = [furthest]
        return span

    def _ended(self) -> MotionSpan | None:
        """Return the wave of the swings so far, if it is one."""
        turns = self._turns
        # The last swing is one that the hand did not turn back from.
        if self._furthest is not None and turns and _is_swing(turns[-1], self._furthest):
            turns = [*turns, self._furthest]
        self._turns = []
        swings = [abs(_across(begin, end)) for begin, end in pairwise(turns)]
        if len(swings) < _SWINGS or max(swings[1:-1]) > _EVENNESS * min(swings[1:-1]):
            return None
        begin = self._between(turns[0], turns[1], swing_end=turns[0])[-1]
        end = self._between(turns[-2], turns[-1], swing_end=turns[-1])[0]
        within = [moment for moment in self._moments if begin.t_us <= moment.t_us <= end.t_us]
        if not _looks_like_a_wave(within):
            return None
        return MotionSpan("wave", begin, end)

    def _between(self, first: Moment, last: Moment, *, swing_end: Moment) -> list[Moment]:
        """Return the moments of a swing at which the fingertip is near to one of its ends."""
        moments = [moment for moment in self._moments if first.t_us <= moment.t_us <= last.t_us]
        return [moment for moment in moments if abs(_across(swing_end, moment)) <= _AT_END]


def _across(begin: Moment, end: Moment) -> float:
    """Return how far the fingertip went to the right."""
    return float(end.middle_tip[0] - begin.middle_tip[0])


def _is_swing(begin: Moment, end: Moment) -> bool:
    seconds = end.seconds - begin.seconds
    is_sized = _LEAST_SWING <= abs(_across(begin, end)) <= _LARGEST_SWING
    return is_sized and _SHORTEST <= seconds <= _LONGEST


def _looks_like_a_wave(moments: list[Moment]) -> bool:
    """Whether an open hand with its fingers up goes from side to side rather than up and down."""
    across = [float(moment.middle_tip[0]) for moment in moments]
    down = [float(moment.middle_tip[1]) for moment in moments]
    if max(down) - min(down) > _FLATNESS * (max(across) - min(across)):
        return False
    shown = sum(moment.is_open and moment.is_upright for moment in moments)
    return shown >= _SHOWN * len(moments)
