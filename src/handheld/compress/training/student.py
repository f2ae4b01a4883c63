"""One member learns for itself, from what its teacher said."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import fx, nn

from handheld.compress.training.answers import Answers, ask
from handheld.compress.training.batches import Batches
from handheld.compress.training.features import Features
from handheld.compress.training.pictures import Preparation, pixels, resized
from handheld.data import Dataset
from handheld.networks.quantisation import fake_quantise, fold, without_fakes
from handheld.training import (
    Distillation,
    Report,
    Schedule,
    autocast,
    device,
    device_of,
    fit,
    student_loss,
)

Curve = list[tuple[int, float]]


class AtSide(nn.Module):
    """A network that first brings pictures to its own size."""

    def __init__(self, network: nn.Module, side: int):
        super().__init__()
        self.network, self.side = network, side

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the logits of inputs at the data's size."""
        logits: torch.Tensor = self.network(resized(inputs, self.side))
        return logits


def follow(
    network: nn.Module,
    batches: Batches,
    answers: Answers | None,
    how: Distillation,
    schedule: Schedule,
    *,
    teacher: nn.Module | None = None,
    exact: bool = False,
    after: Callable[[], None] = lambda: None,
    save: Path | None = None,
    report: Report = lambda step, steps, loss: None,
    seed: int = 0,
) -> Curve:
    """Train a network on labels and, if there are any, a teacher's answers.

    Args:
        network: takes the batches' inputs.
        batches: to learn from.
        answers: to these batches.
        how: they count.
        schedule: of the training.
        teacher: whose features the network follows too, if ``how`` asks for that.
        exact: compute in float32 whatever the hardware is good at.
        after: called after each step, to put constraints on weights.
        save: file to go on from.
        report: called after each step.
        seed: of whatever is random inside the network.
    """

    def step(number: int) -> float:
        batch = batches.at(number)
        context = (
            torch.autocast(batch.inputs.device.type, enabled=False)
            if exact
            else autocast(batch.inputs.device)
        )
        with context:
            logits, distance = (
                features(batch.inputs) if features is not None else (network(batch.inputs), 0.0)
            )
        loss = student_loss(
            logits.float(),
            batch.labels,
            None if answers is None else answers.to(batch, number),
            how,
        )
        loss = loss + how.features * distance
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    network.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    features = None
    if teacher is not None and how.features:
        with torch.random.fork_rng(
            devices=[]
        ):  # its adapter begins the same wherever and whenever the member learns
            torch.manual_seed(seed)
            features = Features(network, teacher).to(device())
    steps = round(schedule.epochs * batches.per_epoch)
    curve = fit(
        features or network, step, schedule, steps, save=save, report=report, seed=seed, after=after
    )
    network.eval()
    return curve


def learn_int8(
    network: fx.GraphModule,
    side: int,
    batches: Batches,
    answers: Answers | None,
    how: Distillation,
    schedule: Schedule,
    *,
    save: Path | None = None,
    report: Report = lambda step, steps, loss: None,
) -> fx.GraphModule:
    """Return a folded network whose weights were trained while rounded; it rounds nothing itself. Zeros stay zeros."""
    fake = fake_quantise(fold(network)).to(
        device_of(network)
    )  # what watches ranges is made on the CPU
    pruned = [(weight, weight.detach() == 0) for weight in fake.parameters() if weight.ndim > 1]

    def keep_zeros() -> None:
        with torch.no_grad():
            for weight, gone in pruned:
                weight.masked_fill_(gone, 0.0)

    follow(
        AtSide(fake, side),
        batches,
        answers,
        how,
        schedule,
        exact=True,
        after=keep_zeros,
        save=save,
        report=report,
    )
    return without_fakes(fake).eval()


def accuracy(
    network: Callable[[torch.Tensor], torch.Tensor], dataset: Dataset, preparation: Preparation
) -> float:
    """Return the share of a data set that a network answers right."""
    pictures, right = pixels(dataset), 0
    for start in range(0, len(dataset), 500):
        logits = ask(network, preparation.inputs(pictures[start : start + 500]))
        right += int((logits.argmax(axis=1) == dataset.labels[start : start + 500]).sum())
    return right / len(dataset)


def samples(
    dataset: Dataset, preparation: Preparation, side: int, count: int, seed: int
) -> Sequence[torch.Tensor]:
    """Return some inputs of a network, one picture each, to calibrate and to check with."""
    places = np.random.default_rng(seed).permutation(len(dataset))[:count]
    inputs = resized(preparation.inputs(pixels(dataset)[places]), side)
    return [one[None].contiguous() for one in inputs]
