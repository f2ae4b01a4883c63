"""Figures against references that are written anew from their published rules."""

import itertools
import math

import numpy as np
import pytest

from handheld.bench.metric import binomial_cdf, quantile, reached_within, share
from handheld.bench.task import score_within
from handheld.errors import InputError


class Right:
    """A task whose answers are whether they are right."""

    name = "made"
    metric = "accuracy"

    def judge(self, answers):
        return share(sum(answer is True for answer in answers), len(answers))


def reference_ovic(answers, times, budget):
    """The kit's rule, image by image: stop when the wall time is used up; the first is free."""
    wall = len(answers) * budget
    used = 0.0
    right = 0
    classified = 0
    for number, (answer, seconds) in enumerate(zip(answers, times, strict=True)):
        if number:
            used += seconds
        if used > wall:
            break
        classified += 1
        right += answer
    total = sum(times[1:])
    metric = right / len(answers)
    accuracy = right / classified if classified else math.nan
    return metric, classified, accuracy, accuracy / max(total, wall)


@pytest.mark.parametrize("seed", range(200))
def test_the_score_is_that_of_the_kit(seed):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 31))
    answers = rng.integers(2, size=count).astype(bool).tolist()
    # eighths, which add up without rounding
    times = rng.integers(13, size=count) / 8
    budget = int(rng.integers(1, 9)) / 8
    score = score_within(Right(), answers, times, budget)
    metric, classified, accuracy, per_second = reference_ovic(answers, times, budget)
    assert score.score.value == pytest.approx(metric)
    assert score.reached == classified
    assert score.accuracy_on_reached == pytest.approx(accuracy, nan_ok=True)
    assert score.accuracy_per_second == pytest.approx(per_second, nan_ok=True)


def test_a_score_by_hand():
    # 4 images x 1 s; the first is free, two of 2 s are reached (4 s), the last is not
    score = score_within(Right(), [True, True, False, True], np.array([50.0, 2, 2, 2]), 1.0)
    assert (score.reached, score.examples) == (3, 4)
    assert score.score.value == 2 / 4
    assert score.accuracy_on_reached == 2 / 3
    assert score.accuracy_per_second == pytest.approx(2 / 3 / 6)


def test_sums_that_are_equal_but_for_rounding_are_within():
    times = np.full(11, 0.1)
    assert reached_within(times, 0.3) == 4


@pytest.mark.parametrize("times", [[1.0, -1.0], [1.0, math.nan]])
def test_a_clock_that_went_backwards_is_told(times):
    with pytest.raises(InputError, match="clock"):
        score_within(Right(), [True, True], np.array(times), 1.0)


@pytest.mark.parametrize(("right", "total"), [(0, 1), (1, 1), (3, 10), (99, 100), (500, 1000)])
def test_wilsons_interval_by_its_equation(right, total):
    # Its ends are where |share - p| = z sqrt(p (1 - p) / n).
    z = 1.959963984540054
    estimate = share(right, total)
    for p in (estimate.low, estimate.high):
        distance = abs(right / total - p)
        assert distance == pytest.approx(z * math.sqrt(p * (1 - p) / total), abs=1e-12)


@pytest.mark.parametrize(("right", "total"), [(1, 0), (-1, 5), (6, 5)])
def test_shares_that_are_none(right, total):
    with pytest.raises(InputError):
        share(right, total)


def test_binomial_chances_by_counting():
    # all 2^5 outcomes of five coins of which each shows heads with 0.3
    chances = [0.0] * 6
    for outcome in itertools.product((0, 1), repeat=5):
        chances[sum(outcome)] += math.prod(0.3 if head else 0.7 for head in outcome)
    start, below = binomial_cdf(5, 0.3)
    assert start == 0
    assert below == pytest.approx(np.cumsum(chances))


def test_of_many_trials_only_the_numbers_that_matter():
    # a minute of calls of three microseconds: a few thousand numbers, and no array of twenty
    # million
    start, below = binomial_cdf(20_000_000, 0.9)
    deviation = math.sqrt(20_000_000 * 0.9 * 0.1)
    assert len(below) < 30 * deviation
    assert (below[0], below[-1]) == (pytest.approx(0, abs=1e-12), pytest.approx(1, abs=1e-6))
    # the normal distribution, which is exact here but for half a step
    median = start + int(np.searchsorted(below, 0.5))
    upper = start + int(np.searchsorted(below, 0.975))
    assert median == pytest.approx(18_000_000, abs=1)
    assert upper - median == pytest.approx(1.959964 * deviation, abs=2)


def test_the_interval_of_a_median_by_the_published_table():
    # Of 10 samples the 2nd and the 9th, of 20 the 6th and the 15th (David and Nagaraja)
    assert quantile(np.arange(1.0, 11), 0.5) == share_like(5.5, 2, 9, 10)
    assert quantile(np.arange(1.0, 21), 0.5) == share_like(10.5, 6, 15, 20)


def share_like(value, low, high, count):
    from handheld.bench import MetricEstimate

    return MetricEstimate(value, low, high, count)


def test_too_few_samples_have_no_end():
    estimate = quantile(np.arange(1.0, 11), 0.99)
    assert math.isnan(estimate.high)
    assert not math.isnan(estimate.low)


def test_intervals_hold_the_true_quantile_as_often_as_they_say():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        estimate = quantile(rng.exponential(size=200), 0.9)
        held += estimate.low <= math.log(10) <= estimate.high
    # at least 95 %, and 400 tries are known to 2 %
    assert held / 400 >= 0.93
