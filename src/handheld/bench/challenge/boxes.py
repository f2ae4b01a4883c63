"""Examples of a detection challenge: pictures of one size, and the boxes that are in them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.arrays import read_npz
from handheld.bench.detection import DetectedBoxes, DetectionTask
from handheld.errors import InputError
from handheld.pictures import resize
from handheld.ranges import in_range

ARRAYS = ("x", "boxes", "picture", "category", "classes")
"""What a file holds."""

SIDE = 320
"""Pixels of the sides to which a user's pictures are brought: those of most detectors."""

_MAX_BYTES = 8 << 30  # of one part, unpacked
_PICTURE_AXES = 4
_CORNERS = 4


@dataclass(frozen=True, eq=False)
class BoxedPictures:
    """Pictures and the boxes in them.

    Args:
        pictures: (n, height, width, 3) uint8.
        boxes: (m, 4) top, left, bottom, right as shares of the sides, in [0, 1].
        owners: (m,) number of the picture that each box is in.
        categories: (m,) numbers of what is in it, from 1: that of the model's class and one more.
        classes: names of the categories.

    Raises:
        InputError: there is no picture or no box, or the numbers do not agree.
    """

    pictures: NDArray[np.uint8]
    boxes: NDArray[np.float64]
    owners: NDArray[np.int64]
    categories: NDArray[np.int64]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        pictures = self.pictures
        if pictures.dtype != np.uint8 or pictures.ndim != _PICTURE_AXES or pictures.shape[3] != 3:
            expected = "expected x (n, height, width, 3) uint8"
            raise InputError(f"{expected}, got {pictures.dtype} {list(pictures.shape)}")
        count = len(self.owners)
        if self.boxes.shape != (count, _CORNERS) or self.categories.shape != (count,):
            shapes = f"{list(self.boxes.shape)} and {list(self.categories.shape)}"
            raise InputError(f"expected {count} boxes (m, 4) and categories (m,), got {shapes}")
        if not len(pictures) or not count:
            raise InputError(f"expected pictures with boxes, got {len(pictures)} and {count}")
        self._check_values()

    def _check_values(self) -> None:
        if not (self.owners.min() >= 0 and self.owners.max() < len(self.pictures)):
            raise InputError(f"picture: expected numbers in [0, {len(self.pictures)})")
        if not (self.categories.min() >= 1 and self.categories.max() <= len(self.classes)):
            raise InputError(f"category: expected numbers in [1, {len(self.classes)}]")
        is_box = (self.boxes >= 0) & (self.boxes <= 1)
        is_open = (self.boxes[:, :2] < self.boxes[:, 2:]).all()
        if not (is_box.all() and is_open):
            raise InputError("boxes: expected top < bottom and left < right, shares in [0, 1]")

    def __len__(self) -> int:
        return len(self.pictures)

    def take(self, numbers: NDArray[np.int64]) -> "BoxedPictures":
        """Return the pictures of these numbers, each named once, with their boxes."""
        position = np.full(len(self), -1)
        position[numbers] = np.arange(len(numbers))
        owners = position[self.owners]
        is_kept = owners >= 0
        return BoxedPictures(
            self.pictures[numbers],
            self.boxes[is_kept],
            owners[is_kept],
            self.categories[is_kept],
            self.classes,
        )

    def split(self, fraction: float, *, seed: int) -> "tuple[BoxedPictures, BoxedPictures]":
        """Return all but a random fraction of the pictures, and that fraction.

        Args:
            fraction: of the pictures, in (0, 1).
            seed: of which are drawn.

        Raises:
            InputError: a part would have no picture, or none with a box.
        """
        in_range("fraction", fraction, low=0, high=1, low_open=True, high_open=True)
        order = np.random.default_rng(seed).permutation(len(self))
        count = round(fraction * len(self))
        return self.take(np.sort(order[count:])), self.take(np.sort(order[:count]))

    def task(self) -> DetectionTask:
        """Return what models are to do with them, in an order in which no kind comes last."""
        order = np.random.default_rng(0).permutation(len(self))
        height, width = self.pictures.shape[1:3]
        return DetectionTask(
            lambda number: self.pictures[order[number]],
            [self._truth(number) for number in order],
            np.tile(np.array([height, width]), (len(self), 1)),
            digest=self.digest,
        )

    def _truth(self, number: int) -> DetectedBoxes:
        rows = np.flatnonzero(self.owners == number)
        return DetectedBoxes(self.boxes[rows], self.categories[rows], np.ones(len(rows)))

    @property
    def digest(self) -> str:
        """Hash of pictures and boxes, in hexadecimal."""
        hasher = hashlib.sha256()
        for array in (self.pictures, self.boxes, self.owners, self.categories):
            hasher.update(f"{array.dtype} {array.shape} ".encode())
            hasher.update(np.ascontiguousarray(array).tobytes())
        hasher.update("\0".join(self.classes).encode("utf-8", "replace"))
        return hasher.hexdigest()


def read_boxes(path: Path) -> BoxedPictures:
    """Read arrays ``x``, ``boxes``, ``picture``, ``category`` and ``classes``; see
    :class:`BoxedPictures`.

    Raises:
        InputError: the file cannot be read, or holds something else.
    """
    try:
        arrays = read_npz(path, _MAX_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read as examples: {reason}") from error
    missing = [name for name in ARRAYS if name not in arrays]
    if missing:
        raise InputError(f"{path}: no array {missing[0]!r}; expected {', '.join(ARRAYS)}")
    try:
        return _boxes_of(arrays)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _boxes_of(arrays: Mapping[str, NDArray[Any]]) -> BoxedPictures:
    for name in ("picture", "category"):
        if arrays[name].dtype.kind not in "iu":
            raise InputError(f"{name} is of {arrays[name].dtype}, expected whole numbers")
    if arrays["boxes"].dtype.kind not in "iuf":
        raise InputError(f"boxes is of {arrays['boxes'].dtype}, expected numbers")
    return BoxedPictures(
        arrays["x"],
        arrays["boxes"].astype(np.float64),
        arrays["picture"].astype(np.int64).ravel(),
        arrays["category"].astype(np.int64).ravel(),
        tuple(map(str, arrays["classes"].ravel().tolist())),
    )


def write_boxes(path: Path, data: BoxedPictures) -> None:
    """Write examples as :func:`read_boxes` reads them, for their owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        path,
        x=data.pictures,
        boxes=data.boxes,
        picture=data.owners,
        category=data.categories,
        classes=np.array(data.classes),
    )
    # Boxes of the hidden part lie in one of these files.
    path.chmod(0o600)


def boxes_of_folder(folder: Path) -> BoxedPictures:
    """Read pictures with ``annotations.json`` beside them, in COCO's form, each brought to 320 x
    320 pixels.

    Categories are numbered anew, in the order of COCO's numbers; boxes are cut at the edge.

    Raises:
        InputError: the file is missing or is something else.
    """
    task = DetectionTask.of_folder(folder)
    pictures = []
    boxes = []
    owners = []
    numbers = []
    for number in range(len(task)):
        pictures.append(resize(task.picture(number), (SIDE, SIDE)))
        truth = task.truth(number)
        corners = np.clip(truth.corners, 0.0, 1.0)
        is_open = (corners[:, :2] < corners[:, 2:]).all(axis=1)
        boxes.append(corners[is_open])
        numbers.append(truth.categories[is_open])
        owners.append(np.full(int(is_open.sum()), number))
    categories = np.concatenate(numbers)
    known, renumbered = np.unique(categories, return_inverse=True)
    return BoxedPictures(
        np.stack(pictures),
        np.concatenate(boxes),
        np.concatenate(owners),
        renumbered.ravel() + 1,
        tuple(f"category {number}" for number in known),
    )
