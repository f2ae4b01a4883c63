import itertools

import numpy as np
import pytest
import torch
from torch import fx

from handheld.compress.pictures.training.supernet import Nested, first_units, narrow
from handheld.errors import InputError
from handheld.networks.structure import channels_of, trace
from handheld.networks.zoo.pictures import PictureShape, make

SHAPE = PictureShape(1, 12, 12)
EXAMPLE = torch.zeros(2, *SHAPE)


def large(name: str = "residual", width: int = 4) -> fx.GraphModule:
    return trace(make(name, SHAPE, 3, width, seed=0), EXAMPLE)


@pytest.mark.parametrize("name", ["residual", "mobile", "plain"])
@pytest.mark.parametrize("width", [0.25, 0.5, 1.0])
def test_a_member_computes_what_it_computes_alone(name: str, width: float):
    network = large(name)
    member = Nested(network, narrow(network, EXAMPLE, width=width), 12).eval()
    inputs = torch.randn(5, *SHAPE)
    alone = member.standalone().eval()
    assert torch.allclose(member(inputs), alone(inputs), atol=1e-6)
    assert all(parameter.requires_grad for parameter in alone.parameters())


def test_the_widest_member_is_the_large_network():
    network = large().eval()
    member = Nested(network, narrow(network, EXAMPLE, width=1.0), 12).eval()
    inputs = torch.randn(5, *SHAPE)
    assert torch.allclose(member(inputs), network(inputs), atol=1e-6)


def test_what_a_member_learns_is_in_the_large_network():
    network = large()
    member = Nested(network, narrow(network, EXAMPLE, width=0.5), 12)
    member(torch.randn(8, *SHAPE)).sum().backward()
    weight = network.get_parameter("0.0.weight")
    assert weight.grad is not None
    assert weight.grad[:2].abs().sum() > 0
    assert weight.grad[2:].abs().sum() == 0


def test_a_member_owns_nothing_but_its_normalisation():
    network = large()
    member = Nested(network, narrow(network, EXAMPLE, width=0.5), 12)
    trained = {name for name, parameter in member.named_parameters() if parameter.requires_grad}
    assert trained
    assert all(member.get_parameter(name).ndim == 1 for name in trained)
    assert {id(p) for p in member.parameters()}.isdisjoint(id(p) for p in network.parameters())


def test_a_shallow_member_has_no_blocks_and_a_small_one_looks_at_small_pictures():
    network = large()
    shallow = Nested(network, narrow(network, EXAMPLE, width=1.0, blocks=0), 12)
    assert sum(p.numel() for p in shallow.parameters()) < sum(
        p.numel() for p in network.parameters()
    )
    small = Nested(network, narrow(network, torch.zeros(2, 1, 8, 8), width=1.0), 8)
    assert small(torch.randn(3, *SHAPE)).shape == (3, 3)
    assert shallow(torch.randn(3, *SHAPE)).shape == (3, 3)


def test_first_units_are_nested():
    channels = channels_of(large(width=8))
    kept = [set(first_units(channels, width).tolist()) for width in (0.2, 0.5, 0.8, 1.0)]
    assert all(smaller < larger for smaller, larger in itertools.pairwise(kept))
    assert kept[-1] == set(np.concatenate([group.units for group in channels.free]).tolist())


@pytest.mark.parametrize(("width", "blocks"), [(0.0, None), (1.1, None), (0.5, 9), (0.5, -1)])
def test_impossible_members_are_refused(width: float, blocks: int | None):
    with pytest.raises(InputError, match="expected"):
        narrow(large(), EXAMPLE, width=width, blocks=blocks)
