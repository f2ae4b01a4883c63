"""Cutting, and taking slices."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch import nn  # noqa: E402

from handheld.errors import InputError  # noqa: E402
from handheld.networks.structure import channels_of, slim, take, trace  # noqa: E402

WIDTH = st.integers(1, 7)


def chain():
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    net[0].weight.data = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    net[2].weight.data = torch.tensor([[7.0, 8.0, 9.0]])
    return trace(net, torch.randn(2, 2))


def test_keeps_what_is_asked_for():
    network = chain()
    small = slim(network, channels_of(network), channels_of(network).free[0].units[[0, 2]])
    first, last = small.network.get_submodule("0"), small.network.get_submodule("2")
    assert first.weight.tolist() == [[1, 2], [5, 6]]
    assert last.weight.tolist() == [[7, 9]]
    assert (first.out_features, last.in_features) == (2, 2)
    assert {
        name: [p if p is None else p.tolist() for p in places]
        for name, places in small.taken.items()
    } == {
        "0.weight": [[0, 2], None],
        "0.bias": [[0, 2]],
        "2.weight": [None, [0, 2]],
    }
    assert network.get_submodule("0").weight.shape == (3, 2)


def test_keeping_all_is_a_copy_with_weights_of_its_own():
    network = chain()
    copy = slim(network, channels_of(network), np.arange(100))
    assert copy.taken == {}
    with torch.no_grad():
        copy.network.get_submodule("0").weight.zero_()
    assert network.get_submodule("0").weight.sum() != 0


def test_frozen_parameters_stay_frozen():
    network = chain()
    network.get_submodule("0").weight.requires_grad_(False)
    small = slim(network, channels_of(network), channels_of(network).free[0].units[:1]).network
    assert [p.requires_grad for p in small.parameters()] == [False, True, True, True]


def test_tied_parameters_stay_tied(build):
    one, two = nn.Linear(4, 4), nn.Linear(4, 4)
    two.weight = one.weight
    network = trace(nn.Sequential(nn.Linear(2, 4), one, two, nn.Linear(4, 1)), torch.randn(2, 2))
    small = slim(network, channels_of(network), channels_of(network).free[0].units[:2]).network
    assert small.get_submodule("1").weight is small.get_submodule("2").weight
    assert small.get_submodule("1").weight.shape == (2, 2)


def test_no_layer_may_lose_all_channels(build):
    network = chain()
    with pytest.raises(InputError, match="layer '0' would lose all of its 3 channels; keep one"):
        slim(network, channels_of(network), np.array([], int))

    def run(net, x):
        return net.d(torch.cat([net.a(x), net.b(x)], 1) + net.c(x))

    joined = trace(
        build.net(run, a=nn.Linear(2, 3), b=nn.Linear(2, 2), c=nn.Linear(2, 5), d=nn.Linear(5, 1)),
        torch.randn(2, 2),
    )
    channels = channels_of(joined)
    with pytest.raises(InputError, match="layer 'b'"):
        slim(joined, channels, channels.made["a"])


def test_take_is_a_view_of_a_prefix_and_passes_gradients():
    tensor = torch.arange(12.0).reshape(3, 4).requires_grad_()
    view = take(tensor, (torch.tensor([0, 1]), None))
    assert view.data_ptr() == tensor.data_ptr()
    part = take(tensor, (torch.tensor([0, 2]), torch.tensor([1, 3])))
    assert part.tolist() == [[1, 3], [9, 11]]
    part.sum().backward()
    assert tensor.grad.tolist() == [[0, 1, 0, 1], [0, 0, 0, 0], [0, 1, 0, 1]]
    assert take(tensor, ()) is tensor


def test_cut_twice_takes_slices_of_slices(build):
    network = trace(build.lively(build.resnet()), torch.randn(2, 3, 8, 8))
    once = slim(
        network,
        channels_of(network),
        np.concatenate([g.units[::2] for g in channels_of(network).free]),
    ).network
    channels = channels_of(once)
    twice = slim(
        once, channels, np.concatenate([group.units[:1] for group in channels.free])
    ).network
    assert twice(torch.randn(2, 3, 8, 8)).shape == (2, 3)


def test_a_depthwise_layer_of_one_channel_can_be_cut_to_and_analysed(build):
    network = trace(build.lively(build.mobilenet()), torch.randn(2, 3, 8, 8))
    small = slim(
        network,
        channels_of(network),
        np.concatenate([group.units[:1] for group in channels_of(network).free]),
    ).network
    channels = channels_of(small)
    assert (
        slim(small, channels, np.concatenate([group.units for group in channels.free])).taken == {}
    )
    assert all(group.units.size == 1 for group in channels.free)


@settings(max_examples=25, deadline=None)
@given(
    stem=WIDTH,
    middle=st.integers(2, 7),
    times=st.integers(1, 2),
    added=st.integers(2, 7),
    groups=st.sampled_from([1, 2, 3]),
    seed=st.integers(0, 99),
)
def test_the_law_for_all_widths(stem, middle, times, added, groups, seed):
    """Residual, depthwise, grouped and concatenated paths in one network of random widths."""
    torch.manual_seed(seed)

    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(2, stem, 1)
            self.expand = nn.Conv2d(stem, middle, 1)
            self.depthwise = nn.Conv2d(middle, middle * times, 3, padding=1, groups=middle)
            self.project = nn.Conv2d(middle * times, stem, 1)
            self.added = nn.Conv2d(stem, groups * added, 1)
            self.grouped = nn.Conv2d(groups * added, groups * 2, 1, groups=groups)
            self.norm = nn.BatchNorm2d(stem + groups * 2)
            self.head = nn.Linear((stem + groups * 2) * 4, 2)

        def forward(self, x):
            x = torch.relu(self.stem(x))
            x = x + self.project(torch.relu(self.depthwise(torch.relu(self.expand(x)))))
            y = torch.relu(self.grouped(torch.relu(self.added(x))))
            return self.head(torch.relu(self.norm(torch.cat([x, y], 1))).flatten(1))

    example = torch.randn(2, 2, 2, 2)
    network = trace(Mixed(), example)
    channels, rng = channels_of(network), np.random.default_rng(seed)
    assert [group.layers for group in channels.free] == [
        ("stem", "project"),
        ("expand",),
        ("added",),
        ("grouped",),
    ]
    kept = np.concatenate(
        [
            rng.permutation(group.units)[: rng.integers(1, len(group.units) + 1)]
            for group in channels.free
        ]
    )
    small = slim(network, channels, kept).network
    with torch.no_grad():
        for name in ("stem", "project", "expand", "added", "grouped"):
            gone = torch.from_numpy(~np.isin(channels.made[name], kept))
            network.get_submodule(name).weight[gone] = 0
            network.get_submodule(name).bias[gone] = 0
        depthwise, norm = network.get_submodule("depthwise"), network.get_submodule("norm")
        depthwise.bias[
            torch.from_numpy(np.repeat(~np.isin(channels.made["expand"], kept), times))
        ] = 0
        both = np.concatenate([channels.made["stem"], channels.made["grouped"]])
        norm.bias[torch.from_numpy(~np.isin(both, kept))] = 0
        torch.testing.assert_close(small(example), network(example), atol=1e-5, rtol=1e-5)
