"""A large regression becomes a small file: the n-grams that move its answers most, in few bits.

The small model learns from the labels and from the large one's answers (Hinton et al., arXiv
1503.02531), on the n-grams that were picked alone. Its coefficients are then split into rows and a
head by a singular value decomposition, and rounded.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.projection.hashing import Floats, Levels, Numbers
from handheld.projection.hidden import HiddenModel
from handheld.projection.kept import size_of
from handheld.projection.learned import LEVELS
from handheld.projection.pooled import PooledModel
from handheld.projection.training.regression import (
    Lessons,
    SoftmaxRegression,
    TextMatrix,
    fitted,
    mean_of,
)

TEACHER_SHARE = 0.5
"""Of the large model's answers in what the small one learns; the rest are the labels."""

GRAPH_BYTES = 3_800
"""Of a file beside its numbers, buckets and card: tensors, operators and their names (3,564
measured, and room).
"""

# Widest number of a column over its root mean square, tried for the least rounding error.
_CLIPS = np.linspace(1.5, 6.0, 19)
_HEAD_LEVELS = 127  # to each side of zero, of eight bits
_RIDGE = 1e-4  # of the head's least squares, over the mean square of the sums
_MIN_RIDGE = 1e-12  # where all sums are 0, so that the equations have a solution
_BYTES_A_CLASS = 8  # scale and bias, float32
LEAST_ROWS = 16


@dataclass(frozen=True)
class RowForm:
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
        room = size - GRAPH_BYTES - classes * (self.width + _BYTES_A_CLASS)
        row_size = self.width * self.bits / 8

        def is_too_large(rows: int) -> bool:
            # One row more, of zeros.
            return (rows + 1) * row_size + size_of(rows, buckets) > room

        # As many rows fit as there are numbers, from 1 on, before the first that is too large.
        return bisect_left(range(1, int(room / row_size) + 1), True, key=is_too_large)


def forms_for(classes: int) -> tuple[RowForm, ...]:
    """Return the forms that are tried for a linear model of so many classes.

    A row has one number less than there are classes: what all answers share does not count.
    """
    contrasts = classes - 1
    if classes <= 3:
        return (RowForm(contrasts, 8),)
    even = contrasts + contrasts % 2  # two numbers of four bits share a byte
    return RowForm(contrasts, 8), RowForm(even, 4)


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
    """Return (columns,) how much each moves the answers.

    That is the size of its coefficients' contrasts, times the root of the sum of its values'
    squares.
    """
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
    """Return the regression on the ``rows`` columns that move the teacher's answers most.

    It is the mean of several by several priors.

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
        raise InputError(
            f"the file has room for {rows} n-grams, expected {LEAST_ROWS} or more: "
            "ask for a larger one"
        )
    columns = most_important(teacher, lessons, rows)
    picked_idf = idf[columns]
    smaller = _smaller(lessons, columns, picked_idf, answers)
    # From the teacher's numbers, which are near: fewer steps.
    start = SoftmaxRegression(teacher.coefficients[columns], teacher.bias)
    models: list[SoftmaxRegression] = []
    for alpha, prior in priors:
        if prior is not None:
            prior = prior[columns]
        models.append(fitted(smaller, alpha, prior=prior, start=start))
    return Pick(columns, smaller, picked_idf, mean_of(models))


def _smaller(lessons: Lessons, columns: Numbers, idf: Floats, answers: Floats) -> Lessons:
    """Return lessons of some columns, which a teacher's answers are mixed into.

    Args:
        lessons: of all columns.
        columns: that are kept.
        idf: (kept,) weights of these.
        answers: (texts, classes) shares that the teacher gives each class.
    """
    texts = lessons.texts.only(columns)
    targets = (1 - TEACHER_SHARE) * lessons.targets + TEACHER_SHARE * answers
    whole_targets = np.asarray(targets, np.float32)
    return Lessons(texts, texts.weighted(idf), whole_targets, lessons.weights)


def most_important(teacher: SoftmaxRegression, lessons: Lessons, count: int) -> Numbers:
    """Return the ``count`` columns that move the teacher's answers most, rising."""
    # Stable, so that equal ones are picked in the same order on every machine.
    descending = np.argsort(-importance(teacher, lessons), kind="stable")
    return np.sort(descending[:count])


def rounded(pick: Pick, form: RowForm) -> PooledModel:
    """Return the regression with rows and head of whole numbers."""
    coefficients = pick.model.coefficients * pick.idf[:, None]
    # What all classes share changes no answer, and would take a number of each row.
    centred = coefficients - coefficients.mean(axis=1, keepdims=True)
    bias = pick.model.bias - pick.model.bias.mean()
    # the nearest matrix of that rank (Eckart and Young, 1936): rows on the left, head on the right
    left_vectors, sizes, right = np.linalg.svd(centred, full_matrices=False)
    width = min(form.width, len(sizes))
    table = np.zeros((len(centred) + 1, form.width), np.int8)
    steps = np.zeros(width)
    for column in range(width):
        column_levels, step = levels(left_vectors[:, column] * sizes[column], form.bits)
        table[:-1, column] = column_levels
        steps[column] = step
    head = np.zeros((len(bias), form.width))
    head[:, :width] = (steps[:, None] * right[:width]).T
    return whole_head(table, head, np.asarray(bias, np.float32), form.bits)


def refitted(model: PooledModel, texts: TextMatrix, logits: Floats) -> PooledModel:
    """Return the model with a head that answers the texts as nearly as it can as some logits.

    Least squares: the rounded rows' errors are partly made good, and nothing is learned of the
    labels, which would memorise.

    Args:
        model: whose rows are rounded.
        texts: that the regression learned.
        logits: (texts, classes) its answers.
    """
    rows = _sums(model, texts)
    ridge = max(_RIDGE * np.square(rows).mean() * len(rows), _MIN_RIDGE)
    target = logits - logits.mean(axis=1, keepdims=True) - model.bias
    gram = rows.T @ rows + ridge * np.eye(rows.shape[1])
    old_head = model.head * model.scale[:, None]
    # The ridge draws towards the head as it was, so that columns of zeros keep it.
    head = np.linalg.solve(gram, rows.T @ target + ridge * old_head.T).T
    return whole_head(model.table, head, model.bias, model.bits)


def _sums(model: PooledModel, texts: TextMatrix) -> NDArray[np.float64]:
    """Return (texts, width) sums of a model's rows, over the root of their number."""
    counts = texts.weighted(np.ones(texts.width, np.float32))
    rows = model.table[:-1].astype(np.float32)
    # The regression's product of sparse texts and a matrix, which here is the table.
    product = SoftmaxRegression(rows, np.zeros(rows.shape[1], np.float32))
    return np.asarray(product.scores(texts, counts), np.float64)


def whole_head(table: Levels, head: NDArray[np.float64], bias: Floats, bits: int) -> PooledModel:
    """Return a model whose head is of whole numbers, each class with a scale of its own."""
    # A scale for each class: one large class would make the others coarse.
    largest = np.abs(head).max(axis=1)
    scale = np.where(largest > 0, largest, 1.0) / _HEAD_LEVELS
    head_levels = np.rint(head / scale[:, None]).astype(np.int8)
    return PooledModel(table, head_levels, scale.astype(np.float32), bias, bits)


def levels(column: NDArray[np.floating], bits: int) -> tuple[Levels, float]:
    """Return numbers as whole multiples of one step, and the step with the least error."""
    highest = LEVELS[bits]
    widest = float(np.abs(column).max())
    if not widest:
        return np.zeros(len(column), np.int8), 0.0
    clips = np.array([widest])
    if bits == 4:  # of eight bits, levels are near enough for the widest number to be one
        root_mean_square = float(np.sqrt(np.square(column).mean()))
        clips = np.minimum(_CLIPS * root_mean_square, widest)
    steps = np.unique(clips) / highest
    errors = [_squared_error(column, step, highest) for step in steps]
    step = float(steps[int(np.argmin(errors))])
    return _rounded(column, step, highest).astype(np.int8), step


def _squared_error(column: NDArray[np.floating], step: float, highest: int) -> float:
    return float(np.square(_rounded(column, step, highest) * step - column).sum())


def _rounded(column: NDArray[np.floating], step: float, highest: int) -> NDArray[np.floating]:
    return np.asarray(np.clip(np.rint(column / step), -highest, highest))


def cooled(model: PooledModel | HiddenModel, temperature: float) -> PooledModel | HiddenModel:
    """Return the model with its logits divided by a temperature."""
    share = np.float32(1 / temperature)
    if isinstance(model, PooledModel):
        return replace(model, scale=model.scale * share, bias=model.bias * share)
    return replace(model, last_scale=model.last_scale * share, last_bias=model.last_bias * share)


def smallest(classes: int) -> int:
    """Return the bytes of the smallest file for so many classes, without its card."""
    width = classes - 1
    head = classes * (width + _BYTES_A_CLASS)
    # Four bytes for a row's bucket, which a set of so few takes at most.
    return GRAPH_BYTES + head + (LEAST_ROWS + 1) * (width + 4)
