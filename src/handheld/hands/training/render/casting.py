"""One or two hands of a person, dressed, holding something or each other, such
that a camera sees them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from handheld.hands.training.render.arrangement import (
    LaidHand,
    TwoHands,
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
    draw_axes_ahead,
    draw_fist,
    draw_grasp,
    draw_pose,
    is_tangled,
)
from handheld.hands.training.render.shade import Body
from handheld.hands.training.render.skinning import Doubles
from handheld.hands.training.render.sources import RenderSources

# Of a thousand hands none has needed as many.
_TRIES = 100
# Share of single hands that hold something.
_HOLDS = 0.2
# Share of fists that are held out to the camera.
_AHEAD = 0.5
# Share of second hands that touch the first one.
_MEET = 0.6

DrawCentre = Callable[[np.random.Generator], Doubles]
"""Chooses where the middle of a palm is, (3,) metres before the camera."""


@dataclass(frozen=True)
class Casting:
    """What hands are chosen for.

    Attributes:
        person: whose hands they are.
        sources: of cloth and surfaces.
        draw_centre: chooses where the first hand is.
        with_body: whether arms may end in the picture: a body is put there, which must not hide the
            hand.
        fists: share of fists among hands that neither meet nor hold anything, beside those that
            come by chance.
    """

    person: RenderedPerson
    sources: RenderSources
    draw_centre: DrawCentre
    with_body: bool = False
    fists: float = 0.0

    def is_shown(self, hand: PlacedHand) -> bool:
        """Whether a camera sees a hand past its own arm and body."""
        # A body nearer to the camera than the hand would stand before it.
        in_front = not self.with_body or bool(hand.shoulder[2] > hand.centre[2])
        return in_front and is_shown(hand)

    def is_possible(self, hand: PlacedHand) -> bool:
        """Whether a hand can be seen, and its fingers do not go through each other."""
        return self.is_shown(hand) and not is_tangled(joints(hand), hand.rig.size)

    def dressed(self, hands: list[PlacedHand], random: np.random.Generator) -> list[Body]:
        """Return what hands wear."""
        bodies: list[Body] = []
        for hand in hands:
            bodies += dress(hand, self.sources, random, with_body=self.with_body)
        return bodies


def draw_hands(
    casting: Casting, second_hand: float, random: np.random.Generator
) -> tuple[list[PlacedHand], list[Body]]:
    """Choose hands and what is drawn with them.

    Both hands of the person, and both sides of a hand, are equally often the first.

    Args:
        casting: what they are chosen for.
        second_hand: share of pictures with two hands.
        random: decides.

    Returns:
        One or two hands, the first one chosen freely, and what they wear and hold.
    """
    # Chosen once: were they chosen anew after a hand that cannot be shown, the easier side would
    # win.
    looks = _draw_looks(random)
    # One number for all of it: what meets, what is apart and what is alone are shares of one whole.
    chance = random.random()
    if chance < _MEET * second_hand:
        hands = _draw_meeting(casting, draw_together(random), random, looks)
        return hands, casting.dressed(hands, random)
    holds = chance >= second_hand and random.random() < _HOLDS
    bend = draw_grasp if holds else draw_pose
    # No draw without any, so that pictures without stay as they were.
    if casting.fists and not holds and random.random() < casting.fists:
        bend = draw_fist
        looks = looks._replace(ahead=random.random() < _AHEAD)
    hands = [_draw_alone(casting, random, looks, bend)]
    if chance < second_hand:
        hands += _draw_apart(casting, hands[0], random)
    props = casting.dressed(hands, random)
    if holds:
        props.append(hold(hands[0], casting.sources, random))
    return hands, props


class _Looks(NamedTuple):
    """Which hand is the first, which side of it the camera sees, and whether it is held out to the
    camera.
    """

    handedness: Handedness
    side: Side
    ahead: bool = False


def _draw_looks(random: np.random.Generator) -> _Looks:
    handedness: Handedness = "Right" if random.random() < 0.5 else "Left"
    side: Side = "palm" if random.random() < 0.5 else "back"
    return _Looks(handedness, side)


def _draw_alone(
    casting: Casting,
    random: np.random.Generator,
    looks: _Looks,
    bend: Callable[[np.random.Generator], HandPose],
) -> PlacedHand:
    """Choose a hand that is seen, and whose fingers do not go through each other."""
    for _ in range(_TRIES):
        hand = _draw_hand(casting, random, looks, bend)
        if casting.is_possible(hand):
            return hand
    # Of a thousand hands none has come to here; one that is hidden is still labelled as such.
    return hand


def _draw_hand(
    casting: Casting,
    random: np.random.Generator,
    looks: _Looks,
    bend: Callable[[np.random.Generator], HandPose],
) -> PlacedHand:
    """Choose a hand, whether it can be seen or not."""
    # The order is a seed's.
    turn = draw_axes_ahead if looks.ahead else draw_axes
    axes = turn(random, looks.side)
    pose = bend(random)
    centre = casting.draw_centre(random)
    return place_hand(casting.person, looks.handedness, pose, axes, centre)


def _draw_apart(
    casting: Casting, first: PlacedHand, random: np.random.Generator
) -> list[PlacedHand]:
    """Choose a second hand beside, before or behind the first; none if it cannot be shown."""
    for _ in range(_TRIES):
        laid = lay_apart(first, random)
        hand = _second_hand(first, laid)
        if casting.is_possible(hand):
            return [hand]
    return []


def _second_hand(first: PlacedHand, laid: LaidHand) -> PlacedHand:
    other = _other(first.handedness)
    return place_hand(first.person, other, laid.pose, laid.axes, laid.centre)


def draw_meeting(
    casting: Casting, arrangement: TwoHands, random: np.random.Generator
) -> list[PlacedHand]:
    """Choose two hands that meet as an arrangement says; one where a camera cannot see both."""
    return _draw_meeting(casting, arrangement, random, _draw_looks(random))


def _draw_meeting(
    casting: Casting, arrangement: TwoHands, random: np.random.Generator, looks: _Looks
) -> list[PlacedHand]:
    bend = partial(pose_of, arrangement.first)
    for _ in range(_TRIES):
        first = _draw_hand(casting, random, looks, bend)
        # Before the second one is bent, which takes as long again.
        if not casting.is_shown(first):
            continue
        second = _second_hand(first, lay_by(first, arrangement, random))
        # Tangled or not: hands that meet are where fingers go between fingers.
        if casting.is_shown(second):
            return [first, second]
    return [first]


def _other(handedness: Handedness) -> Handedness:
    if handedness == "Right":
        return "Left"
    return "Right"
