"""From keypoints to the rotated square that the landmark model looks at.

The rules and their numbers are those of MediaPipe's hand graph
(``palm_detection_detection_to_roi``, ``hand_landmark_landmarks_to_roi``), described in the 2019
post and in "MediaPipe Hands", arXiv 2006.10214.
"""

from dataclasses import dataclass
from math import atan2, cos, floor, pi, sin

from handheld.hands.result import Points
from handheld.media import Rect


@dataclass(frozen=True)
class RegionRule:
    """How a region follows from keypoints.

    Attributes:
        subset: keypoints that the box is drawn around; empty for a box that is given.
        start, ends: the hand's direction leads from keypoint ``start`` to the weighted mean of
            ``ends`` and is turned upwards.
        scale: of the long side.
        shift: of the centre along the hand's direction, as a fraction of the box's height; positive
            towards the wrist.
    """

    scale: float
    shift: float
    start: int
    ends: tuple[tuple[int, float], ...]
    subset: tuple[int, ...] = ()


# From the wrist to the middle knuckle, which is the palm model's keypoint 2.
PALM_RULE = RegionRule(scale=2.6, shift=-0.5, start=0, ends=((2, 1.0),))
# From the wrist to between the knuckles; around all that does not move with the fingers' tips.
LANDMARK_RULE = RegionRule(
    scale=2.0,
    shift=-0.1,
    start=0,
    ends=((5, 0.25), (13, 0.25), (9, 0.5)),
    subset=(0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18),
)


def hand_angle(points: Points, rule: RegionRule) -> float:
    """Return by how much a hand is turned clockwise from upright: radians, in -pi to pi."""
    return _angle(points[:, :2].tolist(), rule)


def region_from_palm(box: Rect, keypoints: Points, rule: RegionRule = PALM_RULE) -> Rect:
    """Return the region around a hand from its palm's upright box and (7, 2) keypoints, pixels."""
    angle = hand_angle(keypoints, rule)
    return _region(Rect(box.x, box.y, box.width, box.height, angle), rule)


def region_from_landmarks(landmarks: Points, rule: RegionRule = LANDMARK_RULE) -> Rect:
    """Return the region for the next frame from (21, 2 or 3) landmarks of this one, pixels."""
    # A dozen points: plain floats are faster than arrays.
    points = landmarks[:, :2].tolist()
    angle = _angle(points, rule)
    c = cos(angle)
    s = sin(angle)
    # The box is drawn where the hand is upright, and its centre turned back.
    u, width = _extent([points[i][0] * c + points[i][1] * s for i in rule.subset])
    v, height = _extent([points[i][1] * c - points[i][0] * s for i in rule.subset])
    return _region(Rect(u * c - v * s, u * s + v * c, width, height, angle), rule)


def _extent(values: list[float]) -> tuple[float, float]:
    """Return the middle of some numbers, and how far they reach."""
    low = min(values)
    high = max(values)
    return (low + high) / 2, high - low


def overlap(a: Rect, b: Rect) -> float:
    """Return intersection over union of two squares, 0 to 1.

    Their rotation is left aside, as in MediaPipe's association.
    """
    across = _shared(a.x, a.width, b.x, b.width)
    down = _shared(a.y, a.height, b.y, b.height)
    # The product of two negative lengths would be an area.
    if across <= 0 or down <= 0:
        return 0.0
    return across * down / (a.width * a.height + b.width * b.height - across * down)


def _shared(a: float, a_length: float, b: float, b_length: float) -> float:
    """Return the length that two intervals around centres share; negative where they are apart."""
    return min(a + a_length / 2, b + b_length / 2) - max(a - a_length / 2, b - b_length / 2)


def _region(box: Rect, rule: RegionRule) -> Rect:
    """Return the square around a box of keypoints, in which the hand is upright."""
    x = box.x - box.height * rule.shift * sin(box.angle)
    y = box.y + box.height * rule.shift * cos(box.angle)
    # Square, as the model's input is: a stretched hand is one that it has not learned.
    side = max(box.width, box.height) * rule.scale
    return Rect(x, y, side, side, box.angle)


def _angle(points: list[list[float]], rule: RegionRule) -> float:
    end_x = 0.0
    end_y = 0.0
    for index, weight in rule.ends:
        end_x += weight * points[index][0]
        end_y += weight * points[index][1]
    start_x, start_y = points[rule.start]
    # y points down in a picture, and up for an angle.
    return _wrapped(pi / 2 - atan2(-(end_y - start_y), end_x - start_x))


def _wrapped(angle: float) -> float:
    return angle - 2 * pi * floor((angle + pi) / (2 * pi))
