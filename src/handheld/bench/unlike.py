"""Times of examples of unlike work, made comparable.

A tracker takes longer for two hands than for one, a long message takes longer than a short one:
times spread by what is asked, and say nothing of the machine. Each is therefore set beside the same
example in other rounds.
"""

import numpy as np
from numpy.typing import NDArray

LEAST_ROUNDS = 4
"""Of all examples: each time is set beside the median of two others at least."""


def evened(
    warmup: NDArray[np.float64], wall: NDArray[np.float64], examples: int
) -> NDArray[np.float64]:
    """Return times without what examples differ by.

    A time is divided by the median of its example in the rounds of the other parity, and multiplied
    by the median of all. It is never beside itself: that would hide a part of its spread.

    Args:
        warmup: (n,) seconds of calls with the first example.
        wall: (runs,) seconds of calls with the examples in turn, from the first.
        examples: in a round, 1 or more.

    Returns:
        (n + runs,) seconds; those that came in where there are no two whole rounds, or a clock says
        that an example takes no time.

    >>> evened(np.array([3.0]), np.array([2.0, 4.0, 2.0, 4.0, 2.2, 4.0]), 2).round(2).tolist()
    [4.65, 3.1, 3.1, 2.95, 3.1, 3.41, 3.1]
    """
    rounds = len(wall) // examples
    both = np.concatenate([warmup, wall])
    if rounds < 2:
        return both
    table = wall[: rounds * examples].reshape(rounds, examples)
    # of even rounds first, which odd ones are set beside, and the other way round
    medians = np.stack([np.median(table[0::2], axis=0), np.median(table[1::2], axis=0)])
    if medians.min() <= 0:
        return both
    numbers = np.arange(len(wall))
    is_even_round = (numbers // examples) % 2 == 0
    usual = medians[is_even_round.astype(np.int64), numbers % examples]
    usual_first = np.median(table[:, 0])
    shares = np.concatenate([warmup / usual_first, wall / usual])
    return np.asarray(shares * np.median(wall), np.float64)
