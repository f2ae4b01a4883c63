"""One or two hands of a person, dressed, holding something or each other, such
that a camera sees them.
"""

from collections.abc import Callable

import numpy as np

from handheld.hands.training.render.arrangement import (
    draw_together,
    lay_apart,
    lay_by,
    pose_of,
)
from handheld.hands.training.render.dressing import dress, hold
from handheld.hands.training.render.mesh import Handedness
from handheld.hands.training.render.people import RenderedPerson
from handheld.hands.training.render.placing import PlacedHand, is_shown, joints, place_hand
from handheld.hands.training.render.rig import HandPose
from handheld.hands.training.render.sampling import (
    Side,
    draw_axes,
    draw_grasp,
    draw_pose,
    is_tangled,
)
from handheld.hands.training.render.shade import Body
from handheld.hands.training.render.skinning import Doubles
from handheld.hands.training.render.sources import RenderSources

_TRIES = 100
# Share of single hands that hold something.
_HOLDS = 0.2
# Share of second hands that touch the first one.
_MEET = 0.6

DrawCentre = Callable[[np.random.Generator], Doubles]
"""Chooses where the middle of a palm is, (3,) metres before the camera."""


def draw_hands(
    person: RenderedPerson,
    sources: RenderSources,
    random: np.random.Generator,
    second_hand: float,
    draw_centre: DrawCentre,
    *,
    with_body: bool = False,
) -> tuple[list[PlacedHand], list[Body]]:
    """Choose hands and what is drawn with them.

    Both hands of the person, and both sides of a hand, are equally often the first.

    Args:
        person: whose hands they are.
        sources: of cloth and surfaces.
        random: decides.
        second_hand: share of pictures with two hands.
        draw_centre: chooses where the first hand is.
        with_body: whether arms may end in the picture: a body is put there,
            which must not hide the hand.

    Returns:
        One or two hands, the first one chosen freely, and what they wear and hold.
    """
    # Chosen once: were they chosen anew after a hand that cannot be shown, the easier side would win.
    handedness: Handedness = "Right" if random.random() < 0.5 else "Left"
    side: Side = "palm" if random.random() < 0.5 else "back"
    shown = _is_shown_with_body if with_body else is_shown
    chance = random.random()
    if chance < _MEET * second_hand:
        hands = _draw_meeting(person, random, handedness, side, draw_centre, shown)
        return hands, _dressed(hands, sources, random, with_body)
    holds = chance >= second_hand and random.random() < _HOLDS
    bend = draw_grasp if holds else draw_pose
    first = _draw_alone(person, random, handedness, side, draw_centre, shown, bend)
    hands = [first]
    if chance < second_hand:
        hands += _draw_apart(first, random, shown)
    props = _dressed(hands, sources, random, with_body)
    if holds:
        props.append(hold(first, sources, random))
    return hands, props


def _is_shown_with_body(hand: PlacedHand) -> bool:
    # A body nearer to the camera than the hand would stand before it.
    return is_shown(hand) and bool(hand.shoulder[2] > hand.centre[2])


def _dressed(
    hands: list[PlacedHand],
    sources: RenderSources,
    random: np.random.Generator,
    with_body: bool,
) -> list[Body]:
    bodies: list[Body] = []
    for hand in hands:
        bodies += dress(hand, sources, random, with_body=with_body)
    return bodies


def _draw_alone(
    person: RenderedPerson,
    random: np.random.Generator,
    handedness: Handedness,
    side: Side,
    draw_centre: DrawCentre,
    shown: Callable[[PlacedHand], bool],
    bend: Callable[[np.random.Generator], HandPose],
) -> PlacedHand:
    """Choose a hand that is seen, and whose fingers do not go through each other."""
    for _ in range(_TRIES):
        axes = draw_axes(random, side)
        hand = place_hand(person, handedness, bend(random), axes, draw_centre(random))
        if shown(hand) and not is_tangled(joints(hand), hand.rig.size):
            return hand
    # Of a thousand hands none has come to here; one that is hidden is still labelled as such.
    return hand


def _draw_apart(
    first: PlacedHand,
    random: np.random.Generator,
    shown: Callable[[PlacedHand], bool],
) -> list[PlacedHand]:
    """Choose a second hand beside, before or behind the first; none if it cannot be shown."""
    for _ in range(_TRIES):
        pose, axes, centre = lay_apart(first, random)
        hand = place_hand(first.person, _other(first.handedness), pose, axes, centre)
        if shown(hand) and not is_tangled(joints(hand), hand.rig.size):
            return [hand]
    return []


def _draw_meeting(
    person: RenderedPerson,
    random: np.random.Generator,
    handedness: Handedness,
    side: Side,
    draw_centre: DrawCentre,
    shown: Callable[[PlacedHand], bool],
) -> list[PlacedHand]:
    """Choose two hands that meet."""
    way = draw_together(random)
    for _ in range(_TRIES):
        axes = draw_axes(random, side)
        pose = pose_of(way.first, random)
        first = place_hand(person, handedness, pose, axes, draw_centre(random))
        if not shown(first):
            continue
        axes, centre = lay_by(first, way, random)
        pose = pose_of(way.second, random)
        second = place_hand(person, _other(handedness), pose, axes, centre)
        if shown(second):
            return [first, second]
    return [first]


def _other(handedness: Handedness) -> Handedness:
    return "Left" if handedness == "Right" else "Right"
