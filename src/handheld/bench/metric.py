"""The figures: shares, quantiles, and what is right within a wall time, each with its interval.

Intervals are of 95 %. Shares have Wilson's (1927), which holds for few examples and near 0 and 1;
quantiles those of order statistics, which assume nothing of how times are distributed but that one
does not depend on the one before.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.ranges import whole_in_range

_Z = 1.959963984540054  # of the normal distribution, 95 % within
_OUTSIDE = 0.025  # chance on either side of an interval
# Standard deviations from the mean, and their square for small counts (Bernstein): beyond are
# chances of less than 1e-16, which no sum of floats shows.
_TAIL = 10.0


@dataclass(frozen=True)
class MetricEstimate:
    """A figure and its 95 % interval.

    Args:
        value: the figure.
        low, high: ends of the interval; NaN where nothing says how sure the figure is.
        count: examples that it rests on.
    """

    value: float
    low: float
    high: float
    count: int

    @property
    def half(self) -> float:
        """Half of the interval's width."""
        return (self.high - self.low) / 2


def share(right: int, total: int) -> MetricEstimate:
    """Return a share of examples with Wilson's interval.

    Args:
        right: examples that count, in [0, ``total``].
        total: of all, 1 or more.

    Raises:
        InputError: a number is out of range.

    >>> estimate = share(9, 10)
    >>> estimate.value, round(estimate.low, 4), round(estimate.high, 4)
    (0.9, 0.5958, 0.9821)
    """
    whole_in_range("total", total, low=1)
    whole_in_range("right", right, low=0, high=total)
    value = right / total
    middle = value + _Z**2 / (2 * total)
    spread = _Z * math.sqrt(value * (1 - value) / total + _Z**2 / (4 * total**2))
    scale = 1 + _Z**2 / total
    # rounding must not lead out of [0, 1]
    low = max(0.0, (middle - spread) / scale)
    high = min(1.0, (middle + spread) / scale)
    return MetricEstimate(value, low, high, total)


def quantile(times: NDArray[np.float64], level: float) -> MetricEstimate:
    """Return a quantile of times with the interval of order statistics.

    The quantile is interpolated between samples. An end of the interval is the sample that lies
    beyond the true quantile with a chance of 2.5 % at most; NaN where there are too few samples for
    one.

    Args:
        times: (n,) one or more.
        level: in (0, 1), as 0.9.
    """
    ordered = np.sort(times)
    count = len(ordered)
    low, high = _ranks(count, level)
    return MetricEstimate(
        float(np.quantile(ordered, level)), _ranked(ordered, low), _ranked(ordered, high), count
    )


def _ranks(count: int, level: float) -> tuple[int, int]:
    """Return the ranks of the interval's ends, from 1; beyond 1 to ``count`` there is none."""
    # The number of samples below the true quantile is binomial.
    start, below = binomial_cdf(count, level)
    # P(number <= rank - 1) is the chance that the sample of that rank lies above the quantile.
    low = start + int(np.searchsorted(below, _OUTSIDE, side="right"))
    high = start + int(np.searchsorted(below, 1 - _OUTSIDE, side="left")) + 1
    return low, high


def _ranked(ordered: NDArray[np.float64], rank: int) -> float:
    if 1 <= rank <= len(ordered):
        return float(ordered[rank - 1])
    return math.nan


def binomial_cdf(count: int, chance: float) -> tuple[int, NDArray[np.float64]]:
    """Return the chance of at most k successes, for those k where it is neither 0 nor 1.

    A minute of calls of some microseconds is millions of trials, of which a few thousand numbers
    of successes matter.

    Args:
        count: of trials.
        chance: of one success, in (0, 1).

    Returns:
        The first k, and the chances from there on.
    """
    reach = _TAIL * math.sqrt(count * chance * (1 - chance)) + _TAIL**2
    start = max(0, math.floor(count * chance - reach))
    end = min(count, math.ceil(count * chance + reach))
    successes = np.arange(start, end + 1)
    # in logarithms: factorials of thousands of trials are no floats
    logs = np.array([_log_of_ways(count, number) for number in range(start, end + 1)])
    terms = logs + successes * math.log(chance) + (count - successes) * math.log1p(-chance)
    return start, np.asarray(np.minimum(1.0, np.cumsum(np.exp(terms))), np.float64)


def _log_of_ways(count: int, chosen: int) -> float:
    """Return the logarithm of the number of ways to choose some of a count."""
    return math.lgamma(count + 1) - math.lgamma(chosen + 1) - math.lgamma(count - chosen + 1)


@dataclass(frozen=True)
class WallTimeScore:
    """What a model gives within a wall time, by the rule of OVIC.

    Args:
        budget: seconds of one example.
        score: the metric over all examples, of which those that were not reached are wrong.
        reached: examples whose answer came within the wall time.
        examples: of all.
        accuracy_on_reached: the metric over those that were reached; NaN if none was.
        accuracy_per_second: ``accuracy_on_reached`` divided by the longer of the time of all
            examples and the wall time.
    """

    budget: float
    score: MetricEstimate
    reached: int
    examples: int
    accuracy_on_reached: float
    accuracy_per_second: float


def reached_within(times: NDArray[np.float64], wall: float) -> int:
    """Return how many examples are answered within a wall time, the first of which takes none.

    Args:
        times: (n,) seconds of each example, in the order in which they were run.
        wall: seconds that all may take together.

    >>> reached_within(np.array([9.0, 1.0, 1.0, 1.0]), 2.0)
    3
    """
    counted = np.array(times, np.float64)
    # "The first image is not counted": it is answered, and its time is that of starting up.
    counted[:1] = 0.0
    # A sum that is equal but for rounding is within.
    limit = wall * (1 + 1e-12)
    return int(np.searchsorted(np.cumsum(counted), limit, side="right"))


def total_time(times: Sequence[float] | NDArray[np.float64]) -> float:
    """Return the seconds of all examples but the first."""
    return math.fsum(times[1:])


def require_times(times: NDArray[np.float64]) -> None:
    """Raise :class:`InputError` where a clock went backwards, or gave what is no time."""
    if not np.isfinite(times).all() or (times < 0).any():
        raise InputError("times: expected seconds of 0 or more; the clock went backwards")
