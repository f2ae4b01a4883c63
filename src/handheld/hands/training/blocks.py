"""What both networks are made of: plain 3x3 convolutions, residual blocks, and
a small feature pyramid.

Dense 3x3 convolutions train 1.7 times faster on a CPU than inverted residuals of the same accuracy,
and cost 0.3 ms more in the deployed model (measured at 128 pixels; see docs/train-hand-models.md).
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from handheld.errors import InputError
from handheld.ranges import whole_in_range

# Share of a batch in the running statistics: batches here are small, and judged is a slow mean of
# weights.
# A third of torch's default.
_MEMORY = 0.03


# Channels of a picture.
_COLOURS = 3

_STAGES = 5

# Far beyond any network of these that learns, and no memory of a machine is asked for more.
MOST_CHANNELS = 4096
_MOST_SIZE = 1024
_MOST_BLOCKS = 256

# Pixels between the cells of the last stage's features.
_COARSEST = 2**_STAGES


def convolution(channels: int, width: int, *, stride: int = 1, size: int = 3) -> nn.Sequential:
    """Return a convolution with normalisation and rectifier, from ``channels`` to ``width``."""
    return nn.Sequential(
        # Without a bias: the normalisation takes any away again.
        nn.Conv2d(channels, width, size, stride, padding=size // 2, bias=False),
        nn.BatchNorm2d(width, momentum=_MEMORY),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    """Two 3x3 convolutions around which their input is carried (He et al., arXiv 1512.03385)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = convolution(width, width)
        self.second = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width, momentum=_MEMORY),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Keep the shape (n, width, h, w)."""
        return functional.relu(features + self.second(self.first(features)))


class Backbone(nn.Module):
    """Stages, each of which halves the side: a strided convolution, then residual blocks.

    Args:
        widths: channels of each stage.
        depths: residual blocks of each.
    """

    def __init__(self, widths: tuple[int, ...], depths: tuple[int, ...]) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        channels = _COLOURS
        for width, depth in zip(widths, depths, strict=True):
            # The stride comes first: all residual blocks work on the smaller picture.
            halving = convolution(channels, width, stride=2)
            residuals = [Residual(width) for _ in range(depth)]
            self.stages.append(nn.Sequential(halving, *residuals))
            channels = width

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Return the features of every stage of (n, 3, side, side) pictures, finest first."""
        features = []
        for stage in self.stages:
            pictures = stage(pictures)
            features.append(pictures)
        return features


class Pyramid(nn.Module):
    """Carries coarse features down to finer ones (Lin et al., arXiv 1612.03144).

    Args:
        widths: channels of the features that it takes, finest first.
        width: channels of those that it gives.
    """

    def __init__(self, widths: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(convolution(channels, width, size=1) for channels in widths)
        self.smooth = nn.ModuleList(convolution(width, width) for _ in widths[:-1])

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Return as many features as come in, finest first, of one width."""
        above = self.lateral[-1](features[-1])
        merged = [above]
        # From the coarsest up: each level needs the one above it.
        for level in reversed(range(len(self.smooth))):
            finer = self.lateral[level](features[level])
            enlarged = functional.interpolate(above, scale_factor=2.0)
            above = self.smooth[level](finer + enlarged)
            merged.insert(0, above)
        return merged


def initialise(network: nn.Module) -> None:
    """Draw the weights for rectifiers (He et al., arXiv 1502.01852); residual branches begin at
    nothing.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if isinstance(module, Residual):
            # Each block begins as the identity, so that depth costs no speed at first
            # (Goyal et al., arXiv 1706.02677).
            nn.init.zeros_(cast(nn.BatchNorm2d, module.second[1]).weight)


def parameters_of(network: nn.Module) -> int:
    """Return the number of trained numbers."""
    return sum(parameter.numel() for parameter in network.parameters())


def check_stages(size: int, widths: tuple[int, ...], depths: tuple[int, ...]) -> None:
    """Refuse stages that make no network of pictures of a side.

    Raises:
        InputError: names the value that is wrong.
    """
    # Each of the stages halves the side: 32 is what one cell of the coarsest features sees.
    whole_in_range("size", size, low=2 * _COARSEST, high=_MOST_SIZE)
    if size % _COARSEST:
        raise InputError(f"size: expected a multiple of 32 from 64 on, got {size}")
    if len(widths) != _STAGES or len(depths) != _STAGES:
        raise InputError(f"widths and depths: expected five each, got {widths} and {depths}")
    for width in widths:
        whole_in_range("widths", width, low=1, high=MOST_CHANNELS)
    for depth in depths:
        whole_in_range("depths", depth, low=0, high=_MOST_BLOCKS)


def to_unit(pictures: Tensor) -> Tensor:
    """Return uint8 pictures (n, h, w, 3) as (n, 3, h, w) in [0, 1], channels last in memory."""
    # Permuted, not copied: decoded pictures lie in memory as channels last convolutions want them.
    return pictures.permute(0, 3, 1, 2).to(torch.float32).div_(255.0)
