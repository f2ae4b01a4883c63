"""A member's own training: from what the joint run left to a network ready for its file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import fx

from handheld.compress.candidates import SHARING, Candidate
from handheld.compress.family import Step
from handheld.compress.settings import Settings
from handheld.compress.training.answers import Answers
from handheld.compress.training.batches import Batches
from handheld.compress.training.pictures import Preparation
from handheld.compress.training.student import AtSide, Curve, accuracy, follow, learn_int8
from handheld.data import Dataset
from handheld.networks.pruning import Masks, ends, prune
from handheld.networks.quantisation import fold
from handheld.networks.state import filled, pack, read_packed, unpack
from handheld.training import (
    Distillation,
    Report,
    Schedule,
    device,
    device_of,
    save_state,
    student_loss,
)

_PRUNING_STEPS = 3
_PRUNING_EPOCHS = 0.5  # of training between them
_TAYLOR_BATCHES = 20


@dataclass(frozen=True, eq=False)
class Lesson:
    """All that members need to learn for themselves; the same for all of them.

    Attributes:
        batches: of the training split.
        answers: the teacher's to these; None without distillation.
        valid: to say what each technique brought.
        preparation: of the pictures.
        settings: of the run.
        teacher: the large network; None if there is none to compare features with.
    """

    batches: Batches
    answers: Answers | None
    valid: Dataset
    preparation: Preparation
    settings: Settings
    teacher: torch.nn.Module | None = None

    @property
    def how(self) -> Distillation:
        """Return what counts in learning."""
        return (
            self.settings.distillation
            if self.answers is not None
            else replace(self.settings.distillation, weight=0.0)
        )


@dataclass(frozen=True, eq=False)
class Finished:
    """A member that has learned: as trained in float, and further with eight bits in mind; what each technique brought."""

    network: fx.GraphModule
    aware: fx.GraphModule | None
    steps: tuple[Step, ...]
    curve: Curve

    def packed(self) -> dict[str, Any]:
        """Describe it by tensors, numbers and texts."""
        return {
            "network": pack(self.network),
            "aware": None if self.aware is None else self.aware.state_dict(),
            "steps": [list(step) for step in self.steps],
            "curve": [list(point) for point in self.curve],
        }

    @classmethod
    def unpacked(cls, started: fx.GraphModule, state: Mapping[str, Any]) -> "Finished":
        """Return it again, given the network that it began with; a pruned one has fewer channels than that."""
        network = unpack(started, state["network"])
        aware = None if state["aware"] is None else filled(fold(network), state["aware"])
        steps = tuple(Step(*step) for step in state["steps"])
        return cls(
            network, aware, steps, [(int(step), float(loss)) for step, loss in state["curve"]]
        )


def finish(
    candidate: Candidate,
    network: fx.GraphModule,
    lesson: Lesson,
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
    steps: list[Step] = []
    eight = lesson.settings.quantise if lesson.settings.uses("quantisation") else 0.0
    first, second = (
        round(epochs * lesson.batches.per_epoch)
        for epochs in (lesson.settings.finish.epochs, eight)
    )

    def report_from(before: int) -> Report:
        return lambda step, steps, loss: report(before + step, first + second, loss)

    def note(technique: str, one: torch.nn.Module) -> None:
        right = accuracy(AtSide(one, candidate.side).eval(), lesson.valid, lesson.preparation)
        steps.append(
            Step(technique, right, 4 * sum(parameter.numel() for parameter in one.parameters()))
        )

    settings = lesson.settings
    if candidate.kind == "pruned":
        note("teacher", network)
        network = _pruned(
            candidate, network, lesson, save / f"pruned_{candidate.name}.pt" if save else None
        )
        note("pruning", network)
    elif candidate.kind in SHARING:
        note("joint training", network)
    member = AtSide(network, candidate.side).to(device())
    masks = (
        Masks.of(network, settings.sparsity, skip=ends(network))
        if candidate.kind == "sparse"
        else None
    )
    curve = follow(
        member,
        lesson.batches,
        lesson.answers,
        lesson.how,
        settings.finish,
        teacher=lesson.teacher,
        after=masks.apply if masks else lambda: None,
        save=save / f"finish_{candidate.name}.pt" if save else None,
        report=report_from(0),
        seed=settings.seed,
    )
    note("distillation" if lesson.answers is not None else "fine-tuning", network)
    aware = None
    if eight:
        schedule = Schedule(eight, settings.finish.batch, settings.quantise_rate, clip=1.0)
        path = save / f"int8_{candidate.name}.pt" if save else None
        aware = learn_int8(
            network,
            candidate.side,
            lesson.batches,
            lesson.answers,
            lesson.how,
            schedule,
            save=path,
            report=report_from(first),
        )
    return Finished(network.cpu(), aware.cpu() if aware is not None else None, tuple(steps), curve)


def _pruned(
    candidate: Candidate, network: fx.GraphModule, lesson: Lesson, save: Path | None
) -> fx.GraphModule:
    """Remove the channels that matter least to the loss, in steps with a little training between them.

    What is left is kept: a run that goes on, on another kind of machine perhaps, might choose other channels.
    """
    if save is not None and save.exists():
        return read_packed(save, partial(unpack, network)).to(device_of(network))
    short = replace(
        lesson.settings.finish, epochs=_PRUNING_EPOCHS, rate=lesson.settings.finish.rate / 4
    )

    def loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return student_loss(logits, labels, None, lesson.settings.distillation)

    def tune(smaller: fx.GraphModule) -> None:
        follow(AtSide(smaller, candidate.side), lesson.batches, lesson.answers, lesson.how, short)

    cut = prune(
        network,
        torch.zeros(2, *lesson.preparation.shape),
        keep=candidate.share**2,
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


def taylor_batches(batches: Batches) -> Sequence[tuple[torch.Tensor, torch.Tensor]]:
    """Return a few batches of inputs and labels, to see what each channel does to the loss."""
    return [
        (batch.inputs, batch.labels)
        for batch in map(batches.at, range(min(_TAYLOR_BATCHES, batches.per_epoch)))
    ]
