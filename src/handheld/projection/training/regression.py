"""Multinomial logistic regression of sparse texts, with a prior of its own for each coefficient;
and the texts as matrices.

The prior of "Baselines and Bigrams" (Wang and Manning, ACL 2012): a coefficient may be large where
naive Bayes finds the n-gram telling. There features are multiplied by the log-count ratio; here,
which is the same, coefficients are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from handheld.errors import MissingDependencyError
from handheld.projection.hashing import Numbers
from handheld.projection.ngrams import NGrams

Floats = NDArray[np.float32]

MEMORY = 8  # pairs of steps and gradients that L-BFGS keeps (Nocedal and Wright, "Numerical Optimization", 7.2, advise 3 to 20)
TOLERANCE = 2e-5  # of the loss from step to step, relative: below, validation accuracy no longer moved on six sets
_SHARE_OF_SMALLEST = 1e-6


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
        width = np.uint64(1 << ngrams.bits)
        keys = np.repeat(np.arange(len(texts), dtype=np.uint64), np.diff(bag.offsets)) * width + bag.hashes
        keys, counts = np.unique(keys, return_counts=True)
        bucket = (keys % width).astype(np.intp)
        text = (keys // width).astype(np.intp)
        if buckets is None:
            buckets = np.unique(bucket)
        column = np.searchsorted(buckets, bucket)
        known = (column < len(buckets)) & (buckets.take(column, mode="clip") == bucket)
        starts = np.searchsorted(text[known], np.arange(len(texts) + 1))
        return cls(starts, column[known].astype(np.int32), counts[known].astype(np.float32), buckets)

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
        before = np.zeros(len(columns) + 1, np.intp)
        is_kept.cumsum(out=before[1:])
        return TextMatrix(before.take(self.starts), columns[is_kept], self.counts[is_kept], self.buckets.take(kept))

    def take(self, texts: Numbers) -> "TextMatrix":
        """Return the matrix of some texts."""
        sizes = np.diff(self.starts).take(texts)
        starts = np.zeros(len(texts) + 1, np.intp)
        sizes.cumsum(out=starts[1:])
        places = (self.starts.take(texts) - starts[:-1]).repeat(sizes) + np.arange(starts[-1])
        return TextMatrix(starts, self.columns.take(places), self.counts.take(places), self.buckets)

    def totals(self) -> Floats:
        """Return (texts,) how many n-grams each text has, those that occur twice twice; 1 for a
        text without any."""
        before = np.zeros(len(self.counts) + 1)
        self.counts.cumsum(out=before[1:], dtype=np.float64)
        return np.maximum(np.diff(before.take(self.starts)), 1).astype(np.float32)

    def weighted(self, weights: Floats) -> Floats:
        """Return (entries,) values: counts times a weight of the column, over the root of the
        text's number of n-grams."""
        share = (1 / np.sqrt(self.totals())).repeat(np.diff(self.starts))
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

        found: Floats = scores_of(texts.starts, texts.columns, values, self.coefficients, self.bias)
        return found


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
        sizes = np.diff(self.texts.starts).take(chosen)
        texts = self.texts.take(chosen)
        places = (self.texts.starts.take(chosen) - texts.starts[:-1]).repeat(sizes) + np.arange(texts.starts[-1])
        weights = self.weights[chosen]
        return replace(
            self, texts=texts, values=self.values.take(places), targets=self.targets[chosen],
            weights=np.asarray(weights / weights.mean(), np.float32),
        )  # fmt: skip


def fitted(
    lessons: Lessons,
    alpha: float,
    *,
    prior: Floats | None = None,
    start: SoftmaxRegression | None = None,
    steps: int = 100,
) -> SoftmaxRegression:
    """Return the regression with the least mean cross-entropy + alpha / 2 * the sum of squares
    (coefficient / prior).

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
        raise MissingDependencyError(error.name or "scipy", "train", "training a text classifier") from error
    count, classes = lessons.targets.shape
    shape = (lessons.texts.width, classes)
    scale = np.ones((1, 1), np.float32) if prior is None else prior
    first = start or SoftmaxRegression(np.zeros(shape, np.float32), _log_shares(lessons))
    size = shape[0] * shape[1]

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        unscaled = flat[:size].astype(np.float32).reshape(shape)
        gradient = np.zeros(shape, np.float32)
        tilt = np.zeros(classes, np.float32)
        value = loss_and_gradient(
            lessons.texts.starts, lessons.texts.columns, lessons.values, unscaled * scale, flat[size:].astype(np.float32),
            lessons.targets, lessons.weights, gradient, tilt,
        )  # fmt: skip
        slope = gradient * scale / count + np.float32(alpha) * unscaled
        penalty = alpha / 2 * float(np.square(unscaled).sum())
        return value / count + penalty, np.concatenate([slope.ravel(), tilt / count]).astype(np.float64)

    # A scale of 0 holds its coefficient at 0: there is nothing to begin from.
    unscaled_start = np.divide(first.coefficients, scale, out=np.zeros(shape, np.float32), where=scale != 0)
    begin = np.concatenate([unscaled_start.ravel(), first.bias]).astype(np.float64)
    accuracy: Any = TOLERANCE / np.finfo(np.float64).eps
    best, _, _ = fmin_l_bfgs_b(loss, begin, m=MEMORY, maxiter=steps, pgtol=0, factr=accuracy)
    coefficients = best[:size].astype(np.float32).reshape(shape) * scale
    return SoftmaxRegression(np.asarray(coefficients, np.float32), best[size:].astype(np.float32))


def mean_of(models: Sequence[SoftmaxRegression]) -> SoftmaxRegression:
    """Return the model whose logits are the mean of some models' logits."""
    coefficients = np.mean([model.coefficients for model in models], axis=0)
    bias = np.mean([model.bias for model in models], axis=0)
    return SoftmaxRegression(np.asarray(coefficients, np.float32), np.asarray(bias, np.float32))


def _log_shares(lessons: Lessons) -> Floats:
    shares = (lessons.targets * lessons.weights[:, None]).mean(axis=0)
    return np.asarray(np.log(shares + _SHARE_OF_SMALLEST), np.float32)


def inverse_document_frequency(texts: TextMatrix) -> Floats:
    """Return (columns,) idf as scikit-learn smooths it: log((1 + texts) / (1 + texts that have the
    n-gram)) + 1, 1 in the mean square over all entries."""
    frequency = texts.document_frequency()
    idf = np.log((1 + len(texts)) / (1 + frequency)) + 1
    mean_square = (np.square(idf) * frequency).sum() / max(1, frequency.sum())
    return np.asarray(idf / np.sqrt(mean_square), np.float32)


def log_count_ratio(texts: TextMatrix, targets: Floats, smoothing: float = 1.0) -> Floats:
    """Return (columns, classes) how telling an n-gram is of a class: the size of the logarithm of
    the ratio between its share of the texts of that class and of all others; 1 in the mean square.

    Args:
        texts: counted.
        targets: (texts, classes) shares.
        smoothing: texts that are added to each count.
    """
    classes = targets.shape[1]
    inside = np.zeros((texts.width, classes), np.float32)
    np.add.at(inside, texts.columns, targets.repeat(np.diff(texts.starts), axis=0))
    outside = texts.document_frequency()[:, None] - inside
    members = targets.sum(axis=0)
    share = (inside + smoothing) / (members + 2 * smoothing)
    rest = (outside + smoothing) / (len(texts) - members + 2 * smoothing)
    ratio = np.abs(np.log(share / rest))
    return np.asarray(ratio / np.sqrt(np.square(ratio).mean()), np.float32)
