"""A scene and its picture: bodies before a camera, what is behind and before them, exact labels."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray

from handheld.hands.training.labels import LabelledHand, LabelledPicture
from handheld.hands.training.render.backdrops import Billboard, cover
from handheld.hands.training.render.camera import Camera, Rendering, render
from handheld.hands.training.render.effects import CameraEffects, expose
from handheld.hands.training.render.mesh import Floats
from handheld.hands.training.render.placing import PlacedHand
from handheld.hands.training.render.shade import Body, Light, Picture
from handheld.hands.training.render.skinning import Doubles


@dataclass(frozen=True, eq=False)
class Scene:
    """All that a picture is made from.

    Attributes:
        hands: that are labelled, in this order.
        props: what is drawn with them: sleeves, things that are held.
        camera: its picture's size is that of ``backdrop``.
        light: on all of it.
        backdrop: (H, W, 3).
        billboards: flat things among the hands.
        effects: of the camera.
    """

    hands: tuple[PlacedHand, ...]
    camera: Camera
    backdrop: Picture
    light: Light = field(default_factory=Light)
    props: tuple[Body, ...] = ()
    billboards: tuple[Billboard, ...] = ()
    effects: CameraEffects = field(default_factory=CameraEffects)


def draw(scene: Scene) -> LabelledPicture:
    """Render a scene.

    The labels' pixels have the first pixel's centre at (0.5, 0.5). A keypoint is visible where
    nothing but its own flesh lies before it. The mask holds a hand with its bare arm.
    """
    hands = [_body(hand) for hand in scene.hands]
    # Hands before props: a body's number is its hand's, and those of props are larger.
    bodies = [*hands, *scene.props]
    rendering = render(bodies, scene.camera, scene.light, merged=True)
    is_hand = rendering.owner <= len(hands)
    mask = np.where(is_hand, rendering.owner, 0).astype(np.uint8)
    seen = _covered(rendering, scene.billboards, mask)
    labels = [_label(hand, scene.camera, seen) for hand in scene.hands]
    return LabelledPicture(
        pixels=expose(seen.colour, seen.coverage, scene.backdrop, scene.effects),
        hands=tuple(labels),
        complete=True,
        mask=mask,
        depth=seen.depth,
    )


def _covered(
    rendering: Rendering, billboards: Sequence[Billboard], mask: NDArray[np.uint8]
) -> Rendering:
    """Put flat things among the hands; what they hide is taken out of the mask, in place."""
    colour = rendering.colour
    coverage = rendering.coverage
    depth = rendering.depth.copy()
    for billboard in billboards:
        colour, coverage, hidden = cover(colour, coverage, depth, billboard)
        mask[hidden] = 0
        depth[hidden] = billboard.depth
    return Rendering(colour, coverage, depth, rendering.owner)


def _body(hand: PlacedHand) -> Body:
    return Body(hand.rig.mesh, hand.vertices, hand.person.skin, hand.person.tint)


def _label(hand: PlacedHand, camera: Camera, seen: Rendering) -> LabelledHand:
    flat = camera.project(hand.keypoints.astype(np.float32))
    depths = hand.keypoints[:, 2].astype(np.float32)
    return LabelledHand(
        keypoints=_picture_keypoints(hand.keypoints, flat, camera.scale).astype(np.float32),
        source="rendered",
        world=_world(hand.keypoints, camera),
        visible=seen.visible(flat, depths, hand.flesh),
        handedness=hand.handedness,
        box=_box_around(camera.project(hand.hand_vertices)),
        person=hand.person.name,
    )


def _picture_keypoints(points: Doubles, flat: Floats, scale: float) -> Doubles:
    """Return keypoints (21, 3) of a picture: x and y in pixels, and the depth in the same unit.

    Args:
        points: (21, 3) metres before the camera.
        flat: (21, 2) pixels of the same.
        scale: pixels for a metre at the distance of a metre.
    """
    depth = points[:, 2:]
    wrist = points[0, 2]
    # As many pixels a metre as x and y have at the wrist, from which z counts.
    behind = (depth - wrist) * (scale / wrist)
    return np.concatenate([flat.astype(np.float64), behind], axis=1)


def _box_around(points: Floats) -> Floats:
    """Return the upright box (4,) x0, y0, x1, y1 around points (N, 2)."""
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def _world(points: Doubles, camera: Camera) -> Floats:
    """Return (21, 3) metres around the hand's middle, turned as the picture is."""
    turned = points - points.mean(axis=0)
    turned[:, :2] = turned[:, :2] @ camera.turn.T
    return cast(Floats, turned.astype(np.float32))


def mean_colour(picture: Picture) -> Doubles:
    """Return the mean (3,) of a picture, 0 to 1, from one pixel in 64."""
    # It is the light of a room that it decides on: no pixel matters.
    pixels = picture[::8, ::8].reshape(-1, 3)
    mean: Doubles = pixels.mean(axis=0) / 255
    return mean
