"""The labelled hands of the photos, the pictures without hands, and what a pack took for hands."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.hands.geometry import LANDMARK_RULE
from handheld.hands.result import Handedness
from handheld.hands.training.examples.corrections import read_records
from handheld.hands.training.examples.labelling import TeacherHand, read_labels, read_suspects
from handheld.hands.training.examples.mistakes import read_mistakes
from handheld.hands.training.examples.photos import (
    SINGLE,
    SPLITS,
    Photo,
    Split,
    empty_pictures,
    load_pixels,
    read_photos,
    split_of,
)
from handheld.hands.training.examples.pixels import PixelStore, open_store
from handheld.hands.training.labels import LabelledHand
from handheld.media import Rect, read_image

Entry = TypeVar("Entry")

# Names of photos in a message: one knows the set by then.
_SHOWN_NAMES = 3

# How far from a picture's middle a keypoint may be, in its longer sides: a hand may be cut by the
# border.
_FARTHEST = 1.0

# Keypoints of thumb's and index finger's tips, which `Photo.tips` has.
_TIPS = [4, 8]


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
        single: dict[Split, list[PhotoHand]] = {}
        for split, hands in self.hands.items():
            single[split] = [hand for hand in hands if hand.group in SINGLE]
        return single


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

    def allow(self, answer: TeacherHand, palm: float) -> bool:
        """Whether an answer, whose palm is so many pixels long in the store, is to be believed."""
        if answer.dropped:
            return False
        # A palm of fewer pixels is a blot: where its fingers are is the teacher's imagination.
        return answer.disagreement <= self.disagreement and palm >= self.palm

    def handedness(self, answer: TeacherHand) -> Handedness | None:
        """Return an answer's side, ``None`` where the teacher is not certain enough of it."""
        if answer.certainty >= self.certain:
            return answer.handedness
        return None


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
        InputError: a folder, a photo or the labels are missing or damaged, or a photo has another
            size than its labels are for; by name.
    """
    folder = data / "photos"
    photos = read_photos(folder)
    answers = read_labels(labels)
    # Before anything is decoded, which takes minutes.
    _ensure_there(labels, answers.keys() - {photo.name for photo in photos}, folder)
    store = _open_photos(photos, cache)
    _ensure_sizes(labels, store)
    hands = _trusted_hands(photos, store, answers, limits or LabelLimits())
    if not hands["train"]:
        raise InputError(
            f"{labels}: no hand of a training photo in {folder} is labelled well enough"
        )
    empty_store = _open_empty(data, cache)
    pictures = _stored(photos, store, empty_store)
    return PhotoHands(
        photos=photos,
        store=store,
        hands=hands,
        empty_store=empty_store,
        empty=_empty_by_split(empty_store),
        mistakes=_mistakes_by_split(mistakes, pictures),
        suspects=_suspects_in_pixels(labels, photos, store),
    )


def _ensure_there(labels: Path, missing: Set[str], folder: Path) -> None:
    """Refuse labels of photos that are gone: a run would learn from fewer without a word."""
    if not missing:
        return
    names = sorted(missing)
    shown = ", ".join(names[:_SHOWN_NAMES])
    if len(names) > _SHOWN_NAMES:
        shown += " ..."
    raise InputError(
        f"{labels}: {len(names)} of the photos that it labels are not in {folder}: {shown}; "
        "restore them, or take their lines out"
    )


def _ensure_sizes(labels: Path, store: PixelStore) -> None:
    """Refuse labels of a photo that was shrunk or replaced: their pixels are of another picture."""
    sizes = dict(zip(store.names, store.sizes.tolist(), strict=True))
    for record in read_records(labels):
        labelled = record.get("size")
        size = sizes[record["photo"]]
        # Labels of other tools may say nothing of it.
        if labelled is not None and labelled != size:
            raise InputError(
                f"{labels}: photo {record['photo']} has {_shown(size)} pixels, its labels are for "
                f"{_shown(labelled)}: restore it, or take its line out"
            )


def _shown(size: Sequence[int]) -> str:
    height, width = size
    return f"{width} x {height}"


def _open_photos(photos: Sequence[Photo], cache: Path) -> PixelStore:
    files = {photo.name: photo.path for photo in photos}
    return open_store(cache / "photos.pixels", files, lambda index: load_pixels(photos[index]))


def _open_empty(data: Path, cache: Path) -> PixelStore:
    paths = empty_pictures(data)
    if not paths:
        raise InputError(f"{data}: no pictures without hands in negatives or backgrounds")
    files = {path.relative_to(data).as_posix(): path for path in paths}
    return open_store(cache / "empty.pixels", files, lambda index: read_image(paths[index]))


def _by_split() -> dict[Split, list[Entry]]:
    """Return an empty list for each split, so that a split without entries is there too."""
    return {split: [] for split in SPLITS}


def _empty_by_split(empty_store: PixelStore) -> dict[Split, list[int]]:
    # Nobody knows who took a picture without hands: it is split by its own name.
    empty: dict[Split, list[int]] = _by_split()
    for index, name in enumerate(empty_store.names):
        empty[split_of(name)].append(index)
    # Now: the test split is looked at when a training of hours is done.
    for split, positions in empty.items():
        if not positions:
            raise InputError(
                f"none of {len(empty_store.names)} pictures without hands in negatives and "
                f"backgrounds is in the {split} split, which goes by their names: add more"
            )
    return empty


class _StoredPicture(NamedTuple):
    """Where the pixels of a picture are, and what is known of it.

    Attributes:
        split: that it is in.
        group: the set.
        in_photo: whether it is in the photos' store, or in that of pictures without hands.
        position: in that store.
        scale: from pixels of the original to those of the store.
    """

    split: Split
    group: str
    in_photo: bool
    position: int
    scale: float


def _stored(
    photos: Sequence[Photo], store: PixelStore, empty_store: PixelStore
) -> dict[str, _StoredPicture]:
    """Return both stores' pictures by the names under which mistakes refer to them."""
    pictures = {}
    for index, photo in enumerate(photos):
        scale = store.scale(index)
        picture = _StoredPicture(
            photo.split, photo.group, in_photo=True, position=index, scale=scale
        )
        pictures[f"photos/{photo.name}"] = picture
    for index, name in enumerate(empty_store.names):
        # Names are such as "negatives/congress_0001.jpg": the source is before the underscore.
        group, _, _ = name.partition("_")
        scale = empty_store.scale(index)
        pictures[name] = _StoredPicture(
            split_of(name), group, in_photo=False, position=index, scale=scale
        )
    return pictures


def _mistakes_by_split(
    path: Path | None, pictures: Mapping[str, _StoredPicture]
) -> dict[Split, list[Mistake]]:
    mistakes: dict[Split, list[Mistake]] = _by_split()
    if path is None:
        return mistakes
    for name, regions in read_mistakes(path).items():
        picture = pictures.get(name)
        # Mistakes may be of more pictures than this folder has: what is gone teaches nothing.
        if picture is None:
            continue
        for region in regions:
            scaled = _scaled(region, picture.scale)
            mistake = Mistake(picture.group, picture.in_photo, picture.position, scaled)
            mistakes[picture.split].append(mistake)
    return mistakes


def _scaled(region: Rect, scale: float) -> Rect:
    side = region.width * scale
    return Rect(region.x * scale, region.y * scale, side, side, region.angle)


def _suspects_in_pixels(
    labels: Path, photos: Sequence[Photo], store: PixelStore
) -> dict[int, NDArray[np.float64]]:
    boxes = read_suspects(labels)
    suspects = {}
    for index, photo in enumerate(photos):
        if photo.name in boxes:
            suspects[index] = boxes[photo.name] * store.scale(index)
    return suspects


def _trusted_hands(
    photos: Sequence[Photo],
    store: PixelStore,
    answers: Mapping[str, Sequence[TeacherHand]],
    limits: LabelLimits,
) -> dict[Split, list[PhotoHand]]:
    """Return those of the teacher's answers that become labels."""
    hands: dict[Split, list[PhotoHand]] = _by_split()
    for index, photo in enumerate(photos):
        trusted = []
        for answer in answers.get(photo.name, []):
            hand = _trusted(answer, photo, store, index, limits)
            if hand is not None:
                trusted.append(PhotoHand(index, hand, photo.group))
        # Where people say that there is one hand, one of two is wrong, and nobody says which.
        if photo.group not in SINGLE or len(trusted) == 1:
            hands[photo.split] += trusted
    return hands


def _trusted(
    answer: TeacherHand,
    photo: Photo,
    store: PixelStore,
    index: int,
    limits: LabelLimits,
) -> LabelledHand | None:
    """Return the teacher's answer as labels in pixels of the stored picture, if it is sure enough
    of it.

    Tips that were set by hand replace the teacher's.
    """
    keypoints = answer.keypoints * np.float32(store.scale(index))
    palm = float(np.hypot(*(keypoints[9, :2] - keypoints[0, :2])))
    lost = _is_lost(keypoints, store.shapes[index])
    unsure = (answer.spread > limits.spread) | lost
    # The keypoints that a crop is cut by: without one of them it could not be said where to cut.
    is_cuttable = not unsure[list(LANDMARK_RULE.subset)].any()
    if not limits.allow(answer, palm) or not is_cuttable:
        return None
    keypoints[unsure] = np.nan
    if photo.tips is not None and answer.source == "teacher":
        _set_tips(keypoints, photo.tips, store.shapes[index], palm)
    return LabelledHand(
        keypoints=keypoints,
        source=answer.source,
        world=answer.world if np.isfinite(answer.world).all() else None,
        visible=answer.visible,
        handedness=limits.handedness(answer),
        person=photo.person,
    )


def _is_lost(keypoints: NDArray[np.float32], shape: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which keypoints (21, 3) of a picture are unknown, or where no hand in it can reach."""
    height, width = shape
    off = np.abs(keypoints[:, :2] - (width / 2, height / 2)).max(axis=1)
    # Not "> farthest": of NaN that is false.
    is_near: NDArray[np.bool_] = off <= _FARTHEST * max(height, width)
    return ~is_near


def _set_tips(
    keypoints: NDArray[np.float32],
    tips: NDArray[np.float64],
    shape: NDArray[np.int64],
    palm: float,
) -> None:
    """Put the tips where a person saw them, in place; far from the teacher's they are of another
    hand.
    """
    height, width = shape
    # Fractions count from the picture's corner, keypoints from the first pixel's middle.
    seen = tips * (width, height) - 0.5
    distances = np.linalg.norm(keypoints[_TIPS, :2] - seen, axis=1)
    # The nearer of the two decides: the teacher may be wrong, or unsure, about the other one.
    if np.nanmin(distances, initial=np.inf) < palm:
        keypoints[_TIPS, :2] = seen
