"""A family for texts: from a trainer network to drafts of all files, stage by stage."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from handheld.compress.drafts import Draft, FamilyDrafts, FamilyRequest
from handheld.compress.settings import FamilySettings, TextEpochs
from handheld.compress.targets import MOST_MEMBERS, Target
from handheld.compress.teacher import guess_notes, warn
from handheld.compress.texts.member import (
    KINDS,
    LARGEST,
    member_draft,
    member_plan,
    teacher_draft,
)
from handheld.compress.texts.teacher import (
    TextTeacher,
    learned,
    network_of,
    read_only,
    require_learning,
)
from handheld.engine import Model
from handheld.errors import InputError
from handheld.projection.cards import reader_of
from handheld.projection.judging import TextData
from handheld.projection.training.lessons import TextLesson
from handheld.projection.training.making import make_text_model
from handheld.projection.training.plan import TextModel
from handheld.ranges import whole_in_range
from handheld.training import FitRun
from handheld.training.runs import RunFolder, StageClock


def ladder(count: int) -> tuple[Target, ...]:
    """Return targets for so many members, each half of the one before.

    Raises:
        InputError: for fewer than one, or more than 16.
    """
    whole_in_range("targets", count, low=1, high=MOST_MEMBERS)
    return tuple(Target(size=LARGEST >> step) for step in range(count))


def stage_names(targets: Sequence[Target]) -> list[str]:
    """Return what members are called, and the stages in which they learn."""
    return [
        f"{KINDS.get(target.kind, target.kind)}_{number}"
        for number, target in enumerate(targets, 1)
    ]


@dataclass(frozen=True, eq=False)
class TextMaker:
    """A checked request for a family for texts.

    Attributes:
        request: what was asked for.
        lesson: the training texts.
        network: the teacher that learns; None where a file is only read.
        plan: what the run will do.
    """

    request: FamilyRequest
    lesson: TextLesson
    network: nn.Module | None
    plan: dict[str, Any]

    @classmethod
    def of(cls, request: FamilyRequest) -> "TextMaker":
        """Check a request, and get its network. Raises :class:`InputError`."""
        _check(request)
        settings = request.settings
        plan = {**request.plan, "seed": settings.seed}
        # left out where nothing was said, so that a folder outlives new options
        if settings.texts != TextEpochs():
            plan["texts"] = asdict(settings.texts)
        lesson = TextLesson.of(request.data.train)
        network = None
        if not request.source.file:
            classes = len(request.data.classes)
            network = network_of(request.model, classes, settings.seed, request.base)
            if not request.is_trained:
                require_learning(network)
        return cls(request, lesson, network, plan)

    def drafts(self, space: RunFolder, clock: StageClock) -> FamilyDrafts:
        """Make all files, each stage going on from what the run's folder keeps."""
        request = self.request
        with clock.of("teacher"):
            teacher = self._teacher(space, clock)
        teacher_file = teacher_draft(teacher, request.data)
        notes = []
        # notes are of finished teachers, and this one learned here if it has a curve
        if not teacher.curve:
            notes = _notes(request, teacher_file)
        warn(notes)
        members = []
        for name, target in zip(stage_names(request.targets), request.targets, strict=True):
            with clock.of(name):
                max_size = target.max_size(teacher_file.member)
                model = self._learned(target, max_size, teacher, space, clock)
                members.append(member_draft(name, target, model, request.data, self.lesson.texts))
        return FamilyDrafts(
            teacher_file,
            tuple(members),
            inputs=_reading(_typical(self.lesson.texts)),
            record={"settings": _recorded(request), "notes": notes},
        )

    def _teacher(self, space: RunFolder, clock: StageClock) -> TextTeacher:
        request = self.request
        classes = request.data.classes
        if self.network is None:
            return read_only(request.base / str(request.source.file), self.lesson, classes)
        return learned(
            self.network,
            self.lesson,
            classes,
            FitRun(request.settings.seed, space.file("teacher.pt"), clock.steps),
            trained=request.is_trained,
            epochs=request.settings.texts.teacher,
        )

    def _learned(
        self,
        target: Target,
        max_size: float | None,
        teacher: TextTeacher,
        space: RunFolder,
        clock: StageClock,
    ) -> TextModel:
        """Let a member learn from the teacher's answers, going on from what is kept of it."""

        # its stages are parts of the one that the clock is in
        def report(stage: str, done: float, text: str) -> None:
            clock.progress(clock.stage, done, f"{stage} {text}".strip())

        data = self.request.data
        return make_text_model(
            TextData(data.train),
            TextData(data.valid),
            member_plan(self.request, target, max_size),
            answers=teacher.answers,
            state=space.state,
            progress=report,
        )


def _notes(request: FamilyRequest, teacher_file: Draft) -> list[str]:
    """Say what a person should know of a teacher that came finished."""
    name = Path(request.source.file or request.source.network).name
    valid = request.data.valid
    right = round(teacher_file.member.valid * len(valid))
    return guess_notes(name, right, valid.labels)


def _check(request: FamilyRequest) -> None:
    settings = request.settings
    of_texts = FamilySettings(
        techniques=settings.techniques,
        texts=settings.texts,
        seed=settings.seed,
        threads=settings.threads,
    )
    # nothing is ignored silently: who sets it expects that it counts
    if settings != of_texts:
        raise InputError(
            "these are texts, which learn by the recipes of `projection`: of [settings] they take "
            "seed, threads and, under [settings.texts], epochs as teacher and members; the rest is "
            "of pictures"
        )
    for target in request.targets:
        if target.kind not in KINDS:
            raise InputError(f"target {str(target)!r}: members for texts are {' or '.join(KINDS)}")
    if request.source.mean or request.source.classes:
        raise InputError(
            "mean, std and classes of [teacher] are of a file that takes pictures; these are texts"
        )


def _typical(texts: Sequence[str]) -> str:
    """Return the text of middle length."""
    # latency grows with a text: noise, or an empty one, would say nothing of real ones
    return sorted(texts, key=len)[len(texts) // 2]


def _reading(text: str) -> Callable[[Model], list[np.ndarray]]:
    """Return what gives each model the text as its own card reads it."""
    return lambda model: [reader_of(model.card.get("text")).of([text])]


def _recorded(request: FamilyRequest) -> dict[str, Any]:
    return {
        "seed": request.settings.seed,
        "texts": asdict(request.settings.texts),
        "targets": request.target_texts,
    }
