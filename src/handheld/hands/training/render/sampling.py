"""What is left to chance in one hand: how it is bent, which way it looks, how it is lit.

Every function takes the ``Generator`` that decides; the same state gives the same answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import cos, pi, radians, sin
from typing import Literal, TypeAlias, TypeVar

import numpy as np

from handheld._kernels import kernel
from handheld.hands.training.render.poses import FISTS, GRASPS, POSTURES, blend
from handheld.hands.training.render.rig import HandPose
from handheld.hands.training.render.shade import Light
from handheld.hands.training.render.skinning import Doubles, cross

Side: TypeAlias = Literal["palm", "back"]
"""Which side of a hand the camera sees."""

LIMITS = np.radians(
    np.array(
        [
            [(-14, 30), (-10, 60), (-15, 75)],
            *[[(-18, 92), (-4, 112), (-10, 78)]] * 4,
        ],
        np.float64,
    )
)
"""(5, 3, 2) least and most bend of each joint: active ranges of motion of healthy adults,
rounded."""
# Of a finger to either side, as far as a hand that spreads its fingers goes.
_SPREAD_LIMIT = radians(16)
# Sum of a finger's bends at which its tip is in the palm.
_CLOSED = radians(250)
# Flexion and deviation of a wrist, either way.
_WRIST_LIMITS = (radians(60), radians(22))

# Of wrist to middle knuckle: nearer than this, two fingers' middles lie in each other's flesh.
_TOO_NEAR = 0.085

_POSTURES = tuple(POSTURES.values())

# Shares up to which a pose is a known posture, and up to which it is between two of them; the rest
# is anything that joints allow.
_KNOWN = 0.45
_BETWEEN = 0.70


# Shares up to which a palm is seen edge-on, and up to which it is at any other angle; the rest
# looks about at the camera. Palms beyond the limit are edge-on.
_EDGE_ON = 0.125
_ANY_TILT = 0.4
_TILT_LIMIT = radians(65)

Choice = TypeVar("Choice")


def pick(random: np.random.Generator, choices: Sequence[Choice]) -> Choice:
    """Choose one of several, each equally often."""
    # `Generator.choice` makes an array of them first.
    return choices[int(random.integers(len(choices)))]


def draw_pose(random: np.random.Generator) -> HandPose:
    """Choose how a hand is bent: a known posture, something between two, or anything the joints
    allow.
    """
    choice = random.random()
    if choice < _KNOWN:
        pose = pick(random, _POSTURES)
    elif choice < _BETWEEN:
        pose = _draw_blend(random, _POSTURES)
    else:
        pose = _anything(random)
    return limited(_shaken(pose, random))


def _draw_blend(random: np.random.Generator, poses: Sequence[HandPose]) -> HandPose:
    start = pick(random, poses)
    end = pick(random, poses)
    return blend(start, end, random.random())


def draw_fist(random: np.random.Generator) -> HandPose:
    """Choose how a hand is bent that is closed around nothing."""
    return limited(_shaken(POSTURES[pick(random, FISTS)], random))


def draw_grasp(random: np.random.Generator) -> HandPose:
    """Choose how a hand is bent that holds something."""
    pose = _draw_blend(random, [POSTURES[name] for name in GRASPS])
    return limited(_shaken(pose, random))


def _anything(random: np.random.Generator) -> HandPose:
    """Bend each finger as a whole by chance, its joints together, and the thumb as in some
    posture.
    """
    # A thumb at random is mostly rubber: it goes between where thumbs are seen.
    thumb = _draw_blend(random, _POSTURES)
    bend = thumb.bend.copy()
    spread = thumb.spread.copy()
    bend[1:] = _draw_curls(random)
    spread[1:] = np.radians(random.normal((3, 1, -1, -4), 4))
    return replace(thumb, bend=bend, spread=spread)


def _draw_curls(random: np.random.Generator) -> Doubles:
    """Choose how far each finger is closed: (4, 3) radians of its joints."""
    # Below 1: fingers are mostly straight or closed, seldom between.
    curl = random.beta(0.8, 0.8, 4)
    knuckle_curl = curl + random.normal(0, 0.25, 4)
    middle_curl = curl + random.normal(0, 0.2, 4)
    knuckle = np.radians(85 * knuckle_curl)
    middle = np.radians(105 * middle_curl)
    # The last two joints of a finger share a tendon.
    last = 0.62 * middle + np.radians(random.normal(0, 6, 4))
    return np.stack([knuckle, middle, last], axis=1)


def _shaken(pose: HandPose, random: np.random.Generator) -> HandPose:
    """Return a pose as another hand would have made it, on a wrist and an arm of any bend."""
    # The wrist's numbers first: the order is a seed's.
    flexion = np.radians(random.normal(0, 20))
    deviation = np.radians(random.normal(0, 8))
    bend = np.radians(random.normal(0, 4, (5, 3)))
    spread = np.radians(random.normal(0, 1.5, 5))
    opposition = radians(random.normal(0, 4))
    resting_flexion, resting_deviation = pose.wrist
    return replace(
        pose,
        bend=pose.bend + bend,
        spread=pose.spread + spread,
        opposition=pose.opposition + opposition,
        wrist=(resting_flexion + float(flexion), resting_deviation + float(deviation)),
        elbow=radians(random.uniform(0, 100)),
    )


def limited(pose: HandPose) -> HandPose:
    """Keep a pose within what joints allow, and fingertips out of the palm."""
    spread = pose.spread.copy()
    # Not the thumb, which spreads by its own joint.
    spread[1:] = spread[1:].clip(-_SPREAD_LIMIT, _SPREAD_LIMIT)
    flexion, deviation = np.clip(pose.wrist, np.negative(_WRIST_LIMITS), _WRIST_LIMITS)
    return replace(
        pose,
        bend=_limited_bend(pose.bend),
        spread=spread,
        wrist=(float(flexion), float(deviation)),
    )


def _limited_bend(bend: Doubles) -> Doubles:
    """Return the bends (5, 3) that joints allow, with every fingertip out of the palm."""
    limited_bend = np.clip(bend, LIMITS[..., 0], LIMITS[..., 1])
    # All three joints at their limits would be a tip within the palm: they give way alike.
    closed = limited_bend[1:].clip(0).sum(axis=1)
    share = np.minimum(1, _CLOSED / closed.clip(1e-6))
    limited_bend[1:] *= share[:, None]
    return limited_bend


def is_tangled(joints: Doubles, size: float) -> bool:
    """Whether two fingers go through each other.

    Args:
        joints: (21, 3) metres, in the fingers' middles.
        size: wrist to middle knuckle, metres.
    """
    # Of one layout and type, as numba compiles a kernel once for each.
    flat = np.ascontiguousarray(joints, np.float64)
    return bool(_nearest_fingers(flat) < _TOO_NEAR * size)


@kernel()
def _nearest_fingers(joints: Doubles) -> float:
    """Return the least distance between points of two fingers, beyond their
    first bones' beginnings.
    """
    points = np.empty((5, 12, 3))
    for finger in range(5):
        for step in range(12):
            # Knuckles lie side by side in one palm; what can cross begins beyond them.
            share = 0.75 + step * (2.25 / 11)
            bone = min(int(share), 2)
            along = share - bone
            for axis in range(3):
                first = joints[1 + 4 * finger + bone, axis]
                second = joints[2 + 4 * finger + bone, axis]
                points[finger, step, axis] = first + along * (second - first)
    closest = np.inf
    for finger in range(5):
        for other in range(finger + 1, 5):
            for step in range(12):
                for other_step in range(12):
                    total = 0.0
                    for axis in range(3):
                        gap = points[finger, step, axis] - points[other, other_step, axis]
                        total += gap * gap
                    closest = min(closest, total)
    return float(np.sqrt(closest))


def draw_axes(random: np.random.Generator, side: Side) -> Doubles:
    """Choose which way a hand looks: its axes (across, along, out of the palm) as the camera's,
    (3, 3) rows.
    """
    while True:
        out = _draw_normal(random, side)
        along = _draw_direction(random)
        # Made perpendicular: the direction is only meant as the picture shows it.
        along -= (along @ out) * out
        along /= np.linalg.norm(along).clip(1e-9)
        # Seen along the hand, from the fingertips or from the elbow, there is hardly a hand to see.
        if np.hypot(along[0], along[1]) > _END_ON:
            return np.stack([cross(along, out), along, out])


def draw_axes_ahead(random: np.random.Generator, side: Side) -> Doubles:
    """Choose which way a hand looks that is held out to the camera; see :func:`draw_axes`.

    Of an open hand there is hardly anything to see then, of a fist there are the knuckles.
    """
    off = random.uniform(*_AHEAD)
    along = sin(off) * _draw_direction(random) - np.array([0.0, 0.0, cos(off)])
    while True:
        out = cross(along, _unit(random))
        out /= np.linalg.norm(out).clip(1e-9)
        # A palm that the camera sees looks back at it; edge-on a fist is seen from both sides.
        if (-out[2] if side == "palm" else out[2]) > 0:
            return np.stack([cross(along, out), along, out])


def _unit(random: np.random.Generator) -> Doubles:
    """Choose any direction, (3,) unit vector."""
    direction = random.normal(size=3)
    return np.asarray(direction / np.linalg.norm(direction).clip(1e-9))


def _draw_normal(random: np.random.Generator, side: Side) -> Doubles:
    """Choose which way a palm looks, (3,) unit vector; the camera looks along z."""
    tilt = _draw_tilt(random)
    azimuth = random.uniform(-pi, pi)
    across = sin(tilt) * cos(azimuth)
    down = sin(tilt) * sin(azimuth)
    # A palm that the camera sees looks back at it.
    facing = -cos(tilt) if side == "palm" else cos(tilt)
    return np.array([across, down, facing])


def _draw_direction(random: np.random.Generator) -> Doubles:
    """Choose which way fingers point in the picture, (3,): mostly up, as people hold up hands."""
    roll = _draw_roll(random)
    return np.array([sin(roll), -cos(roll), 0.0])


def _draw_roll(random: np.random.Generator) -> float:
    # As hands are held up, or as they are seen from anywhere.
    if random.random() < 0.6:
        return random.normal(0, 0.6)
    return random.uniform(-pi, pi)


_END_ON = 0.5

# Between the line of sight and the forearm of a fist that is held out to the camera, least and
# most. At 0 nobody could tell which way the hand is turned.
_AHEAD = (radians(10), radians(50))


def _draw_tilt(random: np.random.Generator) -> float:
    """Choose the angle between the palm's normal and the line of sight: mostly small, 1 in 8
    edge-on.
    """
    choice = random.random()
    if choice < _EDGE_ON:
        return float(random.uniform(_TILT_LIMIT, radians(90)))
    if choice < _ANY_TILT:
        return float(random.uniform(0, _TILT_LIMIT))
    tilt = abs(random.normal(0, radians(30)))
    return float(min(tilt, _TILT_LIMIT))


def draw_light(random: np.random.Generator, surroundings: Doubles) -> Light:
    """Choose a lamp, and a room whose light has the colour of the background.

    Args:
        random: decides.
        surroundings: (3,) mean colour of the background, 0 to 1.
    """
    towards = _draw_lamp_direction(random)
    warmth = random.normal(0, 0.08)
    lamp = random.uniform(0.4, 1.1) * np.exp([warmth, 0.0, -warmth])
    sky = random.uniform(0.2, 0.55) * _room_colour(surroundings)
    ground = random.uniform(0.4, 0.9) * sky
    return Light(
        towards=_triple(towards),
        lamp=_triple(lamp),
        sky=_triple(sky),
        ground=_triple(ground),
        gloss=float(random.uniform(0, 0.12)),
        crevices=float(random.uniform(0.1, 0.5)),
    )


def _room_colour(surroundings: Doubles) -> Doubles:
    """Return the colour (3,) of a room's light, 1 for its strongest part."""
    brightest = surroundings.max().clip(0.1)
    # Grey at most: what a picture shows is darker and more colourful than the light that fills the
    # room.
    colour: Doubles = 0.65 + 0.35 * surroundings / brightest
    return colour


def _draw_lamp_direction(random: np.random.Generator) -> Doubles:
    """Choose where a lamp is: (3,) unit vector towards it."""
    # From above, y being downward, and from the camera's side: a lamp behind a hand lights nothing.
    across = random.normal()
    up = abs(random.normal(0.5, 0.7))
    towards = np.array([across, -up, -random.uniform(0.1, 1.4)])
    towards /= np.linalg.norm(towards)
    return towards


def _triple(values: Doubles) -> tuple[float, float, float]:
    first, second, third = values.tolist()
    return first, second, third


@dataclass(frozen=True)
class CropJitter:
    """How far a crop is from the one that follows from the true keypoints, as tracking's are.

    Attributes:
        shift: standard deviation of the centre, as a share of the side.
        scale: standard deviation of the side's logarithm.
        rotation: standard deviation, degrees.
        palm_share: share of crops that follow from the palm, as in the first frame of a track.
    """

    shift: float = 0.04
    scale: float = 0.1
    rotation: float = 9.0
    palm_share: float = 0.25
