"""How well replies are ranked."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class RankingMetrics(NamedTuple):
    """Where the true reply stands among the candidates.

    Attributes:
        first: share of messages whose true reply is the first (R@1), 0 to 1.
        ten: share whose true reply is among the first ten (R@10).
        mrr: mean of 1 over its place.
        messages: how many.
    """

    first: float
    ten: float
    mrr: float
    messages: int

    @classmethod
    def of(cls, places: Sequence[int]) -> "RankingMetrics":
        """Return the figures of places, 1 being the first."""
        found = np.asarray(places, float)
        if not len(found):
            return cls(0.0, 0.0, 0.0, 0)
        return cls(
            float((found <= 1).mean()),
            float((found <= 10).mean()),
            float((1 / found).mean()),
            len(found),
        )
