"""Where warming up ends, found in the times themselves."""

import numpy as np
from numpy.typing import NDArray

_WINDOW = 5  # calls; their median ignores two that were disturbed
_LEAST_TOLERANCE = 0.02  # of the steady time: less is not told from noise


def warmup_length(times: NDArray[np.float64]) -> int:
    """Return how many calls at the beginning are warm-up.

    The second half of the run says what a steady call takes, and how far steady calls lie apart
    (half the distance of their quartiles, 2 % at least). Warming up ends with the first call that
    is within, and from which on the next calls are too, by their median.

    Args:
        times: (n,) seconds of all calls, from the very first one.

    Returns:
        A number in [0, n]; more than n / 2 if it never becomes steady.

    >>> warmup_length(np.array([9.0, 3, 1, 1, 1, 1, 1, 1, 1, 1]))
    2
    """
    count = len(times)
    if not count:
        return 0
    steady = times[count // 2 :]
    low, median, high = np.quantile(steady, (0.25, 0.5, 0.75)).tolist()
    limit = median + max(_LEAST_TOLERANCE * median, (high - low) / 2)
    for start in range(count):
        is_within = times[start] <= limit
        if is_within and np.median(times[start : start + _WINDOW]) <= limit:
            return start
    return count
