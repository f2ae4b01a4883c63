"""Whether a text is about anything that a model knows: its largest probability, against a threshold.

Hendrycks and Gimpel, "A Baseline for Detecting Misclassified and Out-of-Distribution Examples", arXiv 1610.02136; the figures
are those of CLINC150 (Larson et al., arXiv 1909.02027).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError

KEPT = 0.95  # of the right answers, where no text out of scope is known

Shares = NDArray[np.floating]


@dataclass(frozen=True)
class ScopeFigures:
    """How well a threshold tells texts in scope from others; all of 0 to 1.

    Attributes:
        auroc: probability that a text in scope has a larger probability than one out of scope; 0.5 is chance.
        accuracy: texts in scope that are answered, and right, over all in scope.
        recall: texts out of scope that are not answered, over all of these.
        threshold: the smallest probability that is answered.
    """

    auroc: float
    accuracy: float
    recall: float
    threshold: float


def figures(inside: Shares, right: NDArray[np.bool_], outside: Shares, threshold: float) -> ScopeFigures:
    """Return the figures of a threshold.

    Args:
        inside: (n,) largest probability of each text in scope.
        right: (n,) whether its answer is right.
        outside: (m,) largest probability of each text out of scope.
        threshold: 0 to 1.

    Raises:
        InputError: no text of one of the kinds.
    """
    if not len(inside) or not len(outside):
        raise InputError(f"expected texts in and out of scope, got {len(inside)} and {len(outside)}")
    accuracy, recall = (right & (inside >= threshold)).mean(), (outside < threshold).mean()
    return ScopeFigures(auroc(inside, outside), float(accuracy), float(recall), threshold)


def auroc(inside: Shares, outside: Shares) -> float:
    """Return the area under the curve of the receiver's operating characteristic; equal values count half.

    >>> auroc(np.array([0.9, 0.5]), np.array([0.5, 0.1]))
    0.875
    """
    ordered = np.sort(outside)
    below, above = np.searchsorted(ordered, inside, "left"), np.searchsorted(ordered, inside, "right")
    return float((below + above).sum() / 2 / (len(inside) * len(outside)))


def threshold_of(inside: Shares, right: NDArray[np.bool_], outside: Shares) -> float:
    """Return the threshold whose accuracy and recall have the largest sum; without texts out of scope, the one that keeps 95 %
    of the right answers.

    >>> threshold_of(np.array([0.9, 0.8, 0.3]), np.array([True, True, False]), np.array([0.5, 0.2]))
    0.65
    """
    if not len(outside):
        return float(np.quantile(inside[right], 1 - KEPT)) if right.any() else 0.0
    known = np.unique(np.concatenate([inside, outside]))
    tried = np.concatenate([[0.0], (known[1:] + known[:-1]) / 2])
    answered = 1 - np.searchsorted(np.sort(inside[right]), tried) / max(1, right.sum())
    refused = np.searchsorted(np.sort(outside), tried) / len(outside)
    return float(tried[(right.mean() * answered + refused).argmax()])
