"""How the second hand of a person lies by the first: apart, over it, palm to palm, interlaced."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from handheld.hands.training.render.placing import PlacedHand
from handheld.hands.training.render.poses import POSTURES, blend
from handheld.hands.training.render.rig import HandPose
from handheld.hands.training.render.sampling import draw_axes, draw_pose, limited, pick
from handheld.hands.training.render.skinning import Doubles, cross, rotation


@dataclass(frozen=True)
class TwoHands:
    """One way to lay two hands together.

    Attributes:
        weight: how often.
        first, second: postures of either hand, by name.
        facing: whether the palms look at each other; else the second one lies
            on the first one's back.
        gap: metres between the palms' middles, least and most.
        turn: degrees about the palm's normal between the fingers' directions, least and most.
        slide: metres across and along, standard deviation.
        ahead: metres from the first palm's middle to the second's along the first one's fingers,
            least and most.
    """

    weight: float
    first: tuple[str, ...]
    second: tuple[str, ...]
    facing: bool
    gap: tuple[float, float]
    turn: tuple[float, float]
    slide: float
    ahead: tuple[float, float] = (0.0, 0.0)


# Degrees by which a finger's joints differ from the postures, standard deviation.
_SHAKE = 3

# Gaps are between the palms' keypoints, which lie in the flesh: hands that touch have one too.
TOGETHER: Mapping[str, TwoHands] = {
    "palm_to_palm": TwoHands(
        weight=2,
        first=("flat", "open_palm", "at_rest"),
        second=("flat", "open_palm", "at_rest"),
        facing=True,
        gap=(0.035, 0.06),
        turn=(-15, 15),
        slide=0.01,
    ),
    # A palm is some 30 mm thick: these fingers reach between the other hand's.
    "interlaced": TwoHands(
        weight=3,
        first=("grasp", "hook", "bent", "half_closed"),
        second=("grasp", "hook", "bent", "half_closed"),
        facing=True,
        gap=(0.02, 0.04),
        turn=(25, 100),
        slide=0.012,
    ),
    "fist_in_hand": TwoHands(
        weight=2,
        first=("fist", "thumb_inside"),
        second=("wide_grasp", "grasp"),
        facing=True,
        gap=(0.055, 0.075),
        turn=(30, 110),
        slide=0.015,
    ),
    "hand_on_hand": TwoHands(
        weight=2,
        first=("at_rest", "flat", "fist"),
        second=("at_rest", "flat", "half_closed"),
        facing=False,
        gap=(0.035, 0.05),
        turn=(-60, 60),
        slide=0.02,
    ),
    # In one plane, the arms from both sides: signs, and hearts, balls and roofs that hands form.
    "fist_to_fist": TwoHands(
        weight=3,
        first=("fist", "thumb_inside", "half_closed", "thumb_up"),
        second=("fist", "thumb_inside", "half_closed", "thumb_up"),
        facing=False,
        gap=(-0.015, 0.015),
        turn=(140, 215),
        slide=0.015,
        ahead=(0.07, 0.105),
    ),
    "tip_to_tip": TwoHands(
        weight=4,
        first=("c_shape", "at_rest", "open_palm", "bent", "pinch", "one", "hook"),
        second=("c_shape", "at_rest", "open_palm", "bent", "pinch", "one", "hook"),
        facing=False,
        gap=(-0.02, 0.02),
        turn=(110, 215),
        slide=0.02,
        ahead=(0.11, 0.2),
    ),
    "touching": TwoHands(
        weight=2,
        first=("pinch", "one", "at_rest", "open_palm"),
        second=("pinch", "one", "at_rest", "c_shape"),
        facing=True,
        gap=(0.09, 0.14),
        turn=(-40, 60),
        slide=0.03,
    ),
}
"""Hands that meet, as photos of sign language and of people at rest show them."""


class LaidHand(NamedTuple):
    """How a second hand is bent and where it lies.

    Attributes:
        pose: of its joints.
        axes: (3, 3), rows: the palm's across, along and out as the camera's.
        centre: (3,) metres, the middle of the palm.
    """

    pose: HandPose
    axes: Doubles
    centre: Doubles


def draw_together(random: np.random.Generator) -> TwoHands:
    """Choose one of ``TOGETHER``, by their weights."""
    arrangements = list(TOGETHER.values())
    weights = np.array([arrangement.weight for arrangement in arrangements])
    shares = weights / weights.sum()
    chosen = random.choice(len(arrangements), p=shares)
    return arrangements[int(chosen)]


def pose_of(postures: tuple[str, ...], random: np.random.Generator) -> HandPose:
    """Choose a pose between two of these postures."""
    start = POSTURES[pick(random, postures)]
    end = POSTURES[pick(random, postures)]
    pose = blend(start, end, random.random())
    bend = pose.bend + np.radians(random.normal(0, _SHAKE, (5, 3)))
    elbow = random.uniform(0.3, 1.8)
    # A straight wrist: what the hands meet with must stay where it is laid.
    shaken = replace(pose, bend=bend, wrist=(0.0, 0.0), elbow=elbow)
    return limited(shaken)


def lay_by(first: PlacedHand, arrangement: TwoHands, random: np.random.Generator) -> LaidHand:
    """Lay a hand by another, as an arrangement says."""
    across, along, out = first.axes
    # The hands' palms look at each other, or both the same way: the second one's back is seen.
    sign = 1 if arrangement.facing else -1
    normal = -sign * out
    fingers = _draw_fingers(first, arrangement, random)
    axes = np.stack([cross(fingers, normal), fingers, normal])
    sideways, forward = random.normal(0, arrangement.slide, 2)
    forward += random.uniform(*arrangement.ahead)
    gap = sign * random.uniform(*arrangement.gap)
    centre = first.centre + gap * out + sideways * across + forward * along
    pose = pose_of(arrangement.second, random)
    return LaidHand(pose, axes, centre)


def _draw_fingers(first: PlacedHand, arrangement: TwoHands, random: np.random.Generator) -> Doubles:
    """Choose which way the fingers of the second hand point, (3,) unit vector."""
    across, along, _ = first.axes
    angle = np.radians(random.uniform(*arrangement.turn))
    # Fingers of two hands that fold into each other point towards the other hand's thumb.
    thumbward = across * first.rig.thumbward
    turned: Doubles = rotation(cross(along, thumbward), angle) @ along
    return turned


def lay_apart(first: PlacedHand, random: np.random.Generator) -> LaidHand:
    """Lay a hand beside, before or behind another."""
    axes = draw_axes(random, "palm" if random.random() < 0.5 else "back")
    # From half a hand, where they overlap in the picture, to two hands away.
    reach = first.rig.size * random.uniform(0.5, 2.0)
    direction = random.uniform(-np.pi, np.pi)
    across = reach * np.cos(direction)
    down = reach * np.sin(direction)
    # Nearer or farther by more than a hand is thick, so that the two do not go through each other.
    depth = random.choice((-1, 1)) * random.uniform(0.06, 0.15)
    centre = first.centre + np.array([across, down, depth])
    return LaidHand(draw_pose(random), axes, centre)
