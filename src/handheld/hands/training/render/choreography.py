"""What the two hands of the clip do, and when: a table of key poses and the eased way between them."""

from dataclasses import dataclass, replace

import numpy as np

from handheld.hands.training.render.mesh import Handedness
from handheld.hands.training.render.poses import GESTURES, blend
from handheld.hands.training.render.rig import HandPose, Rig
from handheld.hands.training.render.skinning import Doubles, rotation

SECONDS = 6.0
# The palm's frame as seen by the camera: across is right, along the hand is up, the palm looks at
# the camera.
_FACING = np.diag([1.0, -1.0, -1.0])


@dataclass(frozen=True)
class Placement:
    """Where a wrist is, (3,) metres before the camera, and how the forearm is
    turned there, in degrees.

    ``yaw`` turns about the picture's vertical, ``pitch`` about its horizontal (fingers towards the
    camera), ``roll`` clockwise in the picture.
    """

    wrist: tuple[float, float, float]
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0

    def apply(self, rig: Rig, points: Doubles) -> Doubles:
        """Bring points (N, 3) from the mesh's metres to the camera's."""
        pitch, yaw, roll = rotation(np.eye(3), np.radians([self.pitch, self.yaw, self.roll]))
        turn = roll @ pitch @ yaw @ _FACING @ rig.frame
        moved: Doubles = (points - rig.heads[rig.mesh.bones.index("wrist.R")]) @ turn.T
        moved += self.wrist
        return moved


@dataclass(frozen=True)
class Key:
    """At ``at`` seconds the hand has made this gesture at this place."""

    at: float
    gesture: str
    place: Placement


def _key(at: float, gesture: str, wrist: tuple[float, float, float], *turn: float) -> Key:
    return Key(at, gesture, Placement(wrist, *turn))


_RIGHT = (
    _key(0.0, "open_palm", (-0.135, 0.085, 0.56), 12, 0, -6),
    _key(1.05, "open_palm", (-0.135, 0.080, 0.55), 8, 4, -4),
    _key(1.4, "two", (-0.130, 0.090, 0.52), -8, 6, -5),
    _key(2.05, "two", (-0.120, 0.080, 0.51), 6, 6, -2),
    _key(2.4, "one", (-0.125, 0.085, 0.53), -14, 8, 4),
    _key(2.95, "one", (-0.135, 0.075, 0.53), -4, 8, -3),
    _key(3.3, "fist", (-0.140, 0.060, 0.54), 4, 6, -4),
    _key(3.75, "fist", (-0.135, 0.055, 0.53), 0, 4, -2),
    _key(4.2, "thumb_up", (-0.175, 0.055, 0.53), -158, 4, 54),
    _key(4.85, "thumb_up", (-0.170, 0.04, 0.52), -152, 6, 57),
    _key(5.35, "open_palm", (-0.130, 0.080, 0.55), -6, 2, -4),
    _key(6.0, "open_palm", (-0.135, 0.085, 0.56), 8, 0, -6),
)
_LEFT = (
    _key(0.0, "one", (0.130, 0.095, 0.54), 10, 6, 4),
    _key(0.7, "one", (0.125, 0.085, 0.54), -4, 6, 6),
    _key(0.95, "two", (0.125, 0.090, 0.53), 6, 6, 2),
    _key(1.6, "two", (0.135, 0.085, 0.53), -8, 6, 5),
    _key(1.85, "three", (0.135, 0.085, 0.54), 4, 4, 4),
    _key(2.5, "three", (0.125, 0.090, 0.55), 14, 4, 6),
    _key(2.75, "four", (0.125, 0.085, 0.54), 6, 2, 3),
    _key(3.35, "four", (0.135, 0.080, 0.54), -6, 2, 5),
    _key(3.6, "five", (0.135, 0.085, 0.55), -10, 2, 4),
    _key(4.35, "five", (0.140, 0.085, 0.55), -10, 0, 6),
    _key(4.65, "open_palm", (0.430, 0.160, 0.57), -16, 0, 24),
    _key(5.1, "open_palm", (0.430, 0.160, 0.57), -16, 0, 24),
    _key(5.4, "open_palm", (0.140, 0.080, 0.55), -6, 4, 6),
    _key(5.65, "fist", (0.130, 0.070, 0.54), 0, 6, 3),
    _key(5.75, "fist", (0.130, 0.070, 0.54), 0, 6, 3),
    _key(6.0, "five", (0.130, 0.085, 0.54), 4, 4, 4),
)
_WAVES: dict[Handedness, tuple[tuple[float, float], ...]] = {
    "Right": ((0.0, 1.05),),
    "Left": ((3.6, 4.4),),
}
_KEYS = {"Right": _RIGHT, "Left": _LEFT}


def hand_at(hand: Handedness, seconds: float, sway: Doubles) -> tuple[HandPose, Placement]:
    """Tell how a hand is bent and placed at a time in 0..6 seconds.

    ``sway``: six phases in radians of a slow drift that keeps the hand from ever being still.
    """
    keys = _KEYS[hand]
    after = next((i for i, key in enumerate(keys) if key.at > seconds), len(keys) - 1)
    start, end = keys[after - 1], keys[after]
    share = _ease((seconds - start.at) / (end.at - start.at))
    pose = blend(GESTURES[start.gesture], GESTURES[end.gesture], share)
    wave = sum(_wave(seconds, *window) for window in _WAVES[hand])
    place = _between(start.place, end.place, share)
    drift = np.sin(2 * np.pi * seconds / np.array([3.1, 2.3, 2.7, 1.9, 2.9, 2.1]) + sway)
    x, y, z = np.array(place.wrist) + 0.004 * drift[:3] + (0.012 * wave, 0, 0)
    yaw, pitch, roll = (
        np.array([place.yaw, place.pitch, place.roll]) + (3, 2, 1.5) * drift[3:] + (0, 0, 7 * wave)
    )
    placed = Placement((float(x), float(y), float(z)), float(yaw), float(pitch), float(roll))
    sign = 1 if hand == "Right" else -1
    flexion, deviation = pose.wrist
    return replace(
        pose, wrist=(flexion + 0.05 * float(drift[0]), deviation + sign * 0.22 * float(wave))
    ), placed


def _ease(share: float) -> float:
    """Start and end at rest, with no jerk at either (Perlin's smootherstep)."""
    share = min(max(share, 0.0), 1.0)
    return share**3 * (share * (6 * share - 15) + 10)


def _wave(seconds: float, start: float, end: float) -> float:
    inside = min(max((seconds - start) / (end - start), 0.0), 1.0)
    return float(np.sin(np.pi * inside) * np.sin(2 * np.pi * 2.2 * (seconds - start)))


def _between(start: Placement, end: Placement, share: float) -> Placement:
    a = np.array([*start.wrist, start.yaw, start.pitch, start.roll])
    b = np.array([*end.wrist, end.yaw, end.pitch, end.roll])
    x, y, z, yaw, pitch, roll = ((1 - share) * a + share * b).tolist()
    return Placement((x, y, z), yaw, pitch, roll)
