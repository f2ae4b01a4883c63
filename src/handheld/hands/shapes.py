"""The shape of a hand: its keypoints without where it is, how large, how turned, and which."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handheld.hands.result import HandResult
from handheld.hands.skeleton import PALM_POINTS, Keypoint

Floats = NDArray[np.float64]

_FLIP = np.array([-1.0, 1.0, 1.0])
"""Makes a left hand a right one."""


@dataclass(frozen=True, eq=False)
class HandShape:
    """A hand as a right one, upright in the picture, with a palm of length 1.

    Attributes:
        points: (21, 3) palm lengths around the middle of the palm, axes as in the picture; the
            middle finger's knuckle lies straight above the wrist.
        turn: radians by which the hand was turned away from upright, clockwise.
    """

    points: Floats
    turn: float

    def in_palm(self) -> Floats:
        """Return the points in the palm's own axes, (21, 3): across it, along it, out of it.

        They are the same from whichever side and at whichever angle the hand is seen.
        """
        along = _unit(self.points[Keypoint.MIDDLE_MCP] - self.points[Keypoint.WRIST])
        across = self.points[Keypoint.INDEX_MCP] - self.points[Keypoint.PINKY_MCP]
        across = _unit(across - (across @ along) * along)
        return self.points @ np.stack([across, along, np.cross(across, along)]).T


def hand_shape(hand: HandResult, *, mirrored: bool = False) -> HandShape | None:
    """Return the shape of a hand; ``None`` where it has no landmarks or a palm of no length.

    It is ``None`` too where a coordinate is no number, as of a model that failed.

    Args:
        hand: its world coordinates are used where it has them, else its landmarks' own depth.
        mirrored: whether the picture is a mirror image, where a right hand looks like a left one.
    """
    points = hand.landmarks if hand.world is None else hand.world
    if points is None or not hand.is_finite:
        return None
    points = points.astype(np.float64)
    points -= points[list(PALM_POINTS)].mean(axis=0)
    # Of a hand whose side is not known it makes no difference: either may be meant.
    if (hand.handedness == "Left") != mirrored:
        points *= _FLIP
    along = points[Keypoint.MIDDLE_MCP] - points[Keypoint.WRIST]
    # In space, unlike ``palm_size``: of a hand that points at the camera the picture shows hardly
    # any length, by which its fingers would become those of a giant.
    length = float(np.linalg.norm(along))
    if length == 0:
        return None
    turn = float(np.arctan2(along[0], -along[1]))
    upright = points @ _turned_back(turn)
    return HandShape(upright / length, turn)


def _turned_back(turn: float) -> Floats:
    """Return the matrix (3, 3) by which rows of points are turned anticlockwise in the picture."""
    c = float(np.cos(turn))
    s = float(np.sin(turn))
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def _unit(vector: Floats) -> Floats:
    # Knuckles in line with the wrist, which no hand has, leave no direction rather than an error.
    unit: Floats = vector / max(float(np.linalg.norm(vector)), 1e-9)
    return unit
