"""What the palm detector learns from: pictures with hands of any size, pasted together, and
pictures without.

A scene is made by laying pictures onto a square canvas, each with its own scale and turn, and
carrying their labels along.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, partial
from math import cos, exp, log, sin
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from handheld.hands.training.examples.augment import SCENE_CHANGES, augment
from handheld.hands.training.examples.canvas import (
    INSIDE,
    LARGEST,
    SMALLEST,
    Area,
    Canvas,
    Doubles,
    PalmPicture,
    PalmScene,
    letterboxed,
    mirrored_scene,
)
from handheld.hands.training.examples.ending import draw_end
from handheld.hands.training.examples.meeting import with_mirror_image
from handheld.hands.training.examples.mixture import evenly_spaced, pool_name
from handheld.hands.training.examples.photo_hands import (
    LabelLimits,
    PhotoHands,
    read_photo_hands,
)
from handheld.hands.training.examples.photos import SINGLE, Split
from handheld.hands.training.examples.pool import RenderPool, from_middles
from handheld.hands.training.examples.sets import SetSampler
from handheld.hands.training.labels import LabelledHand, LabelledPicture, palm_box
from handheld.hands.training.render.sources import open_sources
from handheld.hands.training.render.studio import SceneOptions, Studio
from handheld.media import Rect

# Purposes of the random numbers: in a seed's list, so that no batch shares them with judged scenes.
_TRAINING = 0
_JUDGING = 1

# Of the renderer that makes scenes to be judged by: people whom no training of a small seed sees.
_OTHER_SEED = 1_000_000

# Shares of the scenes; the rest show one photo.
_EMPTY_SHARE = 0.12
_MOSAIC_SHARE = 0.25

# Share of a mosaic's pictures that show hands.
_MOSAIC_HANDS = 0.7

# Height and width of rendered scenes, pixels.
_SCENE_SIZE = (192, 256)

# Share of a region's side that its palm takes, about: regions are 2.6 palms wide.
_MIDDLE = 0.5

# Share of the pictures with hands in which one of them decides how large the picture is laid; the
# others are shown about as the tracker shows its frames, whole.
_CLOSE_UPS = 0.6

# Enlarged more than four times a photo is no photo any more.
_MOST_ENLARGED = 4.0

# How much larger than what it must cover a picture is that surrounds another one, least and most.
_COVERING = (1.0, 1.6)

# Longer sides of what is scattered over a scene, of the canvas's side, least and most; and how many
# are at most.
_SCATTERED_SIDES = (0.12, 0.6)
_MOST_SCATTERED = 3

_BORDERS = (cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE, cv2.BORDER_REFLECT_101)

# How often each: half flat, as the tracker's letterbox is.
_BORDER_SHARES = (0.5, 0.25, 0.25)


def palm_pictures(photos: PhotoHands, split: Split) -> list[tuple[int, PalmPicture]]:
    """Return the photos of a split that show labelled hands, with their positions in the store.

    A photo is complete if its set has boxes for all hands, or shows one hand, and all are labelled;
    or if the teacher has looked through it: then nothing is taught where it suspects a palm, and
    all else is background.
    """
    hands = _hands_by_picture(photos, split)
    mistakes = _mistakes_by_picture(photos, split)
    pictures = []
    for index in sorted(hands):
        picture = _palm_picture(photos, index, hands[index], mistakes.get(index, []))
        pictures.append((index, picture))
    return pictures


def _hands_by_picture(photos: PhotoHands, split: Split) -> dict[int, list[LabelledHand]]:
    hands: dict[int, list[LabelledHand]] = {}
    for entry in photos.hands[split]:
        hands.setdefault(entry.picture, []).append(entry.hand)
    return hands


def _mistakes_by_picture(photos: PhotoHands, split: Split) -> dict[int, list[Rect]]:
    """Return what a pack took for hands in photos; not in pictures that show none."""
    mistakes: dict[int, list[Rect]] = {}
    for mistake in photos.mistakes[split]:
        if mistake.in_photo:
            mistakes.setdefault(mistake.picture, []).append(mistake.region)
    return mistakes


def _palm_picture(
    photos: PhotoHands,
    index: int,
    hands: Sequence[LabelledHand],
    mistakes: Sequence[Rect],
) -> PalmPicture:
    """Return the photo at a position in the store for the detector."""
    photo = photos.photos[index]
    # By people, who say of the set that there is no hand but those that it knows.
    known = photo.complete or photo.group in SINGLE
    background = _boxes_of(mistakes)
    doubtful = _in_pixels(photo.boxes, photos.store.shapes[index])
    if not known:
        suspects = photos.suspects.get(index, np.empty((0, 4)))
        doubtful = np.concatenate([doubtful, _not_denied(suspects, background)])
    return PalmPicture(
        pixels=photos.store[index],
        hands=tuple(hands),
        ignored=_unlabelled(doubtful, hands),
        complete=known or index in photos.suspects,
        judged=known,
        group=photo.group,
        background=background,
    )


def _not_denied(suspects: Doubles, background: Doubles) -> Doubles:
    """Leave out those of boxes (n, 4) whose middle is in a box (m, 4) that shows no hand."""
    middles = (suspects[:, :2] + suspects[:, 2:]) / 2
    # (n, m, 2): each middle beside each box.
    above_low = middles[:, None] >= background[None, :, :2]
    below_high = middles[:, None] <= background[None, :, 2:]
    is_inside = np.all(above_low & below_high, axis=2)
    is_denied = np.any(is_inside, axis=1)
    return np.asarray(suspects[~is_denied])


def _unlabelled(boxes: Doubles, hands: Sequence[LabelledHand]) -> Doubles:
    """Return those of boxes (n, 4) in which there may be a hand that has no label."""
    # A box with a labelled hand in it is that hand's; in the others there may be one or none.
    doubtful = [box for box in boxes if not _covers_any(box, hands)]
    return np.array(doubtful, np.float64).reshape(-1, 4)


def _boxes_of(regions: Sequence[Rect]) -> Doubles:
    """Return the upright boxes (n, 4) of the middles of regions, x0, y0, x1, y1."""
    rows = []
    for region in regions:
        half = _MIDDLE * region.width / 2
        low = (region.x - half, region.y - half)
        high = (region.x + half, region.y + half)
        rows.append([*low, *high])
    return np.array(rows, np.float64).reshape(-1, 4)


def _in_pixels(boxes: Doubles | None, shape: NDArray[np.int64]) -> Doubles:
    """Turn centres and sizes as fractions into corners in pixels, (n, 4)."""
    if boxes is None:
        return np.empty((0, 4))
    height, width = shape
    scale = np.array([width, height], np.float64)
    middle = boxes[:, :2] * scale
    half = boxes[:, 2:] * scale / 2
    return np.concatenate([middle - half, middle + half], axis=1)


def _covers_any(box: Doubles, hands: Sequence[LabelledHand]) -> bool:
    """Whether the middle of a hand is in a box."""
    return any(_covers(box, hand) for hand in hands)


def _covers(box: Doubles, hand: LabelledHand) -> bool:
    # Without the keypoints that the teacher was not sure of.
    x, y = np.nanmean(hand.keypoints[:, :2], axis=0)
    x0, y0, x1, y1 = box
    return bool(x0 <= x <= x1 and y0 <= y <= y1)


@dataclass(frozen=True, eq=False)
class PalmBatch:
    """n scenes; see :class:`PalmScene`."""

    scenes: tuple[PalmScene, ...]

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """(n, size, size, 3) uint8."""
        return np.stack([scene.pixels for scene in self.scenes])


@dataclass(frozen=True)
class PalmMixture:
    """Batches of scenes, by their step; see ``mixture.CropMixture`` for what is the same.

    Attributes:
        data, labels, cache, mistakes, limits, pool, seed: as there.
        size: side of a scene, pixels.
        batch: scenes in a batch.
        whole_hands: whether boxes are around hands, not palms.
        rendered: share of rendered scenes among pictures with hands; 0 needs no meshes.
        surrounded: share of the pictures with hands that are laid onto one without: a small hand is
            seen in a room then, not in a flat border.
        scattered: share of pictures without hands over which others without are scattered, small
            and at any angle: portraits fill their pictures, but in films heads are as small as
            hands.
        meeting: share of photos of one hand in which it meets its own mirror image.
        cut_off: share of photos of one hand that end within it.
        fists: share of fists among rendered hands, beside those that come by chance.
    """

    data: Path
    labels: Path
    cache: Path
    mistakes: Path | None = None
    size: int = 192
    batch: int = 32
    whole_hands: bool = False
    seed: int = 0
    limits: LabelLimits = field(default_factory=LabelLimits)
    pool: int = 20_000
    rendered: float = 0.4
    surrounded: float = 0.5
    scattered: float = 0.0
    meeting: float = 0.0
    cut_off: float = 0.0
    fists: float = 0.0

    def __getstate__(self) -> dict[str, Any]:
        # What is open stays here: a worker opens it anew.
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}

    def open(self) -> None:
        """Open everything that scenes are made from. Raises as ``CropMixture.open`` does."""
        # Cached properties: to ask for them is to open them.
        _ = self._pictures
        if self.rendered:
            _ = self.scenes

    @cached_property
    def photos(self) -> PhotoHands:
        """The photos, opened in the process that asks."""
        return read_photo_hands(self.data, self.labels, self.cache, self.limits, self.mistakes)

    @cached_property
    def scenes(self) -> RenderPool:
        """The rendered scenes."""
        height, width = _SCENE_SIZE
        sources = open_sources(self.data)
        studio = Studio(sources, self.seed)
        options = SceneOptions(width=width, height=height, fists=self.fists)
        name = pool_name(f"scenes-{width}x{height}", self.seed, self.fists, sources)
        return RenderPool(
            # All that a picture depends on is in the name: other settings are another pool.
            path=self.cache / name,
            height=height,
            width=width,
            hands=2,
            count=self.pool,
            render=lambda index: studio.scene(index, options),
        )

    @cached_property
    def _pictures(self) -> SetSampler[PalmPicture]:
        """The training's photos with hands."""
        pictures = [picture for _, picture in palm_pictures(self.photos, "train")]
        return SetSampler(pictures)

    def __call__(self, step: int) -> PalmBatch:
        """Return the batch of a step."""
        rng = np.random.default_rng([self.seed, _TRAINING, step])
        first = step * self.batch
        scenes = [self._scene(first + row, rng) for row in range(self.batch)]
        return PalmBatch(tuple(scenes))

    def _scene(self, index: int, rng: np.random.Generator) -> PalmScene:
        canvas = Canvas.black(self.size, whole_hands=self.whole_hands)
        self._fill(canvas, index, rng)
        scene = canvas.scene()
        scene = replace(scene, pixels=augment(scene.pixels, rng, changes=SCENE_CHANGES))
        if rng.random() < 0.5:
            return mirrored_scene(scene)
        return scene

    def _fill(self, canvas: Canvas, index: int, rng: np.random.Generator) -> None:
        """Lay one picture, with or without hands, or four onto a canvas."""
        choice = rng.random()
        if choice < _EMPTY_SHARE:
            self._lay(canvas, self._empty_picture(rng), canvas.area, rng)
            self._scatter(canvas, canvas.area, rng)
        elif choice < _EMPTY_SHARE + _MOSAIC_SHARE:
            self._lay_mosaic(canvas, index, rng)
        else:
            self._lay(canvas, self._with_hands(index, rng), canvas.area, rng)

    def _lay_mosaic(self, canvas: Canvas, index: int, rng: np.random.Generator) -> None:
        """Lay four pictures around a point (Bochkovskiy et al., arXiv 2004.10934)."""
        size = self.size
        # In the middle half, so that none of the four is a strip.
        x, y = rng.integers(size // 4, 3 * size // 4, 2).tolist()
        quarters = (
            Area(0, 0, x, y),
            Area(x, 0, size, y),
            Area(0, y, x, size),
            Area(x, y, size, size),
        )
        for area in quarters:
            if rng.random() < _MOSAIC_HANDS:
                picture = self._with_hands(index, rng)
            else:
                picture = self._empty_picture(rng)
            self._lay(canvas, picture, area, rng)

    def _with_hands(self, index: int, rng: np.random.Generator) -> PalmPicture:
        if rng.random() < self.rendered:
            # Not the same picture in all quarters of a mosaic.
            other = index + int(rng.integers(self.pool))
            return of_rendered(self.scenes(other))
        picture = self._pictures.draw(rng)
        # No draw without any: such runs go on as before there were.
        if self.meeting and shows_one(picture) and rng.random() < self.meeting:
            return with_second_hand(picture, rng)
        if self.cut_off and shows_one(picture) and rng.random() < self.cut_off:
            return ending_within(picture, rng)
        return picture

    def _empty_picture(self, rng: np.random.Generator) -> PalmPicture:
        return self.without_hands("train", rng)

    def without_hands(self, split: Split, rng: np.random.Generator) -> PalmPicture:
        """Return any picture of a split in which there is no hand."""
        positions = self.photos.empty[split]
        chosen = positions[int(rng.integers(len(positions)))]
        return PalmPicture(
            pixels=self.photos.empty_store[chosen],
            hands=(),
            ignored=np.empty((0, 4)),
            complete=True,
            group="empty",
        )

    def _lay(
        self, canvas: Canvas, picture: PalmPicture, area: Area, rng: np.random.Generator
    ) -> None:
        matrix = draw_placing(picture, area, self.size, rng)
        if picture.hands and rng.random() < self.surrounded:
            self._surround(canvas, area, rng)
            canvas.lay(picture, matrix, area, cv2.BORDER_TRANSPARENT)
            return
        border = _BORDERS[int(rng.choice(3, p=_BORDER_SHARES))]
        shade = _draw_shade(rng)
        if border != cv2.BORDER_CONSTANT and picture.hands:
            # A reflected hand would be a hand that nobody labelled.
            border = cv2.BORDER_REPLICATE
        canvas.lay(picture, matrix, area, border, shade)

    def _surround(self, canvas: Canvas, area: Area, rng: np.random.Generator) -> None:
        """Cover an area with a picture in which there is no hand."""
        picture = self._empty_picture(rng)
        matrix = _draw_cover(picture, area, rng)
        canvas.lay(picture, matrix, area, cv2.BORDER_REFLECT_101)
        self._scatter(canvas, area, rng)

    def _scatter(self, canvas: Canvas, area: Area, rng: np.random.Generator) -> None:
        """Lay a few small pictures in which there is no hand onto an area, often."""
        # No draw where nothing is scattered: such runs go on as before there was this.
        if not self.scattered or rng.random() >= self.scattered:
            return
        for _ in range(int(rng.integers(1, _MOST_SCATTERED + 1))):
            picture = self._empty_picture(rng)
            matrix = _draw_scattered(picture, area, self.size, rng)
            canvas.lay(picture, matrix, area, cv2.BORDER_TRANSPARENT)


def _draw_cover(picture: PalmPicture, area: Area, rng: np.random.Generator) -> NDArray[np.float64]:
    """Choose how a picture is laid so that it covers an area, (2, 3)."""
    height, width = picture.pixels.shape[:2]
    covering = max(area.width / width, area.height / height)
    scale = covering * float(rng.uniform(*_COVERING))
    # Of what is beyond the area, how much is beyond its left and its upper side.
    overhang = scale * np.array([width, height]) - np.array([area.width, area.height])
    corner = np.array([area.left, area.top]) - overhang * rng.uniform(0, 1, 2)
    return np.array([[scale, 0, corner[0]], [0, scale, corner[1]]])


def _draw_scattered(
    picture: PalmPicture, area: Area, size: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Choose how a small picture is laid somewhere into an area, (2, 3)."""
    height, width = picture.pixels.shape[:2]
    smallest, largest = _SCATTERED_SIDES
    # Each doubling as often: evenly drawn sides would hardly ever be small.
    side = size * exp(rng.uniform(log(smallest), log(largest)))
    target = np.array([rng.uniform(area.left, area.right), rng.uniform(area.top, area.bottom)])
    middle = np.array([width, height]) / 2
    return _turned_onto(target, middle, scale=side / max(width, height), turn=_draw_turn(rng))


def _turned_onto(target: Doubles, focus: Doubles, *, scale: float, turn: float) -> Doubles:
    """Return what scales and turns a picture so that a pixel of it (2,) is on a target, (2, 3)."""
    c = scale * cos(turn)
    s = scale * sin(turn)
    rotation = np.array([[c, -s], [s, c]])
    shift = target - rotation @ focus
    return np.concatenate([rotation, shift[:, None]], axis=1)


def _draw_shade(rng: np.random.Generator) -> list[int]:
    """Choose the colour of a flat border."""
    # Black, as the tracker's letterbox, half of the time.
    if rng.random() >= 0.5:
        return [0, 0, 0]
    shade: list[int] = rng.integers(0, 256, 3).tolist()
    return shade


def of_rendered(picture: LabelledPicture) -> PalmPicture:
    """Return a rendered scene for the detector."""
    hands = [from_middles(hand) for hand in picture.hands]
    return PalmPicture(
        pixels=picture.pixels,
        hands=tuple(hands),
        ignored=np.empty((0, 4)),
        complete=True,
        group="rendered",
    )


def shows_one(picture: PalmPicture) -> bool:
    """Whether a picture is known to show one hand."""
    return len(picture.hands) == 1 and picture.complete and not len(picture.ignored)


def with_second_hand(picture: PalmPicture, rng: np.random.Generator) -> PalmPicture:
    """Return a picture of one hand as one in which it meets its own mirror image."""
    pixels, hands = with_mirror_image(picture.pixels, picture.hands[0], rng)
    # What a pack took for a hand may be a hand now.
    return replace(picture, pixels=pixels, hands=hands, background=np.empty((0, 4)))


def ending_within(picture: PalmPicture, rng: np.random.Generator) -> PalmPicture:
    """Return a picture of one hand as one that ends within the hand, but for a palm of which too
    little would be left to be found.
    """
    hand = picture.hands[0]
    seen = draw_end(picture.pixels, hand.keypoints, rng)
    palm, _ = palm_box(hand.keypoints)
    if seen.share_inside(palm) < INSIDE:
        return picture
    return replace(
        picture,
        pixels=picture.pixels[seen.top : seen.bottom, seen.left : seen.right],
        hands=(hand.seen_from(np.array([seen.left, seen.top])),),
        # In the old picture's pixels.
        background=np.empty((0, 4)),
    )


def draw_placing(
    picture: PalmPicture, area: Area, size: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Choose how a picture is laid into an area of a canvas, (2, 3): every size of a palm as often.

    Four in ten of the pictures are shown about whole, as the tracker shows its frames.
    """
    scale, focus = _draw_scale(picture, area, size, rng)
    turn = _draw_turn(rng)
    target = _draw_target(area, rng)
    return _turned_onto(target, focus, scale=scale, turn=turn)


def _draw_scale(
    picture: PalmPicture, area: Area, size: int, rng: np.random.Generator
) -> tuple[float, Doubles]:
    """Choose how much a picture is enlarged, and which of its pixels (2,) is laid on the target."""
    height, width = picture.pixels.shape[:2]
    fit = min(area.width / width, area.height / height)
    # Drawn for close-ups too, so that a seed's numbers do not depend on what is in a picture.
    scale = fit * float(rng.uniform(0.8, 1.1))
    focus = np.array([width, height]) * rng.uniform(0.35, 0.65, 2)
    if picture.hands and rng.random() < _CLOSE_UPS:
        return _draw_close_up(picture.hands, size, rng)
    return scale, focus


def _draw_close_up(
    hands: Sequence[LabelledHand], size: int, rng: np.random.Generator
) -> tuple[float, Doubles]:
    """Choose a hand to look at, and how large its palm is."""
    hand = hands[int(rng.integers(len(hands)))]
    palm, _ = palm_box(hand.keypoints)
    width = max(float(palm[2] - palm[0]), 1.0)
    # Each doubling as often: evenly drawn sides would hardly ever be small.
    logarithm = rng.uniform(log(SMALLEST), log(LARGEST))
    side = exp(logarithm) * size
    middle = (palm[:2] + palm[2:]) / 2
    return min(side / width, _MOST_ENLARGED), middle


def _draw_turn(rng: np.random.Generator) -> float:
    """Choose radians: mostly about upright as cameras are held, one in five at any angle."""
    if rng.random() < 0.8:
        return float(rng.normal(0, 0.3))
    return float(rng.uniform(-np.pi, np.pi))


def _draw_target(area: Area, rng: np.random.Generator) -> Doubles:
    """Choose the point (2,) of an area on which a picture's focus is laid."""
    x = rng.uniform(area.left, area.right)
    y = rng.uniform(area.top, area.bottom)
    offset = np.array([x, y]) - area.middle
    # Mostly in the middle half: hands that are cut by the border are the rarer ones.
    towards: Doubles = area.middle + offset * rng.uniform(0.2, 0.9)
    return towards


def fixed_scenes(
    mixture: PalmMixture, split: Split, *, limit: int, empty: int, rendered: int
) -> list[PalmScene]:
    """Return the scenes that a split is judged by, the same in every run: only complete pictures.

    Args:
        mixture: of the training.
        split: whose people are shown.
        limit: photos with hands at most; evenly taken from all of the split.
        empty: pictures without hands.
        rendered: rendered scenes, if the mixture has any.
    """
    pictures = _judged_pictures(mixture.photos, split, limit)
    rng = np.random.default_rng([_JUDGING, mixture.size])
    pictures += [mixture.without_hands(split, rng) for _ in range(empty)]
    if mixture.rendered:
        pictures += _rendered_pictures(mixture, rendered)
    boxed = partial(letterboxed, size=mixture.size, whole_hands=mixture.whole_hands)
    return [boxed(picture) for picture in pictures]


def _judged_pictures(photos: PhotoHands, split: Split, limit: int) -> list[PalmPicture]:
    """Return the photos of which people say that there are no other hands."""
    complete = [picture for _, picture in palm_pictures(photos, split) if picture.judged]
    return [complete[index] for index in evenly_spaced(len(complete), limit)]


def _rendered_pictures(mixture: PalmMixture, count: int) -> list[PalmPicture]:
    """Return rendered scenes of people that no training of this seed sees."""
    studio = Studio(open_sources(mixture.data), _OTHER_SEED + mixture.seed)
    height, width = _SCENE_SIZE
    options = SceneOptions(width=width, height=height)
    return [of_rendered(studio.scene(index, options)) for index in range(count)]
