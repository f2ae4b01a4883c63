"""Rendered hands that show a gesture, or none: keypoints alone, or a whole picture."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from handheld.hands.skeleton import Keypoint
from handheld.hands.training.gestures.postures import OTHERS, SHOWN, gesture_of
from handheld.hands.training.labels import LabelledPicture
from handheld.hands.training.render.backdrops import draw_backdrop
from handheld.hands.training.render.camera import Camera
from handheld.hands.training.render.effects import draw_effects
from handheld.hands.training.render.mesh import Handedness
from handheld.hands.training.render.people import RenderedPerson
from handheld.hands.training.render.placing import PlacedHand, is_shown, joints, place_hand
from handheld.hands.training.render.poses import blend
from handheld.hands.training.render.rig import HandPose
from handheld.hands.training.render.sampling import (
    Side,
    draw_axes,
    draw_light,
    draw_pose,
    is_tangled,
    limited,
    pick,
)
from handheld.hands.training.render.scene import Scene, draw, mean_colour
from handheld.hands.training.render.sources import RenderSources
from handheld.hands.training.render.studio import draw_close_centre

# Degrees by which people's joints differ in one gesture, standard deviation.
_SHAKE = 5.0
# The same of a finger's spread.
_SPREAD_SHAKE = 2.5
# A hand that is drawn at random is seldom hidden by its arm, and never so often in a row.
_TRIES = 50
# Share of thumbs to the side that are kept.
_THUMB_ASIDE = 0.1
# Of hands that show none: share between two gestures, and share at random; the rest are postures.
_BETWEEN = 0.3
_RANDOM = 0.6
# How far between two gestures a hand shows neither.
_HALFWAY = (0.35, 0.65)
# Pixels of a picture, and of its focal length: the hand fills a fifth to a half of it.
_PICTURE = 320
_FOCAL = 360.0


@dataclass(frozen=True, eq=False)
class ShownGesture:
    """A rendered hand, and what it shows.

    Attributes:
        hand: before the camera.
        gesture: by name; None where it shows none.
    """

    hand: PlacedHand
    gesture: str | None


def draw_gesture(
    person: RenderedPerson, name: str | None, random: np.random.Generator
) -> ShownGesture:
    """Choose how a person shows a gesture.

    Both hands and both of their sides are equally often chosen.

    Args:
        person: whose hand it is.
        name: one of :data:`~handheld.hands.training.gestures.postures.SHOWN`; None: any hand that
            shows none of them.
        random: decides.
    """
    handedness: Handedness = "Right" if random.random() < 0.5 else "Left"
    # A palm that cannot be shown is not exchanged for a back that can.
    side: Side = "palm" if random.random() < 0.5 else "back"
    for _ in range(_TRIES):
        pose = _draw_other(random) if name is None else pick(random, SHOWN[name])
        axes = draw_axes(random, side)
        centre = draw_close_centre(random)
        hand = place_hand(person, handedness, _shaken(pose, random), axes, centre)
        gesture = None if name is None else gesture_of(name, _thumb(hand))
        if _is_wanted(hand, name, gesture, random):
            break
    return ShownGesture(hand, gesture)


def _is_wanted(
    hand: PlacedHand, name: str | None, gesture: str | None, random: np.random.Generator
) -> bool:
    """Whether a hand can be seen, and shows what was asked for."""
    if not is_shown(hand) or is_tangled(joints(hand), hand.rig.size):
        return False
    # Of hands at random most thumbs point to the side, which is no gesture.
    return name is None or gesture is not None or random.random() < _THUMB_ASIDE


def photograph(
    hands: Sequence[PlacedHand], sources: RenderSources, random: np.random.Generator
) -> LabelledPicture:
    """Render a hand, or two that meet, in a room, (320, 320, 3)."""
    centre = np.mean([hand.centre for hand in hands], axis=0)
    # Looked at straight on, so that every hand is whole in its picture.
    middle = _PICTURE / 2 - _FOCAL * centre[:2] / centre[2]
    view = np.concatenate([_FOCAL * np.eye(2), middle[:, None]], axis=1)
    camera = Camera(1.0, _PICTURE, _PICTURE, view)
    backdrop = draw_backdrop(sources, random, _PICTURE, _PICTURE)
    scene = Scene(
        hands=tuple(hands),
        camera=camera,
        backdrop=backdrop,
        light=draw_light(random, mean_colour(backdrop)),
        effects=draw_effects(random, _PICTURE),
    )
    return draw(scene)


def _draw_other(random: np.random.Generator) -> HandPose:
    """Choose a pose that shows no gesture."""
    choice = random.random()
    if choice < _BETWEEN:
        first, second = random.permutation(len(SHOWN))[:2].tolist()
        poses = list(SHOWN.values())
        share = random.uniform(*_HALFWAY)
        return blend(pick(random, poses[first]), pick(random, poses[second]), share)
    if choice < _RANDOM:
        return _draw_unknown(random)
    return pick(random, OTHERS)


def _draw_unknown(random: np.random.Generator) -> HandPose:
    """Choose a pose at random that is near to no gesture."""
    while True:
        pose = draw_pose(random)
        if not _is_near_gesture(pose):
            return pose


def _is_near_gesture(pose: HandPose) -> bool:
    """Whether every finger is bent about as in some gesture."""
    bends = pose.bend.sum(axis=1)
    for shown in SHOWN.values():
        for known in shown:
            if np.abs(bends - known.bend.sum(axis=1)).max() < _NEAR:
                return True
    return False


_NEAR = np.radians(60)
"""Of a finger's joints together: a finger that is nearer to a gesture's may be meant as it."""


def _shaken(pose: HandPose, random: np.random.Generator) -> HandPose:
    """Return a pose as another person shows it."""
    return limited(
        replace(
            pose,
            bend=pose.bend + np.radians(random.normal(0, _SHAKE, (5, 3))),
            spread=pose.spread + np.radians(random.normal(0, _SPREAD_SHAKE, 5)),
            # The palm is what the camera looks at: a wrist's bend moves the arm alone.
            wrist=(float(random.normal(0, 0.3)), float(random.normal(0, 0.12))),
            elbow=float(random.uniform(0.3, 1.8)),
        )
    )


def _thumb(hand: PlacedHand) -> tuple[float, float]:
    """Return where the thumb points in the picture: right and down."""
    flat = hand.keypoints[:, :2] / hand.keypoints[:, 2:]
    across, down = (flat[Keypoint.THUMB_TIP] - flat[Keypoint.THUMB_MCP]).tolist()
    return across, down
