"""How much is pruned after each round."""

from handheld.ranges import in_range, whole_in_range


def cubic(share: float, step: int, steps: int) -> float:
    """Return the share to remove up to a step: much at first, when there is most to spare, and ever
    less.

    Zhu and Gupta, "To prune, or not to prune", arXiv 1710.01878, equation 1, from nothing removed
    at step 0.

    Args:
        share: in [0, 1], removed at the last step.
        step: from 0 to ``steps``.
        steps: 1 or more.

    Raises:
        InputError: a number outside its range.

    >>> [round(cubic(0.8, step, 4), 4) for step in range(5)]
    [0.0, 0.4625, 0.7, 0.7875, 0.8]
    """
    in_range("share", share, low=0, high=1)
    whole_in_range("steps", steps, low=1)
    whole_in_range("step", step, low=0, high=steps)
    return share * (1 - (1 - step / steps) ** 3)
