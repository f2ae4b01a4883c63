"""Poses that people know by name, as angles, and the way from one to another.

A table of degrees, tuned by eye on the rendered mesh: most of what looks right
is decided by the thumb.
"""

from dataclasses import dataclass

import numpy as np

from handheld.hands.training.render.rig import HandPose
from handheld.hands.training.render.skinning import Doubles

# Degrees of the three joints, knuckle first. A straight finger is never quite straight.
_STRAIGHT = (4, 5, 4)
_CURLED = (82, 98, 58)
# Bends of a finger: straight, curled, at rest, claw, hook, flat and bent, wide grasp, narrow grasp.
_FINGERS = {
    "|": _STRAIGHT,
    "o": _CURLED,
    "/": (22, 28, 14),
    "c": (12, 72, 48),
    "h": (2, 92, 58),
    "f": (68, 10, 6),
    "w": (32, 38, 24),
    "g": (52, 58, 36),
}

# The same of a thumb: bent back as on an open hand, and across the palm.
_OUT = (-6, 2, -8)
_ACROSS = (0, 40, 58)


@dataclass(frozen=True)
class _Thumb:
    """Degrees of a thumb, as ``HandPose`` has them."""

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
    """Return a pose of a thumb and four fingers.

    ``fingers``: index to little, letters of ``_FINGERS``; ``spread`` and ``wrist`` in degrees.
    """
    bends = [thumb.bend]
    bends += [_FINGERS[finger] for finger in fingers]
    spreads = [thumb.spread, *spread]
    flexion, deviation = np.radians(wrist)
    return HandPose(
        bend=np.radians(np.array(bends, np.float64)),
        spread=np.radians(np.array(spreads, np.float64)),
        opposition=float(np.radians(thumb.opposition)),
        wrist=(float(flexion), float(deviation)),
    )


# Degrees of spread, index to little, with which fingers of a fist touch each other.
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


# Thumbs: at rest, across from the fingers, along the index finger, around what a fist holds.
_AT_REST = _Thumb((4, 10, 10), 2, 14)
_OPPOSED = _Thumb((10, 16, 14), 2, 44)
_ALONG = _Thumb((6, 4, 4), -10, 16)
_WRAPPED = _Thumb((14, 30, 34), -2, 40)
# The thumb and a finger, index to little, whose tips touch: solved for on the mesh, 13 mm apart.
_PINCHED = (
    (_Thumb((6, 15, 15), -2, 31), (46, 45, 26)),
    (_Thumb((11, 19, 18), -2, 40), (52, 52, 31)),
    (_Thumb((18, 25, 22), -6, 39), (45, 61, 40)),
    (_Thumb((16, 34, 31), -12, 37), (51, 55, 35)),
)


def _pinch(finger: int, others: str) -> HandPose:
    """Return a pose in which the thumb touches a finger, 0 for the index.

    ``others``: letters of all four fingers, of which that one is set.
    """
    thumb, bend = _PINCHED[finger]
    pose = _pose(thumb, others, (3, 0, -2, -5))
    pose.bend[1 + finger] = np.radians(bend)
    return pose


POSTURES: dict[str, HandPose] = GESTURES | {
    "ok": _pinch(0, "||||"),
    "pinch": _pinch(0, "//w/"),
    "pinch_middle": _pinch(1, "|///"),
    "pinch_ring": _pinch(2, "||//"),
    "pinch_little": _pinch(3, "|||/"),
    "bunched": _pinch(1, "wwww"),
    "call": _pose(_WIDE_THUMB, "ooo|", (0, 0, 0, -9)),
    "rock": _pose(_FOLDED, "|oo|", (4, 0, 0, -7)),
    "love": _pose(_WIDE_THUMB, "|oo|", (5, 0, 0, -8)),
    "gun": _pose(_UP, "|ooo", (0, 0, 2, 4)),
    "gun_two": _pose(_UP, "||oo", (0, 0, 2, 4)),
    "little": _pose(_FOLDED, "ooo|", (0, 0, 0, -6)),
    "middle": _pose(_FOLDED, "o|oo", (0, 0, 0, 0)),
    "three_thumb": _pose(_WIDE_THUMB, "||oo", (7, -2, 2, 4)),
    "crossed": _pose(_FOLDED, "||oo", (-9, 10, 2, 5)),
    "flat": _pose(_ALONG, "||||", (-4, 0, 3, 6)),
    "split": _pose(_OPEN_THUMB, "||||", (3, 5, -5, -5)),
    "at_rest": _pose(_AT_REST, "////", (2, 0, -1, -3)),
    "half_closed": _pose(_AT_REST, "wwgg", (1, 0, 0, -1)),
    "claw": _pose(_OPEN_THUMB, "cccc", (6, 2, -3, -8)),
    "hook": _pose(_ALONG, "hhhh", (0, 0, 0, 0)),
    "bent": _pose(_OPPOSED, "ffff", (0, 0, 0, 0)),
    "duck": _pose(_OPPOSED, "wfff", (0, 0, 0, 0)),
    "c_shape": _pose(_OPPOSED, "wwww", (2, 0, -1, -3)),
    "key": _pose(_ALONG, "gggg", _TOGETHER),
    "pen": _pinch(0, "/wgg"),
    "thumb_inside": _pose(_TUCKED, "oooo", _TOGETHER),
    "wide_grasp": _pose(_OPPOSED, "wwww", (5, 2, -3, -7)),
    "grasp": _pose(_WRAPPED, "gggg", (1, 0, 0, -1)),
    "hold_flat": _pose(_OPPOSED, "/ww/", (6, 2, -3, -8)),
}
"""What hands are seen to do: named gestures, touches, grasps, and hands at rest."""

FISTS = ("fist", "thumb_inside")
"""Those of a closed hand that holds nothing."""

GRASPS = ("wide_grasp", "grasp", "c_shape", "hold_flat", "half_closed", "claw")
"""Postures that go around an object."""


def blend(start: HandPose, end: HandPose, share: float) -> HandPose:
    """Go ``share`` (0..1) of the way between two poses, angle by angle.

    The elbow is left straight: who blends poses decides on it afterwards.
    """
    flexion, deviation = _mix(np.array(start.wrist), np.array(end.wrist), share)
    return HandPose(
        bend=_mix(start.bend, end.bend, share),
        spread=_mix(start.spread, end.spread, share),
        opposition=float(_mix(start.opposition, end.opposition, share)),
        wrist=(float(flexion), float(deviation)),
    )


def _mix(start: Doubles | float, end: Doubles | float, share: float) -> Doubles:
    mixed = (1 - share) * np.asarray(start) + share * np.asarray(end)
    return np.asarray(mixed, np.float64)
