import math

import numpy as np
import pytest

pytest.importorskip("dp_accounting")

from handheld.errors import InputError
from handheld.federated.privacy import central, guarantees, local, noise_multiplier, tree
from handheld.federated.stages import CentralNoise, Clip, LocalNoise, TreeNoise


def exact(multiplier: float, delta: float) -> float:
    """Epsilon of the Gaussian mechanism on a sum that moves by 1 (Balle and Wang, arXiv
    1805.06530), by bisection.
    """

    def below(x: float) -> float:
        return math.erfc(-x / math.sqrt(2)) / 2

    low, high = 0.0, 200.0
    for _ in range(100):
        epsilon = (low + high) / 2
        shift = epsilon * multiplier
        lost = below(0.5 / multiplier - shift) - math.exp(min(epsilon, 700)) * below(
            -0.5 / multiplier - shift
        )
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
    assert {one.epsilon for one in (central(0, 1, 2, 3, 0.1), local(0, 0.1), tree(0, 1, 0.1))} == {
        math.inf
    }


def test_a_run_tells_what_each_noise_promises_and_when():
    stages = (Clip(1.0), LocalNoise(1.0), Clip(1.0), CentralNoise(2.0), TreeNoise(4.0))
    own, server, rounds = guarantees(stages, 10, 5, 100, times=3, delta=1e-3)
    assert "nobody needs to be trusted" in str(own)
    assert "each round's 5 of 100 devices are drawn at random" in str(server)
    assert "more than 3 times" in str(rounds)


USUAL = {"multiplier": 1.0, "rounds": 60, "cohort": 300, "population": 6000, "delta": 1e-5}


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"multiplier": -1.0}, r"multiplier: expected a number in \[0, inf\), got -1"),
        ({"multiplier": math.nan}, "multiplier: .* got nan"),
        ({"rounds": 0}, "rounds: expected a whole number of 1 or more, got 0"),
        ({"rounds": 1.5}, "rounds: .* got 1.5"),
        ({"cohort": 0}, "cohort: .* got 0"),
        ({"cohort": 6001}, "cohort: expected at most the population of 6000, got 6001"),
        ({"population": 0}, "population: .* got 0"),
        ({"delta": 0.0}, r"delta: expected a number in \(0, 1\), got 0.0"),
        ({"delta": 1.0}, r"delta: expected a number in \(0, 1\), got 1.0"),
        ({"sampling": "all"}, "sampling: expected fixed or poisson or unknown, got 'all'"),
        ({"relation": "add"}, "relation: expected replace_one or add_or_remove_one, got 'add'"),
        ({"relation": "add_or_remove_one"}, "relation: add_or_remove_one is of Poisson samples"),
        ({"sampling": "unknown", "times": 0}, "times: .* got 0"),
    ],
)
def test_the_one_value_that_is_wrong_is_named(wrong: dict, why: str):
    with pytest.raises(InputError, match=why):
        central(**(USUAL | wrong))


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda: local(-1.0, 0.1), "multiplier"),
        (lambda: local(1.0, 0.0), "delta"),
        (lambda: local(1.0, 0.1, times=0), "times"),
        (lambda: tree(-1.0, 1, 0.1), "multiplier"),
        (lambda: tree(1.0, 0, 0.1), "rounds"),
        (lambda: tree(1.0, 1, 1.0), "delta"),
        (lambda: tree(1.0, 1, 0.1, times=0), "times"),
        (lambda: noise_multiplier(0.0, 1, 1, 1, 0.1), "target_epsilon"),
        (lambda: noise_multiplier(1.0, 1, 2, 1, 0.1), "cohort"),
        (
            lambda: noise_multiplier(1.0, 60, 300, 6000, 0.999),
            r"delta: expected at most one over the 6000 devices, .* got 0.999",
        ),
        (
            lambda: guarantees([LocalNoise(1.0)], 1, 5, 100, times=1, delta=0.02),
            r"delta: expected at most one over the 100",
        ),
        (
            lambda: guarantees([TreeNoise(1.0)], 1, 5, 100, times=1, delta=0.02),
            r"delta: expected at most one over the 100",
        ),
        (
            lambda: noise_multiplier(1e-12, 9, 9, 9, 0.1),
            "target_epsilon: no noise promises 1e-12; expected a larger one",
        ),
    ],
)
def test_other_promises_name_it_too(call, why: str):
    with pytest.raises(InputError, match=why):
        call()


def test_poisson_cohorts_of_the_private_example():
    delta = 1 / 6001
    replaced = central(1.0, 60, 300, 6000, delta, sampling="poisson")
    added = central(1.0, 60, 300, 6000, delta, sampling="poisson", relation="add_or_remove_one")
    fixed = central(1.0, 60, 300, 6000, delta)
    assert [round(one.epsilon, 2) for one in (replaced, added, fixed)] == [3.03, 2.16, 21.80]
    assert "replace one" in replaced.words
    assert "add or remove one" in added.words
    assert "chance of its own, 0.05" in replaced.words


def once(z: float, q: float, epsilon: float) -> float:
    """Delta of one Poisson-sampled Gaussian sum of which one part is replaced by its opposite, by
    integration.
    """
    x = np.linspace(-1 - 12 * z, 1 + 12 * z, 400_001)
    bell = [
        np.exp(-((x - centre) ** 2) / (2 * z * z)) / (z * math.sqrt(2 * math.pi))
        for centre in (-1, 0, 1)
    ]
    one, other = ((1 - q) * bell[1] + q * bell[side] for side in (2, 0))
    return float(np.trapezoid(np.maximum(one - math.exp(epsilon) * other, 0), x))


@pytest.mark.parametrize(("z", "q"), [(1.0, 0.05), (2.0, 0.5), (0.5, 0.2)])
def test_one_poisson_round_is_the_integral_of_its_densities(z: float, q: float):
    delta = 1e-4
    epsilon = central(z, 1, int(1000 * q), 1000, delta, sampling="poisson").epsilon
    assert once(z, q, epsilon) <= delta
    assert once(z, q, epsilon - 0.01) > delta


def test_where_nobody_knows_who_is_drawn_only_times_count():
    exactly = central(2.0, 100, 5, 1000, 1e-5, sampling="unknown", times=4)
    assert exactly.epsilon == pytest.approx(exact(0.5, 1e-5), rel=1e-6)
    assert central(2.0, 100, 5, 1000, 1e-5, sampling="unknown").epsilon > 5 * exactly.epsilon
    assert "drawn at random" not in exactly.words
    assert "more than 4 of them" in exactly.words


def test_local_promises_are_composed_over_the_rounds_a_device_takes_part_in():
    assert local(4.0, 1e-5, times=4).epsilon == pytest.approx(exact(1.0, 1e-5), rel=1e-6)


@pytest.mark.parametrize("sampling", ["fixed", "poisson"])
@pytest.mark.parametrize("target", [0.5, 3.0, 20.0])
def test_the_multiplier_of_a_target_keeps_it_and_not_less(sampling: str, target: float):
    found = noise_multiplier(target, 60, 300, 6000, 1e-5, sampling=sampling)
    assert central(found, 60, 300, 6000, 1e-5, sampling=sampling).epsilon <= target
    assert central(found * 0.995, 60, 300, 6000, 1e-5, sampling=sampling).epsilon > target


@pytest.mark.parametrize("sampling", ["fixed", "poisson", "unknown"])
def test_the_search_for_a_multiplier_ends_where_nothing_is_promised_any_more(sampling: str):
    found = noise_multiplier(1e9, 60, 300, 6000, 1e-5, sampling=sampling)
    assert 0.001 < found < 0.01
    assert 1e4 < central(found, 60, 300, 6000, 1e-5, sampling=sampling).epsilon < 1e9


def test_what_leaves_in_clear_is_named():
    for one in (central(1, 1, 2, 3, 0.1), local(1, 0.1), tree(1, 1, 0.1)):
        assert "losses of devices are left out" in one.words
        assert "written in clear and not covered" in one.words


def test_very_much_noise_promises_nearly_nothing_is_told():
    """The sums of one round were a logarithm of 0."""
    for rounds in (1, 10, 10**9):
        assert central(1e9, rounds, 1, 10, 1e-3).epsilon == pytest.approx(0, abs=1e-3)
    assert central(1e7, 10, 1, 10, 1e-6).epsilon >= central(1e12, 10, 1, 10, 1e-6).epsilon


@pytest.mark.parametrize(
    ("promised", "name"),
    [
        (lambda: central("1", 10, 1, 10, 1e-3), "multiplier"),
        (lambda: central(1.0, "10", 1, 10, 1e-3), "rounds"),
        (lambda: central(1.0, 10, "1", 10, 1e-3), "cohort"),
        (lambda: central(1.0, 10, 1, "10", 1e-3), "population"),
        (lambda: central(1.0, 10, 1, 10, "x"), "delta"),
        (lambda: central(1.0, math.inf, 1, 10, 1e-3), "rounds"),
        (lambda: local("1", 1e-3), "multiplier"),
        (lambda: local(1.0, 1e-3, times="2"), "times"),
        (lambda: tree(1.0, 10, None), "delta"),
        (lambda: noise_multiplier("3", 10, 1, 10, 1e-3), "target_epsilon"),
        (lambda: central(1.0, 10**9, 10, 1000, 1e-5, sampling="poisson"), "rounds"),
    ],
)
def test_what_is_no_number_or_too_many_is_named(promised, name):
    with pytest.raises(InputError, match=rf"^{name}: expected "):
        promised()


def test_the_number_of_classes_that_labels_tell_is_named_as_not_covered():
    for guarantee in (central(1.0, 10, 1, 10, 1e-3), local(1.0, 1e-3), tree(1.0, 10, 1e-3)):
        assert "nor is the number of classes, unless data.classes names it" in guarantee.words
