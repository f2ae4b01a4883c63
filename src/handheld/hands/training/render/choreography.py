"""What the two hands of the clip do, and when: a table of key poses, and eases between them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

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
    """Where a wrist is, (3,) metres before the camera, and how the forearm is turned there, in
    degrees.

    ``yaw`` turns about the picture's vertical, ``pitch`` about its horizontal (fingers towards the
    camera), ``roll`` clockwise in the picture.
    """

    wrist: tuple[float, float, float]
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0

    @classmethod
    def of(cls, numbers: Doubles) -> "Placement":
        """Return the placement of six numbers (6,): the wrist, yaw, pitch, roll."""
        x, y, z, yaw, pitch, roll = numbers.tolist()
        return cls((x, y, z), yaw, pitch, roll)

    @property
    def numbers(self) -> Doubles:
        """(6,) all of it, to be added up and mixed."""
        return np.array([*self.wrist, self.yaw, self.pitch, self.roll])

    def apply(self, rig: Rig, points: Doubles) -> Doubles:
        """Bring points (N, 3) from the mesh's metres to the camera's."""
        angles = np.radians([self.pitch, self.yaw, self.roll])
        pitch, yaw, roll = rotation(np.eye(3), angles)
        # The roll last, in the picture: it means the same however the hand is turned.
        turn = roll @ pitch @ yaw @ _FACING @ rig.frame
        wrist = rig.heads[rig.wrist]
        moved: Doubles = (points - wrist) @ turn.T
        moved += self.wrist
        return moved


@dataclass(frozen=True)
class Key:
    """At ``at`` seconds the hand has made this gesture at this place."""

    at: float
    gesture: str
    placement: Placement


def _key(at: float, gesture: str, wrist: tuple[float, float, float], *turn: float) -> Key:
    return Key(at, gesture, Placement(wrist, *turn))


# Seconds, gesture, wrist in metres, yaw, pitch and roll in degrees.
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
# It counts to five, leaves the picture to the right and comes back: a tracker shall be seen to lose
# and find it.
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
# Seconds in which a hand waves.
_WAVES: dict[Handedness, tuple[tuple[float, float], ...]] = {
    "Right": ((0.0, 1.05),),
    "Left": ((3.6, 4.4),),
}
_KEYS = {"Right": _RIGHT, "Left": _LEFT}


# Seconds of each sway: no two alike and none a multiple of another, so that it never repeats.
_PERIODS = np.array([3.1, 2.3, 2.7, 1.9, 2.9, 2.1])

# Largest sway: metres of the wrist, degrees of yaw, pitch and roll.
_SWAY = np.array([0.004, 0.004, 0.004, 3, 2, 1.5])

# The same of a wave, which goes from side to side.
_WAVE = np.array([0.012, 0, 0, 0, 0, 7])

# Waves a second.
_WAVE_RATE = 2.2

# Radians by which the wrist itself bends: its flexion with the sway, its deviation with a wave.
_WRIST_SWAY = 0.05
_WRIST_WAVE = 0.22


def hand_at(hand: Handedness, seconds: float, sway: Doubles) -> tuple[HandPose, Placement]:
    """Tell how a hand is bent and placed at a time in 0..6 seconds.

    ``sway``: six phases in radians of a slow drift that keeps the hand from ever being still.
    """
    start, end = _keys_around(_KEYS[hand], seconds)
    share = _ease((seconds - start.at) / (end.at - start.at))
    pose = blend(GESTURES[start.gesture], GESTURES[end.gesture], share)
    numbers = (1 - share) * start.placement.numbers + share * end.placement.numbers
    drift = np.sin(2 * np.pi * seconds / _PERIODS + sway)
    wave = _waves_at(hand, seconds)
    placed = Placement.of(numbers + _SWAY * drift + _WAVE * wave)
    flexion, deviation = pose.wrist
    bent = flexion + _WRIST_SWAY * float(drift[0])
    aside = deviation + _WRIST_WAVE * _thumbward(hand, wave)
    return replace(pose, wrist=(bent, aside)), placed


def _waves_at(hand: Handedness, seconds: float) -> float:
    waves = [_wave(seconds, start, end) for start, end in _WAVES[hand]]
    return float(sum(waves))


def _thumbward(hand: Handedness, wave: float) -> float:
    # Towards the thumb, which is on the other side of a left hand: so both wave the same way.
    if hand == "Right":
        return wave
    return -wave


def _keys_around(keys: Sequence[Key], seconds: float) -> tuple[Key, Key]:
    """Return the last key before a time and the first one after it."""
    for start, end in pairwise(keys):
        if end.at > seconds:
            return start, end
    # The last moment is the last key itself.
    return keys[-2], keys[-1]


def _ease(share: float) -> float:
    """Start and end at rest, with no jerk at either (Perlin's smootherstep)."""
    share = min(max(share, 0.0), 1.0)
    # 10 s^3 - 15 s^4 + 6 s^5: first and second derivatives are nothing at both ends.
    factor = share * (6 * share - 15) + 10
    return share**3 * factor


def _wave(seconds: float, start: float, end: float) -> float:
    """Return how far a waving hand is aside, -1 to 1: nothing outside of the window."""
    since = seconds - start
    inside = min(max(since / (end - start), 0.0), 1.0)
    swell = np.sin(np.pi * inside)
    return float(swell * np.sin(2 * np.pi * _WAVE_RATE * since))
