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
        if (
            self.shift < 0
            or self.cutout < 0
            or not 0.1 <= self.zoom <= 1
            or not 0 <= self.colour < 1
        ):
            raise InputError(
                f"expected shift and cutout of 0 or more, zoom of 0.1 to 1 and colour of 0 to 1, got {self}"
            )


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

    def __init__(
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
        self.pictures, self.labels = pixels(dataset), dataset.labels
        self.preparation, self.augmentation, self.views, self.seed, self.device = (
            preparation,
            augmentation,
            views,
            seed,
            device,
        )
        self.size = min(size, len(dataset))
        self.per_epoch = len(dataset) // self.size
        self._order: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, np.int64))

    def at(self, step: int) -> Batch:
        """Return the batch of a step, counted from 0."""
        epoch, position = divmod(step, self.per_epoch)
        if self._order[0] != epoch:
            self._order = (
                epoch,
                np.random.default_rng((self.seed, epoch)).permutation(len(self.pictures)),
            )
        places = self._order[1][position * self.size : (position + 1) * self.size]
        return Batch(
            self.view(places, step, self.view_of(step)), self._tensor(self.labels[places]), places
        )

    def view_of(self, step: int) -> int:
        """Number of the variation that the pictures of a step have; -1 if each is new."""
        return (step // self.per_epoch) % self.views if self.views else -1

    def view(self, places: NDArray[np.int64], step: int, view: int) -> torch.Tensor:
        """Return some pictures in one variation."""
        chosen = self.pictures[places]
        if self.augmentation is not None:
            random = (
                _each(places, view, self.seed)
                if view >= 0
                else np.random.default_rng((self.seed, 1, step)).random
            )
            chosen = vary(chosen, self.augmentation, random((len(places), 8)))
        return self.preparation.inputs(chosen, self.device)

    def _tensor(self, array: NDArray[np.int64]) -> torch.Tensor:
        return torch.from_numpy(array).to(self.device)


class _each:  # noqa: N801 - stands where a generator's method `random` does
    """Numbers of 0 to 1 that depend on example and view alone."""

    def __init__(self, places: NDArray[np.int64], view: int, seed: int):
        self.places, self.key = places, (seed, 2, view)

    def __call__(self, shape: tuple[int, int]) -> NDArray[np.float64]:
        table = np.random.default_rng(self.key).random((int(self.places.max()) + 1, shape[1]))
        return np.asarray(table[self.places])


def vary(
    pictures: NDArray[np.uint8], how: Augmentation, random: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Return pictures (n, height, width, channels) varied by (n, 8) numbers of 0 to 1."""
    count, height, width, channels = pictures.shape
    rows, columns = (
        _window(height, how, random[:, 0], random[:, 6]),
        _window(width, how, random[:, 1], random[:, 6]),
    )
    if how.flip:
        mirrored = random[:, 2] < 0.5
        columns[mirrored] = columns[mirrored, ::-1]
    varied = pictures[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
    if how.cutout:
        varied[_square(height, width, how.cutout, random[:, 3:5])] = (
            pictures[::17].mean(axis=(0, 1, 2)).astype(np.uint8)
        )
    if how.colour:
        gain = 1 + how.colour * (
            2 * np.random.default_rng(int(random[0, 5] * 2**32)).random((count, 1, 1, channels)) - 1
        )
        varied = np.clip(
            varied * (gain * (1 + how.colour * (2 * random[:, 7] - 1))[:, None, None, None]), 0, 255
        ).astype(np.uint8)
    return np.asarray(varied)


def _window(
    side: int, how: Augmentation, offset: NDArray[np.float64], zoom: NDArray[np.float64]
) -> NDArray[np.int64]:
    """(n, side) places that each picture is read at along one axis, reflected at the border."""
    scale = (how.zoom + (1 - how.zoom) * zoom)[:, None]
    reach = how.shift + side * (1 - scale) / 2
    centre = (side - 1) / 2 + reach * (2 * offset[:, None] - 1)
    places = np.rint(centre + scale * (np.arange(side) - (side - 1) / 2)).astype(np.int64)
    return (
        (side - 1) - np.abs((side - 1) - np.abs(places) % (2 * side - 2))
        if side > 1
        else np.zeros_like(places)
    )


def _square(height: int, width: int, side: int, centre: NDArray[np.float64]) -> NDArray[np.bool_]:
    rows = np.abs(np.arange(height) + 0.5 - centre[:, :1] * height) < side / 2
    columns = np.abs(np.arange(width) + 0.5 - centre[:, 1:] * width) < side / 2
    return np.asarray(rows[:, :, None] & columns[:, None, :])
