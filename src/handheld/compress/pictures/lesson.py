"""A member's own training: from what the joint run left to a network ready for its file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn

from handheld.compress.family import TechniqueStep
from handheld.compress.pictures.candidates import SHARING, Candidate
from handheld.compress.pictures.preparation import Preparation, empty_inputs
from handheld.compress.pictures.training.answers import TeacherAnswers
from handheld.compress.pictures.training.batches import PictureBatches
from handheld.compress.pictures.training.student import (
    AtSide,
    Curve,
    StudentLesson,
    accuracy,
    follow,
    learn_int8,
)
from handheld.compress.settings import FamilySettings
from handheld.data import Dataset
from handheld.networks.pruning import Masks, ends, prune
from handheld.networks.quantisation import fold
from handheld.networks.state import filled, pack, read_packed, unpack
from handheld.training import FitRun, Report, Schedule, device, device_of, save_state, student_loss

_PRUNING_STEPS = 3  # channels go in so many steps: importance changes when others are gone
_PRUNING_EPOCHS = 0.5  # of training between them
_PRUNING_SLOWDOWN = 4  # of the learning rate there
_TAYLOR_BATCHES = 20
_INT8_CLIP = 1.0  # largest length of all gradients together


@dataclass(frozen=True, eq=False)
class MemberLesson:
    """All that members need to learn for themselves; the same for all of them.

    Attributes:
        batches: of the training split.
        answers: the teacher's to these; None without distillation.
        valid: to say what each technique brought.
        preparation: of the pictures.
        settings: of the run.
        teacher: the large network; None if there is none to compare features with.
    """

    batches: PictureBatches
    answers: TeacherAnswers | None
    valid: Dataset
    preparation: Preparation
    settings: FamilySettings
    teacher: nn.Module | None = None

    @property
    def student(self) -> StudentLesson:
        """What each member learns from; without answers labels alone count."""
        distillation = self.settings.distillation
        if self.answers is None:
            distillation = replace(distillation, weight=0.0)
        return StudentLesson(self.batches, self.answers, distillation, self.teacher)

    @property
    def int8_epochs(self) -> float:
        """Epochs in which members know of eight bits."""
        if not self.settings.uses("quantisation"):
            return 0.0
        return self.settings.quantise

    def step(self, technique: str, network: nn.Module, side: int) -> TechniqueStep:
        """Return what a technique made of a network that takes pictures of a side."""
        valid = accuracy(AtSide(network, side).eval(), self.valid, self.preparation)
        size = 4 * sum(parameter.numel() for parameter in network.parameters())  # in float32
        return TechniqueStep(technique, valid, size)


@dataclass(frozen=True, eq=False)
class Finished:
    """A member that has learned.

    Attributes:
        network: as trained in float.
        aware: trained further with eight bits in mind, if it was.
        steps: what each technique brought.
        curve: losses of its training in float.
    """

    network: fx.GraphModule
    aware: fx.GraphModule | None
    steps: tuple[TechniqueStep, ...]
    curve: Curve

    def packed(self, started: fx.GraphModule) -> dict[str, Any]:
        """Describe it by tensors, numbers and texts, given the network that it began with."""
        aware = None
        if self.aware is not None:
            aware = self.aware.state_dict()
        # as lists: a step is a class of ours, which a state that runs nothing cannot hold
        return {
            "network": pack(self.network, started),
            "aware": aware,
            "steps": [list(step) for step in self.steps],
            "curve": [list(point) for point in self.curve],
        }

    @classmethod
    def unpacked(cls, started: fx.GraphModule, state: Mapping[str, Any]) -> "Finished":
        """Return it again, given the network that it began with.

        A pruned one has fewer channels than that.
        """
        network = unpack(started, state["network"])
        aware = None
        if state["aware"] is not None:
            aware = filled(fold(network), state["aware"])
        steps = tuple(TechniqueStep(*step) for step in state["steps"])
        curve = [(int(step), float(loss)) for step, loss in state["curve"]]
        return cls(network, aware, steps, curve)


def finish(
    candidate: Candidate,
    network: fx.GraphModule,
    lesson: MemberLesson,
    *,
    save: Path | None = None,
    report: Report = lambda step, steps, loss: None,
) -> Finished:
    """Train one member for itself.

    Args:
        candidate: what it is.
        network: with the weights to begin with; the whole teacher for a pruned one.
        lesson: shared by all.
        save: folder for states to go on from.
        report: called after each step, of all trainings of the member.
    """
    steps: list[TechniqueStep] = []

    def note(technique: str) -> None:
        steps.append(lesson.step(technique, network, candidate.side))

    if candidate.kind == "pruned":
        note("teacher")
        network = _pruned(candidate, network, lesson, _state_file(save, "pruned", candidate))
        note("pruning")
    elif candidate.kind in SHARING:
        note("joint training")
    float_steps = lesson.student.steps(lesson.settings.finish.epochs)
    all_steps = float_steps + lesson.student.steps(lesson.int8_epochs)
    curve = _learn_float(
        candidate,
        network,
        lesson,
        _state_file(save, "finish", candidate),
        lambda step, _, loss: report(step, all_steps, loss),
    )
    if lesson.answers is None:
        note("fine-tuning")
    else:
        note("distillation")
    aware = None
    if lesson.int8_epochs:
        aware = _learn_int8(
            candidate,
            network,
            lesson,
            _state_file(save, "int8", candidate),
            lambda step, _, loss: report(float_steps + step, all_steps, loss),
        )
    return Finished(network.cpu(), aware, tuple(steps), curve)


def _state_file(folder: Path | None, stage: str, candidate: Candidate) -> Path | None:
    if folder is None:
        return None
    return folder / f"{stage}_{candidate.name}.pt"


def _learn_float(
    candidate: Candidate,
    network: fx.GraphModule,
    lesson: MemberLesson,
    save: Path | None,
    report: Report,
) -> Curve:
    settings = lesson.settings
    member = AtSide(network, candidate.side).to(device())
    after = _nothing
    if candidate.kind == "sparse":
        # Weights that are zero stay so: after each step they are set to it again.
        after = Masks.of(network, settings.sparsity, skip=ends(network)).apply
    return follow(
        member,
        lesson.student,
        settings.finish,
        FitRun(settings.seed, save, report),
        after=after,
    )


def _nothing() -> None:
    """Put no constraint on weights."""


def _learn_int8(
    candidate: Candidate,
    network: fx.GraphModule,
    lesson: MemberLesson,
    save: Path | None,
    report: Report,
) -> fx.GraphModule:
    settings = lesson.settings
    schedule = Schedule(
        lesson.int8_epochs, settings.finish.batch, settings.quantise_rate, clip=_INT8_CLIP
    )
    aware = learn_int8(
        network, candidate.side, lesson.student, schedule, FitRun(save=save, report=report)
    )
    return aware.cpu()


def _pruned(
    candidate: Candidate, network: fx.GraphModule, lesson: MemberLesson, save: Path | None
) -> fx.GraphModule:
    """Remove the channels that matter least to the loss, in steps with a little training between.

    What is left is kept: a run that goes on, on another kind of machine perhaps, might choose
    other channels.
    """
    if save is not None and save.exists():
        return read_packed(save, partial(unpack, network)).to(device_of(network))
    finish_schedule = lesson.settings.finish
    schedule = replace(
        finish_schedule, epochs=_PRUNING_EPOCHS, rate=finish_schedule.rate / _PRUNING_SLOWDOWN
    )
    student = replace(lesson.student, teacher=None)

    def loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return student_loss(logits, labels, None, lesson.settings.distillation)

    def tune(smaller: fx.GraphModule) -> None:
        follow(AtSide(smaller, candidate.side), student, schedule)

    cut = prune(
        network,
        empty_inputs(lesson.preparation.shape),
        keep=candidate.kept_cost,
        of=candidate.spared,
        method="taylor",
        batches=taylor_batches(lesson.batches),
        loss=loss,
        steps=_PRUNING_STEPS,
        fine_tune=tune,
    ).network
    if save is not None:
        save_state(save, pack(cut))
    return cut


def taylor_batches(batches: PictureBatches) -> Sequence[tuple[torch.Tensor, torch.Tensor]]:
    """Return a few batches of inputs and labels, to see what each channel does to the loss."""
    count = min(_TAYLOR_BATCHES, batches.per_epoch)
    chosen = [batches.at(step) for step in range(count)]
    return [(batch.inputs, batch.labels) for batch in chosen]
