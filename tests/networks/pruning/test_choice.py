"""Which units stay."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch import nn  # noqa: E402

from handheld.errors import InputError  # noqa: E402
from handheld.networks.pruning import choose_units, cost_of  # noqa: E402
from handheld.networks.structure import channels_of, macs, slim, trace  # noqa: E402


@pytest.fixture(scope="module")
def chain():
    network = trace(
        nn.Sequential(nn.Linear(2, 10), nn.ReLU(), nn.Linear(10, 8), nn.ReLU(), nn.Linear(8, 2)),
        torch.randn(2, 2),
    )
    return network, channels_of(network)


def share(network, channels, kept, of="macs"):
    cost = cost_of(network, channels, of)
    gone = np.setdiff1d(np.concatenate([group.units for group in channels.free]), kept)
    return cost.of(gone) / cost.total


def test_by_hand():
    """Costs 2 * 4 + 4 * 1: each unit costs 3, so the two least important of four go for half."""
    network = trace(nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1)), torch.randn(2, 2))
    channels = channels_of(network)
    importance = np.zeros(channels.count)
    importance[channels.made["0"]] = [4, 1, 3, 2]
    assert (
        choose_units(network, channels, importance, keep=0.5).tolist()
        == channels.made["0"][[0, 2]].tolist()
    )


def test_importance_is_set_against_cost(chain):
    """All equally important: units of the second layer cost 10 + 2, of the first 2 + 8, so the
    second goes first.
    """
    network, channels = chain
    kept = choose_units(network, channels, np.ones(channels.count), keep=0.8)
    assert np.isin(channels.made["0"], kept).all()
    assert not np.isin(channels.made["2"], kept).all()


@settings(max_examples=40, deadline=None)
@given(
    keeps=st.tuples(st.floats(0.05, 1), st.floats(0.05, 1)),
    of=st.sampled_from(["macs", "parameters", "size"]),
    round_to=st.sampled_from([1, 2, 4]),
    seed=st.integers(0, 50),
)
def test_keeps_at_most_the_share_monotonically(chain, keeps, of, round_to, seed):
    network, channels = chain
    importance = np.random.default_rng(seed).random(channels.count)
    less, more = sorted(keeps)
    fewer, most = (
        choose_units(
            network, channels, importance, keep=keep, of=of, minimum=0.2, round_to=round_to
        )
        for keep in (less, more)
    )
    assert set(fewer) <= set(most)
    least = choose_units(
        network, channels, importance, keep=1e-9, of=of, minimum=0.2, round_to=round_to
    )
    for keep, kept in ((less, fewer), (more, most)):
        assert share(network, channels, kept, of) <= keep + 1e-6 or set(kept) == set(least)
        for group in channels.free:
            stay = np.isin(group.units, kept).sum()
            assert stay >= 0.2 * len(group.units)
            assert stay % round_to == 0 or stay == len(group.units)


def test_no_more_goes_than_must(mixed, example):
    network = trace(mixed, example)
    channels = channels_of(network)
    importance = np.random.default_rng(0).random(channels.count)
    kept = choose_units(network, channels, importance, keep=0.5)
    assert 0.4 < share(network, channels, kept) <= 0.5
    small = slim(network, channels, kept).network
    assert sum(macs(small).values()) <= 0.5 * sum(macs(network).values())


def test_all_stay_for_all_the_cost(chain):
    network, channels = chain
    assert len(choose_units(network, channels, np.ones(channels.count), keep=1.0)) == 18


def test_a_goal_too_low_leaves_the_minimum(chain):
    network, channels = chain
    kept = choose_units(network, channels, np.ones(channels.count), keep=1e-6, minimum=0.3)
    assert [np.isin(group.units, kept).sum() for group in channels.free] == [3, 3]
    kept = choose_units(network, channels, np.ones(channels.count), keep=1e-6, minimum=0)
    assert [np.isin(group.units, kept).sum() for group in channels.free] == [1, 1]


def test_each_layer_of_a_group_keeps_a_channel():
    class Joined(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c, self.d = (
                nn.Linear(2, 3),
                nn.Linear(2, 2),
                nn.Linear(2, 5),
                nn.Linear(5, 1),
            )

        def forward(self, x):
            return self.d(torch.cat([self.a(x), self.b(x)], 1) + self.c(x))

    network = trace(Joined(), torch.randn(2, 2))
    channels = channels_of(network)
    importance = np.ones(channels.count)
    importance[channels.made["b"]] = 0
    kept = choose_units(network, channels, importance, keep=1e-6, minimum=0)
    assert [np.isin(channels.made[layer], kept).sum() for layer in "abc"] == [1, 1, 2]
    slim(network, channels, kept)


def test_ties_are_broken_the_same_way(chain):
    network, channels = chain
    one, two = (
        choose_units(network, channels, np.zeros(channels.count), keep=0.4) for _ in range(2)
    )
    assert one.tolist() == two.tolist()


def test_infinite_importance_goes_last(chain):
    network, channels = chain
    importance = np.ones(channels.count)
    importance[channels.made["2"]] = np.inf
    kept = choose_units(network, channels, importance, keep=0.5)
    assert np.isin(channels.made["2"], kept).all()


def test_arguments(chain):
    network, channels = chain
    with pytest.raises(InputError, match=rf"expected {channels.count} importances.*shape \(3,\)"):
        choose_units(network, channels, np.ones(3), keep=0.5)
    with pytest.raises(InputError, match="importances of 0 or more"):
        choose_units(network, channels, np.full(channels.count, np.nan), keep=0.5)
    for wrong in (
        {"keep": 0},
        {"keep": 1.1},
        {"keep": 0.5, "minimum": 2},
        {"keep": 0.5, "round_to": 0},
    ):
        with pytest.raises(InputError, match="expected"):
            choose_units(network, channels, np.ones(channels.count), **wrong)
