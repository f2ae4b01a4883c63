"""What the tracker finds: palms, regions, hands."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.hands.skeleton import PALM_POINTS
from handheld.media import Rect

Points = NDArray[np.float32]
Handedness = Literal["Left", "Right"]

# Pixels or metres: their squares are still float32, and NaN is below nothing.
_FARTHEST = 1e9


@dataclass(frozen=True, eq=False, slots=True)
class Palm:
    """A palm that the detector found.

    Attributes:
        rect: the upright box around the palm, pixels of the picture.
        keypoints: (7, 2) pixels: wrist, four knuckles (index, middle, ring, little finger), two at
            the thumb's base.
        score: 0 to 1.
    """

    rect: Rect
    keypoints: Points
    score: float


@dataclass(frozen=True, eq=False, slots=True)
class Region:
    """Where to look for a hand: a rotated square, and what it came from.

    Attributes:
        rect: pixels; the hand stands upright in it.
        centre: (2,) pixels, of the palm.
        size: pixels, from wrist to middle knuckle.
        track: number that regions of one hand share while it is followed from frame to frame;
            ``None`` for a new palm.
        palm: the detection, for a new palm.
    """

    rect: Rect
    centre: Points
    size: float
    track: int | None = None
    palm: Palm | None = None


@dataclass(frozen=True, eq=False, slots=True)
class HandResult:
    """One hand in one frame.

    Attributes:
        id: stays the same while the hand is followed, and when it comes back soon after it was
            lost.
        roi: the rotated square that the landmark model looked at, pixels.
        score: how sure the landmark model is that this is a hand (in palm-only mode the detector's
            score), 0 to 1.
        handedness: the person's own left or right hand, over the frames of this id, each as much
            as it is sure; ``None`` in palm-only mode.
        handedness_score: 0.5 to 1; ``None`` in palm-only mode. What one frame says is on the stream
            ``looked_at``.
        landmarks: (21, 3) float32, pixels of the original picture; z in the same scale, relative to
            the wrist, towards the camera negative. ``None`` in palm-only mode.
        world: (21, 3) float32, metres, around the hand's centre, axes as in the picture. ``None``
            in palm-only mode.
        confidence: (21,) float32, probability of each keypoint that it is right; ``None`` if the
            pack's model gives none.
        gesture: a name of the gesture table, or ``None`` where no row fits.
        palm: the detection that this hand came from, in the frame in which it was detected.
    """

    id: int
    roi: Rect
    score: float
    handedness: Handedness | None = None
    handedness_score: float | None = None
    landmarks: Points | None = None
    world: Points | None = None
    confidence: Points | None = None
    gesture: str | None = None
    palm: Palm | None = field(default=None, repr=False)
    region: Region | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        # People make results too, from other models or files.
        for name in ("landmarks", "world"):
            points = getattr(self, name)
            if points is not None and points.shape != (21, 3):
                raise InputError(f"HandResult.{name}: expected shape (21, 3), got {points.shape}")

    @property
    def size(self) -> float:
        """Pixels from wrist to middle knuckle."""
        if self.landmarks is not None:
            return palm_size(self.landmarks)
        return self._known_region().size

    @property
    def centre(self) -> Points:
        """(2,) pixels: the middle of the palm."""
        if self.landmarks is not None:
            return palm_centre(self.landmarks)
        return self._known_region().centre

    @property
    def is_finite(self) -> bool:
        """Whether its coordinates, if it has any, are all numbers that one can measure with."""
        known = [points for points in (self.landmarks, self.world) if points is not None]
        return all(bool((np.abs(points) < _FARTHEST).all()) for points in known)

    def _known_region(self) -> Region:
        if self.region is None:
            raise InputError("this hand has neither landmarks nor a region")
        return self.region

    def to_json(self) -> dict[str, Any]:
        """Return plain numbers and lists; what is not known is ``None``."""
        return {
            "id": self.id,
            "handedness": self.handedness,
            "handedness_score": _rounded(self.handedness_score, 4),
            "score": _rounded(self.score, 4),
            # A hundredth of a pixel, and of a millimetre: less than the models tell apart.
            "landmarks": _rounded(self.landmarks, 2),
            "world": _rounded(self.world, 5),
            "confidence": _rounded(self.confidence, 4),
            "gesture": self.gesture,
            "roi": _rect_to_json(self.roi),
        }


def _rect_to_json(rect: Rect) -> dict[str, float]:
    return {
        "x": _rounded(rect.x, 4),
        "y": _rounded(rect.y, 4),
        "width": _rounded(rect.width, 4),
        "height": _rounded(rect.height, 4),
        "angle": _rounded(rect.angle, 4),
    }


def palm_size(landmarks: NDArray[np.floating[Any]]) -> float:
    """Return the distance from wrist to middle knuckle in the picture's plane.

    It is in the unit of the (21, 2 or 3) landmarks.
    """
    # Not its depth: a model's guess of that is too rough to divide by.
    across, down = landmarks[9, :2] - landmarks[0, :2]
    return float(np.hypot(across, down))


def palm_centre(landmarks: Points) -> Points:
    """Return the (2,) mean of wrist and knuckles of (21, 2 or 3) landmarks."""
    centre: Points = landmarks[PALM_POINTS, :2].mean(axis=0)
    return centre


def _rounded(value: Any, digits: int) -> Any:
    if value is None:
        return None
    # float64: a float32 that is rounded is written with all of its digits.
    return np.round(np.asarray(value, dtype=np.float64), digits).tolist()
