"""Costs computed without cutting are those of really cutting."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from torch import nn  # noqa: E402

from handheld.networks.pruning import cost_of  # noqa: E402
from handheld.networks.structure import channels_of, macs, slim, trace  # noqa: E402


def folded_size(network):
    """Numbers of the layers with weights, with a bias each."""
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    makers = [layer for layer in layers if not (isinstance(layer, nn.Conv2d) and layer.groups > 1)]
    return sum(layer.weight.numel() for layer in layers) + sum(
        len(layer.weight) for layer in makers
    )


MEASURE = {
    "macs": lambda network: sum(macs(network).values()),
    "parameters": lambda network: sum(p.numel() for p in network.parameters()),
    "size": folded_size,
}


@pytest.mark.parametrize("of", MEASURE)
@pytest.mark.parametrize("seed", range(5))
def test_equals_what_cutting_gives(mixed, example, of, seed):
    network = trace(mixed, example)
    channels, rng = channels_of(network), np.random.default_rng(seed)
    gone = np.concatenate(
        [rng.permutation(g.units)[: rng.integers(0, len(g.units))] for g in channels.free]
    )
    cost = cost_of(network, channels, of)
    assert cost.total == pytest.approx(MEASURE[of](network))
    small = slim(network, channels, np.setdiff1d(np.arange(channels.count), gone)).network
    assert cost.of(gone) == pytest.approx(MEASURE[of](small))


@pytest.mark.parametrize("of", MEASURE)
def test_of_each_unit_alone(mixed, example, of):
    network = trace(mixed, example)
    channels = channels_of(network)
    cost = cost_of(network, channels, of)
    for unit in [int(group.units[-1]) for group in channels.free]:
        assert cost.of_each()[unit] == pytest.approx(cost.total - cost.of(np.array([unit])))


def test_by_hand():
    network = trace(
        nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 3)),
        torch.randn(2, 5),
    )
    channels = channels_of(network)
    assert cost_of(network, channels, "macs").total == 20 + 12
    assert cost_of(network, channels, "parameters").total == 20 + 4 + 8 + 12 + 3
    assert cost_of(network, channels, "size").total == 20 + 4 + 12 + 3
    hidden = channels.free[0].units
    assert cost_of(network, channels, "macs").of_each()[hidden].tolist() == [8] * 4
