"""The landmark network: from a crop to 21 keypoints, and whether there is a hand at all.

A map for each keypoint says where it is seen, by the mean of its softmax ("integral regression",
Sun et al., arXiv 1711.08229); what cannot be seen, or lies outside the crop, follows from the whole
hand and is added as an offset.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from handheld.hands.training.blocks import (
    MOST_CHANNELS,
    Backbone,
    Pyramid,
    check_stages,
    convolution,
    initialise,
)
from handheld.ranges import whole_in_range


@dataclass(frozen=True)
class LandmarkShape:
    """The size of a landmark network.

    Attributes:
        size: side of the square crop, pixels; a multiple of 32.
        widths: channels of the five stages.
        depths: residual blocks of each stage.
        pyramid: channels of the feature pyramid.
        hidden: width of the layer that sees the whole hand.
    """

    size: int = 128
    widths: tuple[int, ...] = (16, 24, 48, 80, 112)
    depths: tuple[int, ...] = (0, 1, 2, 2, 1)
    pyramid: int = 48
    hidden: int = 192

    def __post_init__(self) -> None:
        check_stages(self.size, self.widths, self.depths)
        whole_in_range("pyramid", self.pyramid, low=1, high=MOST_CHANNELS)
        whole_in_range("hidden", self.hidden, low=1, high=MOST_CHANNELS)


class LandmarkOutput(NamedTuple):
    """What the network says of n crops.

    Attributes:
        points: (n, 21, 3) x, y as fractions of the crop's side, z in the same scale from the wrist.
        presence: (n,) logit that a hand is here and reasonably aligned.
        handedness: (n,) logit that it is the person's right hand.
        world: (n, 21, 3) decimetres around the hand's centre, in the crop's axes.
        confidence: (n, 21) logit that the keypoint is nearer than ``loss.CLOSE`` to the truth.
    """

    points: Tensor
    presence: Tensor
    handedness: Tensor
    world: Tensor
    confidence: Tensor


_KEYPOINTS = 21

# What the last layer answers, in its order: offsets x and y, depth, world, confidence of each
# keypoint, then presence and handedness.
_OUTPUTS = (2 * _KEYPOINTS, _KEYPOINTS, 3 * _KEYPOINTS, _KEYPOINTS, 1, 1)

# Channels of the coarse features before they are looked at as a whole: with all of them the layer
# that sees the whole hand would be a third of the network.
_SQUEEZED = 32

# The weight of the layer that sees the whole hand, alone in depending on the crop's side.
_WHOLE = "whole.0.weight"

# Pixels between the cells of the fine and the coarse features.
_FINE = 8
_COARSE = 32


def _cell_middles(side: int) -> Tensor:
    """Return the middles (side * side, 2) of a grid's cells, row by row, x and y in [0, 1]."""
    ticks = (torch.arange(side) + 0.5) / side
    columns, rows = torch.meshgrid(ticks, ticks, indexing="xy")
    return torch.stack([columns, rows], -1).flatten(0, 1)


def _whole_layer(shape: LandmarkShape) -> nn.Sequential:
    """Return the layer that sees the whole hand at once."""
    cells = (shape.size // _COARSE) ** 2
    return nn.Sequential(nn.Linear(_SQUEEZED * cells, shape.hidden), nn.ReLU(inplace=True))


def _for_cells(weight: Tensor, before: int, after: int) -> Tensor:
    """Bring the weights (hidden, channels * before ** 2) of the layer that sees the whole hand to a
    grid of another side: as if what it sees were scaled to the grid that it knows.
    """
    # What each cell of the new grid, alone at one, is in the grid that the weights know.
    cells = torch.eye(after * after).reshape(-1, 1, after, after)
    scaled = functional.interpolate(cells, (before, before), mode="bilinear", antialias=True)
    by_channel = weight.reshape(len(weight), _SQUEEZED, before * before)
    return (by_channel @ scaled.flatten(1).T).flatten(1)


class LandmarkNetwork(nn.Module):
    """Crops (n, 3, size, size) in [0, 1] to a :class:`LandmarkOutput`."""

    def __init__(self, shape: LandmarkShape) -> None:
        super().__init__()
        self.shape = shape
        self.backbone = Backbone(shape.widths, shape.depths)
        # Without the finest two stages: they see edges, not fingers, and are the largest.
        self.pyramid = Pyramid(shape.widths[2:], shape.pyramid)
        self.maps = nn.Conv2d(shape.pyramid, _KEYPOINTS, 1)
        self.squeeze = convolution(shape.widths[-1], _SQUEEZED, size=1)
        self.whole = _whole_layer(shape)
        # It is told where each keypoint is seen, or it could not say how far that is off.
        inputs = shape.hidden + 2 * _KEYPOINTS
        self.outputs = nn.Linear(inputs, sum(_OUTPUTS))
        self.register_buffer("grid", _cell_middles(shape.size // _FINE))
        self.grid: Tensor
        initialise(self)
        # The offsets begin at nothing: first the maps learn, which see the keypoints themselves.
        nn.init.normal_(self.outputs.weight, std=0.01)
        nn.init.zeros_(self.outputs.bias)

    def resized(self, size: int) -> "LandmarkNetwork":
        """Return the network for crops of another side, where training goes on from its weights."""
        other = LandmarkNetwork(replace(self.shape, size=size))
        state = self.state_dict()
        before, after = self.shape.size // _COARSE, size // _COARSE
        state[_WHOLE] = _for_cells(state[_WHOLE], before, after)
        state["grid"] = other.grid
        other.load_state_dict(state)
        return other

    def forward(self, crops: Tensor) -> LandmarkOutput:
        """See the class."""
        return self.read(*self.see(crops))

    def see(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Return fine and coarse features: all of the network's work, which may
        be done in bfloat16.
        """
        features = self.backbone(crops)
        levels = self.pyramid(features[2:])
        return levels[0], features[-1]

    def read(self, fine: Tensor, coarse: Tensor) -> LandmarkOutput:
        """Return the answers. In float32: bfloat16 would round places to a 256th of the crop."""
        seen = self._seen(fine)
        hand = self.whole(self.squeeze(coarse).flatten(1))
        raw = self.outputs(torch.cat([hand, seen.flatten(1)], dim=1))
        offset, depth, world, confidence, presence, handedness = raw.split(_OUTPUTS, dim=1)
        flat = seen + offset.reshape(-1, _KEYPOINTS, 2)
        points = torch.cat([flat, depth.reshape(-1, _KEYPOINTS, 1)], dim=2)
        return LandmarkOutput(
            points=points,
            presence=presence[:, 0],
            handedness=handedness[:, 0],
            world=world.reshape(-1, _KEYPOINTS, 3),
            confidence=confidence,
        )

    def _seen(self, fine: Tensor) -> Tensor:
        """Return where each keypoint is seen (n, 21, 2): the mean of its map's cells."""
        shares = self.maps(fine).flatten(2).softmax(dim=2)
        return cast(Tensor, shares @ self.grid)


class DeployedLandmarks(nn.Module):
    """The network as a pack's file has it: pixels, metres and probabilities."""

    def __init__(self, network: LandmarkNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops: Tensor) -> dict[str, Tensor]:
        """Crops (1, 3, size, size) in [0, 1] to what ``ModelPack.open_landmark`` expects, in its
        order.
        """
        output: LandmarkOutput = self.network(crops)
        return {
            "landmarks": output.points.flatten(1) * float(self.network.shape.size),
            "presence": output.presence.sigmoid()[:, None],
            "right": output.handedness.sigmoid()[:, None],
            # It learns decimetres, which are about as large as its other answers.
            "world": output.world.flatten(1) * 0.1,
            "confidence": output.confidence.sigmoid(),
        }
