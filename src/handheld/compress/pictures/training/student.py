"""One member learns for itself, from what its teacher said."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import fx, nn

from handheld.compress.pictures.preparation import Preparation, pixels, resized
from handheld.compress.pictures.training.answers import TeacherAnswers, ask
from handheld.compress.pictures.training.batches import PictureBatches
from handheld.compress.pictures.training.features import FeatureDistance
from handheld.data import Dataset
from handheld.networks.quantisation import fake_quantise, fold, without_fakes
from handheld.training import (
    Distillation,
    FitRun,
    Schedule,
    autocast,
    device,
    device_of,
    fit,
    student_loss,
)

Curve = list[tuple[int, float]]
"""Losses of a training: (step, running mean)."""


class AtSide(nn.Module):
    """A network that first brings pictures to its own size."""

    def __init__(self, network: nn.Module, side: int):
        super().__init__()
        self.network = network
        self.side = side

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the logits of inputs at the data's size."""
        logits: torch.Tensor = self.network(resized(inputs, self.side))
        return logits


@dataclass(frozen=True, eq=False)
class StudentLesson:
    """What a student learns from.

    Attributes:
        batches: of examples.
        answers: the teacher's to these batches; None: labels alone.
        distillation: how answers and labels count.
        teacher: whose features the student follows too, if ``distillation`` asks for that.
    """

    batches: PictureBatches
    answers: TeacherAnswers | None
    distillation: Distillation
    teacher: nn.Module | None = None

    @property
    def teaches_features(self) -> bool:
        """Whether the student follows its teacher's features."""
        return self.teacher is not None and self.distillation.features > 0

    def steps(self, epochs: float) -> int:
        """Return how many steps so many epochs have."""
        return round(epochs * self.batches.per_epoch)


def follow(
    network: nn.Module,
    lesson: StudentLesson,
    schedule: Schedule,
    run: FitRun = FitRun(),
    *,
    exact: bool = False,
    after: Callable[[], None] = lambda: None,
) -> Curve:
    """Train a network on labels and, if there are any, a teacher's answers.

    Args:
        network: takes the batches' inputs.
        lesson: what it learns from.
        schedule: of the training.
        run: how it is seeded, kept and told.
        exact: compute in float32 whatever the hardware is good at.
        after: called after each step, to put constraints on weights.
    """
    # torch's stubs lack the argument.
    network.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    features: FeatureDistance | None = None
    if lesson.teaches_features:
        features = _features(network, lesson, run.seed)

    def step(number: int) -> float:
        batch = lesson.batches.at(number)
        with _precision(batch.inputs.device, exact=exact):
            if features is None:
                logits = network(batch.inputs)
                distance = torch.zeros((), device=logits.device)
            else:
                logits, distance = features(batch.inputs)
        answers = None
        if lesson.answers is not None:
            answers = lesson.answers.to(batch, number)
        loss = student_loss(logits.float(), batch.labels, answers, lesson.distillation)
        loss = loss + lesson.distillation.features * distance
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return float(loss.detach())

    curve = fit(
        # with its adapter, which learns along and is kept with the state
        features or network,
        step,
        schedule,
        lesson.steps(schedule.epochs),
        save=run.save,
        report=run.report,
        seed=run.seed,
        after=after,
    )
    network.eval()
    return curve


def _features(network: nn.Module, lesson: StudentLesson, seed: int) -> FeatureDistance:
    assert lesson.teacher is not None
    # Its adapter begins the same wherever and whenever the member learns.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return FeatureDistance(network, lesson.teacher).to(device())


def _precision(target_device: torch.device, *, exact: bool) -> AbstractContextManager[object]:
    if exact:
        return torch.autocast(target_device.type, enabled=False)
    return autocast(target_device)


def learn_int8(
    network: fx.GraphModule,
    side: int,
    lesson: StudentLesson,
    schedule: Schedule,
    run: FitRun = FitRun(),
) -> fx.GraphModule:
    """Return a folded network whose weights were trained while rounded.

    It rounds nothing itself. Zeros stay zeros.
    """
    # What watches the ranges is made on the CPU, whatever the network is on.
    fake = fake_quantise(fold(network)).to(device_of(network))
    zeros = [(weight, weight.detach() == 0) for weight in fake.parameters() if weight.ndim > 1]

    def keep_zeros() -> None:
        with torch.no_grad():
            for weight, is_zero in zeros:
                weight.masked_fill_(is_zero, 0.0)

    follow(
        AtSide(fake, side),
        # Logits alone: features are followed in the training before this one.
        replace(lesson, teacher=None),
        schedule,
        run,
        # bfloat16 would round to a grid of its own, beside that of eight bits.
        exact=True,
        after=keep_zeros,
    )
    return without_fakes(fake).eval()


def accuracy(
    network: Callable[[torch.Tensor], torch.Tensor], dataset: Dataset, preparation: Preparation
) -> float:
    """Return the share of a data set that a network answers right, in [0, 1]."""
    answered = [ask(network, inputs).argmax(axis=1) for inputs in preparation.chunks(dataset)]
    right = int((np.concatenate(answered) == dataset.labels).sum())
    return right / len(dataset)


def samples(
    dataset: Dataset, preparation: Preparation, side: int, count: int, seed: int
) -> Sequence[torch.Tensor]:
    """Return some inputs of a network, one picture each, to calibrate and to check with."""
    rows = np.random.default_rng(seed).permutation(len(dataset))[:count]
    inputs = resized(preparation.inputs(pixels(dataset)[rows]), side)
    return [picture[None].contiguous() for picture in inputs]
