"""Sleeves that hide the cut end of an arm, and things that a hand holds."""

from dataclasses import dataclass
from typing import Self

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
from handheld.hands.training.render.sampling import pick
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
# Of the light's gloss: cloth shines less than skin.
_CLOTH_GLOSS = 0.2
# Half the width, depth and height of a head, metres.
_HEAD = (0.085, 0.1, 0.125)
# A picture of one colour: nothing is to be seen in it, so it may be small.
_PLAIN = (8, 8, 3)


# Of what is held: shares up to which it is a ball, and up to which it is a box; the rest is round.
_BALLS = 0.2
_BOXES = 0.5


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
    # One cloth for sleeve and body: they are of one shirt.
    cloth = _Cloth.draw(sources, random)
    bodies: list[Body] = []
    # A mesh without an arm is never bare: its cut end would show.
    if not hand.person.has_arm or random.random() < _SLEEVES:
        bodies.append(cloth.on(*_sleeve(hand, random)))
    if with_body:
        torso = cloth.on(*_torso(hand, random))
        bodies.append(torso)
        bodies.append(_head(torso.vertices, random))
    return bodies


@dataclass(frozen=True, eq=False)
class _Cloth:
    """What a shirt is made of: a picture (N, N, 3), and what its linear colour is multiplied by."""

    picture: Picture
    tint: Floats

    @classmethod
    def draw(cls, sources: RenderSources, random: np.random.Generator) -> Self:
        """Choose a cloth: its lightness, and its colour beside it."""
        picture = draw_surface(sources, random)
        lightness = random.normal(-0.1, 0.3)
        tint = np.exp(lightness + random.normal(0, 0.2, 3))
        return cls(picture, tint.astype(np.float32))

    def on(self, surface: Surface, vertices: Floats) -> Body:
        """Return a surface of this cloth."""
        return Body(surface, vertices, self.picture, self.tint, _CLOTH_GLOSS)


def _sleeve(hand: PlacedHand, random: np.random.Generator) -> tuple[Surface, Floats]:
    if hand.person.has_arm:
        begin = _draw_cuff(random)
        thickness = random.uniform(0.003, 0.012)
        arm = hand.person.arms[hand.handedness]
        return sleeve(hand.rig, arm, hand.vertices, begin, thickness)
    across, out = wrist_radii(hand.rig)
    # Wider than the wrist, or the skin would come through it.
    slack = random.uniform(1.1, 1.6)
    begin = random.uniform(-_STUB, _STUB)
    radii = (slack * across, slack * out)
    surface, resting = forearm(hand.rig, radii, begin, ARM_LENGTH)
    return surface, hand.with_forearm(resting)


def _draw_cuff(random: np.random.Generator) -> float:
    """Choose how many metres behind the wrist a sleeve ends."""
    # Most sleeves end near the wrist, some are rolled up.
    if random.random() < 0.7:
        return random.exponential(0.05)
    return random.uniform(0.05, 0.25)


def _torso(hand: PlacedHand, random: np.random.Generator) -> tuple[Surface, Floats]:
    """Put an upright body where the arm ends."""
    inward = hand.shoulder - hand.wrist
    inward = inward / np.linalg.norm(inward)
    width, depth, height = np.array(_TORSO) * random.uniform(0.85, 1.15, 3)
    # Deep enough in the body for the arm's cut end not to show.
    beside = hand.shoulder + 0.6 * width * inward
    down_and_behind = np.array([0.0, 0.6 * height, 0.05])
    middle = beside + down_and_behind
    return ellipsoid(middle, _draw_stance(random), (width, depth, height))


def _draw_stance(random: np.random.Generator) -> Doubles:
    """Choose how an upright body is turned: its axes across, forward and down, (3, 3) rows."""
    # Not always square to the camera.
    turn = random.normal(0, 0.4)
    across = np.array([np.cos(turn), 0.0, np.sin(turn)])
    down = np.array([0.0, 1.0, 0.0])
    return np.stack([across, cross(down, across), down])


def _head(torso: Floats, random: np.random.Generator) -> Body:
    """Put a head, seen from where it has hair, above a body."""
    highest = torso[:, 1].argmin()
    top = torso[highest].astype(np.float64)
    radii = np.array(_HEAD) * random.uniform(0.9, 1.1)
    # Sunk in by 0.4 of its half height, or it would float above a body that is an egg.
    middle = top - (0.0, 0.6 * radii[2], 0.0)
    # Right-handed, with the longest radius down: x, away from the camera, y.
    axes = np.eye(3)[[0, 2, 1]] * [[1], [-1], [1]]
    surface, vertices = ellipsoid(middle, axes, tuple(radii))
    hair = np.full(_PLAIN, random.uniform(20, 120), np.uint8)
    return Body(surface, vertices, hair)


def draw_surface(sources: RenderSources, random: np.random.Generator) -> Picture:
    """Choose a picture (N, N, 3) of cloth, cardboard and the like; one colour where there is
    none.
    """
    if not sources.textures or random.random() < 0.2:
        colour = random.uniform(15, 235, 3)
        return np.full(_PLAIN, colour, np.uint8)
    return read_tile(pick(random, sources.textures))


def hold(hand: PlacedHand, sources: RenderSources, random: np.random.Generator) -> Body:
    """Put something into a hand that is bent to hold it: a stick, a bottle, a carton, a ball."""
    surface, vertices = _thing(_draw_grip(hand, random), random)
    # Up to twice as glossy as skin: bottles and cans.
    gloss = random.uniform(0, 2)
    tint = np.exp(random.normal(0, 0.15, 3)).astype(np.float32)
    return Body(surface, vertices, draw_surface(sources, random), tint, gloss)


def _draw_grip(hand: PlacedHand, random: np.random.Generator) -> "_Grip":
    """Choose where a hand holds something, and how thick that is."""
    size = hand.rig.size
    across, along, out = hand.axes
    radius = size * random.uniform(0.15, 0.45)
    # Held where the fingers begin: in the middle of the palm a fist cannot close around anything.
    forward = along * size * random.uniform(0.2, 0.45)
    outward = out * (radius + _PALM_DEPTH * size)
    middle = hand.centre + forward + outward
    # Across the palm, as a fist holds a stick.
    lean = random.normal(0, 0.25)
    thumbward = across * hand.rig.thumbward
    axis = thumbward * np.cos(lean) + along * np.sin(lean)
    return _Grip(middle, axis, out, radius)


@dataclass(frozen=True, eq=False)
class _Grip:
    """Where a hand holds something.

    Attributes:
        middle: (3,) of the thing, metres.
        axis: (3,) unit vector along it.
        out: (3,) unit vector out of the palm.
        radius: metres that the hand closes around.
    """

    middle: Doubles
    axis: Doubles
    out: Doubles
    radius: float

    def along(self, distance: float) -> Doubles:
        """Return the point (3,) at a distance from the middle, metres along the axis."""
        point: Doubles = self.middle + distance * self.axis
        return point


def _thing(grip: _Grip, random: np.random.Generator) -> tuple[Surface, Floats]:
    choice = random.random()
    if choice < _BALLS:
        return _ball(grip, random)
    # A bottle stands out of a fist on both sides, a pen far.
    length = random.uniform(1.5, 6) * max(grip.radius, 0.03)
    shift = random.uniform(-0.4, 0.4) * length
    start = grip.along(shift - length / 2)
    end = grip.along(shift + length / 2)
    # Drawn for bottles too, which are round: the numbers after it stay the same.
    flat = grip.radius * random.uniform(0.5, 1)
    if choice < _BOXES:
        return straight_tube(start, end, grip.out, (grip.radius, flat), sides=4)
    return straight_tube(start, end, grip.out, (grip.radius, grip.radius), sides=20)


def _ball(grip: _Grip, random: np.random.Generator) -> tuple[Surface, Floats]:
    beside = cross(grip.out, grip.axis)
    beside /= np.linalg.norm(beside)
    axes = np.stack([grip.axis, beside, grip.out])
    # Not quite round: a potato, a stone, an egg.
    radii = grip.radius * random.uniform(0.8, 1.3, 3)
    return ellipsoid(grip.middle, axes, radii.tolist())
