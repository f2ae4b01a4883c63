"""Loss and gradient of a softmax regression over sparse texts, compiled; imports numba."""

from typing import Any

import numpy as np

from handheld._kernels import kernel


@kernel(fastmath=True)
def loss_and_gradient(
    starts: Any,
    columns: Any,
    values: Any,
    coefficients: Any,
    bias: Any,
    targets: Any,
    weights: Any,
    gradient: Any,
    tilt: Any,
) -> float:
    """Add the gradients of the summed cross-entropy to two arrays, and return its value.

    Args:
        starts, columns, values: a sparse matrix of texts by rows (CSR).
        coefficients: (columns, classes) float32.
        bias: (classes,) float32.
        targets: (texts, classes) float32 shares of each class.
        weights: (texts,) float32, of each text's loss.
        gradient: added to, as ``coefficients``.
        tilt: added to, as ``bias``.
    """
    texts, classes = targets.shape
    scores = np.empty(classes, np.float32)
    loss = 0.0
    for text in range(texts):
        scores[:] = bias
        for entry in range(starts[text], starts[text + 1]):
            column = columns[entry]
            for label in range(classes):
                scores[label] += values[entry] * coefficients[column, label]
        # The largest is taken off, so that no exponential overflows.
        largest = scores.max()
        total = np.float32(0)
        for label in range(classes):
            scores[label] -= largest
            total += np.exp(scores[label])
        # By logarithms: a share near 0 keeps its digits.
        log_total = np.log(total)
        for label in range(classes):
            log_share = scores[label] - log_total
            loss -= weights[text] * targets[text, label] * log_share
            scores[label] = weights[text] * (np.exp(log_share) - targets[text, label])
            tilt[label] += scores[label]
        for entry in range(starts[text], starts[text + 1]):
            column = columns[entry]
            for label in range(classes):
                gradient[column, label] += values[entry] * scores[label]
    return loss


@kernel(fastmath=True)
def scores_of(starts: Any, columns: Any, values: Any, coefficients: Any, bias: Any) -> Any:
    """Return (texts, classes) float32 scores of sparse texts."""
    texts = len(starts) - 1
    classes = len(bias)
    scores = np.empty((texts, classes), np.float32)
    for text in range(texts):
        scores[text] = bias
        for entry in range(starts[text], starts[text + 1]):
            column = columns[entry]
            for label in range(classes):
                scores[text, label] += values[entry] * coefficients[column, label]
    return scores
