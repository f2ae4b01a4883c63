"""Networks for pictures by name: teachers at their full width, students at a part of it.

``residual`` is the small residual network of the DAWNBench entries (He et al., arXiv 1512.03385,
cut to nine layers), ``mobile`` is built of inverted residuals (Sandler et al., arXiv 1801.04381),
``plain`` of strided convolutions. Each halves a picture of 64 pixels or more before its first
stage, and twice from 128 pixels on. ``projected`` has no convolutions.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import nn

from handheld.errors import InputError
from handheld.ranges import whole_in_range


class PictureShape(NamedTuple):
    """Channels, height and width of a network's input."""

    channels: int
    height: int
    width: int

    @property
    def side(self) -> int:
        """The shorter side."""
        return min(self.height, self.width)

    def at_side(self, side: int) -> "PictureShape":
        """Return the shape of the same pictures with another shorter side."""
        scale = side / self.side
        height = round(self.height * scale)
        width = round(self.width * scale)
        return PictureShape(self.channels, height, width)


# Side of the picture that is projected, at most: half of MNIST's.
_SMALL = 14
# Sides from which on the stem makes a picture smaller, so that the stages see 32 to 64 pixels.
_STRIDED_STEM_FROM = 64
_POOLED_STEM_FROM = 128
# Of the inverted residuals, each as (factor of the width, blocks).
_MOBILE_STAGES = ((1, 1), (2, 2), (3, 2), (4, 2))
_EXPANSION = 4  # of inverted residuals

Factory = Callable[[PictureShape, int, int], nn.Module]


def make(name: str, shape: PictureShape, classes: int, width: int, *, seed: int) -> nn.Module:
    """Return a network of this package with fresh weights.

    Args:
        name: one of :data:`NETWORKS`.
        shape: of its pictures.
        classes: outputs (logits).
        width: channels of its first layer; all others follow.
        seed: of its weights.

    Raises:
        InputError: no network of that name, or a number below 1.
    """
    if name not in NETWORKS:
        raise InputError(
            f"no network {name!r}: expected {', '.join(NETWORKS)}, or package.module:factory"
        )
    for side, size in shape._asdict().items():
        whole_in_range(f"shape.{side}", size, low=1)
    whole_in_range("classes", classes, low=1)
    whole_in_range("width", width, low=1)
    # torch's layers draw their weights from its one global generator: it is put back afterwards.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return NETWORKS[name](shape, classes, width)


def convolution(
    inputs: int, outputs: int, size: int = 3, stride: int = 1, *, groups: int = 1, act: bool = True
) -> nn.Sequential:
    """Return convolution, batch normalisation and, unless ``act`` is false, a rectifier."""
    layers = nn.Sequential(
        # Without a bias: the normalisation has one.
        nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    )
    if act:
        layers.append(nn.ReLU())
    return layers


class ResidualBlock(nn.Module):
    """``x + f(x)``."""

    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.branch = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add the branch to its input."""
        y: torch.Tensor = x + self.branch(x)
        return y


class Projection(nn.Module):
    """Signs of sums along random directions that never learn (Ravi, "ProjectionNet", arXiv
    1708.00630).
    """

    def __init__(self, inputs: int, bits: int):
        super().__init__()
        self.directions = nn.Linear(inputs, bits, bias=False)
        signs = torch.randint(0, 2, (bits, inputs)).float() * 2 - 1
        self.directions.weight = nn.Parameter(signs, requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, bits) of -1 and 1."""
        return torch.sign(self.directions(x))


def residual(shape: PictureShape, classes: int, width: int) -> nn.Module:
    """Four stages of ``width`` times 1, 2, 4, 8 channels, two of them with a residual block."""
    # Made in their order: each draws its weights from the one generator.
    return nn.Sequential(
        _stem(shape, width),
        convolution(width, 2 * width),
        nn.MaxPool2d(2),
        _residual_block(2 * width),
        convolution(2 * width, 4 * width),
        nn.MaxPool2d(2),
        convolution(4 * width, 8 * width),
        nn.MaxPool2d(2),
        _residual_block(8 * width),
        *_head(8 * width, classes),
    )


def _residual_block(channels: int) -> ResidualBlock:
    first = convolution(channels, channels)
    second = convolution(channels, channels)
    return ResidualBlock(first, second)


def mobile(shape: PictureShape, classes: int, width: int) -> nn.Module:
    """Inverted residuals that expand four times, in stages of 1, 2, 3 and 4 times ``width``."""
    layers = [_stem(shape, width)]
    inputs = width
    for stage, blocks in _MOBILE_STAGES:
        outputs = stage * width
        for block in range(blocks):
            # Each stage but the first begins with a picture of half the size.
            stride = 2 if block == 0 and stage > 1 else 1
            layers.append(_inverted(inputs, outputs, stride))
            inputs = outputs
    layers.append(convolution(inputs, 8 * width, 1))
    return nn.Sequential(*layers, *_head(8 * width, classes))


def plain(shape: PictureShape, classes: int, width: int) -> nn.Module:
    """Five strided or residual stages of ``width`` times 1, 2, 2, 4, 4 channels: few layers,
    without pooling.
    """
    return nn.Sequential(
        _stem(shape, width),
        convolution(width, 2 * width, stride=2),
        _residual_block(2 * width),
        convolution(2 * width, 4 * width, stride=2),
        convolution(4 * width, 4 * width),
        *_head(4 * width, classes),
    )


def projected(shape: PictureShape, classes: int, width: int) -> nn.Module:
    """Signs of ``width`` times 16 random projections of the small picture, then two linear layers:
    a ProjectionNet.
    """
    pool = -(-shape.side // _SMALL)
    pixels = (shape.height // pool) * (shape.width // pool)
    return nn.Sequential(
        nn.AvgPool2d(pool),
        nn.Flatten(),
        Projection(shape.channels * pixels, 16 * width),
        nn.Linear(16 * width, 8 * width),
        nn.ReLU(),
        nn.Linear(8 * width, classes),
    )


def _inverted(inputs: int, outputs: int, stride: int) -> nn.Module:
    expanded = _EXPANSION * inputs
    layers = (
        convolution(inputs, expanded, 1),
        convolution(expanded, expanded, 3, stride, groups=expanded),
        # Without a rectifier: it would lose what the few channels hold (section 3.2 of the paper).
        convolution(expanded, outputs, 1, act=False),
    )
    if stride == 1 and inputs == outputs:
        return ResidualBlock(*layers)
    return nn.Sequential(*layers)


def _stem(shape: PictureShape, width: int) -> nn.Module:
    """Return the first layer; of larger pictures it makes small ones, so that all weights fit
    pictures of any size.
    """
    stride = 2 if shape.side >= _STRIDED_STEM_FROM else 1
    first = convolution(shape.channels, width, stride=stride)
    if shape.side >= _POOLED_STEM_FROM:
        first.append(nn.MaxPool2d(2))
    return first


def _head(features: int, classes: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(features, classes)]


NETWORKS: Mapping[str, Factory] = {
    "residual": residual,
    "mobile": mobile,
    "plain": plain,
    "projected": projected,
}
