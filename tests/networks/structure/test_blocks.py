"""Residual blocks that are left out."""

import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from torch import nn  # noqa: E402

from handheld.errors import InputError  # noqa: E402
from handheld.networks.structure import channels_of, macs, removable_blocks, trace, without_blocks  # noqa: E402


def nested(net, x):
    x = net.a(x)
    x = x + net.b(x + net.c(x))
    return net.head(x + net.d(x))


@pytest.fixture
def network(build):
    torch.manual_seed(0)
    layers = {name: nn.Linear(4, 4) for name in "abcd"}
    return trace(build.net(nested, **layers, head=nn.Linear(4, 2)), torch.randn(2, 4))


def test_finds_blocks_also_nested_ones(network):
    assert removable_blocks(network) == ("add", "add_1", "add_2")


def test_a_block_that_is_left_out_is_its_input(network):
    x = torch.randn(3, 4)
    a, b, d, head = (network.get_submodule(name) for name in ("a", "b", "d", "head"))
    y = a(x)
    torch.testing.assert_close(without_blocks(network, ["add_1", "add_2"])(x), head(y))
    torch.testing.assert_close(without_blocks(network, ["add", "add_2"])(x), head(y + b(y)))
    once = without_blocks(network, ["add_1"])
    torch.testing.assert_close(once(x), head(y + d(y)))
    assert set(macs(once)) == {"a", "d", "head"}
    assert [group.layers for group in channels_of(once).free] == [("a", "d")]


def test_all_blocks_at_once_in_any_order(network):
    x = torch.randn(3, 4)
    all_out = without_blocks(network, ["add_2", "add", "add_1"])
    torch.testing.assert_close(
        all_out(x), network.get_submodule("head")(network.get_submodule("a")(x))
    )
    assert len(list(network.graph.nodes)) > len(list(all_out.graph.nodes))


def test_leaving_out_one_after_the_other(network):
    step = without_blocks(network, ["add_1"])
    assert removable_blocks(step) == ("add_2",)
    assert removable_blocks(without_blocks(step, ["add_2"])) == ()


def test_no_such_block(network):
    with pytest.raises(InputError, match="no residual block 'add_9'; there are add, add_1, add_2"):
        without_blocks(network, ["add_9"])


def bias(net, x):
    return net.a(x) + net.bias


def outside(net, x):
    y = net.a(x)
    return y + net.b(y) * x


def changed_in_place(net, x):
    y = net.a(x)
    return y + net.b(torch.relu_(y))


def scaled(net, x):
    y = net.a(x)
    return torch.add(net.b(y), y, alpha=2)


def two_branches(net, x):
    return net.a(x) + net.b(x)


@pytest.mark.parametrize("run", [bias, outside, scaled, two_branches])
def test_what_is_no_block(run, build):
    network = trace(
        build.net(run, a=nn.Linear(4, 4), b=nn.Linear(4, 4), bias=torch.zeros(2, 4)),
        torch.randn(2, 4),
    )
    assert removable_blocks(network) == ()


def test_a_block_of_what_was_changed_in_place(build):
    module = build.net(changed_in_place, a=nn.Linear(4, 4), b=nn.Linear(4, 4))
    network, x = trace(module, torch.randn(2, 4)), torch.randn(2, 4)
    assert removable_blocks(network) == ("add",)
    torch.testing.assert_close(without_blocks(network, ["add"])(x), module.a(x).relu())


def test_a_projection_is_no_block(build):
    network = trace(build.lively(build.resnet()), torch.randn(2, 3, 8, 8))
    assert removable_blocks(network) == ("add",)
