"""Sleeves that hide the cut end of an arm, and things that a hand holds."""

import numpy as np

from handheld.hands.training.render.mesh import Floats
from handheld.hands.training.render.placing import ARM_LENGTH, PlacedHand
from handheld.hands.training.render.props import (
    Surface,
    ellipsoid,
    forearm,
    sleeve,
    straight_tube,
    wrist_radii,
)
from handheld.hands.training.render.shade import Body, Picture
from handheld.hands.training.render.skinning import Doubles, cross
from handheld.hands.training.render.sources import RenderSources, read_tile

# Share of arms in sleeves, where there is an arm to show.
_SLEEVES = 0.55
# Metres behind the wrist at which a mesh without an arm must be covered.
_STUB = 0.012
# Metres: half the width, depth and height of an adult's body.
_TORSO = (0.22, 0.14, 0.4)
# Of wrist to middle knuckle: from the palm's keypoints to its skin.
_PALM_DEPTH = 0.16
_CLOTH_GLOSS = 0.2


def dress(
    hand: PlacedHand,
    sources: RenderSources,
    random: np.random.Generator,
    *,
    with_body: bool,
) -> list[Body]:
    """Choose what the arm wears, and the body that it hangs on.

    Args:
        hand: whose arm it is.
        sources: of cloth.
        random: decides.
        with_body: whether the arm's end may be in the picture, so that a body must stand there.
    """
    cloth = draw_surface(sources, random)
    tint = np.exp(random.normal(-0.1, 0.3) + random.normal(0, 0.2, 3)).astype(np.float32)
    bodies: list[Body] = []
    if not hand.person.has_arm or random.random() < _SLEEVES:
        surface, vertices = _sleeve(hand, random)
        bodies.append(Body(surface, vertices, cloth, tint, _CLOTH_GLOSS))
    if with_body:
        shirt, vertices = _torso(hand, random)
        bodies.append(Body(shirt, vertices, cloth, tint, _CLOTH_GLOSS))
        head, vertices = _head(vertices, random)
        hair = np.full((8, 8, 3), random.uniform(20, 120), np.uint8)
        bodies.append(Body(head, vertices, hair))
    return bodies


def _sleeve(hand: PlacedHand, random: np.random.Generator) -> tuple[Surface, Floats]:
    if hand.person.has_arm:
        # Most sleeves end near the wrist, some are rolled up.
        begin = random.exponential(0.05) if random.random() < 0.7 else random.uniform(0.05, 0.25)
        arm = hand.person.arms[hand.handedness]
        return sleeve(hand.rig, arm, hand.vertices, begin, random.uniform(0.003, 0.012))
    across, out = wrist_radii(hand.rig)
    slack = random.uniform(1.1, 1.6)
    begin = random.uniform(-_STUB, _STUB)
    surface, resting = forearm(hand.rig, (slack * across, slack * out), begin, ARM_LENGTH)
    return surface, hand.with_forearm(resting)


def _torso(hand: PlacedHand, random: np.random.Generator) -> tuple[Surface, Floats]:
    """Put an upright body where the arm ends."""
    shoulder = hand.shoulder
    inward = shoulder - hand.wrist
    inward = inward / np.linalg.norm(inward)
    width, depth, height = np.array(_TORSO) * random.uniform(0.85, 1.15, 3)
    # Deep enough in the body for the arm's cut end not to show.
    middle = shoulder + 0.6 * width * inward + (0.0, 0.6 * height, 0.05)
    turn = random.normal(0, 0.4)
    across = np.array([np.cos(turn), 0.0, np.sin(turn)])
    down = np.array([0.0, 1.0, 0.0])
    axes = np.stack([across, cross(down, across), down])
    return ellipsoid(middle, axes, (width, depth, height))


def _head(torso: Floats, random: np.random.Generator) -> tuple[Surface, Floats]:
    """Put a head, seen from where it has hair, above a body."""
    top = torso[torso[:, 1].argmin()].astype(np.float64)
    radii = np.array([0.085, 0.1, 0.125]) * random.uniform(0.9, 1.1)
    middle = top - (0.0, 0.6 * radii[2], 0.0)
    return ellipsoid(middle, np.eye(3)[[0, 2, 1]] * [[1], [-1], [1]], tuple(radii))


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
    # Held where the fingers begin: in the middle of the palm a fist cannot close around anything.
    towards_fingers = along * size * random.uniform(0.2, 0.45)
    middle = hand.centre + towards_fingers + out * (radius + _PALM_DEPTH * size)
    lean = random.normal(0, 0.25)
    axis = across * np.cos(lean) + along * np.sin(lean)
    surface, vertices = _thing(middle, axis, out, radius, random)
    gloss = random.uniform(0, 2)
    tint = np.exp(random.normal(0, 0.15, 3)).astype(np.float32)
    return Body(surface, vertices, draw_surface(sources, random), tint, gloss)


def _thing(
    middle: Doubles,
    axis: Doubles,
    out: Doubles,
    radius: float,
    random: np.random.Generator,
) -> tuple[Surface, Floats]:
    choice = random.random()
    if choice < 0.2:
        axes = np.stack([axis, cross(out, axis), out])
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
