"""Sleeves that hide the cut end of an arm, and things that a hand holds."""

import numpy as np

from handheld.hands.training.render.mesh import Floats
from handheld.hands.training.render.placing import PlacedHand
from handheld.hands.training.render.props import (
    Surface,
    ellipsoid,
    forearm,
    sleeve,
    straight_tube,
    wrist_radii,
)
from handheld.hands.training.render.shade import Body, Picture
from handheld.hands.training.render.skinning import Doubles
from handheld.hands.training.render.sources import RenderSources, read_tile

_SLEEVES = 0.55
"""Share of arms in sleeves, where there is an arm to show."""
_STUB = 0.012
"""Metres behind the wrist at which a mesh without an arm must be covered."""
_LONG = 0.8
"""Metres that a sleeve reaches behind the wrist where no arm is: out of most pictures."""
_PALM_DEPTH = 0.16
"""Of wrist to middle knuckle: from the palm's keypoints to its skin."""
_CLOTH_GLOSS = 0.2


def dress(hand: PlacedHand, sources: RenderSources, random: np.random.Generator) -> list[Body]:
    """Choose what the arm wears."""
    cloth = draw_surface(sources, random)
    if not hand.person.has_arm:
        radii = wrist_radii(hand.rig)
        slack = random.uniform(1.1, 1.6)
        begin = random.uniform(-_STUB, _STUB)
        surface, resting = forearm(hand.rig, (slack * radii[0], slack * radii[1]), begin, _LONG)
        return [_cloth_body(surface, hand.with_forearm(resting), cloth, random)]
    if random.random() > _SLEEVES:
        return []
    begin = random.exponential(0.05) if random.random() < 0.7 else random.uniform(0.05, 0.25)
    thickness = random.uniform(0.003, 0.012)
    surface, posed = sleeve(hand.rig, hand.vertices, begin, thickness)
    return [_cloth_body(surface, posed, cloth, random)]


def _cloth_body(
    surface: Surface, vertices: Floats, cloth: Picture, random: np.random.Generator
) -> Body:
    tint = np.exp(random.normal(-0.1, 0.3) + random.normal(0, 0.2, 3)).astype(np.float32)
    return Body(surface, vertices, cloth, tint, _CLOTH_GLOSS)


def draw_surface(sources: RenderSources, random: np.random.Generator) -> Picture:
    """Choose a picture (N, N, 3) of cloth, cardboard and the like; one colour where there is none."""
    if not sources.textures or random.random() < 0.2:
        colour = random.uniform(15, 235, 3)
        return np.full((8, 8, 3), colour, np.uint8)
    return read_tile(sources.textures[random.integers(len(sources.textures))])


def hold(hand: PlacedHand, sources: RenderSources, random: np.random.Generator) -> Body:
    """Put something into a hand that is bent to hold it: a stick, a bottle, a carton, a ball."""
    size = hand.rig.size
    across, along, out = hand.axes
    across = across * hand.rig.thumbward
    radius = size * random.uniform(0.15, 0.45)
    towards_fingers = along * size * random.uniform(0.2, 0.45)
    middle = hand.centre + towards_fingers + out * (radius + _PALM_DEPTH * size)
    lean = random.normal(0, 0.25)
    axis = across * np.cos(lean) + along * np.sin(lean)
    surface, vertices = _thing(middle, axis, out, radius, random)
    gloss = random.uniform(0, 2)
    tint = np.exp(random.normal(0, 0.15, 3)).astype(np.float32)
    return Body(surface, vertices, draw_surface(sources, random), tint, gloss)


def _thing(
    middle: Doubles, axis: Doubles, out: Doubles, radius: float, random: np.random.Generator
) -> tuple[Surface, Floats]:
    choice = random.random()
    if choice < 0.2:
        axes = np.stack([axis, np.cross(out, axis), out])
        axes[1] /= np.linalg.norm(axes[1])
        radii = radius * random.uniform(0.8, 1.3, 3)
        return ellipsoid(middle, axes, (float(radii[0]), float(radii[1]), float(radii[2])))
    # A bottle stands out of a fist on both sides, a pen far.
    length = random.uniform(1.5, 6) * max(radius, 0.03)
    shift = random.uniform(-0.4, 0.4) * length
    start = middle + (shift - length / 2) * axis
    end = middle + (shift + length / 2) * axis
    sides = 4 if choice < 0.5 else 20
    flat = radius * random.uniform(0.5, 1)
    return straight_tube(start, end, out, (radius, flat if sides == 4 else radius), sides)
