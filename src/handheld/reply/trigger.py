"""When to suggest anything: a calibrated probability that a person would send a suggestion."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.ranges import in_range

# Probabilities are kept this far from 0 and 1, so that log odds are finite.
_SMALL = 1e-6
# Logits are cut here: exp() of more overflows, and the probability is 1 to thirteen digits.
_MOST_LOGIT = 30.0
# Of a weight, to either side: six products of larger ones with log odds could leave all numbers.
_MOST_WEIGHT = 1e6
# Words from which on length counts once more: the longest that a reply of three words answers well.
_LONG = 10
EVIDENCE = 6
"""Numbers by which the trigger judges a message, see :func:`evidence`."""


@dataclass(frozen=True)
class ReplyTrigger:
    """Logistic regression (Platt, 1999) on what the judges of intents say of a message.

    Attributes:
        weights: of each of :func:`evidence`, then the bias; a million at most, to either side.
        threshold: probability from which on replies are suggested, in [0, 1].
        caution: how many good replies a wrong one to a grave message weighs as much as: replies are
            suggested where the odds that they are right are at least so many times the odds that
            the message is grave; 0 or more.

    Raises:
        InputError: not as many weights, or numbers outside of these.
    """

    weights: tuple[float, ...]
    threshold: float
    caution: float = 0.0

    def __post_init__(self) -> None:
        if len(self.weights) != EVIDENCE + 1:
            raise InputError(f"weights: expected {EVIDENCE + 1}, got {len(self.weights)}")
        for number, weight in enumerate(self.weights):
            in_range(f"weights[{number}]", weight, low=-_MOST_WEIGHT, high=_MOST_WEIGHT)
        in_range("threshold", self.threshold, low=0, high=1)
        in_range("caution", self.caution, low=0)

    def is_confident(self, probability: float, risk: float) -> bool:
        """Return whether to suggest anything.

        Args:
            probability: that one of the suggestions is right, see :meth:`probability`.
            risk: probability that the message is grave, see ``safety.SafetyVerdict``.
        """
        wrong = 1 - probability
        # odds against odds, multiplied out so that nothing is divided by 0
        is_worth_it = probability * (1 - risk) >= self.caution * wrong * risk
        return probability >= self.threshold and is_worth_it

    def allows(self, risk: float) -> bool:
        """Return whether a reply that is just likely enough may be suggested at such a risk.

        Args:
            risk: probability that the message is grave, see ``safety.SafetyVerdict``.
        """
        return self.is_confident(self.threshold, risk)

    def probability(self, seen: NDArray[np.float64]) -> float:
        """Return the probability that one of the suggestions is right, given its evidence."""
        *weights, bias = self.weights
        logit = float(seen @ np.array(weights)) + bias
        logit = min(max(logit, -_MOST_LOGIT), _MOST_LOGIT)
        return 1 / (1 + math.exp(-logit))


def evidence(intents: NDArray[np.float32], words: int, *, question: bool) -> NDArray[np.float64]:
    """Return what the trigger judges by.

    Args:
        intents: (intents + 1,) probabilities, the last that of no intent.
        words: of the last message, marks included.
        question: whether it ends with a question mark.

    Returns:
        (EVIDENCE,) the log odds of any intent, of the likeliest three and of the likeliest one; the
        logarithm of the number of words, by itself and above ten (a long message says more than
        three words answer); and 1 for a question.
    """
    best = np.sort(intents[:-1])[-3:].tolist()
    length = math.log(max(words, 1))
    beyond = max(0.0, length - math.log(_LONG))
    any_intent = 1 - float(intents[-1])
    odds = [_log_odds(share) for share in (any_intent, sum(best), best[-1])]
    return np.array([*odds, length, beyond, float(question)])


def _log_odds(share: float) -> float:
    share = min(max(share, _SMALL), 1 - _SMALL)
    return math.log(share / (1 - share))
