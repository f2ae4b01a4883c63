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
        evidence: frames that are in it, each as much as it was sure, up to ``_MEMORY``.
        frames: how often it was seen.
        contrary: how many frames in a row, up to now, were sure that it is the other one of the two
            hands.
    """

    centre: Points
    size: float
    t_us: int
    right: float | None = None
    evidence: float = 0.0
    frames: int = 0
    contrary: int = 0


_MEMORY = 8.0
"""Sure frames that the running mean of handedness remembers: a quarter of a second that is sure
changes it. What a frame counts follows from how sure it is: fists can be of either hand, and a hand
does not change its side when it closes.
"""

_DECIDED = 0.1
"""How far from 0.5 a running mean must be to say which hand it is."""

_SURE = 0.9
"""Probability at which a single frame is sure.

Where hands were seen to swap ids, no frame that was that sure was wrong (book and student of the
ASL clips: 0.52 to 0.86 while the id was on the wrong hand's first frames).
"""

_CONTRARY_FRAMES = 4
"""So many sure frames in a row, 0.13 s at 30 frames a second, mean another hand: a hand does not
change its side.
"""

_YOUNG = 0.2
"""What an id that was seen once costs more than an old one where a hand returns near to both: it
may have been a mistake.
"""


class Identities:
    """Gives each hand an id that it keeps while it is followed, and gets back when it returns near
    to where it was lost.

    An id belongs to a left hand or to a right one: it does not come back with the other, and where
    the region that follows a hand slides onto the other hand, that hand gets an id of its own after
    four frames. Handedness becomes the running mean over the frames of an id.

    Args:
        memory_s: seconds for which a lost hand is remembered.
        reach: how far from where it was lost a hand may return at once, in palm sizes.
        speed: by how much that grows, in palm sizes per second; hands in conversation move at one
            metre per second.
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
        # Frames have whole microseconds.
        self._memory_us = round(memory_s * 1e6)
        self._reach = reach
        self._speed = speed
        self._past: dict[int, _Past] = {}
        self._ids = count() if ids is None else ids

    def assign(self, hands: list[HandResult], t_us: int) -> list[HandResult]:
        """Return the hands of one frame with their ids.

        A hand whose region carries a track keeps it as its id.
        """
        tracks = [_track(hand) for hand in hands]
        self._forget(set(tracks), t_us)
        lost = [id_ for id_ in self._past if id_ not in tracks]
        # Before any of them is remembered: two hands of one frame must not take each other's place.
        returned = self._match(hands, lost, t_us)
        named: list[HandResult] = []
        for position, (hand, track) in enumerate(zip(hands, tracks, strict=True)):
            known = returned.get(position) if track is None else track
            named.append(self._remember(hand, known, t_us))
        return named

    def _forget(self, followed: set[int | None], t_us: int) -> None:
        """Drop what was lost too long ago."""
        for id_, past in list(self._past.items()):
            if id_ not in followed and t_us - past.t_us > self._memory_us:
                del self._past[id_]

    def _match(self, hands: list[HandResult], lost: list[int], t_us: int) -> dict[int, int]:
        """Return position -> id for new hands that are lost ones.

        The cheapest pair comes first, as long as a new id costs more.
        """
        costs: list[tuple[float, int, int]] = []
        for position, hand in enumerate(hands):
            if _track(hand) is None:
                costs += [(self._cost(hand, self._past[id_], t_us), position, id_) for id_ in lost]
        ids: dict[int, int] = {}
        for cost, position, id_ in sorted(costs):
            if cost < 1 and position not in ids and id_ not in ids.values():
                ids[position] = id_
        return ids

    def _cost(self, hand: HandResult, past: _Past, t_us: int) -> float:
        """Return less than 1 where a hand may be the lost one: by distance, if it is the same of
        the two hands.
        """
        # People lose a hand from view and bring the other one: that has an id of its own.
        if _is_other(past.right, _right(hand)):
            return np.inf
        reach = (self._reach + self._speed * (t_us - past.t_us) / 1e6) * max(past.size, 1.0)
        distance = float(np.hypot(*(hand.centre - past.centre))) / reach
        if not distance < 1:
            return np.inf
        # Below 1 whatever the age: an id that was seen once comes back where no other is near.
        return distance + _YOUNG / past.frames * (1 - distance)

    def _remember(self, hand: HandResult, known: int | None, t_us: int) -> HandResult:
        """Return the hand with its id and its lasting handedness, and keep what it looked like."""
        id_, past, contrary = self._continued(known, _right(hand))
        # While it looks as if another hand had come, what is known of the old one stays as it is.
        right, evidence = _mean(past, None if contrary else _right(hand))
        frames = 1 if past is None else past.frames + 1
        # A copy: results are the user's, who may change them in place.
        centre = np.array(hand.centre)
        self._past[id_] = _Past(centre, hand.size, t_us, right, evidence, frames, contrary)
        if right is None:
            return replace(hand, id=id_)
        side: Handedness = "Right" if right >= 0.5 else "Left"
        return replace(hand, id=id_, handedness=side, handedness_score=max(right, 1 - right))

    def _continued(self, known: int | None, right: float | None) -> tuple[int, _Past | None, int]:
        """Return the id of a hand, its past if it has one, and how many frames contradict that.

        Args:
            known: the id that it is followed or has returned under, if any.
            right: the probability that it is a right hand, by this frame.
        """
        if known is None:
            return next(self._ids), None, 0
        # None for a track that somebody else has given.
        past = self._past.get(known)
        contrary = 0 if past is None else _contrary(past, right)
        if contrary >= _CONTRARY_FRAMES:
            return next(self._ids), None, 0
        return known, past, contrary


def _track(hand: HandResult) -> int | None:
    """Return the id of the hand whose region this was, None for a palm that was found anew."""
    if hand.region is None:
        return None
    return hand.region.track


def _is_other(mean: float | None, right: float | None) -> bool:
    """Whether a hand is the other one of the two than an id has been."""
    # An id that is not yet decided can become either.
    if mean is None or right is None or abs(mean - 0.5) < _DECIDED:
        return False
    return (mean > 0.5) != (right > 0.5)


def _contrary(past: _Past, right: float | None) -> int:
    """Return how many frames in a row have been sure of the other hand, this one counted."""
    is_sure = right is not None and max(right, 1 - right) >= _SURE
    if is_sure and _is_other(past.right, right):
        return past.contrary + 1
    return 0


def _mean(past: _Past | None, right: float | None) -> tuple[float | None, float]:
    """Return the running mean of the probability of a right hand after one more frame, and what it
    rests on.
    """
    known, evidence = (None, 0.0) if past is None else (past.right, past.evidence)
    if right is None:
        return known, evidence
    weight = (2 * right - 1) ** 2
    total = evidence + weight
    if known is None or total == 0:
        return right, weight
    return known + weight / total * (right - known), min(total, _MEMORY)


def _right(hand: HandResult) -> float | None:
    """Return the probability that a hand is a right one."""
    if hand.handedness is None or hand.handedness_score is None:
        return None
    # The score is of the answer, whichever it is.
    if hand.handedness == "Right":
        return hand.handedness_score
    return 1 - hand.handedness_score
