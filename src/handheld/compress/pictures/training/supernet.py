"""Members that share the weights of one large network.

A member is the large network narrowed to the first units of each group, cut to fewer residual
blocks, looking at smaller pictures. Its convolutions and linear layers are slices of the large
network's, so that a step of one teaches all; batch normalisation is its own, since the statistics
of fewer channels are others (Yu et al., "Slimmable Neural Networks", arXiv 1812.08928; Cai et al.,
"Once-for-All", arXiv 1908.09791).
"""

from copy import deepcopy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx, nn
from torch.func import functional_call

from handheld.compress.pictures.preparation import resized
from handheld.networks.structure import (
    Channels,
    Slim,
    channels_of,
    needed,
    removable_blocks,
    slim,
    take,
    with_shapes,
    without_blocks,
)
from handheld.ranges import in_range, whole_in_range

_FEWEST = 2  # channels of a group


class Nested(nn.Module):
    """A member of a supernet; it owns its batch normalisation and reads all else from the large
    network.

    Args:
        large: a network from ``trace`` whose parameters are shared; it is no part of this module.
        cut: from :func:`narrow`.
        side: shorter side of the pictures that it looks at.
    """

    def __init__(self, large: fx.GraphModule, cut: Slim, side: int):
        super().__init__()
        self._large = [large]  # in a list: not registered, so it is trained and saved once
        self.small = cut.network
        self.side = side
        self._taken = cut.taken
        unshared: set[int] = set()
        for layer in self.small.modules():
            if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d):
                unshared.update(map(id, layer.parameters()))
        self._shared = [
            name
            for name, parameter in self.small.named_parameters()
            if id(parameter) not in unshared
        ]
        # these are never read: slices of the large network's stand in their place
        for name in self._shared:
            self.small.get_parameter(name).requires_grad_(False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the logits of (n, channels, height, width) inputs at the data's size."""
        sized = resized(inputs, self.side)
        logits: torch.Tensor = functional_call(self.small, self._slices(), (sized,))
        return logits

    def _slices(self) -> dict[str, torch.Tensor]:
        # in each call: a step of the large network changes its weights
        large = dict(self._large[0].named_parameters())
        return {name: take(large[name], self._taken.get(name, ())) for name in self._shared}

    def standalone(self) -> fx.GraphModule:
        """Return the member with weights of its own."""
        network = deepcopy(self.small)
        for name, weight in self._slices().items():
            parameter = network.get_parameter(name)
            parameter.data = weight.detach().clone()
            parameter.requires_grad_(True)
        return network


def narrow(
    network: fx.GraphModule, example: torch.Tensor, *, width: float, blocks: int | None = None
) -> Slim:
    """Cut a network to the first units of each group, and to its first residual blocks.

    Args:
        network: from ``trace``.
        example: (n, channels, height, width) an input of the member's own size.
        width: share of each group's units that stay, above 0 and up to 1.
        blocks: residual blocks that stay, of those that can be left out; None: all.

    Raises:
        InputError: a width or number of blocks that the network cannot have.
    """
    in_range("width", width, low=0, high=1, low_open=True)
    names = removable_blocks(network)
    if blocks is None:
        blocks = len(names)
    # The network has no more that can be left out.
    whole_in_range("blocks", blocks, low=0, high=len(names))
    small = with_shapes(without_blocks(network, names[blocks:]), example)
    channels = channels_of(small)
    return slim(small, channels, first_units(channels, width))


def first_units(channels: Channels, width: float) -> NDArray[np.int64]:
    """Return the first units of each group that can lose some.

    Even numbers of them, for the kernels.
    """
    free: set[int] = set()
    chosen: set[int] = set()
    for group in channels.free:
        units = group.units.tolist()
        # the first ones in each member, so that what a narrow one learns a wide one has too
        count = max(_FEWEST, 2 * round(width * len(units) / 2))
        free.update(units)
        chosen.update(units[:count])
    # A part that is split off may lie behind the first: it keeps one unit, too.
    for _, units_needed in needed(channels):
        units = units_needed.tolist()
        if free.issuperset(units) and chosen.isdisjoint(units):
            chosen.add(units[0])
    return np.array(sorted(chosen), np.int64)
