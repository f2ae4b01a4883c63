"""A large regression becomes a small file: the n-grams that move its answers most, rows of few
bits, and a small head.

The small model learns from the labels and from the large one's answers (Hinton et al., arXiv
1503.02531), on the n-grams that were picked alone. Its coefficients are then split into rows and a
head by a singular value decomposition, and rounded.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.projection.hashing import Numbers
from handheld.projection.hidden import HiddenModel
from handheld.projection.kept import size_of
from handheld.projection.learned import LEVELS
from handheld.projection.pooled import PooledModel
from handheld.projection.training.regression import Floats, Lessons, SoftmaxRegression, TextMatrix, fitted, mean_of

TEACHER_SHARE = 0.5
"""Of the large model's answers in what the small one learns; the rest are the labels."""

GRAPH_BYTES = 3_800
"""Of a file beside its numbers, buckets and card: tensors, operators and their names (3,564
measured, and room)."""

_CLIPS = np.linspace(1.5, 6.0, 19)  # widest number of a column over its root mean square, tried for the least rounding error
_HEAD_LEVELS = 127
_RIDGE = 1e-4  # of the head's least squares, over the mean square of the sums
LEAST_ROWS = 16


@dataclass(frozen=True)
class Form:
    """How a row is kept.

    Attributes:
        width: numbers of a row.
        bits: of a number, 4 or 8.
    """

    width: int
    bits: int

    def rows_in(self, size: int, buckets: int, classes: int) -> int:
        """Return how many rows fit into so many bytes, at most.

        Args:
            size: bytes, without the card.
            buckets: that n-grams fall into.
            classes: rows of the head.
        """
        room = size - GRAPH_BYTES - classes * (self.width + 8)
        low, high = 0, max(0, int(room * 8 / (self.width * self.bits)))
        while low < high:
            middle = (low + high + 1) // 2
            fits = (middle + 1) * self.width * self.bits / 8 + size_of(middle, buckets) <= room
            low, high = (middle, high) if fits else (low, middle - 1)
        return low


def forms_for(classes: int) -> tuple[Form, ...]:
    """Return the forms that are tried for a linear model of so many classes: one contrast less
    than there are classes."""
    contrasts = classes - 1
    if classes <= 3:
        return (Form(contrasts, 8),)
    even = contrasts + contrasts % 2
    return Form(contrasts, 8), Form(even, 4)


@dataclass(frozen=True, eq=False)
class Pick:
    """The columns that a small model reads, and the regression on them.

    Attributes:
        columns: of the large model's matrix, rising.
        lessons: on these columns.
        idf: (columns,) weight of each.
        model: on them.
    """

    columns: Numbers
    lessons: Lessons
    idf: Floats
    model: SoftmaxRegression


def importance(teacher: SoftmaxRegression, lessons: Lessons) -> NDArray[np.float64]:
    """Return (columns,) how much each moves the answers: the size of its coefficients' contrasts,
    times the root mean square of its values."""
    contrasts = teacher.coefficients - teacher.coefficients.mean(axis=1, keepdims=True)
    squares = np.bincount(lessons.texts.columns, np.square(lessons.values), lessons.texts.width)
    return np.asarray(np.sqrt(np.square(contrasts).sum(axis=1) * squares))


def picked(
    teacher: SoftmaxRegression,
    lessons: Lessons,
    idf: Floats,
    rows: int,
    priors: Sequence[tuple[float, Floats | None]],
    answers: Floats,
) -> Pick:
    """Return the regression on the ``rows`` columns that move the teacher's answers most; the mean
    of several by several priors.

    Args:
        teacher: the large model.
        lessons: that it learned.
        idf: (columns,) weights of the columns.
        rows: columns to keep, at most.
        priors: alpha and scale of each regression's prior, as the teacher's.
        answers: (texts, classes) shares that the teacher gives each class.

    Raises:
        InputError: a file that has room for hardly any row.
    """
    if rows < min(LEAST_ROWS, lessons.texts.width):
        raise InputError(f"the file has room for {rows} n-grams, expected {LEAST_ROWS} or more: ask for a larger one")
    columns = np.sort(np.argsort(-importance(teacher, lessons), kind="stable")[:rows])
    texts = lessons.texts.only(columns)
    targets = (1 - TEACHER_SHARE) * lessons.targets + TEACHER_SHARE * answers
    smaller = Lessons(texts, texts.weighted(idf[columns]), np.asarray(targets, np.float32), lessons.weights)
    start = SoftmaxRegression(teacher.coefficients[columns], teacher.bias)
    models = [fitted(smaller, alpha, prior=None if prior is None else prior[columns], start=start) for alpha, prior in priors]
    return Pick(columns, smaller, idf[columns], mean_of(models))


def rounded(pick: Pick, form: Form) -> PooledModel:
    """Return the regression with rows and head of whole numbers."""
    coefficients = pick.model.coefficients * pick.idf[:, None]
    centred = coefficients - coefficients.mean(axis=1, keepdims=True)
    bias = pick.model.bias - pick.model.bias.mean()
    left, sizes, right = np.linalg.svd(centred, full_matrices=False)
    width = min(form.width, len(sizes))
    table = np.zeros((len(centred) + 1, form.width), np.int8)
    steps = np.zeros(width)
    for column in range(width):
        table[:-1, column], steps[column] = levels(left[:, column] * sizes[column], form.bits)
    head = np.zeros((len(bias), form.width))
    head[:, :width] = (steps[:, None] * right[:width]).T
    return whole_head(table, head, np.asarray(bias, np.float32), form.bits)


def refitted(model: PooledModel, texts: TextMatrix, wanted: Floats) -> PooledModel:
    """Return the model with a head that answers the texts as nearly as it can as (texts, classes)
    logits that are wanted.

    Least squares: the rounded rows' errors are partly made good, and nothing is learned of the
    labels, which would memorise.
    """
    counts = texts.weighted(np.ones(texts.width, np.float32))
    sums = SoftmaxRegression(model.table[:-1].astype(np.float32), np.zeros(model.table.shape[1], np.float32))
    rows = np.asarray(sums.scores(texts, counts), np.float64)
    ridge = _RIDGE * np.square(rows).mean() * len(rows)
    target = wanted - wanted.mean(axis=1, keepdims=True) - model.bias
    gram = rows.T @ rows + max(ridge, 1e-12) * np.eye(rows.shape[1])
    old = model.head * model.scale[:, None]
    # The ridge draws towards the head as it was, so that columns of zeros keep it.
    head = np.linalg.solve(gram, rows.T @ target + max(ridge, 1e-12) * old.T).T
    return whole_head(model.table, head, model.bias, model.bits)


def whole_head(table: NDArray[np.int8], head: NDArray[np.float64], bias: Floats, bits: int) -> PooledModel:
    """Return a model whose head is of whole numbers, each class with a scale of its own."""
    largest = np.abs(head).max(axis=1)
    scale = np.where(largest > 0, largest, 1.0) / _HEAD_LEVELS
    whole = np.rint(head / scale[:, None]).astype(np.int8)
    return PooledModel(table, whole, scale.astype(np.float32), bias, bits)


def levels(column: NDArray[np.floating], bits: int) -> tuple[NDArray[np.int8], float]:
    """Return numbers as whole multiples of one step, and that step: the one with the least
    error."""
    most = LEVELS[bits]
    widest = float(np.abs(column).max())
    if not widest:
        return np.zeros(len(column), np.int8), 0.0
    size = float(np.sqrt(np.square(column).mean()))
    clips = np.minimum(_CLIPS * size, widest) if bits == 4 else np.array([widest])
    steps = np.unique(clips) / most
    errors = [_error(column, step, most) for step in steps]
    step = float(steps[int(np.argmin(errors))])
    return np.clip(np.rint(column / step), -most, most).astype(np.int8), step


def _error(column: NDArray[np.floating], step: float, most: int) -> float:
    return float(np.square(np.clip(np.rint(column / step), -most, most) * step - column).sum())


def cooled(model: PooledModel | HiddenModel, temperature: float) -> PooledModel | HiddenModel:
    """Return the model with its logits divided by a temperature."""
    share = np.float32(1 / temperature)
    if isinstance(model, PooledModel):
        return replace(model, scale=model.scale * share, bias=model.bias * share)
    return replace(model, last_scale=model.last_scale * share, last_bias=model.last_bias * share)


def smallest(classes: int) -> int:
    """Return the bytes of the smallest file for so many classes, without its card."""
    width = classes - 1
    return GRAPH_BYTES + classes * (width + 8) + (LEAST_ROWS + 1) * (width + 4)
