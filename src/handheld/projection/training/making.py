"""The whole way from labelled texts to a model file of at most a size."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

import handheld
from handheld.engine import Model, embed
from handheld.errors import InputError
from handheld.projection.classifier import TextClassifier
from handheld.projection.judging import Judgement, TextData, judge
from handheld.projection.scope import threshold_of
from handheld.projection.training.lessons import Lesson
from handheld.projection.training.recipe import Recipe, Trained, compiled, parts_of
from handheld.projection.training.teaching import NAMES, TABLES, Taught, build, mean_of, teach
from handheld.projection.training.text import Curve, train_student

_TOGETHER = 0.003  # highest learning rate of a trainer network and the one that is shipped, where they learn together

Progress = Callable[[str, float, str], None]
"""Called with a stage's name, the share of it that is done, 0 to 1, and what there is to say."""


@dataclass(frozen=True, eq=False)
class TextModel:
    """A model file and how it came about.

    Attributes:
        content: of the ``.tflite`` file.
        card: that it carries.
        valid: what the file answers on the validation texts.
        curves: (step, loss) of each training, by name.
        networks: that the file was made of.
        reader: of its texts.
    """

    content: bytes
    card: Mapping[str, Any]
    valid: Judgement
    curves: Mapping[str, Curve]
    networks: tuple[nn.Module, ...]
    reader: Trained


@dataclass(frozen=True)
class Plan:
    """What to make.

    Attributes:
        max_size: bytes of the file, at most.
        recipe: of the network that is shipped.
        trainers: that it learns from; a name twice is two networks of other seeds; none: it learns from labels alone.
        joint: the one trainer network learns along (arXiv 1708.00630), and not before.
        licence: of the model, for its card; empty: not said.
        seed: of weights and order.
    """

    max_size: int
    recipe: Recipe = field(default_factory=Recipe)
    trainers: tuple[str | nn.Module, ...] = ()
    joint: bool = False
    licence: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        unknown = [trainer for trainer in self.trainers if isinstance(trainer, str) and trainer not in NAMES]
        if unknown:
            raise InputError(f"no trainer {unknown[0]!r}: expected {', '.join(NAMES)}, or package.module:factory")
        if self.joint and (len(self.trainers) != 1 or self.trainers[0] in TABLES):
            raise InputError(f"one trainer network learns along, got {', '.join(self.names) or 'none'}")
        if self.joint and self.recipe.more:
            raise InputError("a trainer network learns along with one table, not with several")

    @property
    def names(self) -> tuple[str, ...]:
        """What the trainers are called, in order."""
        return tuple(each if isinstance(each, str) else type(each).__name__ for each in self.trainers)


def make_text_model(
    train: TextData,
    valid: TextData,
    plan: Plan,
    *,
    answers: NDArray[np.float32] | None = None,
    state: Path | None = None,
    progress: Progress = lambda stage, done, text: None,
) -> TextModel:
    """Train a text classifier and return its file, verified against the network and no larger than asked for.

    Args:
        train: to learn from; texts out of scope are learned as ones that no label fits.
        valid: to judge the file by, and to choose the smallest probability that counts as in scope.
        plan: what to make.
        answers: (texts, classes) logits of a teacher for ``Lesson.of(train.known, train.outside)``; trainers are left out then.
        state: folder to go on from when the call was ended before; it is not removed.
        progress: called as the work goes on.

    Raises:
        InputError: labels that differ, one label only, a size that no network has, a damaged state.
        TrainingError: the loss is no longer a number, or a trainer gives no logits.
        CompileError: file and network differ.
    """
    classes = train.known.classes
    if valid.known.classes != classes or (present := int((train.known.counts > 0).sum())) < 2:
        found = f"{present} label" if valid.known.classes == classes else f"{len(valid.known.classes)} and {len(classes)}"
        raise InputError(f"expected two labels or more, the same to train and to validate with, got {found}")
    work = _Work(train, plan, state, progress)
    card = _card(train, valid, plan)
    progress("size", 0.0, "")
    measured = _measured(1 / 3, 1 / 3, len(valid.known))
    reader = plan.recipe.largest(plan.max_size, {**card, **measured}, plan.seed, train.texts)
    progress("size", 1.0, "")
    lesson = Lesson.of(train.known, train.outside)
    trainer = work.along() if plan.joint else None
    if answers is None and plan.trainers and not plan.joint:
        answers = mean_of([taught.logits(lesson.texts) for taught in work.teachers(lesson)])
    lesson = replace(lesson, answers=answers)
    while True:
        networks = work.students(reader, lesson, trainer, answers is None)
        progress("file", 0.0, "")
        content = compiled(networks, reader, lesson.texts, card)
        with TextClassifier(Model.load(content)) as model:
            judged = judge(model, valid)
        judged = replace(judged, threshold=round(threshold_of(judged.shares, judged.right, judged.outside), 4))
        told = {**card, "text": reader.card(), **_measured(judged.accuracy, judged.threshold, len(valid.known))}
        content = embed(content, told)
        if (excess := len(content) - plan.max_size) <= 0:
            break
        reader = plan.recipe.smaller(reader, excess)
    progress("file", 1.0, f"{len(content):,} bytes")
    return TextModel(content, told, judged, work.curves, networks, reader)


class _Work:
    """What the stages share: where their states are kept, and their progress."""

    def __init__(self, train: TextData, plan: Plan, state: Path | None, progress: Progress):
        self.train, self.plan, self.state, self.progress = train, plan, state, progress
        self.curves: dict[str, Curve] = {}

    def stage(self, name: str, *what: object) -> dict[str, Any]:
        """Return where a training of ``what`` keeps its state, and what it reports to."""
        file = _digest(self.train.known.digest, self.train.outside, *what)

        def report(step: int, steps: int, loss: float) -> None:
            self.progress(name, step / steps, f"loss {loss:.4f}")

        return {"report": report, "save": None if self.state is None else self.state / f"{file}.pt"}

    def teachers(self, lesson: Lesson) -> Sequence[Taught]:
        """Train the trainers, one after another."""
        found: list[Taught] = []
        for number, (trainer, name) in enumerate(zip(self.plan.trainers, self.plan.names, strict=True)):
            stage, seed = f"{name} {number + 1}", self.plan.seed + 100 * number
            found.append(teach(trainer, lesson, seed=seed, **self.stage(stage, name, seed)))
            self.curves[stage] = found[-1].curve
        return found

    def students(self, reader: Trained, lesson: Lesson, trainer: nn.Module | None, own: bool) -> tuple[nn.Module, ...]:
        """Train what is shipped; ``own``: by nobody's answers but those of the plan's trainers."""
        plan, found = self.plan, []
        recipe = plan.recipe
        if plan.joint:
            recipe = replace(recipe, schedule=replace(recipe.schedule, rate=min(recipe.schedule.rate, _TOGETHER), clip=1.0))
        for number, part in enumerate(parts_of(reader)):
            name, seed = f"model {number + 1}" if number else "model", plan.seed + number
            network, self.curves[name] = train_student(
                part, lesson, recipe, trainer=trainer, seed=seed,
                **self.stage(name, recipe, part, plan.names, plan.joint, seed, own),
            )  # fmt: skip
            found.append(network)
        return tuple(found)

    def along(self) -> nn.Module:
        """Return the trainer network that learns along."""
        trainer = self.plan.trainers[0]
        return build(trainer, len(self.train.known.classes), self.plan.seed) if isinstance(trainer, str) else trainer


def _card(train: TextData, valid: TextData, plan: Plan) -> dict[str, Any]:
    """What the file says of itself before it is measured."""
    training = {
        "texts": len(train.known),
        "outside": len(train.outside),
        "data": train.known.digest,
        "trainers": list(plan.names),
        "joint": plan.joint,
        "epochs": plan.recipe.schedule.epochs,
        "seed": plan.seed,
    }
    return {
        "labels": list(train.known.classes),
        "output": "logits",
        "made_by": f"handheld {handheld.__version__} text",
        "training": training,
        **({"license": plan.licence} if plan.licence else {}),
    }


def _measured(accuracy: float, threshold: float, count: int) -> dict[str, Any]:
    return {"accuracy": {"valid": round(accuracy, 4), "examples": count}, "threshold": round(threshold, 4)}


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]
