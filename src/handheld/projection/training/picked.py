"""The whole way from labelled texts to a file of picked n-grams.

A large regression learns first; then come the small forms that it teaches, of which the one is kept
that knows the validation texts best.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.projection.hashing import Floats
from handheld.projection.hidden import HiddenModel
from handheld.projection.inputs import Picked, Rows
from handheld.projection.judging import TextData
from handheld.projection.ngrams import NGrams
from handheld.projection.pooled import PooledModel, PooledReader, softmax
from handheld.projection.training import deep, picking
from handheld.projection.training.lessons import TextLesson
from handheld.projection.training.plan import TextModelPlan
from handheld.projection.training.recipe import NGRAMS
from handheld.projection.training.regression import (
    Lessons,
    SoftmaxRegression,
    TextMatrix,
    fitted,
    inverse_document_frequency,
    mean_of,
)
from handheld.projection.training.stages import TrainingStages
from handheld.projection.training.text import Curve
from handheld.projection.training.tuning import (
    BAYES_CLASSES,
    LARGE_CLASSES,
    LARGE_STEPS,
    PRIORS,
    STEPS,
    Held,
    Trial,
    chosen,
    cross_entropy,
    held_out,
    prior_of,
    temperature_of,
    tune,
)
from handheld.training import FitRun
from handheld.training.runs import Progress

NGRAM_DEFAULTS = NGrams()
_FREQUENT_TEXTS = 500  # from which an n-gram that only one of them has is left out
# 1 / (alpha * texts) for many labels, where the regression is one teacher of three.
_MANY_INVERSE_ALPHAS = (4.0, 16.0)
_MANY_STEPS = 25
_MIN_HIDDEN_ROWS = 256  # of a file with a hidden layer; with fewer a linear model knows more
# N-grams of a text that the file's graph reads: nearly all texts', in steps of 64.
_LENGTH_STEP = 64
_NEARLY_ALL = 0.999
_MAX_LENGTH = 2048
_TEMPERATURE_PRIOR = 100  # validation texts' worth of belief in a temperature of 1
_CARD_ROOM = 160  # bytes that a card may grow by when it is measured

Prior = tuple[float, Floats | None]
"""Alpha, and the scale of each coefficient."""


@dataclass(frozen=True, eq=False)
class Made:
    """A file without its card.

    Attributes:
        model: what it answers with.
        reader: of its texts.
        choice: what was chosen, in words.
        curves: (step, loss) of each training of a network.
    """

    model: PooledModel | HiddenModel
    reader: Picked
    choice: str
    curves: Mapping[str, Curve]

    def content(self) -> bytes:
        """Return the file."""
        return self.model.content(self.reader)

    def logits(self, texts: Sequence[str]) -> Floats:
        """Return (texts, classes)."""
        return PooledReader(self.model, self.reader).logits(texts)


class PickedMaker:
    """Makes one file; its stages are methods, called in their order by :meth:`make`.

    Args:
        train: to learn from.
        valid: to choose by.
        plan: what to make.
        answers: (texts, classes) logits of other teachers for ``TextLesson.of(train.known,
            train.outside)``, if there are any.
        card: as long as the file's will be, without what is measured.
        state: folder to go on from, or None.
        progress: called as the work goes on.

    Attributes:
        taught: (texts, classes) logits of all teachers of the lesson's texts, once they have
            answered; before, and where a regression alone teaches, ``answers``.

    Raises:
        InputError: a size that leaves no room for n-grams.
    """

    def __init__(  # noqa: PLR0913  # data, plan and run of one file
        self,
        train: TextData,
        valid: TextData,
        plan: TextModelPlan,
        answers: Floats | None,
        card: Mapping[str, Any],
        state: Path | None,
        progress: Progress,
    ):
        self.lesson = TextLesson.of(train.known, train.outside)
        self.labels = train.known.labels
        self.classes = len(train.known.classes)
        self.valid_labels = valid.known.labels
        self.valid_texts = valid.texts
        self.taught = answers
        self.plan = plan
        self.answers = answers
        self.progress = progress
        self.stages = TrainingStages(state, progress, self._data())
        self.ngrams = NGRAM_DEFAULTS
        self.buckets = 1 << self.ngrams.bits
        self.size = plan.max_size - self._card_size(card) - _CARD_ROOM
        # Of all networks that were trained; a file that is too large has them trained anew.
        self.curves: dict[str, Curve] = {}
        self._check_room()

    def _data(self) -> tuple[object, ...]:
        labels = self.lesson.labels.tobytes()
        return self.lesson.texts, labels, self.plan.seed, self.plan.class_weight

    def _card_size(self, card: Mapping[str, Any]) -> int:
        """Return the bytes of a card that says what a file of as many rows as can be reads."""
        text = {
            "reads": "picked",
            **asdict(self.ngrams),
            "rows": self.buckets,
            "length": _MAX_LENGTH,
        }
        return len(json.dumps({**card, "text": text}, ensure_ascii=False).encode())

    def make(self) -> Made:
        """Return the file that knows the validation texts best."""
        if self.is_many:
            return self._best([self._deep()])
        trials = self._tuned(self._prior_names())
        priors = [self._prior(trial) for trial in trials]
        teacher = self._teacher(priors)
        candidates = [self._linear(teacher, priors, form) for form in self._forms()]
        best = self._best(candidates)
        names = [f"{trial.prior} prior, C {trial.inverse_alpha:g}" for trial in trials]
        return replace(best, choice=f"linear, {' and '.join(names)}, {best.choice}")

    def _prior_names(self) -> Sequence[str]:
        """Return the priors that are tried: with very many labels the uniform one alone."""
        if self.classes > BAYES_CLASSES:
            return PRIORS[:1]
        return PRIORS

    def _forms(self) -> list[picking.RowForm]:
        """Return the forms that leave room for enough rows."""
        forms = picking.forms_for(self.classes)
        return [form for form in forms if self._rows_of(form) >= picking.LEAST_ROWS]

    def _rows_of(self, form: picking.RowForm) -> int:
        return form.rows_in(self.size, self.buckets, self.classes)

    @property
    def is_many(self) -> bool:
        """Whether there are so many labels that a row of one number a label would be too long."""
        if self.classes <= BAYES_CLASSES:
            return False
        return deep.rows_in(self.size, self.buckets, self.classes) >= _MIN_HIDDEN_ROWS

    @property
    def is_possible(self) -> bool:
        """Whether there is room for so many labels; a small file of very many has none."""
        return self.is_many or self.classes <= BAYES_CLASSES

    def _check_room(self) -> None:
        """See that the file has room for some n-grams, before anything is learned."""
        if self.classes > BAYES_CLASSES or self._forms():
            return
        required = self.plan.max_size - self.size + picking.smallest(self.classes)
        raise InputError(
            f"{self.plan.max_size} bytes are too few for {self.classes} labels and their names: "
            f"expected {required} or more"
        )

    @cached_property
    def matrix(self) -> TextMatrix:
        """The training texts, and those out of scope behind them."""
        everything = TextMatrix.of(self.lesson.texts, self.ngrams)
        min_texts = 1
        texts = "any"
        # of few texts each n-gram counts: hardly any would be in two
        if len(self.labels) >= _FREQUENT_TEXTS:
            min_texts = 2
            texts = "two"
        frequent = np.flatnonzero(everything.document_frequency() >= min_texts)
        if not len(frequent):
            raise InputError(
                f"no words or letters are in {texts} of the {len(everything)} texts: "
                "there is nothing to learn from"
            )
        return everything.only(frequent)

    @cached_property
    def idf(self) -> Floats:
        """(columns,) weight of each n-gram."""
        return inverse_document_frequency(self.matrix)

    @cached_property
    def lessons(self) -> Lessons:
        """What the regression learns."""
        return Lessons(
            self.matrix, self.matrix.weighted(self.idf), self.lesson.labels, self.weights
        )

    @cached_property
    def weights(self) -> Floats:
        """(texts,) of each text's loss, 1 in the mean."""
        return class_weights(self.plan.class_weight, self.labels, self.classes, len(self.lesson))

    @cached_property
    def valid(self) -> Held:
        """The validation texts, held out from all lessons."""
        texts = TextMatrix.of(self.valid_texts, self.ngrams, self.matrix.buckets)
        labels = self.valid_labels
        weights = class_weights(self.plan.class_weight, labels, self.classes, len(labels))
        return Held(self.lessons, texts, texts.weighted(self.idf), labels, weights)

    def _tuned(self, priors: Sequence[str]) -> tuple[Trial, ...]:
        self._report_regression(0.0, "")
        sets = held_out(self.lessons, self.labels, self.valid)
        return chosen(tune(sets, priors, self._report_regression), sets)

    def _report_regression(self, share: float, text: str) -> None:
        self.progress("regression", share, text)

    def _prior(self, trial: Trial) -> Prior:
        alpha = 1 / (trial.inverse_alpha * len(self.lesson))
        return alpha, prior_of(trial.prior, self.lessons)

    def _teacher(self, priors: Sequence[Prior]) -> SoftmaxRegression:
        steps = STEPS
        if self.classes > LARGE_CLASSES:
            # Twice as many as in a trial, which went on from the last one: this begins anew.
            steps = 2 * LARGE_STEPS
        models = [fitted(self.lessons, alpha, prior=scale, steps=steps) for alpha, scale in priors]
        return mean_of(models)

    def _linear(
        self, teacher: SoftmaxRegression, priors: Sequence[Prior], form: picking.RowForm
    ) -> Made:
        """Return a linear model whose rows are of a form."""
        rows = self._rows_of(form)
        numbers = f"{form.width} numbers of {form.bits} bits"
        self.progress("file", 0.3, f"{rows:,} n-grams at most, {numbers}")
        answers = self._shares(teacher)
        pick = picking.picked(teacher, self.lessons, self.idf, rows, priors, answers)
        texts = pick.lessons.texts
        model = picking.rounded(pick, form)
        if form.bits == 4:  # in eight bits rows are rounded so little that there is nothing to mend
            logits = pick.model.scores(texts, pick.lessons.values)
            model = picking.refitted(model, texts, logits)
        reader = Picked(self.ngrams, self.matrix.buckets[pick.columns], length_of(texts))
        return Made(model, reader, f"{numbers} a row", {})

    def _shares(self, teacher: SoftmaxRegression) -> Floats:
        """Return (texts, classes) shares that all teachers give each class, in the mean."""
        # As shares: logits of two teachers have no common scale.
        shares = softmax(teacher.scores(self.matrix, self.lessons.values))
        if self.answers is None:
            return shares
        return np.asarray((shares + softmax(self.answers)) / 2, np.float32)

    def _deep(self) -> Made:
        """Return a network with a hidden layer, of a regression and two larger networks."""
        width = self.matrix.width
        # More rows than n-grams would stay empty.
        rows = min(deep.rows_in(self.size, self.buckets, self.classes, width), width)
        teacher, inverse_alpha = self._large_regression()
        lesson = self._deep_lesson(teacher)
        columns = picking.most_important(teacher, self.lessons, deep.NGRAMS_A_ROW * rows)
        buckets = self.matrix.buckets[columns]
        run = self._run("model", rows, inverse_alpha, deep.EPOCHS, seed=self.plan.seed)
        network, self.curves["model"] = deep.trained(
            TextMatrix.of(lesson.texts, self.ngrams, buckets),
            lesson,
            self.valid.texts.only(columns),
            self._valid_loss,
            run,
            rows=rows,
        )
        reader = Picked(self.ngrams, buckets, length_of(self.matrix.only(columns)), rows)
        choice = (
            f"a hidden layer of {deep.HIDDEN}, {deep.WIDTH} numbers of 4 bits a row, "
            f"regression of C {inverse_alpha:g}"
        )
        return Made(deep.whole(network, Rows(NGRAMS, rows)), reader, choice, self.curves)

    def _large_regression(self) -> tuple[SoftmaxRegression, float]:
        """Return the regression with the least validation loss, and 1 / (alpha * texts)."""
        model: SoftmaxRegression | None = None
        lowest_loss = np.inf
        best_inverse_alpha = _MANY_INVERSE_ALPHAS[0]
        for number, inverse_alpha in enumerate(_MANY_INVERSE_ALPHAS):
            share = number / len(_MANY_INVERSE_ALPHAS)
            self._report_regression(share, f"C {inverse_alpha:g}")
            alpha = 1 / (inverse_alpha * len(self.lesson))
            candidate = fitted(self.lessons, alpha, start=model, steps=_MANY_STEPS)
            loss = self._valid_loss(candidate.scores(self.valid.texts, self.valid.values))
            if loss < lowest_loss:
                model = candidate
                lowest_loss = loss
                best_inverse_alpha = inverse_alpha
        assert model is not None
        return model, best_inverse_alpha

    def _deep_lesson(self, teacher: SoftmaxRegression) -> TextLesson:
        """Return the lesson's texts and as many varied ones, with what all teachers say of them."""
        count = len(self.lesson)
        texts = (*self.lesson.texts, *deep.varied(self.lesson.texts, self.plan.seed))
        answers = self._answers(teacher, texts)
        self.taught = answers[:count]
        # A varied text has no label but the teachers' answer.
        known = self.lesson.labels * self.weights[:, None]
        labels = np.concatenate([known, softmax(answers[count:])])
        return TextLesson(texts, np.asarray(labels, np.float32), answers)

    def _answers(self, teacher: SoftmaxRegression, texts: Sequence[str]) -> Floats:
        """Return the mean of the teachers' log-shares of texts, which begin with the lesson's."""
        matrix = TextMatrix.of(texts, self.ngrams, self.matrix.buckets)
        log_shares = [_log_shares(teacher.scores(matrix, matrix.weighted(self.idf)))]
        for number in range(len(deep.TEACHERS)):
            name = f"teacher {number + 1}"
            run = self._run(name, number, seed=self.plan.seed + number)
            logits, self.curves[name] = deep.teacher_logits(self.lesson, number, texts, run)
            log_shares.append(_log_shares(logits))
        answers = np.mean(log_shares, axis=0)
        if self.answers is not None:
            # Other teachers know the lesson's texts alone: there the mean goes on by one.
            theirs = _log_shares(self.answers)
            # a view: what is added to it is added to the answers
            both = answers[: len(theirs)]
            both += (theirs - both) / (len(log_shares) + 1)
        return np.asarray(answers, np.float32)

    def _run(self, name: str, *settings: object, seed: int) -> FitRun:
        return self.stages.run(name, name, *settings, seed=seed)

    def _valid_loss(self, logits: Floats) -> float:
        return cross_entropy(logits, self.valid.labels, self.valid.weights)

    def _best(self, candidates: Sequence[Made]) -> Made:
        """Return the one with the least validation loss, its probabilities calibrated."""
        best: Made | None = None
        lowest_loss = np.inf
        for candidate in candidates:
            logits = candidate.logits(self.valid_texts)
            temperature = steady_temperature(logits, self.valid.labels, self.valid.weights)
            loss = self._valid_loss(logits / np.float32(temperature))
            if loss < lowest_loss:
                best = replace(candidate, model=picking.cooled(candidate.model, temperature))
                lowest_loss = loss
        assert best is not None
        return best


def length_of(texts: TextMatrix) -> int:
    """Return how many n-grams of a text the graph reads: as many as nearly all texts have."""
    longest = float(np.quantile(texts.totals(), _NEARLY_ALL))
    return int(min(_MAX_LENGTH, _LENGTH_STEP * max(1, np.ceil(longest / _LENGTH_STEP))))


def class_weights(name: str, labels: NDArray[np.int64], classes: int, count: int) -> Floats:
    """Return (count,) weights of texts, 1 in the mean; of those behind the labelled ones 1."""
    weights = np.ones(count, np.float32)
    if name == "balanced":
        members = np.bincount(labels, minlength=classes)
        present = int((members > 0).sum())
        # Of the labels that are present, so that the mean is 1.
        by_class = len(labels) / (present * np.maximum(members, 1))
        weights[: len(labels)] = by_class[labels]
    return weights


def steady_temperature(logits: Floats, labels: NDArray[np.int64], weights: Floats) -> float:
    """Return the temperature of the least loss, drawn towards 1 where the texts are few."""
    temperature = temperature_of(logits, labels, weights)
    # As if so many further texts had said 1.
    belief = len(labels) / (len(labels) + _TEMPERATURE_PRIOR)
    return float(temperature**belief)


def _log_shares(logits: Floats) -> Floats:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)), np.float32)
