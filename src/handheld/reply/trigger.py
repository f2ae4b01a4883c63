"""When to suggest anything: a calibrated probability that a person would send one of the three
suggestions.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handheld.errors import ModelError

_SMALL = 1e-6
EVIDENCE = 6


@dataclass(frozen=True)
class ReplyTrigger:
    """Logistic regression (Platt, 1999) on what the judges of intents say of a message.

    Attributes:
        weights: of each of :func:`evidence`, then the bias.
        threshold: probability from which on replies are suggested, 0 to 1.
    """

    weights: tuple[float, ...]
    threshold: float

    def __post_init__(self) -> None:
        fits = len(self.weights) == EVIDENCE + 1 and np.isfinite(self.weights).all()
        if not fits or not 0 <= self.threshold <= 1:
            raise ModelError(
                f"expected {EVIDENCE + 1} weights of the trigger and a threshold of 0 to 1, got {self}"
            )

    def probability(self, seen: NDArray[np.float64]) -> float:
        """Return the probability that one of the suggestions is right, given its
        :func:`evidence`.
        """
        logit = float(seen @ np.array(self.weights[:-1])) + self.weights[-1]
        return 1 / (1 + math.exp(-min(max(logit, -30.0), 30.0)))


def evidence(intents: NDArray[np.float32], words: int, *, question: bool) -> NDArray[np.float64]:
    """Return what the trigger judges by.

    Args:
        intents: (intents + 1,) probabilities, the last that of no intent.
        words: of the last message, marks included.
        question: whether it ends with a question mark.

    Returns:
        (EVIDENCE,) the log odds of any intent, of the likeliest three and of the likeliest one; the
        logarithm of the number
        of words, by itself and above ten (a long message says more than three words answer); and 1
        for a question.
    """
    best = np.sort(intents[:-1])[-3:].tolist()
    length = math.log(max(words, 1))
    beyond = max(0.0, length - math.log(10))
    shares = [
        min(max(share, _SMALL), 1 - _SMALL)
        for share in (1 - float(intents[-1]), sum(best), best[-1])
    ]
    odds = [math.log(share / (1 - share)) for share in shares]
    return np.array([*odds, length, beyond, float(question)])
