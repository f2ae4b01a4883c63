"""What is looked at of a hand in one frame, in palm lengths and seconds."""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handheld.hands.gestures import finger_states
from handheld.hands.result import HandResult, Points, palm_centre, palm_size
from handheld.hands.skeleton import Keypoint

Point = NDArray[np.float64]

_SCALE_SECONDS = 1.0
"""How long a palm's length is remembered: a hand that turns edge-on for a moment has not shrunk."""

_WIDTH_TO_LENGTH = 1.48
"""Palm's length by the distance from index to little knuckle, the median on the photos of digits;
it stands in where the hand points at the camera.
"""

_LEAST_PIXELS = 1.0


@dataclass(frozen=True, eq=False, slots=True)
class Moment:
    """A hand in one frame.

    Attributes:
        t_us: time of the frame, microseconds.
        centre: (2,) of the palm, in palm lengths from where the hand was first seen, y downwards.
        index_tip: (2,) of the index finger, likewise.
        middle_tip: (2,) of the middle finger, likewise.
        gap: between the tips of thumb and index finger, palm lengths.
        is_curled: whether the index finger lies in the palm, as in a fist.
        straight: fingers that are straight, the thumb aside.
        unseen: fingers that are outside the picture or in doubt.
        is_upright: whether the middle fingertip is above the wrist.
        length: of the palm in this frame alone, pixels: it tells hands that come nearer.
    """

    t_us: int
    centre: Point
    index_tip: Point
    middle_tip: Point
    gap: float
    is_curled: bool
    straight: frozenset[str]
    unseen: frozenset[str]
    is_upright: bool
    length: float

    @property
    def seconds(self) -> float:
        """Time of the frame."""
        return self.t_us / 1e6

    @property
    def is_open(self) -> bool:
        """Whether at least three of the four fingers are straight."""
        return len(self.straight) >= _OPEN_FINGERS

    @property
    def is_pointing(self) -> bool:
        """Whether the index finger is straight and most others are not."""
        return "index" in self.straight and len(self.straight) <= _POINTING_FINGERS


_OPEN_FINGERS = 3
# With the middle finger beside it, as many people point.
_POINTING_FINGERS = 2


class MomentMaker:
    """Makes moments of one hand's results."""

    def __init__(self) -> None:
        # Of the last second: time and palm length, seconds and pixels.
        self._scales: deque[tuple[float, float]] = deque()
        self._pixels: Point | None = None
        self._centre = np.zeros(2)

    def make(
        self, hand: HandResult, landmarks: Points, t_us: int, size: tuple[int, int] | None
    ) -> Moment:
        """Return what is looked at of a hand in the next frame."""
        length = _palm_length(landmarks)
        scale = self._scale(length, t_us / 1e6)
        pixels = palm_centre(landmarks).astype(np.float64)
        if self._pixels is not None:
            # Added up step by step, each in the palm's length of its own time: of a hand that
            # comes nearer all past ways would otherwise shrink.
            self._centre = self._centre + (pixels - self._pixels) / scale
        self._pixels = pixels
        around = (landmarks[:, :2] - pixels) / scale
        states = finger_states(landmarks, hand.world, size=size, confidence=hand.confidence)
        names = [name for name, state in states.states.items() if state == "straight"]
        return Moment(
            t_us=t_us,
            centre=self._centre,
            index_tip=self._centre + around[Keypoint.INDEX_TIP],
            middle_tip=self._centre + around[Keypoint.MIDDLE_TIP],
            gap=_gap(landmarks if hand.world is None else hand.world),
            is_curled=states.states["index"] == "bent",
            straight=frozenset(names) - {"thumb"},
            unseen=states.unseen,
            is_upright=bool(around[Keypoint.MIDDLE_TIP, 1] < around[Keypoint.WRIST, 1]),
            length=length,
        )

    def _scale(self, length: float, seconds: float) -> float:
        """Return the palm's length over the last second, pixels."""
        self._scales.append((seconds, length))
        while seconds - self._scales[0][0] > _SCALE_SECONDS:
            self._scales.popleft()
        return float(np.median([known for _, known in self._scales]))


def _palm_length(landmarks: Points) -> float:
    """Return the palm's length in a frame, pixels; by its width where it points at the camera."""
    across = landmarks[Keypoint.INDEX_MCP, :2] - landmarks[Keypoint.PINKY_MCP, :2]
    width = float(np.linalg.norm(across))
    return max(palm_size(landmarks), _WIDTH_TO_LENGTH * width, _LEAST_PIXELS)


def _gap(points: Points) -> float:
    """Return how far apart the tips of thumb and index finger are in space, in palm lengths."""
    apart = points[Keypoint.INDEX_TIP] - points[Keypoint.THUMB_TIP]
    palm = points[Keypoint.MIDDLE_MCP] - points[Keypoint.WRIST]
    # A palm of no length, which no hand has, leaves a large number rather than none.
    return float(np.linalg.norm(apart) / max(float(np.linalg.norm(palm)), 1e-9))
