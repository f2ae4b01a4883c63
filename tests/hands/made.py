"""Pictures and hands made of numbers."""

import numpy as np

from handheld.hands import HandResult, Region
from handheld.hands.result import palm_centre, palm_size
from handheld.media import Frame, Rect


def picture(*squares, height=240, width=320, side=60):
    """A dark picture with a white square around each (x, y)."""
    image = np.full((height, width, 3), 30, np.uint8)
    for x, y in squares:
        top, left = max(0, y - side // 2), max(0, x - side // 2)
        image[top : y + side // 2, left : x + side // 2] = 255
    return image


def frame(index, *squares, step_us=33_333, **size):
    return Frame(picture(*squares, **size), index * step_us, index)


def open_hand(x=0.0, y=0.0, size=100.0):
    """(21, 3): an upright open hand; wrist at (x, y), middle knuckle ``size`` above it, every
    finger straight.
    """
    points = np.zeros((21, 3), np.float32)
    for finger, (across, base) in enumerate(
        [(-0.5, 0.35), (-0.25, 0.95), (0.0, 1.0), (0.2, 0.95), (0.4, 0.85)]
    ):
        lean = (-0.35, -0.05, 0.0, 0.05, 0.12)[finger]
        for joint in range(4):
            points[1 + 4 * finger + joint, :2] = across + lean * joint, -(base + 0.25 * joint)
    return points * size + np.array([x, y, 0], np.float32)


def hand(landmarks, *, track=None, came_from=None, handedness="Right", score=0.9):
    """A result whose region lies around ``came_from``, by default the landmarks themselves."""
    before = landmarks if came_from is None else came_from
    region = Region(Rect(0, 0, 1, 1), palm_centre(before), palm_size(before), track)
    return HandResult(
        id=-1,
        roi=region.rect,
        score=score,
        handedness=handedness,
        handedness_score=0.9,
        landmarks=landmarks,
        world=landmarks / 1000,
        region=region,
    )
