"""From keypoints to the rotated square that the landmark model looks at.

The rules and their numbers are those of MediaPipe's hand graph (``palm_detection_detection_to_roi``,
``hand_landmark_landmarks_to_roi``), described in the 2019 post and in "MediaPipe Hands", arXiv 2006.10214.
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
        start, ends: the hand's direction leads from keypoint ``start`` to the weighted mean of ``ends`` and is turned upwards.
        scale: of the long side.
        shift: of the centre along the hand's direction, as a fraction of the box's height; positive towards the wrist.
    """

    scale: float
    shift: float
    start: int
    ends: tuple[tuple[int, float], ...]
    subset: tuple[int, ...] = ()


PALM_RULE = RegionRule(scale=2.6, shift=-0.5, start=0, ends=((2, 1.0),))
LANDMARK_RULE = RegionRule(
    scale=2.0,
    shift=-0.1,
    start=0,
    ends=((5, 0.25), (13, 0.25), (9, 0.5)),
    subset=(0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18),
)


def hand_angle(points: Points, rule: RegionRule) -> float:
    """Return the angle in radians, in -pi to pi, by which the picture of a hand is turned clockwise from upright."""
    return _angle(points[:, :2].tolist(), rule)


def region_from_palm(box: Rect, keypoints: Points, rule: RegionRule = PALM_RULE) -> Rect:
    """Return the region around a hand from its palm's upright box and (7, 2) keypoints, pixels."""
    return _region(box.x, box.y, box.width, box.height, hand_angle(keypoints, rule), rule)


def region_from_landmarks(landmarks: Points, rule: RegionRule = LANDMARK_RULE) -> Rect:
    """Return the region for the next frame from (21, 2 or 3) landmarks of this one, pixels."""
    points = landmarks[:, :2].tolist()  # a dozen points: plain floats are faster than arrays
    angle = _angle(points, rule)
    c, s = cos(angle), sin(angle)
    across = [
        points[i][0] * c + points[i][1] * s for i in rule.subset
    ]  # in the frame in which the hand is upright
    down = [points[i][1] * c - points[i][0] * s for i in rule.subset]
    left, right, top, bottom = min(across), max(across), min(down), max(down)
    u, v = (left + right) / 2, (top + bottom) / 2
    return _region(u * c - v * s, u * s + v * c, right - left, bottom - top, angle, rule)


def overlap(a: Rect, b: Rect) -> float:
    """Return intersection over union of two squares, 0 to 1, their rotation aside (as MediaPipe's association does)."""
    across = min(a.x + a.width / 2, b.x + b.width / 2) - max(a.x - a.width / 2, b.x - b.width / 2)
    down = min(a.y + a.height / 2, b.y + b.height / 2) - max(a.y - a.height / 2, b.y - b.height / 2)
    if across <= 0 or down <= 0:
        return 0.0
    return across * down / (a.width * a.height + b.width * b.height - across * down)


def _region(
    x: float, y: float, width: float, height: float, angle: float, rule: RegionRule
) -> Rect:
    x -= height * rule.shift * sin(angle)
    y += height * rule.shift * cos(angle)
    side = max(width, height) * rule.scale
    return Rect(x, y, side, side, angle)


def _angle(points: list[list[float]], rule: RegionRule) -> float:
    x = sum(weight * points[index][0] for index, weight in rule.ends) - points[rule.start][0]
    y = sum(weight * points[index][1] for index, weight in rule.ends) - points[rule.start][1]
    return _wrapped(pi / 2 - atan2(-y, x))


def _wrapped(angle: float) -> float:
    return angle - 2 * pi * floor((angle + pi) / (2 * pi))
