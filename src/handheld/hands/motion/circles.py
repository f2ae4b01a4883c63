"""Circles: an index finger draws one in the air, once around."""

import math
from itertools import pairwise

import numpy as np

from handheld.hands.motion.events import MotionDetector, MotionSpan
from handheld.hands.motion.moments import Moment, Point

# Palm lengths between two points of a path: nearer, jitter would be a turn.
_STEP = 0.2
# Seconds that a circle takes.
_SHORTEST = 0.3
_LONGEST = 3.0
# Turn of the path's direction, in all; a circle that does not quite close counts.
_FULL_TURN = math.radians(310)
# Palm lengths across; smaller, a hand scratches or writes.
_SMALLEST = 0.7
_LARGEST = 7.0
# Most that a radius differs from the mean one (standard deviation, as its share), and least that
# the path is wide for its height or the other way round.
_ROUGHNESS = 0.25
_ROUNDNESS = 0.5
# Angle under which the path goes around its centre: back and forth along an arc turns as much.
_FULL_ANGLE = math.radians(300)
# Between its ends, as a share of its diameter.
_OPENING = 0.6
# Share of the circle in which the index finger points.
_SHOWN = 0.6


class CircleDetector(MotionDetector):
    """Finds circles, each told as it closes; a second turn is a second circle."""

    def __init__(self) -> None:
        self._path: list[Moment] = []

    def update(self, moment: Moment) -> MotionSpan | None:
        """Lengthen the path of the fingertip."""
        if "index" in moment.unseen:
            return None
        if self._path and _apart(self._path[-1], moment) < _STEP:
            # A finger that rests has ended what it drew.
            if moment.seconds - self._path[-1].seconds > _SHORTEST:
                self._path = [moment]
            return None
        self._path.append(moment)
        oldest = moment.seconds - _LONGEST
        self._path = [kept for kept in self._path if kept.seconds >= oldest]
        span = self._closed()
        if span is not None:
            # Its end begins the next one.
            self._path = [moment]
        return span

    def _closed(self) -> MotionSpan | None:
        """Return the shortest end of the path that is a circle."""
        points = np.array([moment.index_tip for moment in self._path])
        turns = _turns(points)
        total = 0.0
        # From the end backwards: before the circle the finger may have come from anywhere.
        for first in range(len(turns) - 1, -1, -1):
            total += float(turns[first])
            if abs(total) >= _FULL_TURN:
                # The turn at a point is between the steps to it and from it.
                moments = self._path[first:]
                if _is_circle(points[first:]) and _is_drawn(moments):
                    # With y downwards a turn to the right, which is clockwise, is positive.
                    name = "circle clockwise" if total > 0 else "circle counterclockwise"
                    return MotionSpan(name, moments[0], moments[-1])
        return None


def _apart(first: Moment, second: Moment) -> float:
    return float(np.linalg.norm(second.index_tip - first.index_tip))


def _turns(points: Point) -> Point:
    """Return by how much a path (n, 2) turns at each point but its ends, (n - 2,) radians."""
    steps = np.diff(points, axis=0)
    headings = np.arctan2(steps[:, 1], steps[:, 0]) if len(steps) else np.zeros(0)
    return _wrapped(np.diff(headings))


def _wrapped(angles: Point) -> Point:
    """Return angles in [-pi, pi)."""
    wrapped: Point = (angles + math.pi) % (2 * math.pi) - math.pi
    return wrapped


def _is_circle(points: Point) -> bool:
    """Whether a path (n, 2) is round, closed, and goes around its centre."""
    width, height = np.ptp(points, axis=0).tolist()
    across = (width + height) / 2
    if not _SMALLEST <= across <= _LARGEST or min(width, height) < _ROUNDNESS * max(width, height):
        return False
    if float(np.linalg.norm(points[-1] - points[0])) > _OPENING * across:
        return False
    spokes = points - _centre(points)
    radii = np.linalg.norm(spokes, axis=1)
    angles = _wrapped(np.diff(np.arctan2(spokes[:, 1], spokes[:, 0])))
    is_even = radii.std() <= _ROUGHNESS * radii.mean()
    return bool(is_even and abs(angles.sum()) >= _FULL_ANGLE)


def _centre(points: Point) -> Point:
    """Return the centre (2,) of the circle through a path with the smallest sum of squares.

    Kasa's fit, 1976. A path's mean lies to the side on which the finger was slow.
    """
    rows = np.column_stack([2 * points, np.ones(len(points))])
    solution, *_ = np.linalg.lstsq(rows, (points**2).sum(axis=1), rcond=None)
    centre: Point = solution[:2]
    return centre


def _is_drawn(moments: list[Moment]) -> bool:
    """Whether it took as long as a drawn circle does, by a finger that points."""
    seconds = moments[-1].seconds - moments[0].seconds
    pointing = sum(moment.is_pointing for moment in moments)
    # Between two points of the path a hand may have been lost for a moment.
    longest = max(end.seconds - begin.seconds for begin, end in pairwise(moments))
    is_timed = _SHORTEST <= seconds <= _LONGEST and longest <= _SHORTEST
    return is_timed and pointing >= _SHOWN * len(moments)
