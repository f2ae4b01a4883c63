"""Units and groups of networks that can be read by eye."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from handheld.networks.pruning import cost_of  # noqa: E402
from handheld.networks.structure import channels_of, trace  # noqa: E402


def test_a_chain():
    channels = channels_of(
        trace(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)), torch.randn(2, 2))
    )
    assert channels.count == 3 + 2
    hidden, output = channels.groups
    assert (hidden.layers, hidden.pinned, output.layers) == (("0",), "", ("2",))
    assert output.pinned == "it is an output of the network"
    assert {
        name: [None if ids is None else ids.tolist() for ids in axes]
        for name, axes in channels.axes.items()
    } == {
        "0.weight": [[0, 1, 2], None],
        "0.bias": [[0, 1, 2]],
        "2.weight": [[3, 4], [0, 1, 2]],
        "2.bias": [[3, 4]],
    }


def test_flattening_repeats_each_channel():
    channels = channels_of(
        trace(
            nn.Sequential(nn.Conv2d(1, 2, 1), nn.Flatten(), nn.Linear(6, 2)),
            torch.randn(2, 1, 3, 1),
        )
    )
    first = channels.free[0].units
    assert channels.axes["2.weight"][1].tolist() == np.repeat(first, 3).tolist()


def test_grouped_convolution_loses_the_same_places_of_each_group():
    net = nn.Sequential(nn.Conv2d(1, 6, 1), nn.Conv2d(6, 4, 1, groups=2), nn.Conv2d(4, 1, 1))
    channels = channels_of(trace(net, torch.randn(2, 1, 2, 2)))
    a, b, c = channels.made["0"][:3].tolist()
    assert channels.made["0"].tolist() == [a, b, c, a, b, c]
    assert channels.axes["1.weight"][1].tolist() == [a, b, c]
    assert [len(group.units) for group in channels.free] == [3, 2]


def test_concatenation_of_one_tensor_twice(build):
    net = build.net(
        lambda net, x: net.b(torch.cat([net.a(x)] * 2, 1)), a=nn.Linear(2, 3), b=nn.Linear(6, 1)
    )
    channels = channels_of(trace(net, torch.randn(2, 2)))
    assert channels.axes["b.weight"][1].tolist() == channels.made["a"].tolist() * 2


def test_sum_with_a_concatenation_joins_the_layers_in_order(build):
    def run(net, x):
        return net.d(torch.cat([net.a(x), net.b(x)], 1) + net.c(x))

    net = build.net(run, a=nn.Linear(2, 3), b=nn.Linear(2, 2), c=nn.Linear(2, 5), d=nn.Linear(5, 1))
    channels = channels_of(trace(net, torch.randn(2, 2)))
    (group,) = channels.free
    assert group.layers == ("a", "b", "c")
    assert (
        group.units.tolist()
        == [*channels.made["a"].tolist(), *channels.made["b"].tolist()]
        == channels.made["c"].tolist()
    )


def test_one_pinned_channel_pins_its_group_with_the_reason(build):
    net = build.net(lambda net, x: net.b(net.a(x).cumsum(1)), a=nn.Linear(2, 3), b=nn.Linear(3, 1))
    channels = channels_of(trace(net, torch.randn(2, 2)))
    assert channels.free == ()
    assert channels.groups[0].pinned == "operator cumsum looks at all of them together"


def test_a_network_of_one_layer():
    channels = channels_of(trace(nn.Sequential(nn.Linear(2, 3)), torch.randn(2, 2)))
    assert channels.free == ()


@pytest.mark.parametrize(
    "name", ["size", "dim", "unbind", "matmul", "scaled_dot_product_attention"]
)
def test_a_layer_may_be_called_as_an_operation_is(name):
    network = nn.Sequential()
    network.add_module("first", nn.Linear(4, 8))
    network.add_module(name, nn.Linear(8, 6))
    network.add_module("last", nn.Linear(6, 3))
    traced = trace(network, torch.randn(2, 4))
    channels = channels_of(traced)
    assert [group.layers for group in channels.free] == [("first",), (name,)]
    # 4 x 8 + 8 x 6 + 6 x 3: the layer is counted once, as what it is.
    assert cost_of(traced, channels, "macs").total == 98


def test_a_function_with_a_vector_as_weight_is_no_layer():
    class Scored(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(4, 8)
            self.score = nn.Parameter(torch.ones(8))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return functional.linear(self.first(x), self.score)

    traced = trace(Scored(), torch.randn(2, 4))
    assert [node.op for node in traced.graph.nodes].count("call_module") == 1
