"""Adaptive clipping, noise from a tree and rounding beside references that were written from their
papers.
"""

import math

import numpy as np
import pytest

from handheld.federated.algorithms import FedAvg, Total
from handheld.federated.stages import (
    AdaptiveClip,
    CentralNoise,
    Clip,
    StageChain,
    StageSeeds,
    TreeNoise,
    Update,
    WholeNumbers,
)

COUNT = 5
SPREAD = (
    0.5  # of the logarithms of updates' lengths: their 90 % quantile is exp(0.5 * 1.2816) = 1.90
)


def clipped(stages, cohort, rounds, seed=0):
    """Return the length in each round, of updates whose lengths are log-normal."""
    rng, memory = np.random.default_rng(seed), stages.start()
    lengths = []
    for number in range(rounds):
        lengths.append(float(memory[0]["length"]))
        facts, change = stages.facts(memory), 0.0
        for _ in range(cohort):
            x = np.zeros(COUNT, np.float32)
            x[0] = math.exp(SPREAD * rng.normal())
            change = change + stages.on_update(
                Update.of(x), facts, memory, StageSeeds(0, 0)
            ).values.astype(float)
        total = Total(change, float(cohort), cohort)
        _, memory = stages.on_sum(total, memory, StageSeeds(number, 1000 * seed + number))
    return np.array(lengths)


def andrew(quantile, cohort, z, rounds, seed=0):
    """Andrew et al., algorithm 1: b = mean of short ones + N(0, sigma_b) / m; C <- C exp(-0.2 (b -
    quantile)).
    """
    rng = np.random.default_rng(seed)
    sigma_b = cohort / 20
    if (
        2 * sigma_b <= math.sqrt(5) * z
    ):  # the split that the stage takes where the paper's rule leaves nothing
        sigma_b = z * math.sqrt(5) / 2
    clip, lengths = 0.1, []
    for _ in range(rounds):
        lengths.append(clip)
        short = (np.exp(SPREAD * rng.normal(size=cohort)) <= clip).sum()
        noisy = (short + sigma_b * rng.normal()) / cohort
        clip *= math.exp(-0.2 * (noisy - quantile))
    return np.array(lengths)


def private(quantile, cohort, z=1.0):
    stages = (AdaptiveClip(quantile=quantile), CentralNoise(z))
    return StageChain(stages, FedAvg(), ((COUNT,),), equal=True, clients=cohort)


@pytest.mark.parametrize(
    ("quantile", "cohort"),
    [(0.9, 10), (0.9, 20), (0.8, 10), (0.1, 10), (0.1, 20), (0.5, 10), (0.5, 100), (0.9, 100)],
)
def test_reference_of_adaptive_clipping_with_noise(quantile, cohort):
    ours = np.log(
        [clipped(private(quantile, cohort), cohort, 300, seed)[100:] for seed in range(6)]
    )
    theirs = np.log([andrew(quantile, cohort, 1.0, 300, seed)[100:] for seed in range(40)])
    assert ours.mean() == pytest.approx(theirs.mean(), abs=0.12)
    true = SPREAD * {0.1: -1.2816, 0.5: 0.0, 0.8: 0.8416, 0.9: 1.2816}[quantile]
    assert ours.mean() == pytest.approx(
        true, abs=0.35
    )  # where it stays; it ran away to 295 in one of these cases
    assert np.abs(ours - true).max() < 2.0


@pytest.mark.parametrize(("cohort", "z"), [(300, 1.0), (100, 2.0), (40, 1.0), (25, 1.0)])
def test_reference_of_the_noise_budget(cohort, z):
    stages = private(0.5, cohort, z)
    facts = stages.facts(stages.start())
    bound, length = facts[1].bound, 0.1
    mark = 2 * math.sqrt((bound / length) ** 2 - 1)
    z_delta = z * bound / length  # of updates, in lengths
    sigma_b = z * bound / (mark * length)  # of the count of short ones
    assert z**-2 == pytest.approx(z_delta**-2 + (2 * sigma_b) ** -2)
    assert sigma_b == pytest.approx(cohort / 20)


def test_reference_of_a_share_that_is_not_cut_off():
    """One round by hand: mark 0.2, sum of marks -3 * 0.2 * 0.1 over 10 devices: a share of 0.5 -
    0.3.
    """
    stages = StageChain((AdaptiveClip(mark=0.2),), FedAvg(), ((COUNT,),), equal=True)
    for marks, share in ((-3, 0.2), (9, 1.4), (-8, -0.3)):
        change = np.array([0.0] * COUNT + [marks * 0.2 * 0.1])
        _, memory = stages.on_sum(Total(change, 10.0, 10), stages.start(), StageSeeds(0, 0))
        assert float(memory[0]["length"]) == pytest.approx(0.1 * math.exp(-0.2 * (share - 0.5)))


def nodes(rounds):
    """Kairouz et al. 2021 (DP-FTRL): the nodes of a binary tree that cover the first rounds:
    (level, number).
    """
    covered, start = [], 0
    while start < rounds:
        level = 0
        while start % 2 ** (level + 1) == 0 and start + 2 ** (level + 1) <= rounds:
            level += 1
        covered.append((level, start // 2**level))
        start += 2**level
    return covered


def test_reference_of_noise_from_a_tree():
    count, rounds = 3000, 13
    stages = StageChain((Clip(1.0), TreeNoise(0.5)), FedAvg(), ((count,),), equal=True)
    memory, prefix, prefixes = stages.start(), np.zeros(count), []
    for number in range(rounds):
        total = Total(np.zeros(count), 1.0, 1)
        summed, memory = stages.on_sum(total, memory, StageSeeds(number, number))
        prefix = prefix + summed.change
        prefixes.append(prefix)
    for one in range(rounds):
        for other in range(one + 1):
            shared = len(set(nodes(one + 1)) & set(nodes(other + 1)))
            covariance = np.mean(prefixes[one] * prefixes[other])
            assert covariance == pytest.approx(0.25 * shared, abs=0.06)


@pytest.mark.parametrize("bits", [2, 3, 4, 8, 16])
@pytest.mark.parametrize("count", [1, 1000, 5000])
def test_reference_of_how_much_rounding_lengthens(bits, count):
    """Kairouz, Liu and Steinke (arXiv 2102.06387), with beta = exp(-1/2); the grid's end is at 4 /
    sqrt(d).
    """
    stages = StageChain((Clip(1.0), WholeNumbers(9, bits=bits)), FedAvg(), ((count,),), equal=True)
    d = 1024 if count <= 1024 else 4096 + 1024
    gamma = 4 / math.sqrt(d) / (2 ** (bits - 1) - 1)
    conditional = 1 + gamma**2 * d / 4 + math.sqrt(2 * 0.5) * gamma * (1 + gamma * math.sqrt(d) / 2)
    expected = min(math.sqrt(conditional), 1 + gamma * math.sqrt(d))
    assert stages.facts(stages.start())[-1].bound == pytest.approx(expected, rel=3e-4)
