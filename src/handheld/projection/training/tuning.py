"""How strongly a regression of texts is held back, and by which prior, or by the mean of both:
chosen by the loss on texts that it did not learn.

Where few validation texts are set apart their loss is mostly noise, so folds of the training texts
are held out as well.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.projection.hashing import Numbers
from handheld.projection.training.regression import (
    Floats,
    Lessons,
    SoftmaxRegression,
    TextMatrix,
    fitted,
    inverse_document_frequency,
    log_count_ratio,
)

PRIORS = ("uniform", "bayes")
INVERSE_ALPHAS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
"""1 / (alpha * texts), scikit-learn's ``C``, from strong to weak. Optima on six sets lay between 1
and 32."""

STEPS = 100
LARGE_CLASSES = 8
LARGE_INVERSE_ALPHAS = (1.0, 2.0, 4.0, 8.0, 16.0)
LARGE_STEPS = 60
"""Of L-BFGS for more than eight labels: a step costs as much as there are labels, and each path goes on from the last fit."""

BAYES_CLASSES = 32
"""Labels up to which the log-count ratio is tried. With 64 and 77 it lost 1.1 and 1.3 points to a
uniform prior on validation texts: a label's few texts tell too little of each n-gram."""

ENOUGH = 2_000  # validation texts from which their loss alone decides: its standard error is then 1 % of it
FOLDS = 3
_LEAST_SHARE = 1e-9
_WORSE = 1.002  # times the least loss: a path of alphas ends beyond, since the loss has one valley
_SEED = 0  # of the folds


@dataclass(frozen=True, eq=False)
class Held:
    """Lessons, and texts that are held out from them.

    Attributes:
        lessons: to learn; their values are the columns' counts times idf.
        texts, values: held out.
        labels: (texts,) of the held out.
        weights: (texts,) of their losses.
    """

    lessons: Lessons
    texts: TextMatrix
    values: Floats
    labels: NDArray[np.int64]
    weights: Floats


@dataclass(frozen=True)
class Trial:
    """What one choice gives on the texts that were held out.

    Attributes:
        prior: of :data:`PRIORS`.
        inverse_alpha: 1 / (alpha * texts).
        loss: mean cross-entropy.
        accuracy: 0 to 1.
        scores: (texts, classes) logits of all that was held out.
    """

    prior: str
    inverse_alpha: float
    loss: float
    accuracy: float
    scores: Floats = field(repr=False, compare=False)


def cross_entropy(scores: Floats, labels: NDArray[np.int64], weights: Floats | None = None) -> float:
    """Return the mean loss of (texts, classes) logits."""
    return float(np.average(losses(scores, labels), weights=weights))


def losses(scores: Floats, labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return (texts,) cross-entropies of logits."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    chosen = shifted[np.arange(len(labels)), labels]
    return np.asarray(np.log(np.exp(shifted).sum(axis=1)) - chosen, np.float64)


def held_out(lessons: Lessons, labels: NDArray[np.int64], valid: Held) -> list[Held]:
    """Return the validation texts held out from all lessons, and where they are few, folds of the
    lessons themselves.

    Args:
        lessons: to learn.
        labels: (texts,) of the first of the lessons; those behind have none and are held out never.
        valid: validation texts.
    """
    if len(valid.texts) >= ENOUGH or len(labels) < 2 * FOLDS:
        return [valid]
    order = np.random.default_rng(_SEED).permutation(len(labels))
    return [valid, *(_fold(lessons, labels, order[start::FOLDS]) for start in range(FOLDS))]


def _fold(lessons: Lessons, labels: NDArray[np.int64], apart: Numbers) -> Held:
    apart = np.sort(apart)
    held = lessons.take(apart)
    kept = np.setdiff1d(np.arange(len(lessons.texts)), apart)
    return Held(lessons.take(kept), held.texts, held.values, labels[apart], held.weights)


def prior_of(name: str, lessons: Lessons) -> Floats | None:
    """Return the scale of each coefficient by the prior of that name."""
    return None if name == "uniform" else log_count_ratio(lessons.texts, lessons.targets)


def path(held: Held, prior: str) -> Iterator[tuple[float, Floats]]:
    """Yield each 1 / alpha, from the strongest prior on, and the (texts, classes) logits of what
    is held out."""
    model: SoftmaxRegression | None = None
    scale = prior_of(prior, held.lessons)
    count = len(held.lessons.texts)
    is_large = held.lessons.targets.shape[1] > LARGE_CLASSES
    for inverse_alpha in LARGE_INVERSE_ALPHAS if is_large else INVERSE_ALPHAS:
        steps = LARGE_STEPS if is_large else STEPS
        model = fitted(held.lessons, 1 / (inverse_alpha * count), prior=scale, start=model, steps=steps)
        yield inverse_alpha, model.scores(held.texts, held.values)


def tune(sets: Sequence[Held], priors: Sequence[str], report: Callable[[float, str], None]) -> list[Trial]:
    """Return the trials of all priors, the best first; each path ends where the loss has begun to
    rise.

    Args:
        sets: what is held out, each from its own lessons.
        priors: of :data:`PRIORS`.
        report: called with the share that is done, and what there is to say.
    """
    labels = np.concatenate([held.labels for held in sets])
    weights = np.concatenate([held.weights for held in sets])
    trials: list[Trial] = []
    for number, prior in enumerate(priors):
        least = np.inf
        for step, results in enumerate(zip(*(path(held, prior) for held in sets), strict=True)):
            scores = np.concatenate([logits for _, logits in results])
            loss = cross_entropy(scores, labels, weights)
            right = np.average(scores.argmax(axis=1) == labels, weights=weights)
            trials.append(Trial(prior, results[0][0], loss, float(right), scores))
            done = (number + (step + 1) / len(INVERSE_ALPHAS)) / len(priors)
            report(done, f"{prior} prior, C {results[0][0]:g}: loss {loss:.4f}")
            least = min(least, loss)
            if loss > _WORSE * least:
                break
    return sorted(trials, key=lambda trial: trial.loss)


def chosen(trials: Sequence[Trial], sets: Sequence[Held]) -> tuple[Trial, ...]:
    """Return the best trial, or the best of each prior where the mean of their logits is better.

    A mean of linear models is one of the same size. In five folds of the training texts of three sets
    the loss fell by 4 and 1.5 % and rose by 0.6 %. Of more than eight labels the best alone is taken:
    twice the longest of all trainings, and on tweets' emoji nothing was gained.

    Args:
        trials: the best first.
        sets: what was held out from them.
    """
    if trials[0].scores.shape[1] > LARGE_CLASSES:
        return (trials[0],)
    labels = np.concatenate([held.labels for held in sets])
    weights = np.concatenate([held.weights for held in sets])
    best = {trial.prior: trial for trial in reversed(trials)}
    mean = np.asarray(np.mean([trial.scores for trial in best.values()], axis=0), np.float32)
    together = len(best) > 1 and cross_entropy(mean, labels, weights) < trials[0].loss
    return tuple(best.values()) if together else (trials[0],)


def temperature_of(scores: Floats, labels: NDArray[np.int64], weights: Floats | None = None) -> float:
    """Return what logits are divided by so that their loss is least (Guo et al., "On Calibration
    of Modern Neural Networks", arXiv 1706.04599); 0.2 to 5."""
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        return cross_entropy(scores / np.float32(np.exp(log_temperature)), labels, weights)

    found: Any = minimize_scalar(loss, bounds=(np.log(0.2), np.log(5)), method="bounded")
    return float(np.exp(found.x))


def lessons_of(texts: TextMatrix, targets: Floats, weights: Floats, idf: Floats | None = None) -> Lessons:
    """Return texts to learn from; without an ``idf`` it is their own."""
    idf = inverse_document_frequency(texts) if idf is None else idf
    return Lessons(texts, texts.weighted(idf), targets, weights)
