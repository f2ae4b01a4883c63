"""Noise of a secret: normal, nobody else's, and nothing that a run's seed tells."""

import numpy as np
import pytest
from scipy import stats

from handheld.federated.algorithms import FedAvg, Total
from handheld.federated.stages import (
    CentralNoise,
    Clip,
    LocalNoise,
    StageChain,
    StageSeeds,
    TreeNoise,
    Update,
)
from handheld.federated.stages.randomness import Randomness

COUNT = 20_000


def test_words_are_those_of_aes_in_counter_mode():
    """FIPS 197's cipher of zeros under the key of zeros, known everywhere."""
    words = Randomness(0, is_secret=True)._words(2)
    assert words.tobytes().hex() == "66e94bd4ef8a2c3b884cfa59ca342b2e"


def test_numbers_are_those_of_box_and_muller():
    """A reference of its own, number by number."""
    secret = Randomness.fresh()
    words = [int(word) >> 11 for word in secret._words(6)]
    even = [word / 2**53 for word in words]
    expected = []
    for turn in (np.cos, np.sin):
        for number in range(3):
            length = np.sqrt(-2 * np.log(1 - even[number]))
            expected.append(2.5 * length * turn(2 * np.pi * even[3 + number]))
    assert secret.normal(2.5, 6) == pytest.approx(expected)


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_any_number_of_numbers(count):
    assert Randomness.fresh().normal(1, count).shape == (count,)


def test_numbers_are_normal():
    numbers = Randomness(20_261_127 << 64, is_secret=True).normal(3.0, 200_000)
    assert stats.kstest(numbers / 3.0, "norm").pvalue > 1e-3
    assert abs(np.corrcoef(numbers[:-1], numbers[1:])[0, 1]) < 0.01


def test_a_seed_of_a_run_gives_what_numpy_gives():
    expected = np.random.default_rng(7).normal(0, 2.0, 5)
    assert Randomness(7).normal(2.0, 5).tolist() == expected.tolist()


def test_uses_of_a_secret_are_apart():
    secret = Randomness.fresh()
    seeds = {secret.seed, *(secret.of(*uses).seed for uses in [(0,), (1,), (0, 0), (0, 1), (1, 0)])}
    assert len(seeds) == 6
    assert secret.of(3) == secret.of(3)
    assert Randomness.fresh() != Randomness.fresh()


def chain(*stages):
    return StageChain(stages, FedAvg(), ((COUNT,),), equal=True, clients=4)


def fresh_seeds():
    return StageSeeds(1, Randomness.fresh().seed, encoding=5, is_secret=True)


def test_a_devices_noise_is_new_each_time_and_not_that_of_the_runs_seed():
    way = chain(Clip(1.0), LocalNoise(2.0))
    memory = way.start()
    facts = way.facts(memory)
    zeros = Update.of(np.zeros(COUNT, np.float32))
    sent = [
        way.on_arrival(way.on_device(zeros, facts, memory, seeds), facts, memory, seeds).values
        for seeds in (fresh_seeds(), fresh_seeds(), StageSeeds(1, 5))
    ]
    for values in sent:
        assert np.std(values) == pytest.approx(2.0, rel=0.03)
    correlations = np.corrcoef(sent)
    assert np.abs(correlations[np.triu_indices(3, 1)]).max() < 0.05


def test_a_servers_noise_is_new_each_time():
    way = chain(Clip(1.0), CentralNoise(2.0))
    total = Total(np.zeros(COUNT), 4.0, 4)
    one, other = (way.on_sum(total, way.start(), fresh_seeds())[0].change for _ in range(2))
    assert np.std(one) == pytest.approx(2.0, rel=0.03)
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.05


def test_noise_of_a_tree_cancels_though_each_round_has_its_own_secret():
    """After 4 rounds the sum has the noise of one node, after 3 of two (Kairouz et al.)."""
    way = chain(Clip(1.0), TreeNoise(2.0))
    memory = way.start()
    so_far = np.zeros(COUNT)
    for nodes in (1, 1, 2, 1, 2):
        total, memory = way.on_sum(Total(np.zeros(COUNT), 4.0, 4), memory, fresh_seeds())
        so_far += total.change
        assert np.std(so_far) == pytest.approx(2.0 * np.sqrt(nodes), rel=0.03)
    assert memory[1]["seed"].shape == (2,)  # 128 bits
    assert way.public(memory)[1] == {}
