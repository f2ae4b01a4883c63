"""From a labelled picture to what the landmark network learns from: a crop as tracking
makes it, with its truth.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import cos, pi, sin
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from handheld.hands.geometry import region_from_landmarks, region_from_palm
from handheld.hands.result import palm_size
from handheld.hands.training.examples.augment import augment, flicker
from handheld.hands.training.examples.skin import draw_tone, hand_mask, with_tone
from handheld.hands.training.labels import LabelledHand, palm_box
from handheld.media import Rect

Pixels: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float32]

FROM_PALM = 0.3
"""Share of crops that are cut as after a detection, not as from the frame before."""

# Share of a hand's keypoints inside a crop from which on a hand "is here and reasonably aligned".
_ENOUGH = 0.7

# Share below which it is not; between the two nothing is taught.
_TOO_FEW = 0.4

# Largest logarithm by which a side is jittered, 0.6 to 1.65 of it: a wild crop would else show a
# finger, or a dot.
_MOST_SCALE = 0.5

# Sides of crops without a hand, pixels and longer sides of the picture, least and most.
_RANDOM_SIDE = (24, 1.3)

# Pictures are taken for so large at least, or the smallest ones would leave no range of sides.
_LEAST_PICTURE = 48


@dataclass(frozen=True)
class Jitter:
    """How far crops stray, as tracking lets them: standard deviations.

    Attributes:
        shift: of the centre, in sides of the region.
        scale: of the logarithm of the side.
        turn: radians.
        wild: share of crops that stray three times as far.
    """

    shift: float = 0.05
    scale: float = 0.10
    turn: float = 0.17
    wild: float = 0.1

    def applied(self, region: Rect, rng: np.random.Generator) -> Rect:
        """Return a region as a tracker would have had it a frame later."""
        far = 3.0 if rng.random() < self.wild else 1.0
        across, down, growth, turn = far * rng.normal(0, 1, 4)
        logarithm = np.clip(self.scale * growth, -_MOST_SCALE, _MOST_SCALE)
        side = region.width * float(np.exp(logarithm))
        # By the side of before: a crop that grows moves no farther.
        return Rect(
            x=region.x + self.shift * across * region.width,
            y=region.y + self.shift * down * region.width,
            width=side,
            height=side,
            angle=region.angle + self.turn * turn,
        )


RESTING = Jitter(shift=0.01, scale=0.02, turn=0.03, wild=0.0)
"""Of a hand that rests, from one frame to the next."""


@dataclass(frozen=True, eq=False)
class CropExample:
    """A crop and its truth; NaN where nobody knows.

    Attributes:
        pixels: (size, size, 3) uint8 RGB.
        points: (21, 3) x and y as fractions of the crop's side, z in the same scale from the wrist.
        world: (21, 3) decimetres around the hand's centre, in the crop's axes.
        presence: 1 for a hand that is reasonably aligned, 0 for none.
        handedness: 1 for the person's right hand, 0 for the left.
        palm: length from wrist to middle knuckle, as a fraction of the side; the unit of errors.
        group: which set or source it is from, for reports.
    """

    pixels: Pixels
    points: Floats
    world: Floats
    presence: float
    handedness: float
    palm: float
    group: str = ""


def tracking_region(keypoints: NDArray[np.floating]) -> Rect:
    """Return where tracking would look for a hand whose keypoints (21, 2 or 3) are known."""
    return region_from_landmarks(keypoints.astype(np.float32))


def detection_region(keypoints: NDArray[np.floating]) -> Rect:
    """Return where a tracker would look for a hand after its palm, with keypoints (21, 2 or 3),
    was detected.
    """
    (x0, y0, x1, y1), points = palm_box(keypoints)
    x = float(x0 + x1) / 2
    y = float(y0 + y1) / 2
    box = Rect(x, y, float(x1 - x0), float(y1 - y0))
    return region_from_palm(box, points.astype(np.float32))


def hand_crop(  # noqa: PLR0913  # options by keyword, each by itself
    pixels: Pixels,
    hand: LabelledHand,
    size: int,
    rng: np.random.Generator,
    *,
    jitter: Jitter = Jitter(),
    mirror: bool = True,
    frame_rng: np.random.Generator | None = None,
) -> CropExample:
    """Cut a crop of a hand whose wrist, thumb base and knuckles are known;
    ``rng`` decides how it strays.

    Args:
        pixels: (H, W, 3) of the picture.
        hand: in it.
        size: side of the crop.
        rng: of the jitter, the mirroring and the border.
        jitter: how far the crop may stray from where tracking looks.
        mirror: whether every other crop is mirrored.
        frame_rng: of how frames of a film differ whose ``rng`` are the same.
    """
    if rng.random() < FROM_PALM:
        nominal = detection_region(hand.keypoints)
    else:
        nominal = tracking_region(hand.keypoints)
    region = jitter.applied(nominal, rng)
    if frame_rng is not None:
        region = RESTING.applied(region, frame_rng)
    example = labelled_crop(pixels, hand, region, size, rng)
    if mirror and rng.random() < 0.5:
        return mirrored(example)
    return example


def labelled_crop(
    pixels: Pixels,
    hand: LabelledHand,
    region: Rect,
    size: int,
    rng: np.random.Generator | None = None,
) -> CropExample:
    """Cut a region out of a picture, and bring a hand's labels into it.

    Without ``rng`` the picture's border is filled as in tracking, else at random.
    """
    points = into_region(hand.keypoints, region)
    presence = _presence(points)
    palm = palm_size(hand.keypoints.astype(np.float32))
    example = CropExample(
        # Half a hand and its mirror image look like a whole one.
        pixels=cut(pixels, region, size, rng, reflect=presence == 1.0),
        points=points,
        world=_world(hand, region),
        presence=presence,
        handedness=_RIGHT[hand.handedness],
        palm=palm / region.width,
    )
    if presence == 1.0:
        return example
    # Of half a hand only its absence is taught: where its keypoints would be is a guess.
    return replace(example, points=_unknown(), world=_unknown(), handedness=np.nan)


def presence_in(region: Rect, hand: LabelledHand) -> float:
    """Return whether a hand is in a region: 1, 0 if too little of it is, NaN between."""
    return _presence(into_region(hand.keypoints, region))


def _presence(points: Floats) -> float:
    """Return whether a hand with these keypoints (21, 3) is in its crop: 1, 0, NaN between."""
    # Not by depth, which people who set keypoints by hand do not know.
    is_known = np.isfinite(points[:, :2]).all(axis=1)
    known = points[is_known, :2]
    is_inside = ((known > 0) & (known < 1)).all(axis=1)
    inside = is_inside.mean()
    if inside >= _ENOUGH:
        return 1.0
    if inside < _TOO_FEW:
        return 0.0
    return np.nan


def _unknown() -> Floats:
    """Return keypoints of which nothing is known: NaN is no error in the loss."""
    return np.full((21, 3), np.nan, np.float32)


_RIGHT = {"Right": 1.0, "Left": 0.0, None: np.nan}


def empty_crop(
    pixels: Pixels,
    region: Rect,
    size: int,
    rng: np.random.Generator,
    *,
    reflect: bool = True,
    group: str = "",
) -> CropExample:
    """Cut a region in which there is no hand; see :func:`cut` for ``reflect``."""
    return CropExample(
        pixels=cut(pixels, region, size, rng, reflect=reflect),
        points=_unknown(),
        world=_unknown(),
        presence=0.0,
        handedness=np.nan,
        palm=np.nan,
        group=group,
    )


def random_region(shape: Sequence[int], rng: np.random.Generator) -> Rect:
    """Return a region of a picture (height, width, ...) of any size and angle."""
    height, width = shape[:2]
    shortest, share = _RANDOM_SIDE
    longest = share * max(height, width, _LEAST_PICTURE)
    # Each doubling as often: evenly drawn sides would hardly ever be small.
    logarithm = rng.uniform(np.log(shortest), np.log(longest))
    side = float(np.exp(logarithm))
    x = float(rng.uniform(0, width))
    y = float(rng.uniform(0, height))
    angle = float(rng.uniform(-pi, pi))
    return Rect(x, y, side, side, angle)


def into_region(keypoints: NDArray[np.floating], region: Rect) -> Floats:
    """Bring keypoints (21, 3) in pixels into a region: fractions of its side, z from the wrist."""
    x, y, z = keypoints.T
    across, down = _turned_back(x - region.x, y - region.y, region)
    inside = np.empty((21, 3), np.float32)
    inside[:, 0] = across / region.width + 0.5
    inside[:, 1] = down / region.width + 0.5
    inside[:, 2] = (z - z[0]) / region.width
    return inside


def _turned_back(
    x: NDArray[Any], y: NDArray[Any], region: Rect
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Turn coordinates (n,) around a region's centre into its axes."""
    c = cos(region.angle)
    s = sin(region.angle)
    return c * x + s * y, c * y - s * x


def _world(hand: LabelledHand, region: Rect) -> Floats:
    """Turn metres in the picture's axes into decimetres in the crop's, around the mean of the
    keypoints.
    """
    if hand.world is None:
        return _unknown()
    around = hand.world - hand.world.mean(axis=0)
    # Decimetres: a hand is about one, as its crop is one of its sides, so both errors weigh alike.
    x, y, z = (10 * around).T
    across, down = _turned_back(x, y, region)
    return np.stack([across, down, z], axis=1).astype(np.float32)


def mirrored(example: CropExample) -> CropExample:
    """Return the same hand in a mirror: the other hand of the same person."""
    size = example.pixels.shape[1]
    points = example.points.copy()
    # Whole coordinates are middles of pixels, so the last pixel's middle is the first one's mirror
    # image.
    last = (size - 1) / size
    points[:, 0] = last - points[:, 0]
    flip = np.array([-1, 1, 1], np.float32)
    return replace(
        example,
        pixels=np.ascontiguousarray(example.pixels[:, ::-1]),
        points=points,
        world=example.world * flip,
        handedness=1 - example.handedness,
    )


# Replicated first: it is what the tracker does, where nothing is left to chance.
_BORDERS = (cv2.BORDER_REPLICATE, cv2.BORDER_REFLECT_101, cv2.BORDER_CONSTANT)
_BORDER_SHARES = (0.5, 0.25, 0.25)
_UNREFLECTED_SHARES = (0.65, 0.0, 0.35)


def cut(
    pixels: Pixels,
    region: Rect,
    size: int,
    rng: np.random.Generator | None = None,
    *,
    reflect: bool = True,
) -> Pixels:
    """Return what a region shows, (size, size, 3), sampled as :func:`handheld.media.crop` does.

    Small photos end soon after the hand. So that the network does not learn how they end, their
    border is filled at random: replicated (as in tracking, half of the time), reflected, or flat;
    without ``reflect`` never reflected, as where a hand beside the region would be seen once more.
    """
    border = _BORDERS[0]
    shade: Sequence[int] = (0, 0, 0)
    if rng is not None:
        shares = _BORDER_SHARES if reflect else _UNREFLECTED_SHARES
        border = _BORDERS[int(rng.choice(3, p=shares))]
        shade = rng.integers(0, 256, 3).tolist()
    # From the crop's pixels, not from fractions of its side.
    matrix = region.matrix / (size, size, 1.0)
    cropped = cv2.warpAffine(
        np.asarray(pixels),
        matrix,
        (size, size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=border,
        borderValue=shade,
    )
    return np.asarray(cropped, np.uint8)


def with_other_skin(example: CropExample, rng: np.random.Generator) -> CropExample:
    """Return the example as if a person of another skin tone had held up the hand."""
    size = example.pixels.shape[0]
    mask = hand_mask(example.points * size, (size, size))
    return replace(example, pixels=with_tone(example.pixels, mask, draw_tone(rng)))


def with_changes(example: CropExample, rng: np.random.Generator) -> CropExample:
    """Return the example as another camera would have taken it."""
    return replace(example, pixels=augment(example.pixels, rng))


def in_frame(example: CropExample, frame_rng: np.random.Generator | None) -> CropExample:
    """Return the example as it is in a frame of a film; as it is where there is no film."""
    if frame_rng is None:
        return example
    return replace(example, pixels=flicker(example.pixels, frame_rng))
