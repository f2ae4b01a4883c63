import math

import pytest

pytest.importorskip("dp_accounting")

from handheld.errors import InputError
from handheld.federated.privacy import central, guarantees, local, tree
from handheld.federated.stages import CentralNoise, Clip, LocalNoise, TreeNoise


def exact(multiplier: float, delta: float) -> float:
    """Epsilon of the Gaussian mechanism on a sum that moves by 1 (Balle and Wang, arXiv 1805.06530), by bisection."""

    def below(x: float) -> float:
        return math.erfc(-x / math.sqrt(2)) / 2

    low, high = 0.0, 200.0
    for _ in range(100):
        epsilon = (low + high) / 2
        shift = epsilon * multiplier
        lost = below(0.5 / multiplier - shift) - math.exp(min(epsilon, 700)) * below(-0.5 / multiplier - shift)
        low, high = (epsilon, high) if lost > delta else (low, epsilon)
    return high


@pytest.mark.parametrize("multiplier", [1.0, 2.0, 8.0])
def test_noise_on_the_device_is_the_gaussian_mechanism_on_two_bounds(multiplier: float):
    assert local(multiplier, 1e-5).epsilon == pytest.approx(exact(multiplier / 2, 1e-5), rel=1e-2)


def test_one_round_of_everybody_and_one_node_of_a_tree_are_the_same():
    true = exact(1.0, 1e-5)
    assert true <= central(2.0, 1, 50, 50, 1e-5).epsilon < 1.15 * true
    assert tree(2.0, 1, 1e-5).epsilon == pytest.approx(true, rel=1e-2)


def test_more_noise_fewer_rounds_and_rarer_devices_promise_more():
    usual = central(1.0, 100, 50, 5000, 1e-5).epsilon
    assert central(2.0, 100, 50, 5000, 1e-5).epsilon < usual
    assert central(1.0, 50, 50, 5000, 1e-5).epsilon < usual
    assert central(1.0, 100, 50, 50_000, 1e-5).epsilon < usual
    assert central(1.0, 100, 5000, 5000, 1e-5).epsilon > usual
    assert tree(8.0, 1000, 1e-5).epsilon < 1.5 * tree(8.0, 200, 1e-5).epsilon
    assert tree(8.0, 100, 1e-5, times=2).epsilon > tree(8.0, 100, 1e-5).epsilon


def test_no_noise_promises_nothing():
    assert {one.epsilon for one in (central(0, 1, 2, 3, 0.1), local(0, 0.1), tree(0, 1, 0.1))} == {math.inf}


def test_a_run_tells_what_each_noise_promises_and_when():
    stages = (Clip(1.0), LocalNoise(1.0), Clip(1.0), CentralNoise(2.0), TreeNoise(4.0))
    own, server, rounds = guarantees(stages, 10, 5, 100, times=3, delta=1e-3)
    assert "nobody needs to be trusted" in str(own)
    assert "each round's 5 of 100 devices are drawn at random" in str(server)
    assert "more than 3 times" in str(rounds)


@pytest.mark.parametrize(("rounds", "delta"), [(0, 0.1), (1, 0.0), (1, 1.0)])
def test_values_outside_their_range(rounds: int, delta: float):
    with pytest.raises(InputError, match="delta above 0"):
        central(1.0, rounds, 1, 1, delta)
    with pytest.raises(InputError, match="delta above 0"):
        tree(1.0, rounds, delta)
