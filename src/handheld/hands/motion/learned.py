"""Motions by a small network that sees the last second and a half of a hand."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handheld.hands.motion.events import MotionDetector, MotionSpan
from handheld.hands.motion.moments import Moment
from handheld.hands.perceptron import NONE, Perceptron

WINDOW = 1.6
"""Seconds that the network sees."""

_SAMPLES = 20
CHANNELS = 9
"""Numbers that describe a hand at one time."""

FEATURES = _SAMPLES * CHANNELS
"""Numbers that describe a window: places of palm and two fingertips, the gap between thumb and
index finger, and how open the hand is, at 20 times.
"""

_SHORTEST = 0.4
"""Seconds of a hand that must be known before it is judged: a pinch's least, with a rest."""

_RELEASE = 0.3
"""Probability of a motion below which the next one may begin."""

_PAUSE = 0.3
"""Seconds for which a motion must have been unlikely before the next one may begin."""

_HELD = 0.03
"""Seconds for which the network must be sure: one frame may err."""

_RESTING = 1.0
"""Palm lengths a second below which a fingertip rests: a motion begins after that."""

SHIPPED = Path(__file__).parents[1] / "assets" / "motions.npz"
"""The network that ships."""


def load_network(path: Path = SHIPPED) -> Perceptron:
    """Return a network of motions. Raises :class:`~handheld.errors.ModelError`."""
    return Perceptron.load(path, features=FEATURES)


def window_features(moments: list[Moment]) -> NDArray[np.float32]:
    """Describe the window that ends with the last of some moments, (180,).

    Args:
        moments: in order of time, at least one; before the first the hand counts as resting.
    """
    seconds = np.array([moment.seconds for moment in moments])
    # At even times, so that the frame rate and lost frames do not matter.
    times = seconds[-1] - np.linspace(WINDOW, 0, _SAMPLES)
    rows = np.array([_channels(moment) for moment in moments])
    rows[:, :2] -= rows[-1, :2]
    sampled = [np.interp(times, seconds, channel) for channel in rows.T]
    return np.concatenate(sampled).astype(np.float32)


def _channels(moment: Moment) -> list[float]:
    index = (moment.index_tip - moment.centre).tolist()
    middle = (moment.middle_tip - moment.centre).tolist()
    fingers = [len(moment.straight) / 4, float(moment.is_pointing)]
    return [*moment.centre.tolist(), *index, *middle, moment.gap, *fingers]


class LearnedDetector(MotionDetector):
    """Tells a motion once the network has been sure of it for 0.03 s.

    Its end is the moment at which the network became sure, its begin the last moment before at
    which the hand rested, or the window's.
    """

    def __init__(self, network: Perceptron) -> None:
        self._network = network
        self._moments: list[Moment] = []
        # What the network is sure of, and since when.
        self._candidate: tuple[str, Moment] | None = None
        # The motion that was told last, and when it was last likely.
        self._told: tuple[str, float] | None = None

    def update(self, moment: Moment) -> MotionSpan | None:
        """Judge the window that ends here."""
        # Of fingers that are not seen the network would judge a guess.
        if moment.unseen:
            return None
        self._moments.append(moment)
        oldest = moment.seconds - WINDOW
        self._moments = [kept for kept in self._moments if kept.seconds >= oldest]
        if moment.seconds - self._moments[0].seconds < _SHORTEST:
            return None
        (likely,) = self._network.probabilities(window_features(self._moments)[None])
        if self._is_told(likely, moment.seconds):
            return None
        best = int(likely.argmax())
        name = self._network.names[best]
        if name == NONE or likely[best] < self._network.threshold:
            self._candidate = None
            return None
        return self._sure(name, moment)

    def _is_told(self, likely: NDArray[np.float32], seconds: float) -> bool:
        """Whether the motion that was told last still fills the window."""
        if self._told is None:
            return False
        name, likely_at = self._told
        if likely[self._network.names.index(name)] >= _RELEASE:
            # A wave goes on for as long as it likes.
            self._told = (name, seconds)
        elif seconds - likely_at >= _PAUSE:
            self._told = None
        return self._told is not None

    def _sure(self, name: str, moment: Moment) -> MotionSpan | None:
        if self._candidate is None or self._candidate[0] != name:
            self._candidate = (name, moment)
        end = self._candidate[1]
        if moment.seconds - end.seconds < _HELD:
            return None
        self._candidate = None
        self._told = (name, moment.seconds)
        return MotionSpan(name, self._begin(end), end)

    def _begin(self, end: Moment) -> Moment:
        """Return the last moment before an end after which the hand did not rest."""
        begin = end
        has_moved = False
        earlier = [moment for moment in self._moments if moment.t_us <= end.t_us]
        for before, after in zip(earlier[-2::-1], earlier[:0:-1], strict=True):
            # A motion may end with a rest, which is not the one before it.
            moves = _speed(before, after) >= _RESTING
            if has_moved and not moves:
                return after
            has_moved = has_moved or moves
            begin = before
        return begin


def _speed(before: Moment, after: Moment) -> float:
    """Return the speed of the fingertips, or that at which they close, palm lengths a second."""
    steps = [
        float(np.linalg.norm(after.index_tip - before.index_tip)),
        float(np.linalg.norm(after.middle_tip - before.middle_tip)),
        abs(after.gap - before.gap),
    ]
    return max(steps) / (after.seconds - before.seconds)
