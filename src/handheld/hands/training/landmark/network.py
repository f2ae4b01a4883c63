"""The landmark network: from a crop to 21 keypoints, and whether there is a hand at all.

A map for each keypoint says where it is seen, by the mean of its softmax ("integral regression",
Sun et al., arXiv 1711.08229); what cannot be seen, or lies outside the crop, follows from the whole
hand and is added as an offset.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from handheld.errors import InputError
from handheld.hands.training.blocks import Backbone, Pyramid, convolution, initialise
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
        if self.size < 64 or self.size % 32:
            raise InputError(f"size: expected a multiple of 32 from 64 on, got {self.size}")
        if len(self.widths) != 5 or len(self.depths) != 5:
            raise InputError(
                f"widths and depths: expected five each, got {self.widths} and {self.depths}"
            )
        for width in self.widths:
            whole_in_range("network.widths", width, low=1)
        for depth in self.depths:
            whole_in_range("network.depths", depth, low=0)
        whole_in_range("network.pyramid", self.pyramid, low=1)
        whole_in_range("network.hidden", self.hidden, low=1)


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


_OUTPUTS = 2 * 21 + 21 + 63 + 21 + 2
_SQUEEZED = 32


class LandmarkNetwork(nn.Module):
    """Crops (n, 3, size, size) in [0, 1] to a :class:`LandmarkOutput`."""

    def __init__(self, shape: LandmarkShape) -> None:
        super().__init__()
        self.shape = shape
        self.backbone = Backbone(shape.widths, shape.depths)
        self.pyramid = Pyramid(shape.widths[2:], shape.pyramid)
        self.maps = nn.Conv2d(shape.pyramid, 21, 1)
        self.squeeze = convolution(shape.widths[-1], _SQUEEZED, size=1)
        cells = (shape.size // 32) ** 2
        self.whole = nn.Sequential(
            nn.Linear(_SQUEEZED * cells, shape.hidden), nn.ReLU(inplace=True)
        )
        self.outputs = nn.Linear(shape.hidden + 2 * 21, _OUTPUTS)
        side = shape.size // 8
        ticks = (torch.arange(side) + 0.5) / side
        self.register_buffer(
            "grid", torch.stack(torch.meshgrid(ticks, ticks, indexing="xy"), -1).flatten(0, 1)
        )
        self.grid: Tensor
        initialise(self)
        # The offsets begin at nothing: first the maps learn, which see the keypoints themselves.
        nn.init.normal_(self.outputs.weight, std=0.01)
        nn.init.zeros_(self.outputs.bias)

    def forward(self, crops: Tensor) -> LandmarkOutput:
        """See the class."""
        return self.read(*self.see(crops))

    def see(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Return fine and coarse features: all of the network's work, which may
        be done in bfloat16.
        """
        features = self.backbone(crops)
        return self.pyramid(features[2:])[0], features[-1]

    def read(self, fine: Tensor, coarse: Tensor) -> LandmarkOutput:
        """Return the answers. In float32: bfloat16 would round places to a 256th of the crop."""
        seen = self.maps(fine).flatten(2).softmax(dim=2) @ self.grid
        whole = self.whole(self.squeeze(coarse).flatten(1))
        raw = self.outputs(torch.cat([whole, seen.flatten(1)], dim=1))
        offset, depth, world, confidence, presence, handedness = raw.split(
            [42, 21, 63, 21, 1, 1], dim=1
        )
        flat = seen + offset.reshape(-1, 21, 2)
        points = torch.cat([flat, depth.reshape(-1, 21, 1)], dim=2)
        return LandmarkOutput(
            points, presence[:, 0], handedness[:, 0], world.reshape(-1, 21, 3), confidence
        )


class DeployedLandmarks(nn.Module):
    """The network as a pack's file has it: pixels, metres and probabilities."""

    def __init__(self, network: LandmarkNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops: Tensor) -> dict[str, Tensor]:
        """Crops (1, 3, size, size) in [0, 1] to what
        ``ModelPack.open_landmark`` expects, in its order.
        """
        output: LandmarkOutput = self.network(crops)
        return {
            "landmarks": output.points.flatten(1) * float(self.network.shape.size),
            "presence": output.presence.sigmoid()[:, None],
            "right": output.handedness.sigmoid()[:, None],
            "world": output.world.flatten(1) * 0.1,
            "confidence": output.confidence.sigmoid(),
        }
