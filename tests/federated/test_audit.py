"""Two populations that differ in one device: what an attacker sees of a round never beats the
epsilon that is printed.
"""

import math
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("dp_accounting")
pytest.importorskip("torch")
pytest.importorskip("scipy")

from handheld.errors import InputError
from handheld.federated.audit import least_epsilon
from handheld.federated.privacy import central
from handheld.federated.stages import CentralNoise, Clip

BENCHMARKS = str(Path(__file__).parents[2] / "benchmarks")
sys.path.insert(0, BENCHMARKS)
from privacy_audit import CASES, ONE_WAY, audited, plan, scores_of  # noqa: E402

sys.path.remove(BENCHMARKS)  # it has names that examples have too

DELTA = 0.01


def gaussian(apart, runs, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(apart, 1, runs), rng.normal(0, 1, runs)


def test_without_a_difference_nothing_is_shown():
    shown = [least_epsilon(*gaussian(0.0, 500, seed), DELTA) for seed in range(40)]
    assert np.mean(np.array(shown) > 0.0) <= 0.15  # 5 % are allowed
    assert max(shown) < 0.5


@pytest.mark.parametrize(("apart", "epsilon"), [(1.0, 2.8), (2.0, 6.6)])
def test_of_a_difference_much_is_shown_but_not_more_than_there_is(apart, epsilon):
    """Epsilon of the Gaussian mechanism at delta 0.01: 2.80 and 6.60 (Balle and Wang)."""
    shown = [least_epsilon(*gaussian(apart, 4000, seed), DELTA) for seed in range(20)]
    assert np.mean(np.array(shown) <= epsilon) >= 0.9
    assert np.median(shown) > 0.35 * epsilon


def test_a_difference_is_shown_whichever_way_it_goes():
    one, other = gaussian(3.0, 2000)
    assert min(least_epsilon(one, other, 0.0), least_epsilon(other, one, 0.0)) > 2
    assert min(least_epsilon(-one, other, 0.0), least_epsilon(other, -one, 0.0)) > 2


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda: least_epsilon(np.zeros(3), np.zeros(9), 0.1), "scores: expected 4 or more"),
        (lambda: least_epsilon(np.zeros(9), np.zeros(9), 1.0), "delta"),
        (lambda: least_epsilon(np.zeros(9), np.zeros(9), 0.1, confidence=1.0), "confidence"),
    ],
)
def test_what_makes_no_sense(call, why):
    with pytest.raises(InputError, match=why):
        call()


@pytest.mark.parametrize("name", CASES)
def test_an_attacker_does_not_beat_what_is_printed(name):
    row = audited(name, 200)
    assert math.isfinite(row["epsilon printed"])
    assert row["epsilon shown"] <= row["epsilon printed"]


def test_an_attacker_comes_near_to_what_is_printed():
    row = audited("clip, central noise", 1500)
    assert row["epsilon shown"] > 0.5 * row["epsilon printed"] > 0


def test_a_noise_that_is_too_small_for_what_is_printed_is_found_out():
    """Noise for a sixth of what a device adds, as it was behind compression: 0.33 where 2 is
    printed.
    """
    small = plan(Clip(1.0), CentralNoise(0.33))
    scores = [scores_of(small, sends, 1000, number) for number, sends in enumerate(ONE_WAY)]
    assert least_epsilon(*scores, 1e-4) > central(2.0, 1, 20, 20, 1e-4).epsilon
