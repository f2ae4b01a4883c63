"""What an attacker learns of one device: a bound from below, beside the epsilon that is promised.

Jagielski, Ullman and Oprea, "Auditing Differentially Private Machine Learning" (arXiv 2006.07709).
"""

import math

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError

Scores = NDArray[np.float64]

_THRESHOLDS = 200  # that are tried, between the extremes of the scores


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
        delta: of the promise, 0 to 1, 1 excluded.
        confidence: above 0, below 1.

    Returns:
        0 where the scores tell nothing.

    Raises:
        InputError: too few scores, or a delta or a confidence outside of these.
    """
    if min(len(one), len(other)) < 4:
        raise InputError(
            f"scores: expected 4 or more of each population, got {len(one)} and {len(other)}"
        )
    if not 0 <= delta < 1:
        raise InputError(f"delta: expected 0 to 1, 1 excluded, got {delta}")
    if not 0 < confidence < 1:
        raise InputError(f"confidence: expected a number above 0, below 1, got {confidence}")
    # Scores that rise with the first population, and those that fall: an attacker may use either.
    attacks = [(one, other), (other, one), (-one, -other), (-other, -one)]
    best = max(attacks, key=lambda attack: _best(attack[0][::2], attack[1][::2], delta)[0])
    threshold = _best(best[0][::2], best[1][::2], delta)[1]
    right = best[0][1::2] > threshold
    wrong = best[1][1::2] > threshold
    level = (1 - confidence) / 2
    at_least = _lower(int(right.sum()), len(right), level)
    at_most = 1 - _lower(int((~wrong).sum()), len(wrong), level)
    return max(0.0, math.log((at_least - delta) / at_most)) if at_least > delta else 0.0


def _best(inside: Scores, outside: Scores, delta: float) -> tuple[float, float]:
    """Return the largest epsilon that scores show, with a little taken off, and its threshold."""
    low = min(inside.min(), outside.min())
    high = max(inside.max(), outside.max())
    thresholds = np.linspace(low, high, _THRESHOLDS, endpoint=False)
    right = (inside[:, None] > thresholds).mean(axis=0)
    wrong = (outside[:, None] > thresholds).mean(axis=0)
    right = right - np.sqrt(right * (1 - right) / len(inside)) - 1 / len(inside) - delta
    wrong = wrong + np.sqrt(wrong * (1 - wrong) / len(outside)) + 1 / len(outside)
    shown = np.log(np.maximum(right, 1e-300) / wrong)
    place = int(shown.argmax())
    return float(shown[place]), float(thresholds[place])


def _lower(successes: int, trials: int, level: float) -> float:
    """Return the Clopper-Pearson bound on a chance, which is less in ``level`` of all cases."""
    from scipy.stats import beta

    return float(beta.ppf(level, successes, trials - successes + 1)) if successes else 0.0
