"""When to suggest anything: a calibrated probability that one of three suggestions is what would be said."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handheld.errors import ModelError

_SMALL = 1e-6


@dataclass(frozen=True)
class Trigger:
    """Logistic regression (Platt, 1999) on what the ranker says of a message.

    Attributes:
        weights: of each of :func:`evidence`, then the bias.
        threshold: probability from which on replies are suggested, 0 to 1.
    """

    weights: tuple[float, ...]
    threshold: float

    def __post_init__(self) -> None:
        if len(self.weights) != EVIDENCE + 1 or not np.isfinite(self.weights).all() or not 0 <= self.threshold <= 1:
            raise ModelError(f"expected {EVIDENCE + 1} weights of the trigger and a threshold of 0 to 1, got {self}")

    def probability(self, intents: NDArray[np.float32], known: float) -> float:
        """Return the probability that one of the suggestions is right; see :func:`evidence` for the arguments."""
        found = float(evidence(intents, known) @ np.array(self.weights[:-1])) + self.weights[-1]
        return 1 / (1 + math.exp(-min(max(found, -30.0), 30.0)))


EVIDENCE = 4


def evidence(intents: NDArray[np.float32], known: float) -> NDArray[np.float64]:
    """Return what the trigger judges by.

    Args:
        intents: (intents + 1,) probabilities, the last that of no intent.
        known: share of the message's signatures that the table knows, 0 to 1.

    Returns:
        The log odds of any intent, of the likeliest three and of the likeliest one; and what is known.
    """
    best = np.sort(intents[:-1])[-3:].tolist()
    shares = [min(max(share, _SMALL), 1 - _SMALL) for share in (1 - float(intents[-1]), sum(best), best[-1])]
    return np.array([*(math.log(share / (1 - share)) for share in shares), known])
