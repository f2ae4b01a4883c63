"""The palm detector: single-shot, with square anchors only, over an encoder and a decoder.

Palms are near to square, so one anchor in each cell is enough (BlazePalm, arXiv 2006.10214). Three
grids share the sizes: each takes those that a few of its cells cover.
"""

from dataclasses import dataclass, replace
from math import log
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from handheld.hands.palm import PalmGeometry
from handheld.hands.training.blocks import (
    MOST_CHANNELS,
    Backbone,
    Pyramid,
    check_stages,
    convolution,
    initialise,
)
from handheld.ranges import whole_in_range

STRIDES = (8, 16, 32)
"""Pixels between the cells of the grids, finest first."""

VALUES = 18
"""Of an anchor: centre x and y, width, height, seven keypoints."""

# Of an anchor before anything is learned: most see background (Lin et al., arXiv 1708.02002).
_PRIOR_LOGIT = log(0.01 / 0.99)


@dataclass(frozen=True)
class PalmShape:
    """The size of a palm detector.

    Attributes:
        size: side of the square picture, pixels; a multiple of 32.
        widths: channels of the five stages.
        depths: residual blocks of each stage.
        pyramid: channels of the decoder, or of what replaces it.
        decoder: whether coarse features are carried down to the fine grids.
    """

    size: int = 192
    widths: tuple[int, ...] = (12, 20, 32, 64, 96)
    depths: tuple[int, ...] = (0, 1, 2, 2, 2)
    pyramid: int = 40
    decoder: bool = True

    def __post_init__(self) -> None:
        check_stages(self.size, self.widths, self.depths)
        whole_in_range("pyramid", self.pyramid, low=1, high=MOST_CHANNELS)

    @property
    def geometry(self) -> PalmGeometry:
        """The layout of the network's output, as packs describe it."""
        # One anchor in each cell.
        grids = tuple((self.size // stride, 1) for stride in STRIDES)
        return PalmGeometry(size=self.size, grids=grids)


class PalmOutput(NamedTuple):
    """What the network says of n pictures, for each of its anchors.

    Attributes:
        values: (n, anchors, 18) in strides from the anchor's centre; width and height as the
            logarithm of their number of strides.
        logits: (n, anchors) that a palm is there.
    """

    values: Tensor
    logits: Tensor


def _draw_last(layer: nn.Module, *, bias: float) -> None:
    """Draw the weights of a last layer so small that its first answers are its bias."""
    convolution = cast(nn.Conv2d, layer)
    nn.init.normal_(convolution.weight, std=0.01)
    nn.init.constant_(cast(Tensor, convolution.bias), bias)


def _last_layers(channels: int, width: int) -> nn.ModuleList:
    """Return a layer for each grid that answers in each of its cells."""
    return nn.ModuleList(nn.Conv2d(channels, width, 1) for _ in STRIDES)


def _by_cell(answers: Tensor) -> Tensor:
    """Bring a grid's answers (n, width, rows, columns) to (n, rows, columns, width)."""
    # Cells row by row, as anchor_centres lists them.
    return answers.permute(0, 2, 3, 1)


class PalmNetwork(nn.Module):
    """Pictures (n, 3, size, size) in [0, 1] to a :class:`PalmOutput`."""

    def __init__(self, shape: PalmShape) -> None:
        super().__init__()
        self.shape = shape
        self.backbone = Backbone(shape.widths, shape.depths)
        neck = Pyramid if shape.decoder else Laterals
        # The finest two stages have no grid of their own.
        self.neck: nn.Module = neck(shape.widths[2:], shape.pyramid)
        width = shape.pyramid
        self.heads = nn.ModuleList(convolution(width, width) for _ in STRIDES)
        # Each grid its own layers: a palm of four cells looks other than one of two.
        self.values = _last_layers(width, VALUES)
        self.scores = _last_layers(width, 1)
        initialise(self)
        # After it, in place of what it drew; values first, as the seed's numbers are drawn in turn.
        for layer in self.values:
            _draw_last(layer, bias=0.0)
        for layer in self.scores:
            _draw_last(layer, bias=_PRIOR_LOGIT)

    def resized(self, size: int) -> "PalmNetwork":
        """Return the network for pictures of another side, with the same weights."""
        other = PalmNetwork(replace(self.shape, size=size))
        other.load_state_dict(self.state_dict())
        return other

    def forward(self, pictures: Tensor) -> PalmOutput:
        """See the class."""
        values = []
        logits = []
        levels = self.neck(self.backbone(pictures)[2:])
        layers = zip(self.heads, self.values, self.scores, strict=True)
        for level, (head, to_values, to_score) in zip(levels, layers, strict=True):
            seen = head(level)
            values.append(_by_cell(to_values(seen)).flatten(1, 2))
            logits.append(_by_cell(to_score(seen)).flatten(1))
        return PalmOutput(torch.cat(values, dim=1), torch.cat(logits, dim=1))


class Laterals(nn.Module):
    """Features of one width, without a way down: what a detector has that lacks a decoder."""

    def __init__(self, widths: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(convolution(channels, width, size=1) for channels in widths)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Return as many features as come in, of one width."""
        return [lateral(level) for lateral, level in zip(self.lateral, features, strict=True)]


def strides_of(shape: PalmShape) -> Tensor:
    """Return the (anchors,) strides of the anchors, pixels."""
    grids = []
    for stride in STRIDES:
        cells = (shape.size // stride) ** 2
        grids.append(torch.full((cells,), float(stride)))
    return torch.cat(grids)


class DeployedPalms(nn.Module):
    """The network as a pack's file has it: pixels relative to the anchors' centres, and logits."""

    def __init__(self, network: PalmNetwork) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("strides", strides_of(network.shape)[None, :, None])
        self.strides: Tensor

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        """Pictures (1, 3, size, size) in [0, 1] to what ``ModelPack.open_palm`` expects, in its
        order.
        """
        output: PalmOutput = self.network(pictures)
        sizes = [2, 2, VALUES - 4]
        centre, sides, keypoints = torch.split(output.values, sizes, dim=2)
        boxes = torch.cat([centre, sides.exp(), keypoints], dim=2) * self.strides
        # Logits, which `decode_palms` expects of every pack.
        return {"boxes": boxes, "scores": output.logits[:, :, None]}
