"""Which gesture each known posture of the rendered hands shows."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from handheld.hands.training.render.poses import POSTURES
from handheld.hands.training.render.rig import HandPose

THUMB = "thumb"
"""What a fist with its thumb up is called until one knows where the thumb points in the picture."""


def _touching(posture: str, finger: int) -> HandPose:
    """Return a pinch of which all other fingers are straight; ``finger`` is 1 for the index."""
    pinch = POSTURES[posture]
    bend = POSTURES["open_palm"].bend.copy()
    for joint_row in (0, finger):
        bend[joint_row] = pinch.bend[joint_row]
    spread = POSTURES["open_palm"].spread.copy()
    spread[0] = pinch.spread[0]
    return replace(pinch, bend=bend, spread=spread)


SHOWN: Mapping[str, tuple[HandPose, ...]] = {
    "ok": (POSTURES["ok"],),
    "closed fist": (POSTURES["fist"], POSTURES["thumb_inside"]),
    "open palm": (POSTURES["open_palm"], POSTURES["five"], POSTURES["split"]),
    "spiderman": (POSTURES["love"],),
    "rock": (POSTURES["rock"],),
    "call": (POSTURES["call"],),
    "victory": (POSTURES["two"],),
    "pointing": (POSTURES["one"],),
    "three": (POSTURES["three"],),
    "four": (POSTURES["four"],),
    "six": (_touching("pinch_little", 4),),
    "seven": (_touching("pinch_ring", 3),),
    "eight": (_touching("pinch_middle", 2),),
    THUMB: (POSTURES["thumb_up"],),
}
"""Gesture -> the postures that show it.

The names are those of the table ``signs``; six, seven and eight are the tips of little, ring and
middle finger on the thumb's, as in ``american``.
"""

_OTHER_NAMES = (
    "at_rest",
    "half_closed",
    "claw",
    "hook",
    "bent",
    "duck",
    "c_shape",
    "key",
    "pen",
    "wide_grasp",
    "grasp",
    "hold_flat",
    "bunched",
    "little",
    "middle",
    "gun_two",
    "three_thumb",
)

OTHERS: tuple[HandPose, ...] = tuple(POSTURES[name] for name in _OTHER_NAMES)
"""Postures that show no gesture of :data:`SHOWN`: rests, grasps, and near misses."""

SHAPES: tuple[str, ...] = tuple(name for name in SHOWN if name != THUMB)
"""Gestures that a hand shows however it is turned."""

_UPRIGHT = 1.2
"""A thumb points up or down if it does so many times more than to the side, as the rules have
it.
"""


def gesture_of(name: str, thumb: tuple[float, float]) -> str | None:
    """Return the gesture that a posture of :data:`SHOWN` is in a picture.

    Args:
        name: of the posture.
        thumb: how far its tip is right of and below its knuckle in the picture, in any unit.
    """
    if name != THUMB:
        return name
    across, down = thumb
    if abs(down) < _UPRIGHT * abs(across):
        return None
    return "thumb down" if np.sign(down) > 0 else "thumb up"
