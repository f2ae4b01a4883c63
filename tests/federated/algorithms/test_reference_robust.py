"""Robust means beside definitions that were written from their papers, in plain Python and double
precision.
"""

import math
from fractions import Fraction

import numpy as np
import pytest

from handheld.federated.algorithms import Krum, Median, TrimmedMean


def krum(changes, broken, kept):
    """Blanchard et al.: the sum of squared distances to the n - f - 2 nearest others; Multi-Krum
    takes the best few.
    """
    changes = changes.astype(float)
    count = len(changes)
    scores = []
    for one in range(count):
        apart = sorted(
            float(((changes[one] - changes[other]) ** 2).sum())
            for other in range(count)
            if other != one
        )
        scores.append(sum(apart[: count - broken - 2]))
    return changes[sorted(range(count), key=scores.__getitem__)[:kept]].mean(axis=0)


def trimmed(changes, share):
    """Yin et al.: each weight's changes without a share of the largest and of the smallest; whole
    clients, rounded up.
    """
    out = math.ceil(Fraction(str(share)) * len(changes))
    return np.sort(changes.astype(float), axis=0)[out : len(changes) - out].mean(axis=0)


@pytest.mark.parametrize("offset", [0.0, 100.0, 1000.0, 1e4, 1e6])
@pytest.mark.parametrize("kept", [1, 4])
def test_reference_of_krum_with_a_large_part_in_common(offset, kept):
    for seed in range(64):
        rng = np.random.default_rng(seed)
        changes = (offset + rng.normal(0, 0.1, (11, 30))).astype(np.float32)
        changes[4] += np.float32(0.5)
        assert Krum(2, kept=kept).mean(changes).mean == pytest.approx(
            krum(changes, 2, kept), rel=1e-12
        )


def test_reference_of_krum_beside_one_that_is_far_away():
    rng = np.random.default_rng(0)
    changes = rng.normal(0, 1e-3, (9, 20)).astype(np.float32)
    changes[2] = 1e12
    assert Krum(2).mean(changes).mean == pytest.approx(krum(changes, 2, 1), rel=1e-12)


@pytest.mark.parametrize("share", [0.0, 0.07, 0.1, 0.14, 0.28, 0.29, 0.3, 0.4])
@pytest.mark.parametrize("clients", [7, 10, 50, 100])
def test_reference_of_the_trimmed_mean(share, clients):
    changes = np.random.default_rng(clients).normal(size=(clients, 5)).astype(np.float32)
    assert TrimmedMean(share).mean(changes).mean == pytest.approx(
        trimmed(changes, share), rel=1e-6, abs=1e-7
    )


def test_reference_of_a_trimmed_mean_that_floats_would_round_up():
    changes = np.zeros((100, 1), np.float32)
    changes[:8] = 1.0  # of 100 clients 0.07 cuts 7: one of these eight stays
    assert TrimmedMean(0.07).mean(changes).mean[0] == pytest.approx(1 / 86)


@pytest.mark.parametrize("clients", [1, 6, 9])
def test_reference_of_the_median(clients):
    changes = np.random.default_rng(clients).normal(size=(clients, 5)).astype(np.float32)
    middle = [
        sorted(column)[(clients - 1) // 2 : clients // 2 + 1] for column in changes.T.astype(float)
    ]
    assert Median().mean(changes).mean == pytest.approx(
        [sum(each) / len(each) for each in middle], rel=1e-6
    )
