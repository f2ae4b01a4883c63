"""The motions of all hands in a stream of frames."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

from handheld.errors import InputError, TimestampError
from handheld.hands.motion.circles import CircleDetector
from handheld.hands.motion.events import MotionDetector, MotionEvent, MotionSpan
from handheld.hands.motion.learned import SHIPPED, LearnedDetector, load_network
from handheld.hands.motion.moments import Moment, MomentMaker
from handheld.hands.motion.pinches import PinchDetector
from handheld.hands.motion.swipes import SwipeDetector
from handheld.hands.motion.waves import WaveDetector
from handheld.hands.perceptron import Perceptron
from handheld.hands.result import HandResult, palm_size
from handheld.ranges import height_and_width, whole_in_range

_MEMORY_US = 250_000
"""How long a hand may be missing in the midst of a motion: at 10 frames a second, two frames."""

_LAST_US = 2**53
"""Times beyond, of 285 years, are no longer told apart by the microsecond in seconds."""


def _by_rules() -> list[MotionDetector]:
    return [SwipeDetector(), WaveDetector(), PinchDetector(), CircleDetector()]


@dataclass
class _FollowedHand:
    """One hand, and what looks for its motions."""

    detectors: list[MotionDetector]
    maker: MomentMaker = field(default_factory=MomentMaker)
    seen_us: int = 0

    def update(self, moment: Moment) -> list[MotionSpan]:
        self.seen_us = moment.t_us
        spans = [detector.update(moment) for detector in self.detectors]
        return [span for span in spans if span is not None]

    def finish(self) -> list[MotionSpan]:
        spans = [detector.finish() for detector in self.detectors]
        return [span for span in spans if span is not None]


def _network(method: str | PathLike[str]) -> Perceptron | None:
    """Return the network of a method; None for the rules."""
    if method == "rules":
        return None
    if method == "learned":
        return load_network(SHIPPED)
    if isinstance(method, str | PathLike) and Path(method).suffix.lower() == ".npz":
        return load_network(Path(method))
    raise InputError(f"method: expected rules, learned or an .npz file, got {method!r}")


class MotionRecogniser:
    """Finds swipes, waves, pinches and circles in the hands of a stream.

    Each motion is told once, when it is over: a pinch as the tips have met, a circle as it closes,
    a swipe 0.2 s later, when the hand has not turned back, a wave when the hand has stopped for 0.6
    s or is lost. The learned network tells of each as soon as it is sure. Not for several streams,
    nor for several threads at once.

    Args:
        method: ``rules``, ``learned`` for the network that ships, or a trained network's file
            (``.npz``).

    Raises:
        InputError: another method.
        ModelError: a file that holds no network of motions.

    >>> recogniser = MotionRecogniser()
    >>> for frame in frames:  # doctest: +SKIP
    ...     for event in recogniser.update(tracker.track(frame), frame.t_us):
    ...         print(event.name, event.hand_id)
    """

    def __init__(self, method: str | PathLike[str] = "rules") -> None:
        # Read once, for all hands.
        self._network = _network(method)
        self._hands: dict[int, _FollowedHand] = {}
        self._last_us: int | None = None

    def update(
        self,
        hands: Sequence[HandResult],
        t_us: int,
        *,
        size: tuple[int, int] | None = None,
    ) -> list[MotionEvent]:
        """Return the motions that are over with the next frame, oldest first.

        Args:
            hands: of the frame; those without landmarks, or with some that are no numbers, are left
                out as if they were not seen.
            t_us: its time, microseconds, after that of the frame before; a whole number.
            size: height and width of the picture: no motion rests on fingers outside of it.

        Raises:
            TimestampError: time runs backwards.
            InputError: two hands have one id; no whole number, or no size.
        """
        whole_in_range("t_us", t_us, low=-_LAST_US, high=_LAST_US)
        # Of numpy's numbers some have no sign, and none can be written as JSON.
        t_us = int(t_us)
        if size is not None:
            height_and_width("size", size)
        self._go_on_to(t_us)
        _require_unique_ids(hands)
        events = self._forget(t_us - _MEMORY_US)
        for hand in hands:
            # A palm of no length has no lengths to measure by, and one frame of NaN would be in
            # the sum of all ways after it.
            if hand.landmarks is None or not hand.is_finite or palm_size(hand.landmarks) == 0:
                continue
            followed = self._followed(hand.id)
            moment = followed.maker.make(hand, hand.landmarks, t_us, size)
            events += _events(hand.id, followed.update(moment))
        return _in_order(events)

    def _go_on_to(self, t_us: int) -> None:
        if self._last_us is not None and t_us <= self._last_us:
            raise TimestampError(
                f"hands at {t_us} us do not follow those at {self._last_us} us; call finish() "
                "before a new stream"
            )
        self._last_us = t_us

    def _followed(self, hand_id: int) -> _FollowedHand:
        if hand_id not in self._hands:
            detectors = _by_rules()
            if self._network is not None:
                detectors = [LearnedDetector(self._network)]
            self._hands[hand_id] = _FollowedHand(detectors)
        return self._hands[hand_id]

    def finish(self) -> list[MotionEvent]:
        """Return the motions that the stream's end ends, and forget all hands."""
        self._last_us = None
        events: list[MotionEvent] = []
        for hand_id, followed in self._hands.items():
            events += _events(hand_id, followed.finish())
        self._hands = {}
        return _in_order(events)

    def _forget(self, before_us: int) -> list[MotionEvent]:
        """Return what hands that were last seen before a time ended with, and forget them."""
        events: list[MotionEvent] = []
        for hand_id, followed in list(self._hands.items()):
            if followed.seen_us < before_us:
                events += _events(hand_id, followed.finish())
                del self._hands[hand_id]
        return events


def _require_unique_ids(hands: Sequence[HandResult]) -> None:
    ids = [hand.id for hand in hands]
    if len(set(ids)) < len(ids):
        raise InputError(f"expected an id for each hand, got {ids}")


def _events(hand_id: int, spans: list[MotionSpan]) -> list[MotionEvent]:
    return [MotionEvent(span.name, hand_id, span.begin.t_us, span.end.t_us) for span in spans]


def _in_order(events: list[MotionEvent]) -> list[MotionEvent]:
    return sorted(events, key=lambda event: (event.end_us, event.hand_id))
