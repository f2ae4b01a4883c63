"""How the second hand of a person lies by the first: apart, over it, palm to palm, interlaced."""

from collections.abc import Mapping
from dataclasses import dataclass

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
        postures: of the second hand, by name.
        facing: whether the palms look at each other; else the second one lies on the first one's back.
        gap: metres between the palms' middles, least and most.
        turn: degrees about the palm's normal between the fingers' directions, least and most.
        slide: metres across and along, standard deviation.
    """

    weight: float
    postures: tuple[str, ...]
    facing: bool
    gap: tuple[float, float]
    turn: tuple[float, float]
    slide: float


TOGETHER: Mapping[str, TwoHands] = {
    "palm_to_palm": TwoHands(2, ("flat", "open_palm", "at_rest"), True, (0.035, 0.06), (-15, 15), 0.01),
    "interlaced": TwoHands(3, ("grasp", "hook", "bent", "half_closed"), True, (0.02, 0.04), (25, 100), 0.012),
    "fist_in_hand": TwoHands(2, ("wide_grasp", "grasp"), True, (0.055, 0.075), (30, 110), 0.015),
    "hand_on_hand": TwoHands(2, ("at_rest", "flat", "half_closed"), False, (0.035, 0.05), (-60, 60), 0.02),
    "touching": TwoHands(2, ("pinch", "one", "at_rest", "c_shape"), True, (0.09, 0.14), (-40, 60), 0.03),
}
"""Hands that meet, from what photos of sign language and of people at rest show."""

FIRST_POSTURES: Mapping[str, tuple[str, ...]] = {
    "palm_to_palm": ("flat", "open_palm", "at_rest"),
    "interlaced": ("grasp", "hook", "bent", "half_closed"),
    "fist_in_hand": ("fist", "thumb_inside"),
    "hand_on_hand": ("at_rest", "flat", "fist"),
    "touching": ("pinch", "one", "at_rest", "open_palm"),
}
"""How the first hand is bent in each."""


def draw_together(random: np.random.Generator) -> str:
    """Choose one of ``TOGETHER``."""
    weights = np.array([way.weight for way in TOGETHER.values()])
    return str(random.choice(list(TOGETHER), p=weights / weights.sum()))


def pose_of(postures: tuple[str, ...], random: np.random.Generator) -> HandPose:
    """Choose a pose between two of these postures."""
    start = POSTURES[pick(random, postures)]
    end = POSTURES[pick(random, postures)]
    pose = blend(start, end, random.random())
    bend = pose.bend + np.radians(random.normal(0, 3, (5, 3)))
    shaken = HandPose(bend, pose.spread, pose.opposition, (0.0, 0.0), float(random.uniform(0.3, 1.8)))
    return limited(shaken)


def lay_by(first: PlacedHand, way: TwoHands, random: np.random.Generator) -> tuple[Doubles, Doubles]:
    """Return axes (3, 3) and the middle (3,) of the palm of a hand that lies by another."""
    across, along, out = first.axes
    thumbward = across * first.rig.thumbward
    normal = -out if way.facing else out
    # Fingers of two hands that fold into each other point towards the other hand's thumb.
    angle = np.radians(random.uniform(*way.turn))
    turned = rotation(cross(along, thumbward), angle) @ along
    axes = np.stack([cross(turned, normal), turned, normal])
    slide = random.normal(0, way.slide, 2)
    gap = random.uniform(*way.gap) * (1 if way.facing else -1)
    return axes, first.centre + gap * out + slide[0] * across + slide[1] * along


def lay_apart(first: PlacedHand, random: np.random.Generator) -> tuple[HandPose, Doubles, Doubles]:
    """Return pose, axes (3, 3) and the middle (3,) of a hand beside, before or behind another."""
    side = "palm" if random.random() < 0.5 else "back"
    axes = draw_axes(random, "palm" if side == "palm" else "back")
    reach = first.rig.size * random.uniform(0.5, 2.0)
    direction = random.uniform(-np.pi, np.pi)
    depth = random.choice((-1, 1)) * random.uniform(0.06, 0.15)
    offset = np.array([reach * np.cos(direction), reach * np.sin(direction), depth])
    return draw_pose(random), axes, first.centre + offset
