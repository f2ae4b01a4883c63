"""Pictures as a network takes them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from handheld.data import Dataset
from handheld.errors import InputError
from handheld.networks.zoo.pictures import PictureShape


@dataclass(frozen=True)
class Preparation:
    """How pictures of 0 to 255 become inputs: (value / 255 - mean) / std, one number for each channel.

    Attributes:
        shape: channels, height and width of the data's pictures.
        mean: of the training pictures, in 0 to 1.
        std: likewise.
    """

    shape: PictureShape
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, train: Dataset) -> "Preparation":
        """Measure the training pictures. Raises :class:`InputError` for what are no pictures."""
        pictures = pixels(train)
        sample = pictures[:: max(1, len(pictures) // 5000)].astype(np.float64) / 255
        mean, std = sample.mean(axis=(0, 1, 2)), sample.std(axis=(0, 1, 2))
        _, height, width, channels = pictures.shape
        return cls(
            PictureShape(channels, height, width),
            tuple(round(float(value), 4) for value in mean),
            tuple(round(max(float(value), 1e-3), 4) for value in std),
        )

    def inputs(
        self, pictures: NDArray[np.uint8], device: torch.device | str = "cpu"
    ) -> torch.Tensor:
        """Return (n, height, width, channels) uint8 pictures as (n, channels, height, width) float32, channels last."""
        tensor = torch.from_numpy(np.ascontiguousarray(pictures)).to(device).permute(0, 3, 1, 2)
        mean, std = (
            torch.tensor(value, device=device)[:, None, None] for value in (self.mean, self.std)
        )
        return (tensor / 255.0 - mean) / std

    def card(self) -> dict[str, Any]:
        """Return the entry ``image`` of a model's card."""
        return {
            "mean": list(self.mean),
            "std": list(self.std),
            "grey": self.shape.channels == 1,
            "fit": "stretch",
        }


def pixels(dataset: Dataset) -> NDArray[np.uint8]:
    """Return a data set's pictures. Raises :class:`InputError` if it holds anything else."""
    if not isinstance(dataset.inputs, np.ndarray):
        raise InputError("these are texts, expected pictures")
    if dataset.inputs.ndim != 4 or dataset.inputs.dtype != np.uint8:
        raise InputError(
            f"expected pictures (n, height, width, channels) uint8, got {list(dataset.inputs.shape)} {dataset.inputs.dtype}; "
            "arrays (n, height, width) of fractions are pictures where white=1 says so (white = 1 under [data])"
        )
    return dataset.inputs


def resized(inputs: torch.Tensor, side: int) -> torch.Tensor:
    """Return inputs whose shorter side is ``side``, filtered as ``engine.classify`` does it."""
    height, width = inputs.shape[2:]
    if min(height, width) == side:
        return inputs
    scale = side / min(height, width)
    size = (round(height * scale), round(width * scale))
    small = functional.interpolate(
        inputs.float(), size, mode="bilinear", antialias=True, align_corners=False
    )
    return small.contiguous(memory_format=torch.channels_last)
