"""What the palm detector learns from: pictures with hands of any size, pasted
together, and pictures without.

A scene is made by laying pictures onto a square canvas, each with its own scale and turn, and
carrying their labels along.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from math import cos, exp, log, sin
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from handheld.hands.training.examples.augment import SCENE_CHANGES, augment
from handheld.hands.training.examples.mixture import (
    LabelLimits,
    PhotoHands,
    by_set,
    read_photo_hands,
)
from handheld.hands.training.examples.photos import SHIPPED, Split
from handheld.hands.training.examples.pool import RenderPool, from_middles
from handheld.hands.training.labels import LabelledHand, LabelledPicture, palm_box
from handheld.hands.training.render.sources import open_sources
from handheld.hands.training.render.studio import SceneOptions, Studio
from handheld.media import Rect

Floats: TypeAlias = NDArray[np.float32]

SMALLEST = 0.04
LARGEST = 0.8
"""Side of a palm, as a share of the picture's: a span of 20."""

_EMPTY_SHARE = 0.12
# Shares of the scenes; the rest show one photo.
_MOSAIC_SHARE = 0.25

# Height and width of rendered scenes, pixels.
_SCENE_SIZE = (192, 256)

# Share of a region's side that its palm takes, about: regions are 2.6 palms wide.
_MIDDLE = 0.5

# Share of a rendered hand's keypoints that must be seen for it to be found; of less nothing is
# taught.
_HIDDEN = 0.25

# Share of a palm's box that must be in the picture, likewise.
_INSIDE = 0.5


@dataclass(frozen=True, eq=False)
class PalmScene:
    """A square picture and the palms in it.

    Attributes:
        pixels: (size, size, 3) uint8 RGB.
        boxes: (n, 4) centre x, centre y, width, height of each palm or hand, as fractions.
        keypoints: (n, 7, 2) fractions.
        ignored: (m, 4) boxes, likewise, in which nothing is taught.
        complete: whether all that is in no box is background.
        background: (k, 4) boxes that are background in any case.
    """

    pixels: NDArray[np.uint8]
    boxes: Floats
    keypoints: Floats
    ignored: Floats
    complete: bool
    background: Floats = field(default_factory=lambda: np.empty((0, 4), np.float32))


@dataclass(frozen=True, eq=False)
class PalmPicture:
    """A picture with what the detector shall find in it, before it is laid anywhere.

    Attributes:
        pixels: (H, W, 3) uint8 RGB.
        hands: with all that is labelled.
        ignored: (m, 4) boxes x0, y0, x1, y1 in pixels of hands of which nothing more is known.
        complete: whether there are no other hands.
        group: the set, for reports.
        background: (k, 4) boxes, likewise, of what a pack took for a hand.
        judged: whether it counts in scores: people, not a teacher, say that
            there are no other hands.
    """

    pixels: NDArray[np.uint8]
    hands: tuple[LabelledHand, ...]
    ignored: NDArray[np.float64]
    complete: bool
    group: str = ""
    background: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 4)))
    judged: bool = True


def palm_pictures(photos: PhotoHands, split: Split) -> list[tuple[int, PalmPicture]]:
    """Return the photos of a split that show labelled hands, with their positions in the store.

    A photo is complete if its set has boxes for all hands, or shows one hand, and all are
    labelled; or if the teacher has looked through it: then nothing is taught where it suspects a
    palm, and all else is background.
    """
    one_hand = {photo_set.name for photo_set in SHIPPED if photo_set.single}
    by_photo: dict[int, list[LabelledHand]] = {}
    for entry in photos.hands[split]:
        by_photo.setdefault(entry.picture, []).append(entry.hand)
    mistaken: dict[int, list[Rect]] = {}
    for mistake in photos.mistakes[split]:
        if mistake.in_photo:
            mistaken.setdefault(mistake.picture, []).append(mistake.region)
    pictures = []
    for index, hands in sorted(by_photo.items()):
        photo = photos.photos[index]
        group = photo.name.partition("/")[0]
        known = photo.complete or group in one_hand
        boxes = _in_pixels(photo.boxes, photos.store.shapes[index])
        suspects = photos.suspects.get(index)
        doubtful = boxes if suspects is None else np.concatenate([boxes, suspects])
        unlabelled = [box for box in doubtful if not any(_covers(box, hand) for hand in hands)]
        picture = PalmPicture(
            pixels=photos.store[index],
            hands=tuple(hands),
            ignored=np.array(unlabelled, np.float64).reshape(-1, 4),
            complete=known or suspects is not None,
            judged=known,
            group=group,
            background=_boxes_of(mistaken.get(index, [])),
        )
        pictures.append((index, picture))
    return pictures


def _boxes_of(regions: Sequence[Rect]) -> NDArray[np.float64]:
    """Return the upright boxes (n, 4) of the middles of regions, x0, y0, x1, y1."""
    sides = [(one.x, one.y, _MIDDLE * one.width / 2) for one in regions]
    rows = [(x - half, y - half, x + half, y + half) for x, y, half in sides]
    return np.array(rows, np.float64).reshape(-1, 4)


def _in_pixels(boxes: NDArray[np.float64] | None, shape: NDArray[np.int64]) -> NDArray[np.float64]:
    """Turn centres and sizes as fractions into corners in pixels, (n, 4)."""
    if boxes is None:
        return np.empty((0, 4))
    height, width = shape
    scale = np.array([width, height], np.float64)
    middle = boxes[:, :2] * scale
    half = boxes[:, 2:] * scale / 2
    return np.concatenate([middle - half, middle + half], axis=1)


def _covers(box: NDArray[np.float64], hand: LabelledHand) -> bool:
    x, y = np.nanmean(hand.keypoints[:, :2], axis=0)
    return bool(box[0] <= x <= box[2] and box[1] <= y <= box[3])


def hand_box(hand: LabelledHand) -> NDArray[np.floating]:
    """Return the upright box (4,) x0, y0, x1, y1 around a whole hand: its own,
    or around its keypoints.
    """
    if hand.box is not None and np.isfinite(hand.box).all():
        return hand.box
    low = np.nanmin(hand.keypoints[:, :2], axis=0)
    high = np.nanmax(hand.keypoints[:, :2], axis=0)
    # Keypoints lie in the flesh: a twentieth of the hand is beyond them on each side.
    border = 0.05 * (high - low).max()
    return np.concatenate([low - border, high + border])


@dataclass
class Canvas:
    """A square picture on which others are laid, with their labels."""

    pixels: NDArray[np.uint8]
    whole_hands: bool
    boxes: list[Floats] = field(default_factory=list)
    keypoints: list[Floats] = field(default_factory=list)
    ignored: list[Floats] = field(default_factory=list)
    background: list[Floats] = field(default_factory=list)
    complete: bool = True

    def lay(
        self,
        picture: PalmPicture,
        matrix: NDArray[np.float64],
        area: tuple[int, int, int, int],
        border: int,
        shade: Sequence[int] = (0, 0, 0),
    ) -> None:
        """Lay a picture onto a part of the canvas.

        Args:
            picture: with its labels.
            matrix: (2, 3) from the picture's pixels to the canvas's.
            area: left, top, right, bottom of the part that it fills, pixels of the canvas.
            border: OpenCV's way to fill what lies beyond the picture.
            shade: for a flat border.
        """
        left, top, right, bottom = area
        moved = matrix.copy()
        moved[:, 2] -= left, top
        shown = cv2.warpAffine(
            np.asarray(picture.pixels),
            moved,
            (right - left, bottom - top),
            flags=cv2.INTER_LINEAR,
            borderMode=border,
            borderValue=tuple(shade),
        )
        self.pixels[top:bottom, left:right] = shown
        self.complete = self.complete and picture.complete
        for hand in picture.hands:
            self._add(hand, matrix, area)
        for box in picture.ignored:
            self.ignored.append(self._fractions(_moved_box(box, matrix)))
        for box in picture.background:
            self.background.append(self._fractions(_moved_box(box, matrix)))

    def _add(
        self, hand: LabelledHand, matrix: NDArray[np.float64], area: tuple[int, int, int, int]
    ) -> None:
        points = hand.keypoints.astype(np.float64).copy()
        points[:, :2] = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        palm, seven = palm_box(points)
        box = _moved_box(hand_box(hand), matrix) if self.whole_hands else palm
        fractions = self._fractions(box)
        share = _share_inside(palm, area)
        hidden = hand.visible is not None and hand.visible.mean() < _HIDDEN
        size = self.pixels.shape[0]
        if share <= 0:
            return
        if (
            hidden
            or share < _INSIDE
            or not SMALLEST * 0.8 < (palm[2] - palm[0]) / size < LARGEST * 1.2
        ):
            self.ignored.append(fractions)
            return
        self.boxes.append(fractions)
        self.keypoints.append((seven / size).astype(np.float32))

    def _fractions(self, corners: NDArray[np.floating]) -> Floats:
        low = corners[:2]
        high = corners[2:]
        box = np.concatenate([(low + high) / 2, high - low]) / self.pixels.shape[0]
        return np.asarray(box, np.float32)

    def scene(self) -> PalmScene:
        """Return what is on the canvas."""
        return PalmScene(
            pixels=self.pixels,
            boxes=np.array(self.boxes, np.float32).reshape(-1, 4),
            keypoints=np.array(self.keypoints, np.float32).reshape(-1, 7, 2),
            ignored=np.array(self.ignored, np.float32).reshape(-1, 4),
            complete=self.complete,
            background=np.array(self.background, np.float32).reshape(-1, 4),
        )


def _moved_box(box: NDArray[np.floating], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the upright box around a box that was moved."""
    left, top, right, bottom = box
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)
    moved = corners @ matrix[:, :2].T + matrix[:, 2]
    return np.concatenate([moved.min(axis=0), moved.max(axis=0)])


def _share_inside(box: NDArray[np.floating], area: tuple[int, int, int, int]) -> float:
    left, top, right, bottom = area
    across = min(box[2], right) - max(box[0], left)
    down = min(box[3], bottom) - max(box[1], top)
    whole = (box[2] - box[0]) * (box[3] - box[1])
    return float(max(0.0, across) * max(0.0, down) / max(whole, 1e-9))


@dataclass(frozen=True, eq=False)
class PalmBatch:
    """n scenes; see :class:`PalmScene`."""

    scenes: tuple[PalmScene, ...]

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """(n, size, size, 3) uint8."""
        return np.stack([scene.pixels for scene in self.scenes])


# Purposes of the random numbers.
_TRAINING, _JUDGING = range(2)

_BORDERS = (cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE, cv2.BORDER_REFLECT_101)


@dataclass(frozen=True)
class PalmMixture:
    """Batches of scenes, by their step; see ``mixture.CropMixture`` for what is the same.

    Attributes:
        data, labels, cache, mistakes, limits, pool, seed: as there.
        size: side of a scene, pixels.
        batch: scenes in a batch.
        whole_hands: whether boxes are around hands, not palms.
        rendered: share of rendered scenes among pictures with hands; 0 needs no meshes.
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

    def __getstate__(self) -> dict[str, Any]:
        # What is open stays here: a worker opens it anew.
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}

    def open(self) -> None:
        """Open everything that scenes are made from. Raises as ``CropMixture.open`` does."""
        _ = self._by_set
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
        studio = Studio(open_sources(self.data), self.seed)
        options = SceneOptions(width=width, height=height)
        path = self.cache / f"scenes-{width}x{height}-{self.seed}.records"
        return RenderPool(
            path, height, width, 2, self.pool, lambda index: studio.scene(index, options)
        )

    @cached_property
    def _by_set(self) -> tuple[list[list[PalmPicture]], NDArray[np.float64]]:
        return by_set([picture for _, picture in palm_pictures(self.photos, "train")])

    def __call__(self, step: int) -> PalmBatch:
        """Return the batch of a step."""
        rng = np.random.default_rng([self.seed, _TRAINING, step])
        first = step * self.batch
        return PalmBatch(tuple(self._scene(first + place, rng) for place in range(self.batch)))

    def _scene(self, index: int, rng: np.random.Generator) -> PalmScene:
        canvas = Canvas(np.zeros((self.size, self.size, 3), np.uint8), self.whole_hands)
        choice = rng.random()
        if choice < _EMPTY_SHARE:
            self._lay(canvas, self._without_hands("train", rng), (0, 0, self.size, self.size), rng)
        elif choice < _EMPTY_SHARE + _MOSAIC_SHARE:
            self._lay_mosaic(canvas, index, rng)
        else:
            self._lay(canvas, self._with_hands(index, rng), (0, 0, self.size, self.size), rng)
        scene = canvas.scene()
        scene = replace(scene, pixels=augment(scene.pixels, rng, changes=SCENE_CHANGES))
        return mirrored_scene(scene) if rng.random() < 0.5 else scene

    def _lay_mosaic(self, canvas: Canvas, index: int, rng: np.random.Generator) -> None:
        """Lay four pictures around a point (Bochkovskiy et al., arXiv 2004.10934)."""
        x, y = rng.integers(self.size // 4, 3 * self.size // 4, 2).tolist()
        size = self.size
        for area in ((0, 0, x, y), (x, 0, size, y), (0, y, x, size), (x, y, size, size)):
            picture = (
                self._with_hands(index, rng)
                if rng.random() < 0.7
                else self._without_hands("train", rng)
            )
            self._lay(canvas, picture, area, rng)

    def _with_hands(self, index: int, rng: np.random.Generator) -> PalmPicture:
        if rng.random() < self.rendered:
            # Not the same picture in all parts of a mosaic.
            return of_rendered(self.scenes(index + int(rng.integers(self.pool))))
        groups, weights = self._by_set
        group = groups[int(rng.choice(len(groups), p=weights))]
        return group[int(rng.integers(len(group)))]

    def _without_hands(self, split: Split, rng: np.random.Generator) -> PalmPicture:
        positions = self.photos.empty[split]
        pixels = self.photos.empty_store[positions[int(rng.integers(len(positions)))]]
        return PalmPicture(pixels, (), np.empty((0, 4)), complete=True, group="empty")

    def _lay(
        self,
        canvas: Canvas,
        picture: PalmPicture,
        area: tuple[int, int, int, int],
        rng: np.random.Generator,
    ) -> None:
        matrix = draw_placing(picture, area, self.size, rng)
        border = _BORDERS[int(rng.choice(3, p=(0.5, 0.25, 0.25)))]
        # Black, as the tracker's letterbox, half of the time.
        shade = rng.integers(0, 256, 3).tolist() if rng.random() < 0.5 else [0, 0, 0]
        if border != cv2.BORDER_CONSTANT and picture.hands:
            # A reflected hand would be a hand that nobody labelled.
            border = cv2.BORDER_REPLICATE
        canvas.lay(picture, matrix, area, border, shade)


def of_rendered(picture: LabelledPicture) -> PalmPicture:
    """Return a rendered scene for the detector."""
    hands = tuple(from_middles(hand) for hand in picture.hands)
    return PalmPicture(picture.pixels, hands, np.empty((0, 4)), complete=True, group="rendered")


def draw_placing(
    picture: PalmPicture, area: tuple[int, int, int, int], size: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Choose how a picture is laid into a part of a canvas, (2, 3): every size of a palm as often.

    Half of the pictures are shown whole, as the tracker shows its frames.
    """
    left, top, right, bottom = area
    height, width = picture.pixels.shape[:2]
    fit = min((right - left) / width, (bottom - top) / height)
    scale = fit * float(rng.uniform(0.8, 1.1))
    focus = np.array([width, height]) * rng.uniform(0.35, 0.65, 2)
    if picture.hands and rng.random() < 0.6:
        hand = picture.hands[int(rng.integers(len(picture.hands)))]
        palm, _ = palm_box(hand.keypoints)
        side = exp(rng.uniform(log(SMALLEST), log(LARGEST))) * size
        # Enlarged four times a photo is no photo any more.
        scale = min(side / max(float(palm[2] - palm[0]), 1.0), 4.0)
        focus = (palm[:2] + palm[2:]) / 2
    turn = float(rng.normal(0, 0.3)) if rng.random() < 0.8 else float(rng.uniform(-np.pi, np.pi))
    c = scale * cos(turn)
    s = scale * sin(turn)
    rotation = np.array([[c, -s], [s, c]])
    target = np.array([rng.uniform(left, right), rng.uniform(top, bottom)])
    middle = np.array([left + right, top + bottom]) / 2
    # Mostly in the part's middle half: hands that are cut by the border are the rarer ones.
    target = middle + (target - middle) * rng.uniform(0.2, 0.9)
    return np.concatenate([rotation, (target - rotation @ focus)[:, None]], axis=1)


def mirrored_scene(scene: PalmScene) -> PalmScene:
    """Return a scene in a mirror."""
    size = scene.pixels.shape[0]
    boxes = scene.boxes.copy()
    keypoints = scene.keypoints.copy()
    ignored = scene.ignored.copy()
    background = scene.background.copy()
    last = (size - 1) / size
    boxes[:, 0] = last - boxes[:, 0]
    keypoints[..., 0] = last - keypoints[..., 0]
    ignored[:, 0] = last - ignored[:, 0]
    background[:, 0] = last - background[:, 0]
    pixels = np.ascontiguousarray(scene.pixels[:, ::-1])
    return PalmScene(pixels, boxes, keypoints, ignored, scene.complete, background)


def letterboxed(picture: PalmPicture, size: int, *, whole_hands: bool) -> PalmScene:
    """Return a picture as the tracker shows it to the detector: whole, in the middle, on black."""
    height, width = picture.pixels.shape[:2]
    scale = size / max(height, width)
    shift = (np.array([size, size]) - scale * np.array([width, height])) / 2
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    canvas = Canvas(np.zeros((size, size, 3), np.uint8), whole_hands)
    canvas.lay(picture, matrix, (0, 0, size, size), cv2.BORDER_CONSTANT)
    return canvas.scene()


def fixed_scenes(
    mixture: PalmMixture, split: Split, *, most: int, empty: int, rendered: int
) -> list[PalmScene]:
    """Return the scenes that a split is judged by, the same in every run: only complete pictures."""
    size = mixture.size
    complete = [picture for _, picture in palm_pictures(mixture.photos, split) if picture.judged]
    chosen = np.unique(np.linspace(0, len(complete) - 1, min(most, len(complete))).astype(int))
    rng = np.random.default_rng([_JUDGING, size])
    pictures = [complete[index] for index in chosen.tolist()]
    pictures += [mixture._without_hands(split, rng) for _ in range(empty)]
    if mixture.rendered:
        studio = Studio(open_sources(mixture.data), _OTHER_SEED + mixture.seed)
        height, width = _SCENE_SIZE
        options = SceneOptions(width=width, height=height)
        pictures += [of_rendered(studio.scene(index, options)) for index in range(rendered)]
    return [letterboxed(picture, size, whole_hands=mixture.whole_hands) for picture in pictures]


_OTHER_SEED = 1_000_000
