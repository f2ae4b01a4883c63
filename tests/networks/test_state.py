"""Networks as tensors: what is kept of one that lost channels, and of one that did not."""

import torch

from handheld.networks.pruning import prune
from handheld.networks.state import pack, unpack
from handheld.networks.structure import trace
from handheld.networks.zoo.pictures import PictureShape, make

SHAPE = PictureShape(1, 12, 12)
EXAMPLE = torch.zeros(2, *SHAPE)


def test_numbers_of_channels_are_kept_only_where_some_are_gone():
    started = trace(make("plain", SHAPE, 3, 8, seed=0), EXAMPLE)
    other = trace(make("plain", SHAPE, 3, 8, seed=1), EXAMPLE)
    smaller = prune(started, EXAMPLE, keep=0.4).network
    assert pack(other, started)["lengths"] is None
    assert pack(other)["lengths"] is not None
    assert pack(smaller, started)["lengths"] is not None
    inputs = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(0))
    for network in (other, smaller):
        again = unpack(started, pack(network, started))
        assert torch.equal(again(inputs), network.eval()(inputs))


def test_a_shape_at_another_side():
    assert PictureShape(3, 40, 64).side == 40
    assert PictureShape(3, 40, 64).at_side(20) == (3, 20, 32)
    assert PictureShape(3, 40, 64).at_side(40) == (3, 40, 64)
