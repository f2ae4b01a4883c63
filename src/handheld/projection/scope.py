"""Whether a text is about anything that a model knows: its largest probability, and a threshold.

Hendrycks and Gimpel, "A Baseline for Detecting Misclassified and Out-of-Distribution Examples",
arXiv 1610.02136; the figures are those of CLINC150 (Larson et al., arXiv 1909.02027).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError

KEPT = 0.95  # of the right answers, where no text out of scope is known

Shares = NDArray[np.floating]


@dataclass(frozen=True)
class ScopeFigures:
    """How well a threshold tells texts in scope from others; all in [0, 1].

    Attributes:
        auroc: probability that a text in scope has a larger probability than one out of scope; 0.5
            is chance.
        accuracy: texts in scope that are answered, and right, over all in scope.
        recall: texts out of scope that are not answered, over all of these.
        threshold: the smallest probability that is answered.
    """

    auroc: float
    accuracy: float
    recall: float
    threshold: float


def figures(
    inside: Shares, right: NDArray[np.bool_], outside: Shares, threshold: float
) -> ScopeFigures:
    """Return the figures of a threshold.

    Args:
        inside: (n,) largest probability of each text in scope.
        right: (n,) whether its answer is right.
        outside: (m,) largest probability of each text out of scope.
        threshold: in [0, 1].

    Raises:
        InputError: no text in scope, or none out of it.
    """
    if not len(inside) or not len(outside):
        raise InputError(
            f"expected texts in and out of scope, got {len(inside)} and {len(outside)}"
        )
    # A right answer that is not given is none.
    accuracy = (right & (inside >= threshold)).mean()
    recall = (outside < threshold).mean()
    return ScopeFigures(auroc(inside, outside), float(accuracy), float(recall), threshold)


def auroc(inside: Shares, outside: Shares) -> float:
    """Return the area under the receiver operating characteristic; equal values count half.

    >>> auroc(np.array([0.9, 0.5]), np.array([0.5, 0.1]))
    0.875
    """
    ordered = np.sort(outside)
    below = np.searchsorted(ordered, inside, "left")
    not_above = np.searchsorted(ordered, inside, "right")
    # Below counts 1, equal one half: half of what is below and what is not above.
    pairs = len(inside) * len(outside)
    return float((below + not_above).sum() / 2 / pairs)


def threshold_of(inside: Shares, right: NDArray[np.bool_], outside: Shares) -> float:
    """Return the threshold whose accuracy and recall have the largest sum.

    Without texts out of scope it is the one that keeps 95 % of the right answers.

    >>> right = np.array([True, True, False])
    >>> threshold_of(np.array([0.9, 0.8, 0.3]), right, np.array([0.5, 0.2]))
    0.65
    """
    if not len(outside):
        return _keeping_threshold(inside[right])
    known = np.unique(np.concatenate([inside, outside]))
    # Halfway between two values, so that a model a little less sure answers the same texts.
    thresholds = np.concatenate([[0.0], (known[1:] + known[:-1]) / 2])
    lost = np.searchsorted(np.sort(inside[right]), thresholds) / max(1, right.sum())
    recall = np.searchsorted(np.sort(outside), thresholds) / len(outside)
    accuracy = right.mean() * (1 - lost)
    return float(thresholds[(accuracy + recall).argmax()])


def _keeping_threshold(right_answers: Shares) -> float:
    if not len(right_answers):
        return 0.0
    return float(np.quantile(right_answers, 1 - KEPT))
