"""The whole way from labelled texts to a file of picked n-grams: a large regression, what it
teaches, and the smaller of its forms that knows the validation texts best."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.projection.hidden import HiddenModel
from handheld.projection.inputs import Picked, Rows
from handheld.projection.judging import TextData
from handheld.projection.ngrams import NGrams
from handheld.projection.pooled import PooledModel, PooledReader, softmax
from handheld.projection.training import deep, picking
from handheld.projection.training.lessons import Lesson
from handheld.projection.training.plan import Plan
from handheld.projection.training.recipe import NGRAMS
from handheld.projection.training.regression import (
    Floats,
    Lessons,
    SoftmaxRegression,
    TextMatrix,
    fitted,
    inverse_document_frequency,
    mean_of,
)
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
from handheld.training.runs import Progress, values_digest

NGRAM_DEFAULTS = NGrams()
_FREQUENT = 500  # texts from which an n-gram that only one of them has is left out
_MANY_ALPHAS = (4.0, 16.0)  # 1 / (alpha * texts) for many labels, where the regression is one teacher of three
_MANY_STEPS = 25
_LENGTH_STEP, _NEARLY_ALL, _LONGEST = 64, 0.999, 2048  # n-grams of a text that the file's graph reads
_TEMPERATURE_PRIOR = 100  # validation texts' worth of belief in a temperature of 1
_CARD_ROOM = 160  # bytes that a card may grow by when it is measured


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
        answers: (texts, classes) logits of other teachers for ``Lesson.of(train.known,
            train.outside)``, if there are any.
        card: as long as the file's will be, without what is measured.
        state: folder to go on from, or None.
        progress: called as the work goes on.

    Attributes:
        taught: (texts, classes) logits of all teachers of the lesson's texts, once they have answered; before,
            and where a regression alone teaches, ``answers``.

    Raises:
        InputError: a size that leaves no room for n-grams.
    """

    def __init__(
        self,
        train: TextData,
        valid: TextData,
        plan: Plan,
        answers: NDArray[np.float32] | None,
        card: Mapping[str, Any],
        state: Path | None,
        progress: Progress,
    ):
        self.lesson = Lesson.of(train.known, train.outside)
        self.labels = train.known.labels
        self.classes = len(train.known.classes)
        self.valid_labels = valid.known.labels
        self.valid_texts = valid.texts
        self.taught = answers
        self.plan, self.answers, self.state, self.progress = plan, answers, state, progress
        self.ngrams = NGRAM_DEFAULTS
        self.buckets = 1 << self.ngrams.bits
        text = {"text": {"reads": "picked", **asdict(self.ngrams), "rows": self.buckets, "length": _LONGEST}}
        self.size = plan.max_size - len(json.dumps({**card, **text}, ensure_ascii=False).encode()) - _CARD_ROOM
        self.curves: dict[str, Curve] = {}
        self._check_room()

    def make(self) -> Made:
        """Return the file that knows the validation texts best."""
        if self.is_many:
            return self._best([self._deep()])
        trials = self._tuned(PRIORS if self.classes <= BAYES_CLASSES else PRIORS[:1])
        priors = [self._prior(trial) for trial in trials]
        teacher = self._teacher(priors)
        made = [self._linear(teacher, priors, form) for form in picking.forms_for(self.classes)]
        told = " and ".join(f"{trial.prior} prior, C {trial.inverse_alpha:g}" for trial in trials)
        best = self._best(made)
        return replace(best, choice=f"linear, {told}, {best.choice}")

    @property
    def is_many(self) -> bool:
        """Whether there are so many labels that a row of one number a label would be too long."""
        return self.classes > BAYES_CLASSES and deep.rows_in(self.size, self.buckets, self.classes) >= 256

    @property
    def is_possible(self) -> bool:
        """Whether a file of this kind has room for so many labels; a small one of very many has not."""
        return self.is_many or self.classes <= BAYES_CLASSES

    def _check_room(self) -> None:
        """See that the file has room for some n-grams, before anything is learned."""
        forms = picking.forms_for(self.classes)
        rows = max(form.rows_in(self.size, self.buckets, self.classes) for form in forms)
        if rows < picking.LEAST_ROWS and self.classes <= BAYES_CLASSES:
            least = self.plan.max_size - self.size + picking.smallest(self.classes)
            raise InputError(
                f"{self.plan.max_size} bytes are too few for {self.classes} labels and their names: expected {least} or more"
            )

    @cached_property
    def matrix(self) -> TextMatrix:
        """The training texts, and those out of scope behind them."""
        everything = TextMatrix.of(self.lesson.texts, self.ngrams)
        least = 2 if len(self.labels) >= _FREQUENT else 1
        frequent = np.flatnonzero(everything.document_frequency() >= least)
        if not len(frequent):
            texts = "any" if least == 1 else "two"
            raise InputError(
                f"no words or letters are in {texts} of the {len(everything)} texts: there is nothing to learn from"
            )
        return everything.only(frequent)

    @cached_property
    def idf(self) -> Floats:
        """(columns,) weight of each n-gram."""
        return inverse_document_frequency(self.matrix)

    @cached_property
    def lessons(self) -> Lessons:
        """What the regression learns."""
        return Lessons(self.matrix, self.matrix.weighted(self.idf), self.lesson.labels, self.weights)

    @cached_property
    def weights(self) -> Floats:
        """(texts,) of each text's loss, 1 in the mean."""
        return class_weights(self.plan.class_weight, self.labels, self.classes, len(self.lesson))

    @cached_property
    def valid(self) -> Held:
        """The validation texts, held out from all lessons."""
        texts = TextMatrix.of(self.valid_texts, self.ngrams, self.matrix.buckets)
        weights = class_weights(self.plan.class_weight, self.valid_labels, self.classes, len(self.valid_labels))
        return Held(self.lessons, texts, texts.weighted(self.idf), self.valid_labels, weights)

    def _tuned(self, priors: Sequence[str]) -> tuple[Trial, ...]:
        self.progress("regression", 0.0, "")
        report: Callable[[float, str], None] = lambda done, text: self.progress("regression", done, text)  # noqa: E731
        sets = held_out(self.lessons, self.labels, self.valid)
        return chosen(tune(sets, priors, report), sets)

    def _prior(self, trial: Trial) -> tuple[float, Floats | None]:
        """Return alpha and the scale of each coefficient."""
        return 1 / (trial.inverse_alpha * len(self.lesson)), prior_of(trial.prior, self.lessons)

    def _teacher(self, priors: Sequence[tuple[float, Floats | None]]) -> SoftmaxRegression:
        steps = 2 * LARGE_STEPS if self.classes > LARGE_CLASSES else STEPS
        return mean_of([fitted(self.lessons, alpha, prior=prior, steps=steps) for alpha, prior in priors])

    def _linear(
        self, teacher: SoftmaxRegression, priors: Sequence[tuple[float, Floats | None]], form: picking.Form
    ) -> Made | None:
        rows = form.rows_in(self.size, self.buckets, self.classes)
        if rows < picking.LEAST_ROWS:
            return None
        self.progress("file", 0.3, f"{rows:,} n-grams at most, {form.width} numbers of {form.bits} bits")
        answers = softmax(teacher.scores(self.matrix, self.lessons.values))
        if self.answers is not None:
            answers = np.asarray((answers + softmax(self.answers)) / 2, np.float32)
        pick = picking.picked(teacher, self.lessons, self.idf, rows, priors, answers)
        texts = pick.lessons.texts
        model = picking.rounded(pick, form)
        if form.bits == 4:
            model = picking.refitted(model, texts, pick.model.scores(texts, pick.lessons.values))
        reader = Picked(self.ngrams, self.matrix.buckets[pick.columns], length_of(texts))
        return Made(model, reader, f"{form.width} numbers of {form.bits} bits a row", {})

    def _deep(self) -> Made:
        """Return a network with a hidden layer that learned from a regression and two larger
        networks."""
        rows = min(deep.rows_in(self.size, self.buckets, self.classes, self.matrix.width), self.matrix.width)
        count = len(self.lesson)
        teacher: SoftmaxRegression | None = None
        least = np.inf
        best = _MANY_ALPHAS[0]
        for number, inverse_alpha in enumerate(_MANY_ALPHAS):
            self.progress("regression", number / len(_MANY_ALPHAS), f"C {inverse_alpha:g}")
            tried = fitted(self.lessons, 1 / (inverse_alpha * count), start=teacher, steps=_MANY_STEPS)
            loss = self._valid_loss(tried.scores(self.valid.texts, self.valid.values))
            if loss < least:
                teacher, least, best = tried, loss, inverse_alpha
        assert teacher is not None
        texts = (*self.lesson.texts, *deep.varied(self.lesson.texts, self.plan.seed))
        answers = self._answers(teacher, texts)
        self.taught = answers[:count]
        labels = np.concatenate([self.lesson.labels * self.weights[:, None], softmax(answers[count:])])
        lesson = Lesson(texts, np.asarray(labels, np.float32), answers)
        most = deep.NGRAMS_A_ROW * rows
        columns = np.sort(np.argsort(-picking.importance(teacher, self.lessons), kind="stable")[:most])
        network, self.curves["model"] = deep.trained(
            TextMatrix.of(texts, self.ngrams, self.matrix.buckets[columns]), lesson, self.valid.texts.only(columns),
            self._valid_loss, rows=rows, seed=self.plan.seed, **self._stage("model", rows, best, deep.EPOCHS),
        )  # fmt: skip
        length = length_of(self.matrix.only(columns))
        reader = Picked(self.ngrams, self.matrix.buckets[columns], length, rows)
        choice = f"a hidden layer of {deep.HIDDEN}, {deep.WIDTH} numbers of 4 bits a row, regression of C {best:g}"
        return Made(deep.whole(network, Rows(NGRAMS, rows)), reader, choice, self.curves)

    def _answers(self, teacher: SoftmaxRegression, texts: Sequence[str]) -> Floats:
        """Return the mean of the teachers' log-shares of texts, which begin with the lesson's."""
        matrix = TextMatrix.of(texts, self.ngrams, self.matrix.buckets)
        logits = [teacher.scores(matrix, matrix.weighted(self.idf))]
        for number in range(len(deep.TEACHERS)):
            name = f"teacher {number + 1}"
            found, self.curves[name] = deep.teacher_logits(
                self.lesson, number, texts, seed=self.plan.seed + number, **self._stage(name, number)
            )
            logits.append(found)
        answers = np.mean([_log_shares(some) for some in logits], axis=0)
        if self.answers is not None:
            theirs = _log_shares(self.answers)
            answers[: len(theirs)] += (theirs - answers[: len(theirs)]) / (len(logits) + 1)
        return np.asarray(answers, np.float32)

    def _stage(self, name: str, *what: object) -> dict[str, Any]:
        """Return where a training keeps its state, and what it reports to."""

        def report(step: int, steps: int, loss: float) -> None:
            self.progress(name, step / steps, f"loss {loss:.4f}")

        return {"report": report, "save": self._file(name, *what)}

    def _file(self, name: str, *what: object) -> Path | None:
        if self.state is None:
            return None
        key = values_digest(
            self.lesson.texts, self.lesson.labels.tobytes(), self.plan.seed, self.plan.class_weight, name, *what
        )
        return self.state / f"{key}.pt"

    def _valid_loss(self, logits: Floats) -> float:
        return cross_entropy(logits, self.valid.labels, self.valid.weights)

    def _best(self, candidates: Sequence[Made | None]) -> Made:
        """Return the one with the least validation loss, its probabilities calibrated on the
        validation texts."""
        best: Made | None = None
        least = np.inf
        for made in candidates:
            if made is None:
                continue
            logits = made.logits(self.valid_texts)
            temperature = steady_temperature(logits, self.valid.labels, self.valid.weights)
            loss = self._valid_loss(logits / np.float32(temperature))
            if loss < least:
                best, least = replace(made, model=picking.cooled(made.model, temperature)), loss
        assert best is not None
        return best


def length_of(texts: TextMatrix) -> int:
    """Return how many n-grams of a text the graph reads: as many as nearly all texts have."""
    most = float(np.quantile(texts.totals(), _NEARLY_ALL))
    return int(min(_LONGEST, _LENGTH_STEP * max(1, np.ceil(most / _LENGTH_STEP))))


def class_weights(name: str, labels: NDArray[np.int64], classes: int, count: int) -> Floats:
    """Return (count,) weights of texts, 1 in the mean; of those behind the labelled ones 1."""
    weights = np.ones(count, np.float32)
    if name == "balanced":
        members = np.bincount(labels, minlength=classes)
        present = int((members > 0).sum())
        weights[: len(labels)] = (len(labels) / (present * np.maximum(members, 1)))[labels]
    return weights


def steady_temperature(logits: Floats, labels: NDArray[np.int64], weights: Floats) -> float:
    """Return the temperature of the least loss, drawn towards 1 where the texts are few."""
    temperature = temperature_of(logits, labels, weights)
    belief = len(labels) / (len(labels) + _TEMPERATURE_PRIOR)
    return float(temperature**belief)


def _log_shares(logits: Floats) -> Floats:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)), np.float32)
