"""How well replies are ranked."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class RankingMetrics(NamedTuple):
    """Where the true reply stands among the candidates.

    Attributes:
        recall_at_1: share of messages whose true reply is the first (R@1), in [0, 1].
        recall_at_10: share whose true reply is among the first ten (R@10), in [0, 1].
        mrr: mean reciprocal rank, in (0, 1]; 0 without messages.
        messages: how many.
    """

    recall_at_1: float
    recall_at_10: float
    mrr: float
    messages: int

    @classmethod
    def of(cls, ranks: Sequence[int]) -> "RankingMetrics":
        """Return the figures of ranks, 1 being the first."""
        if not len(ranks):
            return cls(0.0, 0.0, 0.0, 0)
        values = np.asarray(ranks, float)
        return cls(
            recall_at_1=float((values <= 1).mean()),
            recall_at_10=float((values <= 10).mean()),
            mrr=float((1 / values).mean()),
            messages=len(values),
        )
