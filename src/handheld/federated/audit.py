"""What an attacker learns of one device: a bound from below, beside the epsilon that is promised.

Jagielski, Ullman and Oprea, "Auditing Differentially Private Machine Learning" (arXiv 2006.07709).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.ranges import in_range

Scores = NDArray[np.float64]

_THRESHOLDS = 200  # that are tried, between the extremes of the scores
_TINY = 1e-300


def least_epsilon(one: Scores, other: Scores, delta: float, *, confidence: float = 0.95) -> float:
    """Return an epsilon that no promise about two populations can be below.

    The attacker says which of two populations learned by whether a score is above a threshold. The
    threshold is chosen on every second run, and its errors are counted on the others; their shares
    are taken at their Clopper-Pearson bounds, so that luck does not look like knowledge. Of a
    mechanism with (epsilon, delta) the share of right answers is at most exp(epsilon) times that of
    wrong ones, and delta more.

    Args:
        one: (n,) scores of runs with the first population, 4 or more.
        other: (m,) scores with the second.
        delta: of the promise, in [0, 1).
        confidence: in (0, 1).

    Returns:
        0 where the scores tell nothing.

    Raises:
        InputError: too few scores, or a delta or a confidence outside of these.
    """
    if min(len(one), len(other)) < 4:
        raise InputError(
            f"scores: expected 4 or more of each population, got {len(one)} and {len(other)}"
        )
    in_range("delta", delta, low=0, high=1, high_open=True)
    in_range("confidence", confidence, low=0, high=1, low_open=True, high_open=True)
    # Scores that rise with the first population, and those that fall: an attacker may use either.
    attacks = [_Attack(one, other), _Attack(other, one)]
    attacks += [_Attack(-one, -other), _Attack(-other, -one)]
    best = max(attacks, key=lambda attack: attack.shown(delta)[0])
    _, threshold = best.shown(delta)
    return best.proven(threshold, delta, confidence)


@dataclass(frozen=True, eq=False)
class _Attack:
    """Scores above a threshold are said to come of the first population.

    Every second score chooses the threshold; the others count its errors.
    """

    inside: Scores
    outside: Scores

    def shown(self, delta: float) -> tuple[float, float]:
        """Return the largest epsilon that every second score shows, and its threshold.

        A deviation and one score are taken off, so that luck does not choose the threshold.
        """
        inside = self.inside[::2]
        outside = self.outside[::2]
        low = min(inside.min(), outside.min())
        high = max(inside.max(), outside.max())
        thresholds = np.linspace(low, high, _THRESHOLDS, endpoint=False)
        right = _shares_above(inside, thresholds)
        wrong = _shares_above(outside, thresholds)
        at_least = right - _deviations(right, len(inside)) - 1 / len(inside) - delta
        at_most = wrong + _deviations(wrong, len(outside)) + 1 / len(outside)
        # No share is above 0 where nothing is shown: its logarithm is as low as floats go.
        epsilons = np.log(np.maximum(at_least, _TINY) / at_most)
        best = int(epsilons.argmax())
        return float(epsilons[best]), float(thresholds[best])

    def proven(self, threshold: float, delta: float, confidence: float) -> float:
        """Return the epsilon that the other scores prove; 0 where they prove nothing."""
        right = self.inside[1::2] > threshold
        wrong = self.outside[1::2] > threshold
        # Half of what may go wrong is for either share.
        level = (1 - confidence) / 2
        at_least = _lower(int(right.sum()), len(right), level)
        # The upper bound of a share is the lower one of the others, from the other side.
        others = int((~wrong).sum())
        at_most = 1 - _lower(others, len(wrong), level)
        if at_least <= delta:
            return 0.0
        return max(0.0, math.log((at_least - delta) / at_most))


def _shares_above(scores: Scores, thresholds: Scores) -> Scores:
    """Return, for each threshold, the share of scores above it."""
    return np.asarray((scores[:, None] > thresholds).mean(axis=0))


def _deviations(shares: Scores, count: int) -> Scores:
    """Return the standard deviations of shares that so many trials give."""
    return np.asarray(np.sqrt(shares * (1 - shares) / count))


def _lower(successes: int, trials: int, level: float) -> float:
    """Return the Clopper-Pearson bound on a chance, which is less in ``level`` of all cases."""
    # Imported here: nothing else in the room needs scipy's distributions.
    from scipy.stats import beta

    if not successes:
        return 0.0
    return float(beta.ppf(level, successes, trials - successes + 1))
