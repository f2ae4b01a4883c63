"""What may be chance among so many examples: exact tails of the binomial distribution."""

import math

import numpy as np
from numpy.typing import NDArray

_Z = 1.96  # of the normal distribution, 95 %
RARE = 0.05
"""What happens more seldom than this by chance alone is taken for real."""


def at_least(count: int, trials: int, share: float) -> float:
    """Return how likely ``count`` successes or more are in so many trials.

    Args:
        count: of successes.
        trials: each independent of the others.
        share: chance of one success, in (0, 1).

    >>> at_least(2, 2, 0.5), at_least(0, 5, 0.3)
    (0.25, 1.0)
    """
    if count <= 0:
        return 1.0
    # in logarithms: factorials of thousands of trials are no floats
    odds = math.log(share), math.log1p(-share)
    terms = (
        _log_ways(trials, k) + k * odds[0] + (trials - k) * odds[1]
        for k in range(count, trials + 1)
    )
    return min(1.0, math.fsum(map(math.exp, terms)))


def _log_ways(trials: int, chosen: int) -> float:
    return math.lgamma(trials + 1) - math.lgamma(chosen + 1) - math.lgamma(trials - chosen + 1)


def answers_fewer(right: NDArray[np.bool_], before: NDArray[np.bool_]) -> bool:
    """Whether fewer examples are answered right than before, and that is no chance.

    The sign test on the examples of which only one of the two answers is right (McNemar, 1947;
    exact, one-sided).

    Args:
        right: (examples,) whether each is answered right.
        before: (examples,) likewise by what it is compared with.
    """
    lost = int((before & ~right).sum())
    won = int((right & ~before).sum())
    return lost > won and at_least(lost, lost + won, 0.5) < RARE


def half_interval(right: int, trials: int) -> float:
    """Return half of the 95 % interval of a share: Wilson's (1927), which is right for few trials
    and shares near 1 as well.

    Args:
        right: successes.
        trials: 1 or more.
    """
    share = right / trials
    spread = math.sqrt(share * (1 - share) / trials + _Z**2 / (4 * trials**2))
    return _Z * spread / (1 + _Z**2 / trials)


def is_no_guess(right: int, labels: NDArray[np.int64]) -> bool:
    """Whether more labels are answered right than by always answering the commonest.

    Args:
        right: number of examples that were answered right.
        labels: (examples,) of all of them.
    """
    commonest = int(np.bincount(labels).max()) / len(labels)
    # of few examples even all of them may be right by chance, and nothing better can be asked
    if right == len(labels):
        return True
    # a share of 1 is no chance: with one label alone there is nothing to know
    return commonest < 1 and at_least(right, len(labels), commonest) < RARE
