"""From keypoints to the rotated square that the landmark model looks at.

The rules and their numbers are those of MediaPipe's hand graph
(``palm_detection_detection_to_roi``, ``hand_landmark_landmarks_to_roi``), described in the 2019
post and in "MediaPipe Hands", arXiv 2006.10214.
"""

from dataclasses import dataclass
from math import atan2, cos, floor, pi, sin
from typing import Literal

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


@dataclass(frozen=True)
class RectTransform:
    """How a rectangle is turned, moved along its own axes, made square and scaled, in this order.

    The options of MediaPipe's ``RectTransformationCalculator``.

    Attributes:
        scale_x, scale_y: of width and height.
        shift_x, shift_y: of the centre, in widths and heights.
        rotation: radians, clockwise as seen.
        square: which side the other one becomes as long as; empty leaves both.
    """

    scale_x: float = 1.0
    scale_y: float = 1.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    rotation: float = 0.0
    square: Literal["", "long", "short"] = ""


Overlap = Literal["union", "hull", "second"]
"""What the area that two boxes share is divided by: that of both, that of the smallest box around
both, or that of the second.
"""


# Radians between the directions of two palms from which on they are of two hands, however much they
# overlap: those of hands that clasp each other cross.
_OTHER_DIRECTION = pi / 6


def points_elsewhere(angle: float, other: float) -> bool:
    """Whether hands that are turned by these angles, in radians, are two, wherever they are."""
    return abs(_wrapped(angle - other)) > _OTHER_DIRECTION


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
    return _region(_upright_box(points, rule), rule)


def box_of_landmarks(landmarks: Points, rule: RegionRule = LANDMARK_RULE) -> Rect:
    """Return the box around landmarks in which the hand is upright, before it is scaled."""
    return _upright_box(landmarks[:, :2].tolist(), rule)


def _upright_box(points: list[list[float]], rule: RegionRule) -> Rect:
    angle = _angle(points, rule)
    c = cos(angle)
    s = sin(angle)
    # The box is drawn where the hand is upright, and its centre turned back.
    u, width = _extent([points[i][0] * c + points[i][1] * s for i in rule.subset])
    v, height = _extent([points[i][1] * c - points[i][0] * s for i in rule.subset])
    return Rect(u * c - v * s, u * s + v * c, width, height, angle)


def _extent(values: list[float]) -> tuple[float, float]:
    """Return the middle of some numbers, and how far they reach."""
    low = min(values)
    high = max(values)
    return (low + high) / 2, high - low


def overlap(a: Rect, b: Rect, *, over: Overlap = "union") -> float:
    """Return the area that two boxes share, as a share of another, 0 to 1.

    Their rotation is left aside, as in MediaPipe's association.

    Args:
        a: a box.
        b: another.
        over: what is divided by; by default the result is intersection over union.
    """
    across = _shared(a.x, a.width, b.x, b.width)
    down = _shared(a.y, a.height, b.y, b.height)
    # The product of two negative lengths would be an area.
    if across <= 0 or down <= 0:
        return 0.0
    if over == "union":
        return across * down / (a.width * a.height + b.width * b.height - across * down)
    if over == "second":
        return across * down / (b.width * b.height)
    return across * down / (_span(a.x, a.width, b.x, b.width) * _span(a.y, a.height, b.y, b.height))


def _span(a: float, a_length: float, b: float, b_length: float) -> float:
    """Return the length of the smallest interval that holds two."""
    return max(a + a_length / 2, b + b_length / 2) - min(a - a_length / 2, b - b_length / 2)


def _shared(a: float, a_length: float, b: float, b_length: float) -> float:
    """Return the length that two intervals around centres share; negative where they are apart."""
    return min(a + a_length / 2, b + b_length / 2) - max(a - a_length / 2, b - b_length / 2)


def _region(box: Rect, rule: RegionRule) -> Rect:
    """Return the square around a box of keypoints, in which the hand is upright."""
    # Square, as the model's input is: a stretched hand is one that it has not learned.
    return transform_rect(
        box, RectTransform(rule.scale, rule.scale, shift_y=rule.shift, square="long")
    )


def transform_rect(rect: Rect, rule: RectTransform) -> Rect:
    """Return a rectangle that is turned, moved, made square and scaled, see :class:`RectTransform`.

    Args:
        rect: in pixels, or in any unit that is as long across as down.
        rule: what is done.
    """
    angle = rect.angle
    if rule.rotation:
        angle = _wrapped(angle + rule.rotation)
    right = rect.width * rule.shift_x
    down = rect.height * rule.shift_y
    width = rect.width
    height = rect.height
    if rule.square == "long":
        width = height = max(width, height)
    elif rule.square == "short":
        width = height = min(width, height)
    return Rect(
        rect.x + (right * cos(angle) - down * sin(angle)),
        rect.y + (right * sin(angle) + down * cos(angle)),
        width * rule.scale_x,
        height * rule.scale_y,
        angle,
    )


def _angle(points: list[list[float]], rule: RegionRule) -> float:
    end_x = 0.0
    end_y = 0.0
    for index, weight in rule.ends:
        end_x += weight * points[index][0]
        end_y += weight * points[index][1]
    start_x, start_y = points[rule.start]
    return turn_of(end_x - start_x, end_y - start_y)


def turn_of(right: float, down: float, *, target: float = pi / 2) -> float:
    """Return by how much a direction is turned clockwise from where it should point.

    Args:
        right: how far it leads to the right.
        down: how far it leads down.
        target: radians, counter-clockwise from the right; by default upwards.

    Returns:
        Radians in [-pi, pi).
    """
    # y points down in a picture, and up for an angle.
    return _wrapped(target - atan2(-down, right))


def _wrapped(angle: float) -> float:
    return angle - 2 * pi * floor((angle + pi) / (2 * pi))
