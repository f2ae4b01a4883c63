"""Stable names for hands over time, and a left and right that do not flicker."""

from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from handheld.hands.result import HandResult, Points


@dataclass
class _Past:
    """What is remembered of a hand: where it was seen last, and how often as which hand."""

    centre: Points
    size: float
    t_us: int
    right: float | None = None  # running mean of the probability that it is a right hand


_SHARE = 0.2
"""Of a frame in the running mean of handedness: one frame in doubt changes nothing, a fifth of a second does."""


class Identities:
    """Gives each hand an id that it keeps while it is followed, and gets back when it returns near to where it was lost.

    Handedness becomes the running mean over the frames of an id.

    Args:
        memory_s: seconds for which a lost hand is remembered.
        reach: how far from where it was lost a hand may return at once, in palm sizes.
        speed: by how much that grows, in palm sizes per second; hands in conversation move at one metre per second.
    """

    def __init__(self, *, memory_s: float = 2.0, reach: float = 2.0, speed: float = 12.0) -> None:
        self._memory_us, self._reach, self._speed = round(memory_s * 1e6), reach, speed
        self._past: dict[int, _Past] = {}
        self._ids = count()

    def assign(self, hands: list[HandResult], t_us: int) -> list[HandResult]:
        """Return the hands of one frame with their ids. A hand whose region carries a track keeps it as its id."""
        followed = {hand.region.track for hand in hands if hand.region is not None and hand.region.track is not None}
        self._past = {i: past for i, past in self._past.items() if i in followed or t_us - past.t_us <= self._memory_us}
        lost = [i for i in self._past if i not in followed]
        unnamed = [n for n, hand in enumerate(hands) if hand.region is None or hand.region.track is None]
        found = self._match([hands[n] for n in unnamed], lost, t_us)
        ids = {n: found.get(position, -1) for position, n in enumerate(unnamed)}
        named = []
        for n, hand in enumerate(hands):
            known = ids.get(n, hand.region.track if hand.region else -1)
            named.append(replace(hand, id=next(self._ids) if known in (None, -1) else known))
        return [self._remember(hand, t_us) for hand in named]

    def _match(self, hands: list[HandResult], lost: list[int], t_us: int) -> dict[int, int]:
        """Return position -> id, the cheapest pair of a new hand and a lost id first, as long as a new id costs more."""
        pairs = sorted((self._cost(hand, self._past[i], t_us), n, i) for n, hand in enumerate(hands) for i in lost)
        found: dict[int, int] = {}
        for cost, n, i in pairs:
            if cost < 1 and n not in found and i not in found.values():
                found[n] = i
        return found

    def _cost(self, hand: HandResult, past: _Past, t_us: int) -> float:
        """Below 1 where a hand may be the lost one: by distance, and by whether it is the same of the two hands."""
        reach = (self._reach + self._speed * (t_us - past.t_us) / 1e6) * max(past.size, 1.0)
        distance = float(np.hypot(*(hand.centre - past.centre))) / reach
        right = _right(hand)
        other_hand = 0.0 if right is None or past.right is None else abs(past.right - right)
        return distance + 0.8 * other_hand if distance < 1 else np.inf

    def _remember(self, hand: HandResult, t_us: int) -> HandResult:
        past, right = self._past.get(hand.id), _right(hand)
        if right is not None and past is not None and past.right is not None:
            right = past.right + _SHARE * (right - past.right)
        self._past[hand.id] = _Past(hand.centre, hand.size, t_us, right)
        if right is None:
            return hand
        return replace(hand, handedness="Right" if right >= 0.5 else "Left", handedness_score=max(right, 1 - right))


def _right(hand: HandResult) -> float | None:
    """Return the probability that a hand is a right one."""
    if hand.handedness is None or hand.handedness_score is None:
        return None
    return hand.handedness_score if hand.handedness == "Right" else 1 - hand.handedness_score
