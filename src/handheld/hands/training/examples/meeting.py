"""Two hands that meet, from a photo of one: beyond a line at its fingers a mirror stands.

Photos in which one person's hands touch are rare, and a network that has seen few of them lays one
skeleton over both hands.
"""

from dataclasses import dataclass, replace
from math import atan2, cos, sin
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from handheld.hands.result import Handedness, palm_size
from handheld.hands.training.labels import LabelledHand

Pixels: TypeAlias = NDArray[np.uint8]
Points: TypeAlias = NDArray[np.floating[Any]]

# Of the mirror's direction around that of the middle finger's base, seen from the wrist: standard
# deviation and most, radians. Never towards the arm.
_TURN = 0.6
_MOST_TURN = 1.6

# How far the mirror stands behind the outermost keypoint, palm lengths, least and most: at the
# least it cuts through the finger's flesh, and the hands touch.
_GAP = (-0.05, 0.3)

# How far the picture goes on behind the mirrored hand, palm lengths.
_MARGIN = 0.7


@dataclass(frozen=True)
class Mirror:
    """A line across a picture; what is behind it shows what is before it.

    Attributes:
        x, y: its direction, of length 1, towards what is behind.
        distance: of the line from the picture's origin along that direction, pixels.
    """

    x: float
    y: float
    distance: float

    @property
    def flip(self) -> NDArray[np.float32]:
        """The (2, 2) matrix by which directions are mirrored."""
        normal = np.array([self.x, self.y], np.float32)
        return np.eye(2, dtype=np.float32) - 2 * np.outer(normal, normal)

    @property
    def shift(self) -> NDArray[np.float32]:
        """Where the picture's origin (2,) is in the mirror."""
        return 2 * self.distance * np.array([self.x, self.y], np.float32)


def draw_mirror(hand: LabelledHand, rng: np.random.Generator) -> Mirror:
    """Choose a mirror before a hand's fingers or beside them."""
    keypoints = hand.keypoints[:, :2]
    along = keypoints[9] - keypoints[0]
    turn = float(np.clip(rng.normal(0, _TURN), -_MOST_TURN, _MOST_TURN))
    angle = atan2(along[1], along[0]) + turn
    direction = np.array([cos(angle), sin(angle)])
    outermost = float(np.nanmax(keypoints @ direction))
    gap = float(rng.uniform(*_GAP)) * palm_size(hand.keypoints.astype(np.float32))
    return Mirror(float(direction[0]), float(direction[1]), outermost + gap)


def with_mirror_image(
    pixels: Pixels, hand: LabelledHand, rng: np.random.Generator
) -> tuple[Pixels, tuple[LabelledHand, LabelledHand]]:
    """Return a picture in which a hand meets its own mirror image.

    Args:
        pixels: (H, W, 3) of a picture.
        hand: in it, whose wrist and middle knuckle are known. Other hands would be there once,
            twice or not at all: their labels must not be used.
        rng: of where the mirror stands.

    Returns:
        The picture, larger where the second hand would not have fitted in, and both hands in it.
    """
    mirror = draw_mirror(hand, rng)
    # Without its box, which does not stand upright in the mirror.
    hand = replace(hand, box=None)
    other = _mirrored_hand(hand, mirror)
    corner, size = _frame(pixels, other)
    seen = _moved(pixels, np.eye(2), corner, size)
    # A mirror's matrix is its own inverse: from the new picture's pixels to the old one's.
    behind = _moved(pixels, mirror.flip, mirror.flip @ corner + mirror.shift, size)
    across = mirror.x * (np.arange(size[0], dtype=np.float32) + corner[0])
    down = mirror.y * (np.arange(size[1], dtype=np.float32) + corner[1])
    is_behind = across[None, :] + down[:, None] > mirror.distance
    met = np.where(is_behind[..., None], behind, seen)
    return met, (hand.seen_from(corner), other.seen_from(corner))


def _mirrored_hand(hand: LabelledHand, mirror: Mirror) -> LabelledHand:
    """Return a mirrored hand: the other one of the same person."""
    mirrored = hand.keypoints[:, :2] @ mirror.flip + mirror.shift
    world = hand.world
    if world is not None:
        # Turned as the hand is; around its centre, so not moved.
        world = _with_xy(world, world[:, :2] @ mirror.flip)
    return replace(
        hand,
        keypoints=_with_xy(hand.keypoints, mirrored),
        world=world,
        handedness=_OTHER[hand.handedness],
    )


def _with_xy(points: Points, xy: Points) -> Points:
    """Return points (n, 3) with another x and y (n, 2); their depth stays."""
    return np.concatenate([xy, points[:, 2:]], axis=1)


_OTHER: dict[Handedness | None, Handedness | None] = {
    "Left": "Right",
    "Right": "Left",
    None: None,
}


def _frame(pixels: Pixels, other: LabelledHand) -> tuple[NDArray[np.int64], tuple[int, int]]:
    """Return the corner (2,) and the width and height of what shows a picture and another hand."""
    height, width = pixels.shape[:2]
    margin = _MARGIN * palm_size(other.keypoints.astype(np.float32))
    points = other.keypoints[:, :2]
    low = np.floor(np.nanmin(points, axis=0) - margin)
    high = np.ceil(np.nanmax(points, axis=0) + margin)
    corner = np.minimum(0, low).astype(np.int64)
    wide, tall = np.maximum((width, height), high).astype(np.int64) - corner
    return corner, (int(wide), int(tall))


def _moved(
    pixels: Pixels, matrix: NDArray[Any], origin: NDArray[Any], size: tuple[int, int]
) -> Pixels:
    """Return a picture whose pixel p is that of another one at matrix (2, 2) @ p + origin (2,)."""
    inverse = np.concatenate([matrix, origin[:, None]], axis=1).astype(np.float64)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(
        np.asarray(pixels), inverse, size, flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(moved, np.uint8)
