"""Pictures as a network takes them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx
from torch.nn import functional

from handheld.data import Dataset
from handheld.errors import InputError
from handheld.networks.structure import with_shapes
from handheld.networks.zoo.pictures import PictureShape

_MEASURED = 5000  # pictures, about, that mean and std are taken of
_DIGITS = 4  # of mean and std, so that a card says what the file was made with
_LEAST_STD = 1e-3  # where all pictures are of one colour

# Pictures that are made into inputs at once, so that memory does not grow with the data.
_CHUNK = 500


@dataclass(frozen=True)
class Preparation:
    """How pictures in [0, 255] become inputs: (value / 255 - mean) / std, by channel.

    Attributes:
        shape: channels, height and width of the data's pictures.
        mean: of the training pictures, in [0, 1].
        std: likewise.
    """

    shape: PictureShape
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, train: Dataset) -> "Preparation":
        """Measure the training pictures. Raises :class:`InputError` for what are no pictures."""
        pictures = pixels(train)
        _, height, width, channels = pictures.shape
        # at even distances: a data set may be sorted by class
        sample = pictures[:: max(1, len(pictures) // _MEASURED)].astype(np.float64) / 255
        mean = sample.mean(axis=(0, 1, 2))
        std = sample.std(axis=(0, 1, 2)).clip(min=_LEAST_STD)
        return cls(
            PictureShape(channels, height, width),
            tuple(round(float(value), _DIGITS) for value in mean),
            tuple(round(float(value), _DIGITS) for value in std),
        )

    @property
    def norm(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and std."""
        return self.mean, self.std

    @property
    def side(self) -> int:
        """Shorter side of the data's pictures."""
        return self.shape.side

    def inputs(
        self, pictures: NDArray[np.uint8], device: torch.device | str = "cpu"
    ) -> torch.Tensor:
        """Return pictures as a network's inputs.

        Args:
            pictures: (n, height, width, channels).
            device: of the inputs.

        Returns:
            (n, channels, height, width) float32, channels last in memory.
        """
        tensor = torch.from_numpy(np.ascontiguousarray(pictures)).to(device).permute(0, 3, 1, 2)
        mean = torch.tensor(self.mean, device=device)[:, None, None]
        std = torch.tensor(self.std, device=device)[:, None, None]
        return (tensor / 255.0 - mean) / std

    def chunks(self, dataset: Dataset) -> Iterator[torch.Tensor]:
        """Yield the inputs of a data set, some hundred at a time."""
        pictures = pixels(dataset)
        for start in range(0, len(dataset), _CHUNK):
            yield self.inputs(pictures[start : start + _CHUNK])

    def card(self) -> dict[str, Any]:
        """Return the entry ``image`` of a model's card."""
        return {
            "mean": list(self.mean),
            "std": list(self.std),
            "grey": self.shape.channels == 1,
            "fit": "stretch",
        }

    def reshaped(self, network: fx.GraphModule, side: int) -> fx.GraphModule:
        """Return a network whose nodes know their shapes for pictures of a side.

        Raises:
            CompileError: the network takes no pictures of that side.
        """
        return with_shapes(network, empty_inputs(self.shape.at_side(side)))


def empty_inputs(shape: PictureShape) -> torch.Tensor:
    """Return two empty inputs: one alone would hide what a network does to its batch."""
    return torch.zeros(2, *shape)


def pixels(dataset: Dataset) -> NDArray[np.uint8]:
    """Return a data set's pictures. Raises :class:`InputError` if it holds anything else."""
    inputs = dataset.inputs
    if not isinstance(inputs, np.ndarray):
        raise InputError("these are texts, expected pictures")
    if inputs.ndim != 4 or inputs.dtype != np.uint8:
        raise InputError(
            "expected pictures (n, height, width, channels) uint8, "
            f"got {list(inputs.shape)} {inputs.dtype}; arrays (n, height, width) of fractions are "
            "pictures where white=1 says so (white = 1 under [data])"
        )
    return inputs


def resized(inputs: torch.Tensor, side: int) -> torch.Tensor:
    """Return inputs whose shorter side is ``side``, filtered as ``engine.classify`` does it."""
    shape = PictureShape(*inputs.shape[1:])
    if shape.side == side:
        return inputs
    smaller = functional.interpolate(
        inputs.float(),
        shape.at_side(side)[1:],
        mode="bilinear",
        antialias=True,
        align_corners=False,
    )
    return smaller.contiguous(memory_format=torch.channels_last)
