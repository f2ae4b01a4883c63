"""The rules by which models are measured, as values.

They are those of the On-device Visual Intelligence Challenge (OVIC; Google, LPIRC and LPCV, 2018 to
2020) as its benchmark kit and its leaderboards state them:

- time is that of the interpreter alone, on one thread that keeps to one core; the first example is
  not counted;
- N examples have a wall time of N x budget; what is not reached within it counts as wrong;
- a picture is cut to the middle 87.5 % of its sides, then resized bilinearly;
- since 2019 a model is set beside the empirical Pareto curve accuracy(t) = k log t + a0, with t the
  time of one example in milliseconds: its metric is how far it lies above.

How many queries a run needs is MLPerf's rule (single stream: 1,024 queries and 60 s).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from handheld.errors import InputError
from handheld.ranges import in_range, whole_in_range
from handheld.reports import front

CLASSIFICATION_BUDGET = 0.033
"""Seconds of one picture: the challenge's 33 ms (its kit's default was 30)."""

DETECTION_BUDGET = 0.1
"""Seconds of one picture of the detection track."""

_LONGEST_BUDGET = 3600.0  # seconds of one example
_LONGEST_RUN = 86_400.0
_MOST_QUERIES = 10**7
_MILLISECOND = 1e-3


@dataclass(frozen=True, kw_only=True)
class BenchProtocol:
    """How a model is measured.

    Args:
        budgets: seconds of one example, in (0, 3600]; a score is given at each.
        threads: of the interpreter, 1 or more.
        crop: share of a picture's sides that is kept, in (0, 1].
        min_queries: calls that are counted, 1 or more; the examples go round until there are so
            many.
        min_seconds: that the counted calls take together, 0 or more.
        core: number of the core that the thread keeps to, 0 or more; None: the last one.
        seed: of the order in which models take turns, and of what is drawn for intervals.

    Raises:
        InputError: names the number that is out of range.
    """

    budgets: tuple[float, ...] = (CLASSIFICATION_BUDGET,)
    threads: int = 1
    crop: float = 0.875
    min_queries: int = 100
    min_seconds: float = 1.0
    core: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.budgets:
            raise InputError("budgets: expected one number or more, got none")
        for number, budget in enumerate(self.budgets):
            in_range(f"budgets[{number}]", budget, low=0, high=_LONGEST_BUDGET, low_open=True)
        whole_in_range("threads", self.threads, low=1)
        in_range("crop", self.crop, low=0, high=1, low_open=True)
        whole_in_range("min_queries", self.min_queries, low=1, high=_MOST_QUERIES)
        in_range("min_seconds", self.min_seconds, low=0, high=_LONGEST_RUN)
        if self.core is not None:
            whole_in_range("core", self.core, low=0)
        whole_in_range("seed", self.seed, low=0)

    @property
    def is_official(self) -> bool:
        """Whether a run is as long as MLPerf asks of a single stream."""
        return self.min_queries >= OFFICIAL_QUERIES and self.min_seconds >= OFFICIAL_SECONDS


OFFICIAL_QUERIES = 1024
"""MLPerf Inference's rule for a single stream."""

OFFICIAL_SECONDS = 60.0
"""Likewise."""


def wall_time(examples: int, budget: float) -> float:
    """Return the seconds that so many examples may take together.

    >>> wall_time(20_000, 0.030)
    600.0
    """
    return examples * budget


@dataclass(frozen=True)
class ParetoCurve:
    """What the best models reach in a time: accuracy(t) = slope log t + offset.

    Args:
        slope: k of the rule, for each factor e of time.
        offset: a0, the accuracy at one millisecond.
    """

    slope: float
    offset: float

    def at(self, seconds: float) -> float:
        """Return the reference accuracy of a model of this latency, a share in [0, 1].

        >>> round(ParetoCurve(slope=0.1, offset=0.4).at(0.001), 6)
        0.4
        """
        share = self.slope * math.log(seconds / _MILLISECOND) + self.offset
        # the line leaves what a share can be: nobody is measured against more than all right
        return min(1.0, max(0.0, share))

    def gain(self, accuracy: float, seconds: float) -> float:
        """Return the metric of 2019 and later: how far an accuracy lies above the curve."""
        return accuracy - self.at(seconds)


def fit_pareto(results: Iterable[tuple[float, float]]) -> ParetoCurve | None:
    """Fit the curve to those results that no other beats, by least squares.

    Args:
        results: latency in seconds and accuracy in [0, 1] of each model.

    Returns:
        The curve; None where fewer than two models of different latency are unbeaten, through which
        no line is drawn.
    """
    unbeaten = front((seconds, share) for seconds, share in results if seconds > 0)
    if len(unbeaten) < 2:
        return None
    seconds, shares = np.array(unbeaten, np.float64).T
    slope, offset = np.polyfit(np.log(seconds / _MILLISECOND), shares, 1)
    return ParetoCurve(float(slope), float(offset))
