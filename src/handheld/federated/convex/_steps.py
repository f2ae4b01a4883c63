"""Steps over the few features of an example, compiled.

What all weights do after a step follows one rule, so it is made up for when a weight is next seen:
with u its change so far, each step takes u to shrink * u - push, m steps to shrink^m * u - push *
(1 + shrink + ... + shrink^(m-1)).
"""

from typing import Any

import numpy as np
from numba import njit

from handheld._kernels import kernel


@njit(nogil=True, inline="always")
def _slope(label: Any, margin: Any) -> Any:
    """Derivative of the logistic loss by the margin."""
    # Where the exponential overflows, the slope is 0, which it is but for some 1e-308.
    return -label / (1.0 + np.exp(label * margin))


@njit(nogil=True, inline="always")
def _later(u: Any, push: Any, shrink: Any, steps: int) -> Any:
    if steps == 0:
        return u
    power = shrink**steps
    # The sum of a geometric series, which for a factor of 1 has no quotient.
    sums = float(steps) if shrink == 1.0 else (1.0 - power) / (1.0 - shrink)
    return power * u - push * sums


@kernel()
def gradient(offsets: Any, columns: Any, values: Any, labels: Any, weights: Any, out: Any) -> Any:
    """Add each example's gradient to ``out``, by local column; return the sum of their losses."""
    loss = 0.0
    for row in range(len(labels)):
        margin = 0.0
        for entry in range(offsets[row], offsets[row + 1]):
            margin += values[entry] * weights[columns[entry]]
        slope = _slope(labels[row], margin)
        signed = -labels[row] * margin
        # log(1 + exp(signed)), which would overflow.
        loss += max(signed, 0.0) + np.log1p(np.exp(-abs(signed)))
        for entry in range(offsets[row], offsets[row + 1]):
            out[columns[entry]] += slope * values[entry]
    return loss


@kernel()
def descend(
    offsets: Any,
    columns: Any,
    values: Any,
    labels: Any,
    order: Any,
    weights: Any,
    push: Any,
    scale: Any,
    shrink: Any,
    rate: Any,
    reduced: bool,
    change: Any,
) -> None:
    """Go one step for each example in ``order``, and write how the weights changed, by column.

    Args:
        offsets, columns, values, labels: the examples.
        order: numbers of examples; one may come several times.
        weights: by local column, at the start.
        push: by local column, what each step takes away from every weight.
        scale: by local column, how much an example's slope counts there.
        shrink: by local column, what each step multiplies a weight's change by.
        rate: of the steps.
        reduced: whether an example's slope at the start is taken off, as it is in ``push`` already.
        change: by local column, written.
    """
    seen = np.zeros(len(weights), np.int64)
    change[:] = 0
    for step in range(len(order)):
        row = order[step]
        margin = 0.0
        before = 0.0
        for entry in range(offsets[row], offsets[row + 1]):
            column = columns[entry]
            change[column] = _later(
                change[column], push[column], shrink[column], step - seen[column]
            )
            seen[column] = step
            before += values[entry] * weights[column]
            margin += values[entry] * (weights[column] + change[column])
        slope = _slope(labels[row], margin)
        if reduced:
            slope -= _slope(labels[row], before)
        for entry in range(offsets[row], offsets[row + 1]):
            column = columns[entry]
            change[column] -= rate * scale[column] * slope * values[entry]
    for column in range(len(weights)):
        change[column] = _later(
            change[column], push[column], shrink[column], len(order) - seen[column]
        )
