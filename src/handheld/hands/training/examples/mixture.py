"""What the landmark network is shown: crops of photos, of rendered hands, and of what is no hand.

Step k of a seed is the same in every run, whoever makes it: batches are made in worker processes,
and a run that was stopped goes on with the batch that it would have seen.
"""

import hashlib
from collections.abc import Sequence, Set
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.hands.geometry import LANDMARK_RULE
from handheld.hands.training.examples.augment import RENDERED_CHANGES, augment
from handheld.hands.training.examples.crops import (
    CropExample,
    Jitter,
    empty_crop,
    hand_crop,
    labelled_crop,
    mirrored,
    random_region,
    tracking_region,
    with_changes,
)
from handheld.hands.training.examples.labelling import (
    TeacherHand,
    read_labels,
    read_suspects,
)
from handheld.hands.training.examples.mistakes import read_mistakes
from handheld.hands.training.examples.photos import (
    SINGLE,
    SPLITS,
    Photo,
    Split,
    load_pixels,
    read_photos,
    split_of,
)
from handheld.hands.training.examples.pixels import PixelStore, open_store
from handheld.hands.training.examples.pool import RenderPool, from_middles
from handheld.hands.training.labels import LabelledHand
from handheld.hands.training.render.sources import open_sources
from handheld.hands.training.render.studio import CropOptions, Studio
from handheld.media import Rect, read_image
from handheld.training.runs import values_digest

RENDERED_SHARE: dict[str, float] = {"mixed": 0.5, "real": 0.0, "rendered": 1.0}
"""Share of rendered crops among those that show a hand."""

# Purposes of the random numbers.
_TRAINING, _JUDGING = range(2)

_MARGIN = 16

_SHOWN = 3  # names of photos in a message: one knows the set by then

RENDERED_JITTER = Jitter(shift=0.02, scale=0.06, turn=0.10)
"""Beside that of the renderer, so that a crop looks different each time."""

# Share of the crops without a hand that show what a pack took for one, if that is known.
_MISTAKEN = 0.5

MISTAKE_JITTER = Jitter(shift=0.08, scale=0.15, turn=0.3)
"""Wider than a hand's: what is no hand at all stays none however it is cut."""

# Share of the crops without a hand that are cut beside a hand: half hands, arms, the wrist.
_MOVED_OFF = 0.3


class PhotoHand(NamedTuple):
    """A hand in a photo of a store.

    Attributes:
        picture: position of the photo in the store.
        hand: its labels, in pixels of the stored picture.
        group: the set.
    """

    picture: int
    hand: LabelledHand
    group: str


class Mistake(NamedTuple):
    """What a pack took for a hand.

    Attributes:
        group: the set.
        in_photo: whether it is in a photo of the store, or in a picture without hands.
        picture: position in that store.
        region: in pixels of the stored picture.
    """

    group: str
    in_photo: bool
    picture: int
    region: Rect


@dataclass(frozen=True, eq=False)
class CropBatch:
    """n crops and their truth, see :class:`CropExample`; NaN where nobody knows.

    Attributes:
        pixels: (n, size, size, 3) uint8.
        points: (n, 21, 3).
        world: (n, 21, 3).
        presence, handedness, palm: (n,).
        groups: of each.
    """

    pixels: NDArray[np.uint8]
    points: NDArray[np.float32]
    world: NDArray[np.float32]
    presence: NDArray[np.float32]
    handedness: NDArray[np.float32]
    palm: NDArray[np.float32]
    groups: tuple[str, ...]


def stacked(examples: Sequence[CropExample]) -> CropBatch:
    """Return examples as a batch."""
    return CropBatch(
        pixels=np.stack([example.pixels for example in examples]),
        points=np.stack([example.points for example in examples]),
        world=np.stack([example.world for example in examples]),
        presence=np.array([example.presence for example in examples], np.float32),
        handedness=np.array([example.handedness for example in examples], np.float32),
        palm=np.array([example.palm for example in examples], np.float32),
        groups=tuple(example.group for example in examples),
    )


@dataclass(frozen=True, eq=False)
class PhotoHands:
    """All photos with labels, and all pictures without hands, by split.

    Attributes:
        photos: in the order of the store.
        store: of the photos.
        hands: those that can be trusted.
        empty_store: of the pictures without any hand.
        empty: their positions.
        mistakes: what a pack took for hands in either.
        suspects: (n, 4) boxes in pixels of all that might be a palm, by the photo's position in the
            store; a photo that the teacher did not look through has no entry.
    """

    photos: list[Photo]
    store: PixelStore
    hands: dict[Split, list[PhotoHand]]
    empty_store: PixelStore
    empty: dict[Split, list[int]]
    mistakes: dict[Split, list[Mistake]]
    suspects: dict[int, NDArray[np.float64]]

    @cached_property
    def single(self) -> dict[Split, list[PhotoHand]]:
        """The hands beside which there is no other hand."""
        return {
            split: [hand for hand in hands if hand.group in SINGLE]
            for split, hands in self.hands.items()
        }


@dataclass(frozen=True)
class LabelLimits:
    """Which of a teacher's answers become labels.

    Attributes:
        disagreement: largest mean spread of a hand, in palm lengths.
        spread: largest spread of a keypoint; beyond it the keypoint is unknown.
        palm: least pixels from wrist to middle knuckle.
        certain: least certainty from which on its handedness is believed, in [0.5, 1].
    """

    disagreement: float = 0.12
    spread: float = 0.25
    palm: float = 8.0
    certain: float = 0.8


def read_photo_hands(
    data: Path,
    labels: Path,
    cache: Path,
    limits: LabelLimits | None = None,
    mistakes: Path | None = None,
) -> PhotoHands:
    """Read photos, their pseudo-labels and the pictures without hands.

    Args:
        data: the folder with ``photos``, ``negatives`` and ``backgrounds``.
        labels: JSON lines of ``pseudo_label``.
        cache: folder where decoded pictures are kept.
        limits: on the teacher's answers.
        mistakes: JSON lines of ``find_mistakes``, if there are any.

    Raises:
        InputError: a folder, a photo or the labels are missing or damaged; by name.
    """
    limits = limits or LabelLimits()
    photos = read_photos(data / "photos")
    labelled = read_labels(labels)
    _ensure_there(labels, labelled.keys() - {photo.name for photo in photos}, data / "photos")
    store = open_store(
        cache / "photos.pixels", [photo.name for photo in photos], lambda i: load_pixels(photos[i])
    )
    hands: dict[Split, list[PhotoHand]] = {split: [] for split in SPLITS}
    for index, photo in enumerate(photos):
        scale = store.scale(index)
        for answer in labelled.get(photo.name, []):
            hand = _trusted(answer, photo, store.shapes[index], scale, limits)
            if hand is not None:
                hands[photo.split].append(PhotoHand(index, hand, photo.name.partition("/")[0]))
    if not hands["train"]:
        raise InputError(
            f"{labels}: no hand of a training photo in {data / 'photos'} is labelled well enough"
        )
    empty_store = _open_empty(data, cache)
    empty: dict[Split, list[int]] = {split: [] for split in SPLITS}
    places = {f"photos/{photo.name}": (True, i, photo.split) for i, photo in enumerate(photos)}
    for index, name in enumerate(empty_store.names):
        empty[split_of(name)].append(index)
        places[name] = (False, index, split_of(name))
    wrong: dict[Split, list[Mistake]] = {split: [] for split in SPLITS}
    for name, regions in (read_mistakes(mistakes) if mistakes else {}).items():
        if (entry := places.get(name)) is not None:
            in_photo, index, split = entry
            scale = (store if in_photo else empty_store).scale(index)
            group = name.split("/")[1] if in_photo else name.partition("_")[0]
            wrong[split] += [
                Mistake(group, in_photo, index, _scaled(region, scale)) for region in regions
            ]
    boxes = read_suspects(labels)
    suspects = {
        index: boxes[photo.name] * store.scale(index)
        for index, photo in enumerate(photos)
        if photo.name in boxes
    }
    return PhotoHands(photos, store, hands, empty_store, empty, wrong, suspects)


def _scaled(region: Rect, scale: float) -> Rect:
    side = region.width * scale
    return Rect(region.x * scale, region.y * scale, side, side, region.angle)


def _ensure_there(labels: Path, missing: Set[str], folder: Path) -> None:
    """Refuse labels of photos that are gone: a run would learn from fewer without a word."""
    if not missing:
        return
    names = sorted(missing)
    shown = ", ".join(names[:_SHOWN]) + (" ..." if len(names) > _SHOWN else "")
    raise InputError(
        f"{labels}: {len(names)} of the photos that it labels are not in {folder}: {shown}; "
        "restore them, or take their lines out"
    )


def data_digests(data: Path, labels: Path, mistakes: Path | None = None) -> dict[str, str]:
    """Return what tells the data of one run from those of another: a run goes
    on with the same only.

    Args:
        data: the folder with ``photos``, ``negatives`` and ``backgrounds``.
        labels: JSON lines of ``pseudo_label``.
        mistakes: JSON lines of ``find_mistakes``, if the run has any.

    Returns:
        Hexadecimal digits for ``labels`` and ``mistakes`` (of the files' bytes), ``photos`` (their
        names, persons, boxes and tips, not their pixels) and ``negatives`` (their names).

    Raises:
        InputError: the labels or the photos cannot be read.
    """
    return {
        "labels": _file_digest(labels),
        "mistakes": "" if mistakes is None else _file_digest(mistakes),
        "photos": values_digest(*map(_known_of, read_photos(data / "photos"))),
        "negatives": values_digest(*(path.relative_to(data).as_posix() for path in _empty(data))),
    }


def _file_digest(path: Path) -> str:
    try:
        with path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()[:16]
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error}") from error


def _known_of(photo: Photo) -> tuple[object, ...]:
    """What is known of a photo, in plain values."""
    known = [None if array is None else array.tolist() for array in (photo.boxes, photo.tips)]
    return photo.name, photo.person, photo.complete, *known


def _empty(data: Path) -> list[Path]:
    """Return the pictures without hands, in the order of their names."""
    return sorted(
        path for folder in ("negatives", "backgrounds") for path in (data / folder).glob("*.jpg")
    )


def _open_empty(data: Path, cache: Path) -> PixelStore:
    paths = _empty(data)
    if not paths:
        raise InputError(f"{data}: no pictures without hands in negatives or backgrounds")
    names = [path.relative_to(data).as_posix() for path in paths]
    return open_store(cache / "empty.pixels", names, lambda i: read_image(paths[i]))


# Of thumb and index finger, which `Photo.tips` has.
_TIPS = (4, 8)


def _trusted(
    answer: TeacherHand,
    photo: Photo,
    shape: NDArray[np.int64],
    scale: float,
    limits: LabelLimits,
) -> LabelledHand | None:
    """Return the teacher's answer as labels in pixels of the stored picture, if
    it is sure enough of it.

    Tips that were set by hand replace the teacher's.
    """
    keypoints = answer.keypoints * np.float32(scale)
    palm = float(np.hypot(*(keypoints[9, :2] - keypoints[0, :2])))
    if answer.disagreement > limits.disagreement or palm < limits.palm:
        return None
    unsure = answer.spread > limits.spread
    if unsure[list(LANDMARK_RULE.subset)].any():
        return None  # it could not be said where to cut
    keypoints[unsure] = np.nan
    if photo.tips is not None:
        _set_tips(keypoints, photo.tips, shape, palm)
    certain = max(answer.right, 1 - answer.right) >= limits.certain
    return LabelledHand(
        keypoints=keypoints,
        source="teacher",
        world=answer.world,
        handedness=answer.handedness if certain else None,
        person=photo.person,
    )


def _set_tips(
    keypoints: NDArray[np.float32],
    tips: NDArray[np.float64],
    shape: NDArray[np.int64],
    palm: float,
) -> None:
    """Put the tips where a person saw them, in place; far from the teacher's
    they are of another hand.
    """
    height, width = shape
    # Fractions count from the picture's corner, keypoints from the first pixel's middle.
    seen = tips * (width, height) - 0.5
    rows = list(_TIPS)
    apart = np.linalg.norm(keypoints[rows, :2] - seen, axis=1)
    if np.nanmin(apart, initial=np.inf) < palm:
        keypoints[rows, :2] = seen


class _InSet(Protocol):
    """Anything that is of a set."""

    @property
    def group(self) -> str: ...


Entry = TypeVar("Entry", bound=_InSet)


def by_set(entries: Sequence[Entry]) -> tuple[list[list[Entry]], NDArray[np.float64]]:
    """Return entries by set, and how often each set is drawn: by the root of its size, so that a
    large set of one person does not drown the others.
    """
    sets: dict[str, list[Entry]] = {}
    for entry in entries:
        sets.setdefault(entry.group, []).append(entry)
    groups = [sets[name] for name in sorted(sets)]
    weights = np.sqrt([len(group) for group in groups])
    return groups, weights / max(weights.sum(), 1.0)


@dataclass(frozen=True)
class CropMixture:
    """Batches of crops, by their step.

    Attributes:
        data: the folder with photos, negatives, backgrounds and meshes.
        labels: the pseudo-labels.
        cache: where decoded pictures are kept.
        size: side of a crop, pixels.
        batch: crops in a batch.
        arm: "mixed", "real" or "rendered" hands.
        empty: share of crops without a hand.
        mistakes: what a pack took for hands, JSON lines of ``find_mistakes``; of these is
            half of the crops without.
        seed: of everything random.
        limits: on the teacher's answers.
        pool: different rendered crops; each takes 60 kB of disk.
    """

    data: Path
    labels: Path
    cache: Path
    size: int = 128
    batch: int = 64
    arm: str = "mixed"
    empty: float = 0.15
    mistakes: Path | None = None
    seed: int = 0
    limits: LabelLimits = field(default_factory=LabelLimits)
    pool: int = 40_000

    def __post_init__(self) -> None:
        if self.arm not in RENDERED_SHARE:
            raise InputError(f"no arm {self.arm!r}: expected {', '.join(RENDERED_SHARE)}")

    def __getstate__(self) -> dict[str, Any]:
        # What is open stays here: a worker opens it anew.
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}

    def open(self) -> None:
        """Open everything that batches are made from, so that what is missing is told at once.

        Raises:
            InputError, ModelError: it is missing or damaged; by name.
        """
        _ = self.photos
        if RENDERED_SHARE[self.arm]:
            _ = self.rendered

    @cached_property
    def photos(self) -> PhotoHands:
        """The photos, opened in the process that asks."""
        return read_photo_hands(self.data, self.labels, self.cache, self.limits, self.mistakes)

    @cached_property
    def rendered(self) -> RenderPool:
        """The rendered crops, a little larger than those that are cut from them."""
        side = self.size + _MARGIN
        studio = Studio(open_sources(self.data), self.seed)
        path = self.cache / f"rendered-{side}-{self.seed}.records"
        options = CropOptions(size=side)
        return RenderPool(path, side, side, 1, self.pool, lambda index: studio.crop(index, options))

    @cached_property
    def _groups(self) -> tuple[list[list[PhotoHand]], NDArray[np.float64]]:
        """The training hands by set, and how often each set is drawn: by the root of its size, so
        that large sets of one person do not drown the others.
        """
        return by_set(self.photos.hands["train"])

    @cached_property
    def _mistakes(self) -> tuple[list[list[Mistake]], NDArray[np.float64]]:
        """What was taken for hands in the training's pictures, likewise."""
        return by_set(self.photos.mistakes["train"])

    def __call__(self, step: int) -> CropBatch:
        """Return the batch of a step."""
        rng = np.random.default_rng([self.seed, _TRAINING, step])
        share = RENDERED_SHARE[self.arm]
        examples = []
        for place in range(self.batch):
            if rng.random() < self.empty:
                examples.append(self._empty_example(rng))
            elif rng.random() < share:
                examples.append(self._rendered_example(step * self.batch + place, rng))
            else:
                examples.append(self._photo_example(rng))
        return stacked(examples)

    def _photo_example(self, rng: np.random.Generator) -> CropExample:
        entry = self._draw(rng)
        pixels = self.photos.store[entry.picture]
        example = hand_crop(pixels, entry.hand, self.size, rng, group=entry.group)
        return with_changes(example, rng)

    def _rendered_example(self, index: int, rng: np.random.Generator) -> CropExample:
        picture = self.rendered(index)
        side = picture.pixels.shape[0]
        region = RENDERED_JITTER.applied(Rect(side / 2, side / 2, side, side, 0.0), rng)
        example = labelled_crop(
            picture.pixels, from_middles(picture.hands[0]), region, self.size, rng
        )
        changed = augment(example.pixels, rng, changes=RENDERED_CHANGES)
        example = replace(example, pixels=changed, group="rendered")
        return mirrored(example) if rng.random() < 0.5 else example

    def _empty_example(self, rng: np.random.Generator) -> CropExample:
        groups, _ = self._mistakes
        if groups and rng.random() < _MISTAKEN:
            return with_changes(self._mistaken_example(rng), rng)
        return with_changes(example_without_hand(self.photos, "train", self.size, rng), rng)

    def _mistaken_example(self, rng: np.random.Generator) -> CropExample:
        groups, weights = self._mistakes
        group = groups[int(rng.choice(len(groups), p=weights))]
        mistake = group[int(rng.integers(len(group)))]
        store = self.photos.store if mistake.in_photo else self.photos.empty_store
        region = MISTAKE_JITTER.applied(mistake.region, rng)
        return empty_crop(store[mistake.picture], region, self.size, rng, group="mistake")

    def _draw(self, rng: np.random.Generator) -> PhotoHand:
        groups, weights = self._groups
        group = groups[int(rng.choice(len(groups), p=weights))]
        return group[int(rng.integers(len(group)))]


def example_without_hand(
    photos: PhotoHands, split: Split, size: int, rng: np.random.Generator
) -> CropExample:
    """Cut something of a split that is no hand, or so little of one that it must not be followed."""
    singles = photos.single[split]
    if singles and rng.random() < _MOVED_OFF:
        entry = singles[int(rng.integers(len(singles)))]
        return beside_hand(photos.store[entry.picture], entry.hand, size, rng)
    empty = photos.empty[split]
    pixels = photos.empty_store[empty[int(rng.integers(len(empty)))]]
    return empty_crop(pixels, random_region(pixels.shape, rng), size, rng, group="empty")


def fixed_examples(
    photos: PhotoHands, split: Split, size: int, *, most: int, empty: int
) -> list[CropExample]:
    """Return the crops that a split is judged by, the same in every run.

    Args:
        photos: all of them.
        split: whose people are shown.
        size: side of the crops.
        most: crops of hands; evenly taken from all of the split.
        empty: crops without hands.
    """
    hands = photos.hands[split]
    chosen = np.unique(np.linspace(0, len(hands) - 1, min(most, len(hands))).astype(int))
    examples = []
    for index in chosen.tolist():
        entry = hands[index]
        rng = np.random.default_rng([_JUDGING, index])
        pixels = photos.store[entry.picture]
        examples.append(hand_crop(pixels, entry.hand, size, rng, mirror=False, group=entry.group))
    generators = (np.random.default_rng([_JUDGING, most + index]) for index in range(empty))
    examples.extend(example_without_hand(photos, split, size, rng) for rng in generators)
    return examples


def rendered_examples(mixture: CropMixture, count: int) -> list[CropExample]:
    """Return crops of rendered hands of people that no training of this seed sees."""
    studio = Studio(open_sources(mixture.data), _OTHER_SEED + mixture.seed)
    pictures = [studio.crop(index, CropOptions(size=mixture.size)) for index in range(count)]
    return [
        whole_picture_crop(picture.pixels, picture.hands[0], mixture.size) for picture in pictures
    ]


_OTHER_SEED = 1_000_000


def whole_picture_crop(pixels: NDArray[np.uint8], hand: LabelledHand, size: int) -> CropExample:
    """Return a picture that is a crop already, with the renderer's labels, as an example."""
    side = pixels.shape[0]
    region = Rect(side / 2, side / 2, side, side, 0.0)
    example = labelled_crop(pixels, from_middles(hand), region, size)
    return replace(example, pixels=pixels, group="rendered")


def beside_hand(
    pixels: NDArray[np.uint8], hand: LabelledHand, size: int, rng: np.random.Generator
) -> CropExample:
    """Cut a region from which most of a hand is missing; nothing is taught
    where too much of it is left.
    """
    nominal = tracking_region(hand.keypoints)
    direction = rng.uniform(-np.pi, np.pi)
    away = rng.uniform(0.6, 1.0) * nominal.width
    region = replace(
        nominal,
        x=nominal.x + float(away * np.cos(direction)),
        y=nominal.y + float(away * np.sin(direction)),
        angle=float(rng.uniform(-np.pi, np.pi)),
    )
    example = labelled_crop(pixels, hand, region, size, rng)
    unknown = np.full_like(example.points, np.nan)
    return replace(example, points=unknown, world=unknown, handedness=np.nan, group="beside")
