"""The whole way from labelled texts to a model file of at most a size."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from handheld.engine import Model, embed
from handheld.errors import InputError
from handheld.projection.classifier import TextClassifier
from handheld.projection.hashing import Floats
from handheld.projection.judging import TextData, judge
from handheld.projection.scope import threshold_of
from handheld.projection.training.lessons import TextLesson
from handheld.projection.training.picked import Made, PickedMaker, steady_temperature
from handheld.projection.training.plan import FitFigures, TextModel, TextModelPlan
from handheld.projection.training.recipe import (
    ProjectionRecipe,
    Trained,
    compiled,
    parts_of,
    recipe_for,
)
from handheld.projection.training.stages import TrainingStages
from handheld.projection.training.teaching import build, mean_of, teach
from handheld.projection.training.text import Curve, train_student
from handheld.projection.training.tuning import cross_entropy
from handheld.training.runs import Progress, made_by, silent

_MIN_PROBABILITY = 1e-9  # in a loss
# Highest learning rate of a trainer network and the one that is shipped, where they learn together.
_JOINT_RATE = 0.003
_LONG_SHARE = 1 / 3  # of as many digits as a measured one may have, on the card of a file to come


def make_text_model(
    train: TextData,
    valid: TextData,
    plan: TextModelPlan,
    *,
    answers: Floats | None = None,
    state: Path | None = None,
    progress: Progress = silent,
) -> TextModel:
    """Train a text classifier and return its file, verified against the network.

    It is no larger than asked for.

    Args:
        train: to learn from; texts out of scope are learned as ones that no label fits.
        valid: to judge the file by, and to choose the smallest probability that counts as in scope.
        plan: what to make.
        answers: (texts, classes) logits of a teacher for ``TextLesson.of(train.known,
            train.outside)``; trainers are left out then.
        state: folder to go on from when the call was ended before; it is not removed.
        progress: called as the work goes on.

    Raises:
        InputError: labels that differ, one label only, a size that no network has, a damaged state.
        TrainingError: the loss is no longer a number, or a trainer gives no logits.
        CompileError: file and network differ.
    """
    _check_labels(train, valid)
    maker = _Maker(train, valid, plan, answers, state, progress)
    if plan.recipe.reads != "picked":
        if plan.nearest:
            maker = maker.with_room()
        return maker.network()
    model, taught = maker.picked()
    if not plan.high_effort:
        return model
    # From the same teachers, which learned for minutes.
    slow = replace(maker.of_rows(), answers=taught).network()
    return min(model, slow, key=lambda candidate: candidate.fit.valid_loss)


def _check_labels(train: TextData, valid: TextData) -> None:
    classes = train.known.classes
    present = int((train.known.counts > 0).sum())
    if valid.known.classes != classes:
        counts = f"{len(valid.known.classes)} and {len(classes)}"
    elif present < 2:
        counts = f"{present} label"
    else:
        return
    raise InputError(
        f"expected two labels or more, the same to train and to validate with, got {counts}"
    )


@dataclass(frozen=True, eq=False)
class _Maker:
    """Makes one file, in either of two ways.

    Attributes:
        train, valid, plan, answers, state, progress: see :func:`make_text_model`.
        curves: (step, loss) of each training so far, by name.
    """

    train: TextData
    valid: TextData
    plan: TextModelPlan
    answers: Floats | None
    state: Path | None
    progress: Progress
    curves: dict[str, Curve] = field(default_factory=dict, init=False)

    def of_rows(self) -> "_Maker":
        """Return what makes a network that reads rows, from the same texts, in place of n-grams."""
        recipe = recipe_for("rows", self.plan.max_size, self.classes)
        return replace(self, plan=replace(self.plan, recipe=recipe, high_effort=False))

    @property
    def classes(self) -> int:
        """How many labels there are."""
        return len(self.train.known.classes)

    @property
    def stages(self) -> TrainingStages:
        """The trainings."""
        data = (self.train.known.digest, self.train.outside)
        return TrainingStages(self.state, self.progress, data)

    def picked(self) -> tuple[TextModel, Floats | None]:
        """Return a model of picked n-grams, and the answers of all teachers that it learned from.

        None: a network has nobody to learn from but its trainers.
        """
        card = self._card()
        long_card = {**card, **self._measured(_LONG_SHARE, _LONG_SHARE)}
        maker = PickedMaker(
            self.train, self.valid, self.plan, self.answers, long_card, self.state, self.progress
        )
        # Tables tell texts out of scope better: AUROC 0.972 on CLINC150, where the hidden layer on
        # picked n-grams had 0.948.
        if not maker.is_possible or (self.train.outside and maker.is_many):
            return self.of_rows().network(), self.answers
        if self.answers is None and self.plan.trainers:
            maker.answers = self._trainers_answers(maker.lesson)
        while True:
            picked = maker.make()
            self.curves.update(picked.curves)
            model = self._finished_pick(picked, card)
            excess = len(model.content) - self.plan.max_size
            if excess <= 0:
                return model, maker.taught
            # The measured card was larger than foreseen: once more, with as much less for rows.
            maker.size -= excess

    def _finished_pick(self, picked: Made, card: Mapping[str, Any]) -> TextModel:
        training = {**card["training"], "choice": picked.choice}
        final_card = {**card, "training": training, "text": picked.reader.card()}
        return self._finished(picked.content(), final_card, (), picked.reader)

    def network(self) -> TextModel:
        """Return a model of one or several networks."""
        plan = self.plan
        card = self._card()
        reader = self._largest_reader(card)
        lesson = self._answered_lesson()
        trainer = self._joint_trainer()
        while True:
            networks = self._students(reader, lesson, trainer)
            self.progress("file", 0.0, "")
            content = compiled(networks, reader, lesson.texts, card)
            temperature = self._temperature(content)
            final_card = {**card, "text": reader.card(), "temperature": temperature}
            model = self._finished(content, final_card, networks, reader)
            excess = len(model.content) - plan.max_size
            if excess <= 0:
                break
            # Once more, with as many rows less as the file is too large.
            reader = plan.recipe.smaller(reader, excess)
        self.progress("file", 1.0, f"{len(model.content):,} bytes")
        return model

    def _answered_lesson(self) -> TextLesson:
        """Return what the networks learn: the texts, and what teachers answer, if there are any."""
        plan = self.plan
        lesson = TextLesson.of(self.train.known, self.train.outside)
        answers = self.answers
        if answers is None and plan.trainers and not plan.joint:
            answers = self._trainers_answers(lesson)
        # Put in after the trainers: they learn from labels alone.
        return replace(lesson, answers=answers)

    def _largest_reader(self, card: Mapping[str, Any]) -> Trained:
        """Return what reads as much as a file of this size can keep."""
        plan = self.plan
        self.progress("size", 0.0, "")
        long_card = self._lengthened(card)
        reader = plan.recipe.largest(plan.max_size, long_card, plan.seed, self.train.texts)
        self.progress("size", 1.0, "")
        return reader

    def with_room(self) -> "_Maker":
        """Return what makes a network of the smallest file where none keeps the size."""
        plan = self.plan
        long_card = self._lengthened(self._card())
        smallest = plan.recipe.smallest_size(long_card, plan.seed, self.train.texts)
        return replace(self, plan=replace(plan, max_size=max(plan.max_size, smallest)))

    def _lengthened(self, card: Mapping[str, Any]) -> dict[str, Any]:
        """Return a card as long as one that has been measured."""
        measured = self._measured(_LONG_SHARE, _LONG_SHARE)
        return {**card, **measured, "temperature": _LONG_SHARE}

    def _temperature(self, content: bytes) -> float:
        with TextClassifier(Model.load(content)) as model:
            # Of the file, not the network: rounding changes how sure it is.
            logits = model.logits(self.valid.texts)
        weights = np.ones(len(logits), np.float32)
        return round(steady_temperature(logits, self.valid.known.labels, weights), 4)

    def _finished(
        self,
        content: bytes,
        card: dict[str, Any],
        networks: tuple[nn.Module, ...],
        reader: Trained,
    ) -> TextModel:
        """Return a file that is measured, with its card."""
        choice = str(card["training"].get("choice", ""))
        with TextClassifier(Model.load(embed(content, card))) as model:
            judged = judge(model, self.valid)
            fit = _fit(model, self.train, self.valid, choice)
        threshold = round(threshold_of(judged.shares, judged.right, judged.outside), 4)
        # The file has no threshold before it is measured.
        judged = replace(judged, threshold=threshold)
        final_card = {**card, **self._measured(judged.accuracy, threshold)}
        file = embed(content, final_card)
        return TextModel(file, final_card, judged, dict(self.curves), networks, reader, fit)

    def _trainers_answers(self, lesson: TextLesson) -> Floats:
        """Train the trainers, one after another, and return their mean answers."""
        answers: list[Floats] = []
        for number, (trainer, name) in enumerate(
            zip(self.plan.trainers, self.plan.names, strict=True)
        ):
            stage = f"{name} {number + 1}"
            # A name twice is two networks: each trainer has a seed of its own.
            seed = self.plan.seed + 100 * number
            taught = teach(trainer, lesson, self.stages.run(stage, name, seed, seed=seed))
            self.curves[stage] = taught.curve
            answers.append(taught.logits(lesson.texts))
        return mean_of(answers)

    def _students(
        self, reader: Trained, lesson: TextLesson, trainer: nn.Module | None
    ) -> tuple[nn.Module, ...]:
        """Train what is shipped."""
        plan = self.plan
        recipe = plan.recipe
        if plan.joint:
            recipe = _joint_recipe(recipe)
        # A state of a training by others' answers is not one of a training without.
        is_alone = lesson.answers is None
        networks: list[nn.Module] = []
        for number, table in enumerate(parts_of(reader)):
            name = _network_name(number)
            seed = plan.seed + number
            settings = (recipe, table, plan.names, plan.joint, seed, is_alone)
            network, self.curves[name] = train_student(
                table,
                lesson,
                recipe,
                self.stages.run(name, *settings, seed=seed),
                trainer=trainer,
            )
            networks.append(network)
        return tuple(networks)

    def _joint_trainer(self) -> nn.Module | None:
        """Return the trainer network that learns along, if one does."""
        if not self.plan.joint:
            return None
        trainer = self.plan.trainers[0]
        if isinstance(trainer, str):
            return build(trainer, self.classes, self.plan.seed)
        return trainer

    def _card(self) -> dict[str, Any]:
        """Return what the file says of itself before it is measured."""
        plan = self.plan
        training: dict[str, Any] = {
            "texts": len(self.train.known),
            "outside": len(self.train.outside),
            "data": self.train.known.digest,
            "trainers": list(plan.names),
            "joint": plan.joint,
            "seed": plan.seed,
        }
        if plan.recipe.reads != "picked":
            # Entries that say nothing are left out: a card counts in the size of its file.
            training["epochs"] = plan.recipe.schedule.epochs
        if plan.class_weight != "none":
            training["class_weight"] = plan.class_weight
        card = {
            "labels": list(self.train.known.classes),
            "output": "logits",
            "made_by": made_by("text"),
            "training": training,
        }
        if plan.licence:
            card["license"] = plan.licence
        return card

    def _measured(self, accuracy: float, threshold: float) -> dict[str, Any]:
        examples = len(self.valid.known)
        return {
            "accuracy": {"valid": round(accuracy, 4), "examples": examples},
            "threshold": round(threshold, 4),
        }


def _network_name(number: int) -> str:
    """Return what the training of a network is called; that of the first, mostly the only one."""
    if not number:
        return "model"
    return f"model {number + 1}"


def _joint_recipe(recipe: ProjectionRecipe) -> ProjectionRecipe:
    """Return the recipe of a network that a trainer network learns along with."""
    rate = min(recipe.schedule.rate, _JOINT_RATE)
    return replace(recipe, schedule=replace(recipe.schedule, rate=rate, clip=1.0))


def _fit(model: TextClassifier, train: TextData, valid: TextData, choice: str) -> FitFigures:
    train_labels = train.known.labels
    valid_labels = valid.known.labels
    train_logs = _log_probabilities(model, train)
    valid_logs = _log_probabilities(model, valid)
    commonest = int(train.known.counts.argmax())
    is_right = valid_logs.argmax(axis=1) == valid_labels
    # Of the labels that are there: a recall of none is no number.
    recalls = [is_right[valid_labels == label].mean() for label in np.unique(valid_labels)]
    return FitFigures(
        train_accuracy=float((train_logs.argmax(axis=1) == train_labels).mean()),
        train_loss=cross_entropy(train_logs, train_labels),
        valid_accuracy=float(is_right.mean()),
        valid_loss=cross_entropy(valid_logs, valid_labels),
        majority=float((valid_labels == commonest).mean()),
        balanced=float(np.mean(recalls)),
        choice=choice,
    )


def _log_probabilities(model: TextClassifier, data: TextData) -> Floats:
    probabilities = model.probabilities(data.texts)
    return np.asarray(np.log(np.maximum(probabilities, _MIN_PROBABILITY)), np.float32)
