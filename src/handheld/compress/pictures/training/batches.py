"""Batches that depend on nothing but the seed and the number of the step, so that a run can go on
where it was.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from handheld.compress.pictures.preparation import Preparation, pixels
from handheld.data import Dataset
from handheld.errors import InputError
from handheld.ranges import in_range, whole_in_range

_LEAST_ZOOM = 0.1  # of a side
_NUMBERS = 8  # at random for each picture; see ``vary``
_SAMPLED = 17  # every so many pictures: a prime, since classes may take turns


@dataclass(frozen=True)
class Augmentation:
    """How pictures are varied while training.

    Attributes:
        flip: mirror half of them, left to right: for pictures whose mirror image is of the same
            class, unlike that of a digit, a letter, an arrow.
        shift: move them by up to so many pixels, the border reflected.
        cutout: side of a square set to the mean (DeVries & Taylor, arXiv 1708.04552); 0: none.
        zoom: smallest part of the side that is enlarged to the whole picture; 1: none.
        colour: largest relative change of brightness and of each channel; 0: none.
    """

    flip: bool = False
    shift: int = 2
    cutout: int = 0
    zoom: float = 1.0
    colour: float = 0.0

    def __post_init__(self) -> None:
        whole_in_range("shift", self.shift, low=0)
        whole_in_range("cutout", self.cutout, low=0)
        in_range("zoom", self.zoom, low=_LEAST_ZOOM, high=1)
        in_range("colour", self.colour, low=0, high=1, high_open=True)
        if not isinstance(self.flip, bool):
            raise InputError(f"flip: expected true or false, got {self.flip!r}")


class Batch(NamedTuple):
    """Inputs (n, channels, height, width) float32, labels (n,), and the places (n,) of the examples
    in the data set.
    """

    inputs: torch.Tensor
    labels: torch.Tensor
    places: NDArray[np.int64]


class PictureBatches:
    """The batches of a data set: ``at(step)`` gives the same one whenever it is asked.

    Args:
        dataset: of pictures.
        preparation: of its inputs.
        size: examples in a batch; a data set that is smaller gives smaller ones.
        augmentation: None: pictures as they are.
        views: variations of a picture that exist; 0: a new one each time. With a few, what a
            teacher says of them can be kept.
        seed: of order and variation.
        device: of the tensors.
    """

    def __init__(  # noqa: PLR0913  # each is of all batches
        self,
        dataset: Dataset,
        preparation: Preparation,
        size: int,
        augmentation: Augmentation | None,
        *,
        views: int = 0,
        seed: int,
        device: torch.device | str = "cpu",
    ):
        self.pictures = pixels(dataset)
        self.labels = dataset.labels
        self.preparation = preparation
        self.augmentation = augmentation
        self.views = views
        self.seed = seed
        self.device = device
        self.size = min(size, len(dataset))
        self.per_epoch = len(dataset) // self.size
        # Of the epoch that was asked for last: most steps are in the same one.
        self._epoch = -1
        self._order = np.empty(0, np.int64)

    def at(self, step: int) -> Batch:
        """Return the batch of a step, counted from 0."""
        epoch, position = divmod(step, self.per_epoch)
        if self._epoch != epoch:
            self._epoch = epoch
            rng = np.random.default_rng((self.seed, epoch))
            self._order = rng.permutation(len(self.pictures))
        start = position * self.size
        rows = self._order[start : start + self.size]
        inputs = self.view(rows, step, self.view_of(step))
        return Batch(inputs, self._tensor(self.labels[rows]), rows)

    def view_of(self, step: int) -> int:
        """Number of the variation that the pictures of a step have; -1 if each is new."""
        if not self.views:
            return -1
        # each epoch has the next one, so that all take part alike
        return (step // self.per_epoch) % self.views

    def view(self, rows: NDArray[np.int64], step: int, view: int) -> torch.Tensor:
        """Return some pictures in one variation.

        Args:
            rows: of the pictures in the data set.
            step: that new variations are of.
            view: number of the variation; -1: a new one.
        """
        chosen = self.pictures[rows]
        if self.augmentation is not None:
            # The seeds of both differ in their second number, so that none repeats another.
            if view >= 0:
                table = np.random.default_rng((self.seed, 2, view))
                random = table.random((int(rows.max()) + 1, _NUMBERS))[rows]
            else:
                rng = np.random.default_rng((self.seed, 1, step))
                random = rng.random((len(rows), _NUMBERS))
            chosen = vary(chosen, self.augmentation, random)
        return self.preparation.inputs(chosen, self.device)

    def _tensor(self, array: NDArray[np.int64]) -> torch.Tensor:
        return torch.from_numpy(array).to(self.device)


def vary(
    pictures: NDArray[np.uint8], augmentation: Augmentation, random: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Return pictures that are varied.

    Args:
        pictures: (n, height, width, channels).
        augmentation: how.
        random: (n, 8) numbers in [0, 1).
    """
    count, height, width, _ = pictures.shape
    down, across, mirror, *centre, colours, zoom, brightness = random.T
    rows = _window(height, augmentation, down, zoom)
    columns = _window(width, augmentation, across, zoom)
    if augmentation.flip:
        mirrored = mirror < 0.5
        columns[mirrored] = columns[mirrored, ::-1]
    varied = pictures[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
    if augmentation.cutout:
        square = _square(height, width, augmentation.cutout, np.stack(centre, axis=1))
        # Some pictures tell the mean as well as all.
        varied[square] = pictures[::_SAMPLED].mean(axis=(0, 1, 2)).astype(np.uint8)
    if augmentation.colour:
        # One number seeds those of all channels: there are not enough of them in ``random``.
        rng = np.random.default_rng(int(colours[0] * 2**32))
        varied = _coloured(varied, augmentation.colour, brightness, rng)
    return np.asarray(varied)


def _coloured(
    pictures: NDArray[np.uint8],
    change: float,
    brightness: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Return pictures of another brightness, (n,) numbers in [0, 1), and of other colours."""
    count, _, _, channels = pictures.shape
    by_channel = 1 + change * (2 * rng.random((count, 1, 1, channels)) - 1)
    by_picture = 1 + change * (2 * brightness - 1)
    gain = by_channel * by_picture[:, None, None, None]
    return (pictures * gain).clip(0, 255).astype(np.uint8)


def _window(
    side: int,
    augmentation: Augmentation,
    offset: NDArray[np.float64],
    zoom: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Return (n, side) places that pictures are read at along one axis, reflected at the border.

    Args:
        side: pixels along the axis.
        augmentation: how far to go, and how near.
        offset: (n,) numbers in [0, 1).
        zoom: (n,) likewise.
    """
    if side == 1:
        return np.zeros((len(offset), 1), np.int64)
    scale = (augmentation.zoom + (1 - augmentation.zoom) * zoom)[:, None]
    # what is enlarged may lie anywhere in the picture
    reach = augmentation.shift + side * (1 - scale) / 2
    middle = (side - 1) / 2
    centre = middle + reach * (2 * offset[:, None] - 1)
    positions = np.rint(centre + scale * (np.arange(side) - middle)).astype(np.int64)
    last = side - 1
    # there and back again: a place behind the border is read as far inside of it
    return np.asarray(last - np.abs(last - np.abs(positions) % (2 * last)))


def _square(height: int, width: int, side: int, centre: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return (n, height, width) whether a pixel is in a square around (n, 2) shares of
    the sides.
    """
    rows = np.abs(np.arange(height) + 0.5 - centre[:, :1] * height) < side / 2
    columns = np.abs(np.arange(width) + 0.5 - centre[:, 1:] * width) < side / 2
    return np.asarray(rows[:, :, None] & columns[:, None, :])
