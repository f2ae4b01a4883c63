"""Poses that people know by name, as angles, and the way from one to another.

A table of degrees, tuned by eye on the rendered mesh: most of what looks right is decided by the thumb.
"""

from dataclasses import dataclass

import numpy as np

from handheld.hands.training.render.rig import HandPose
from handheld.hands.training.render.skinning import Doubles

_STRAIGHT = (4, 5, 4)
_CURLED = (82, 98, 58)
_OUT = (-6, 2, -8)
_ACROSS = (0, 40, 58)


@dataclass(frozen=True)
class _Thumb:
    bend: tuple[float, float, float]
    spread: float
    opposition: float


_OPEN_THUMB = _Thumb(_OUT, 2, 0)
_WIDE_THUMB = _Thumb(_OUT, 10, -4)
_FOLDED = _Thumb(_ACROSS, -5, 46)
_UP = _Thumb((-10, 4, -2), 26, -6)
_TUCKED = _Thumb((4, 34, 46), -8, 36)


def _pose(
    thumb: _Thumb,
    fingers: str,
    spread: tuple[float, float, float, float],
    wrist: tuple[float, float] = (0, 0),
) -> HandPose:
    """``fingers``: index to little, ``|`` straight or ``o`` curled; ``spread`` and ``wrist`` in degrees."""
    bend = [thumb.bend, *(_STRAIGHT if finger == "|" else _CURLED for finger in fingers)]
    return HandPose(
        np.radians(np.array(bend, np.float64)),
        np.radians(np.array([thumb.spread, *spread], np.float64)),
        float(np.radians(thumb.opposition)),
        (float(np.radians(wrist[0])), float(np.radians(wrist[1]))),
    )


_TOGETHER = (-3.0, 0.0, 2.0, 5.0)

GESTURES: dict[str, HandPose] = {
    "open_palm": _pose(_OPEN_THUMB, "||||", (5, 1, -3, -7)),
    "fist": _pose(_FOLDED, "oooo", _TOGETHER),
    "thumb_up": _pose(_UP, "oooo", _TOGETHER, wrist=(0, -16)),
    "one": _pose(_FOLDED, "|ooo", (0, 0, 2, 5)),
    "two": _pose(_FOLDED, "||oo", (7, -7, 2, 5)),
    "three": _pose(_FOLDED, "|||o", (7, 0, -7, 2)),
    "four": _pose(_TUCKED, "||||", (7, 2, -4, -9)),
    "five": _pose(_WIDE_THUMB, "||||", (9, 2, -5, -11)),
}


def blend(start: HandPose, end: HandPose, share: float) -> HandPose:
    """Go ``share`` (0..1) of the way between two poses, angle by angle."""

    def mix(a: Doubles | float, b: Doubles | float) -> Doubles:
        return np.asarray((1 - share) * np.asarray(a) + share * np.asarray(b), np.float64)

    flexion, deviation = (float(value) for value in mix(np.array(start.wrist), np.array(end.wrist)))
    return HandPose(
        mix(start.bend, end.bend),
        mix(start.spread, end.spread),
        float(mix(start.opposition, end.opposition)),
        (flexion, deviation),
    )
