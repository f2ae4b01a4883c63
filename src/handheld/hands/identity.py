"""Stable names for hands over time, and a left and right that do not flicker."""

from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from handheld.hands.result import Handedness, HandResult, Points


@dataclass
class _Past:
    """What is remembered of a hand.

    Attributes:
        centre: (2,) pixels, where it was seen last.
        size: pixels, of its palm.
        t_us: when.
        right: running mean of the probability that it is a right hand; None where no frame told.
        frames: how often it was seen.
        contrary: how many frames in a row, up to now, were sure that it is the other one of the two hands.
    """

    centre: Points
    size: float
    t_us: int
    right: float | None = None
    frames: int = 0
    contrary: int = 0


_SHARE = 0.2
"""Of a frame in the running mean of handedness: one frame in doubt changes nothing, a fifth of a second does."""

_DECIDED = 0.1
"""How far from 0.5 a running mean must be to say which hand it is."""

_SURE = 0.9
"""Probability at which a single frame is sure. Where hands were seen to swap ids, no frame that was that sure was wrong
(book and student of the ASL clips: 0.52 to 0.86 while the id was on the wrong hand's first frames)."""

_CONTRARY_FRAMES = 4
"""So many sure frames in a row, 0.13 s at 30 frames a second, mean another hand: a hand does not change its side."""

_YOUNG = 0.2
"""What an id that was seen once costs more than an old one where a hand returns near to both: it may have been a mistake."""


class Identities:
    """Gives each hand an id that it keeps while it is followed, and gets back when it returns near to where it was lost.

    An id belongs to a left hand or to a right one: it does not come back with the other, and where the region that follows
    a hand slides onto the other hand, that hand gets an id of its own after four frames. Handedness becomes the running mean
    over the frames of an id.

    Args:
        memory_s: seconds for which a lost hand is remembered.
        reach: how far from where it was lost a hand may return at once, in palm sizes.
        speed: by how much that grows, in palm sizes per second; hands in conversation move at one metre per second.
        ids: where new ids come from; counted from 0 by default.
    """

    def __init__(
        self,
        *,
        memory_s: float = 2.0,
        reach: float = 2.0,
        speed: float = 12.0,
        ids: "count[int] | None" = None,
    ) -> None:
        self._memory_us = round(memory_s * 1e6)
        self._reach = reach
        self._speed = speed
        self._past: dict[int, _Past] = {}
        self._ids = count() if ids is None else ids

    def assign(self, hands: list[HandResult], t_us: int) -> list[HandResult]:
        """Return the hands of one frame with their ids. A hand whose region carries a track keeps it as its id."""
        followed = {track for hand in hands if (track := _track(hand)) is not None}
        self._past = {
            i: past
            for i, past in self._past.items()
            if i in followed or t_us - past.t_us <= self._memory_us
        }
        lost = [i for i in self._past if i not in followed]
        unnamed = [hand for hand in hands if _track(hand) is None]
        matched = self._match(unnamed, lost, t_us)
        position = count()
        named = []
        for hand in hands:
            known = _track(hand)
            if known is None:
                known = matched.get(next(position))
            named.append(self._remember(hand, known, t_us))
        return named

    def _match(self, hands: list[HandResult], lost: list[int], t_us: int) -> dict[int, int]:
        """Return position -> id, the cheapest pair of a new hand and a lost id first, as long as a new id costs more."""
        costs = {
            (position, i): self._cost(hand, self._past[i], t_us)
            for position, hand in enumerate(hands)
            for i in lost
        }
        ids: dict[int, int] = {}
        for (position, i), cost in sorted(costs.items(), key=lambda item: (item[1], item[0])):
            if cost < 1 and position not in ids and i not in ids.values():
                ids[position] = i
        return ids

    def _cost(self, hand: HandResult, past: _Past, t_us: int) -> float:
        """Return less than 1 where a hand may be the lost one: by distance, if it is the same of the two hands."""
        if _is_other(past.right, _right(hand)):
            return np.inf
        reach = (self._reach + self._speed * (t_us - past.t_us) / 1e6) * max(past.size, 1.0)
        distance = float(np.hypot(*(hand.centre - past.centre))) / reach
        # Below 1 whatever the age: an id that was seen once still comes back where no other is near.
        return distance + _YOUNG / past.frames * (1 - distance) if distance < 1 else np.inf

    def _remember(self, hand: HandResult, known: int | None, t_us: int) -> HandResult:
        """Return the hand with its id and its lasting handedness, and keep what it looked like."""
        now = _right(hand)
        past = None if known is None else self._past.get(known)
        contrary = 0 if past is None else _contrary(past, now)
        if contrary >= _CONTRARY_FRAMES:
            known = past = None
            contrary = 0
        # While it looks as if another hand had come, what is known of the old one stays as it is.
        right = past.right if past is not None and contrary else _mean(past, now)
        number = next(self._ids) if known is None else known
        frames = 1 if past is None else past.frames + 1
        # A copy: results are the user's, who may change them in place.
        self._past[number] = _Past(np.array(hand.centre), hand.size, t_us, right, frames, contrary)
        if right is None:
            return replace(hand, id=number)
        side: Handedness = "Right" if right >= 0.5 else "Left"
        return replace(hand, id=number, handedness=side, handedness_score=max(right, 1 - right))


def _track(hand: HandResult) -> int | None:
    """Return the id of the hand whose region this was, None for a palm that was found anew."""
    return None if hand.region is None else hand.region.track


def _is_other(mean: float | None, right: float | None) -> bool:
    """Whether a hand is the other one of the two than an id has been."""
    if mean is None or right is None or abs(mean - 0.5) < _DECIDED:
        return False
    return (mean > 0.5) != (right > 0.5)


def _contrary(past: _Past, right: float | None) -> int:
    """Return how many frames in a row have been sure of the other hand, this one counted."""
    is_sure = right is not None and max(right, 1 - right) >= _SURE
    return past.contrary + 1 if is_sure and _is_other(past.right, right) else 0


def _mean(past: _Past | None, right: float | None) -> float | None:
    """Return the running mean of the probability of a right hand after one more frame."""
    if right is None or past is None or past.right is None:
        return right
    return past.right + _SHARE * (right - past.right)


def _right(hand: HandResult) -> float | None:
    """Return the probability that a hand is a right one."""
    if hand.handedness is None or hand.handedness_score is None:
        return None
    return hand.handedness_score if hand.handedness == "Right" else 1 - hand.handedness_score
