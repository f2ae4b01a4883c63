"""Multinomial logistic regression of sparse texts, with a prior for each coefficient.

The prior of "Baselines and Bigrams" (Wang and Manning, ACL 2012): a coefficient may be large where
naive Bayes finds the n-gram telling. There features are multiplied by the log-count ratio; here,
which is the same, coefficients are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from handheld.errors import MissingDependencyError
from handheld.projection.hashing import Floats, Numbers
from handheld.projection.ngrams import NGrams
from handheld.projection.ragged import counts_of, filtered, taken

MEMORY = 8
"""Pairs of steps and gradients that L-BFGS keeps (Nocedal and Wright, "Numerical Optimization",
7.2, advise 3 to 20).
"""

TOLERANCE = 2e-5
"""Of the loss from step to step, relative: below, validation accuracy no longer moved on six sets.
"""

_MIN_SHARE = 1e-6  # of a class, so that its logarithm is a number


@dataclass(frozen=True, eq=False)
class TextMatrix:
    """Texts as counts of n-grams (CSR).

    Attributes:
        starts: (texts + 1,) where each text begins.
        columns: (entries,) int32 numbers into ``buckets``, rising inside a text.
        counts: (entries,) float32, how often the n-gram is in the text.
        buckets: (columns,) the n-grams' buckets, rising.
    """

    starts: Numbers
    columns: NDArray[np.int32]
    counts: Floats
    buckets: Numbers

    @classmethod
    def of(cls, texts: Sequence[str], ngrams: NGrams, buckets: Numbers | None = None) -> Self:
        """Count the n-grams of texts: all, or those of the ``buckets`` of another matrix."""
        bag = ngrams.of(texts)
        universe = np.uint64(1 << ngrams.bits)
        text_numbers = np.arange(len(texts), dtype=np.uint64)
        text_of = text_numbers.repeat(counts_of(bag.offsets))
        # One number for a text and a bucket, so that one sort counts all n-grams.
        keys, counts = np.unique(text_of * universe + bag.hashes, return_counts=True)
        bucket = (keys % universe).astype(np.intp)
        text = (keys // universe).astype(np.intp)
        if buckets is None:
            buckets = np.unique(bucket)
        column = np.searchsorted(buckets, bucket)
        is_known = buckets.take(column, mode="clip") == bucket
        # A bucket above the last was clipped to it.
        is_known &= column < len(buckets)
        starts = np.searchsorted(text[is_known], np.arange(len(texts) + 1))
        columns = column[is_known].astype(np.int32)
        return cls(starts, columns, counts[is_known].astype(np.float32), buckets)

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def width(self) -> int:
        """How many columns there are."""
        return len(self.buckets)

    def document_frequency(self) -> Numbers:
        """Return (columns,) how many texts have each n-gram."""
        return np.bincount(self.columns, minlength=self.width)

    def only(self, kept: Numbers) -> "TextMatrix":
        """Return the matrix of some columns, which rise."""
        number = np.full(self.width, -1, np.int32)
        number[kept] = np.arange(len(kept), dtype=np.int32)
        columns = number.take(self.columns)
        is_kept = columns >= 0
        starts = filtered(self.starts, is_kept)
        buckets = self.buckets.take(kept)
        return TextMatrix(starts, columns[is_kept], self.counts[is_kept], buckets)

    def take(self, texts: Numbers) -> "TextMatrix":
        """Return the matrix of some texts."""
        starts, entries = taken(self.starts, texts)
        counts = self.counts.take(entries)
        return TextMatrix(starts, self.columns.take(entries), counts, self.buckets)

    def totals(self) -> Floats:
        """Return (texts,) how many n-grams each text has, those that occur twice twice.

        It is 1 for a text without any.
        """
        # Counts are whole numbers, and so exact in double precision whatever they add up to.
        before = np.zeros(len(self.counts) + 1)
        self.counts.cumsum(out=before[1:], dtype=np.float64)
        totals = np.diff(before.take(self.starts))
        return np.maximum(totals, 1).astype(np.float32)

    def weighted(self, weights: Floats) -> Floats:
        """Return (entries,) values: counts times a weight of the column.

        They are over the root of the text's number of n-grams.
        """
        share = (1 / np.sqrt(self.totals())).repeat(counts_of(self.starts))
        return np.asarray(self.counts * share * weights.take(self.columns), np.float32)


@dataclass(frozen=True, eq=False)
class SoftmaxRegression:
    """What was learned.

    Attributes:
        coefficients: (columns, classes) float32.
        bias: (classes,) float32.
    """

    coefficients: Floats
    bias: Floats

    def scores(self, texts: TextMatrix, values: Floats) -> Floats:
        """Return (texts, classes) logits."""
        from handheld.projection.training._kernels import scores_of

        scores: Floats = scores_of(
            texts.starts, texts.columns, values, self.coefficients, self.bias
        )
        return scores


@dataclass(frozen=True, eq=False)
class Lessons:
    """What a regression learns.

    Attributes:
        texts: n of them.
        values: (entries,) of the matrix, as :meth:`TextMatrix.weighted` gives them.
        targets: (n, classes) shares of each class.
        weights: (n,) of each text, 1 in the mean.
    """

    texts: TextMatrix
    values: Floats
    targets: Floats
    weights: Floats

    def take(self, chosen: Numbers) -> "Lessons":
        """Return some of the texts."""
        # Values are not in the matrix: they follow its entries.
        _, entries = taken(self.texts.starts, chosen)
        weights = self.weights[chosen]
        return Lessons(
            self.texts.take(chosen),
            self.values.take(entries),
            self.targets[chosen],
            np.asarray(weights / weights.mean(), np.float32),
        )


@dataclass(frozen=True, eq=False)
class _Objective:
    """What a fit makes least, of a flat array of coefficients over their scales, and biases.

    Attributes:
        lessons: to learn.
        alpha: strength of the prior.
        scale: (columns, classes), (columns, 1) or (1, 1), of each coefficient.
        loss_and_gradient: the compiled kernel.
    """

    lessons: Lessons
    alpha: float
    scale: Floats
    loss_and_gradient: Callable[..., float]

    @property
    def shape(self) -> tuple[int, int]:
        """That of the coefficients."""
        return self.lessons.texts.width, self.lessons.targets.shape[1]

    def __call__(self, flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Return the loss and its gradient."""
        lessons = self.lessons
        count = len(lessons.targets)
        unscaled, bias = self._parted(flat)
        # In single precision, half the memory of what L-BFGS keeps in double.
        gradient = np.zeros(self.shape, np.float32)
        bias_gradient = np.zeros(len(bias), np.float32)
        loss = self.loss_and_gradient(
            lessons.texts.starts,
            lessons.texts.columns,
            lessons.values,
            unscaled * self.scale,
            bias,
            lessons.targets,
            lessons.weights,
            gradient,
            bias_gradient,
        )
        # by the chain rule times the scale, since the coefficients are these numbers times it
        slope = gradient * self.scale / count + np.float32(self.alpha) * unscaled
        penalty = self.alpha / 2 * float(np.square(unscaled).sum())
        slopes = np.concatenate([slope.ravel(), bias_gradient / count])
        return loss / count + penalty, slopes.astype(np.float64)

    def flat(self, model: SoftmaxRegression) -> NDArray[np.float64]:
        """Return a model as this takes it."""
        # A scale of 0 holds its coefficient at 0: there is nothing to begin from.
        unscaled = np.divide(
            model.coefficients,
            self.scale,
            out=np.zeros(self.shape, np.float32),
            where=self.scale != 0,
        )
        return np.concatenate([unscaled.ravel(), model.bias]).astype(np.float64)

    def model(self, flat: NDArray[np.float64]) -> SoftmaxRegression:
        """Return the model that :meth:`flat` was made of."""
        unscaled, bias = self._parted(flat)
        return SoftmaxRegression(np.asarray(unscaled * self.scale, np.float32), bias)

    def _parted(self, flat: NDArray[np.float64]) -> tuple[Floats, Floats]:
        columns, classes = self.shape
        unscaled = flat[: columns * classes].astype(np.float32).reshape(self.shape)
        return unscaled, flat[columns * classes :].astype(np.float32)


def fitted(
    lessons: Lessons,
    alpha: float,
    *,
    prior: Floats | None = None,
    start: SoftmaxRegression | None = None,
    steps: int = 100,
) -> SoftmaxRegression:
    """Return the regression with the least loss.

    That is the mean cross-entropy + alpha / 2 * the sum of squares (coefficient / prior).

    Args:
        lessons: to learn.
        alpha: strength of the prior, above 0.
        prior: (columns, classes) or (columns, 1) scale of each coefficient; None: 1.
        start: to go on from.
        steps: of L-BFGS (Liu and Nocedal, 1989), at most.

    Raises:
        MissingDependencyError: the extra ``train`` is not installed.
    """
    try:
        from scipy.optimize import fmin_l_bfgs_b

        from handheld.projection.training._kernels import loss_and_gradient
    except ImportError as error:
        raise MissingDependencyError(
            error.name or "scipy", "train", "training a text classifier"
        ) from error
    if prior is None:
        prior = np.ones((1, 1), np.float32)
    objective = _Objective(lessons, alpha, prior, loss_and_gradient)
    if start is None:
        # From the shares of the classes, which a text without n-grams is answered by.
        start = SoftmaxRegression(np.zeros(objective.shape, np.float32), _log_shares(lessons))
    best, _, _ = fmin_l_bfgs_b(
        objective,
        objective.flat(start),
        m=MEMORY,
        maxiter=steps,
        pgtol=0,  # the loss alone says when to stop: gradients have no scale of their own
        factr=_tolerance_in_steps(),
    )
    return objective.model(best)


def _tolerance_in_steps() -> Any:
    """Return the tolerance as scipy takes it, over the smallest step of a float."""
    return TOLERANCE / np.finfo(np.float64).eps


def mean_of(models: Sequence[SoftmaxRegression]) -> SoftmaxRegression:
    """Return the model whose logits are the mean of some models' logits."""
    coefficients = np.mean([model.coefficients for model in models], axis=0)
    bias = np.mean([model.bias for model in models], axis=0)
    return SoftmaxRegression(np.asarray(coefficients, np.float32), np.asarray(bias, np.float32))


def _log_shares(lessons: Lessons) -> Floats:
    shares = (lessons.targets * lessons.weights[:, None]).mean(axis=0)
    return np.asarray(np.log(shares + _MIN_SHARE), np.float32)


def inverse_document_frequency(texts: TextMatrix) -> Floats:
    """Return (columns,) how rare each n-gram is, as scikit-learn smooths it.

    That is log((1 + texts) / (1 + texts that have the n-gram)) + 1, made 1 in the mean square over
    all entries.
    """
    frequency = texts.document_frequency()
    idf = np.log((1 + len(texts)) / (1 + frequency)) + 1
    mean_square = (np.square(idf) * frequency).sum() / max(1, frequency.sum())
    return np.asarray(idf / np.sqrt(mean_square), np.float32)


def log_count_ratio(texts: TextMatrix, targets: Floats, smoothing: float = 1.0) -> Floats:
    """Return (columns, classes) how telling an n-gram is of a class; 1 in the mean square.

    It is the size of the logarithm of the ratio between its share of the texts of that class and
    of all others.

    Args:
        texts: counted.
        targets: (texts, classes) shares.
        smoothing: texts that are added to each count.
    """
    classes = targets.shape[1]
    inside = np.zeros((texts.width, classes), np.float32)
    # Whether a text has an n-gram counts, and not how often, as in the paper.
    np.add.at(inside, texts.columns, targets.repeat(np.diff(texts.starts), axis=0))
    outside = texts.document_frequency()[:, None] - inside
    members = targets.sum(axis=0)
    share = (inside + smoothing) / (members + 2 * smoothing)
    others_share = (outside + smoothing) / (len(texts) - members + 2 * smoothing)
    ratio = np.abs(np.log(share / others_share))
    return np.asarray(ratio / np.sqrt(np.square(ratio).mean()), np.float32)
