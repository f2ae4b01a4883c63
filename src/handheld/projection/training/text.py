"""Networks for texts learn: from labels, from a teacher's answers, or together with a trainer network.

"ProjectionNet: Learning Efficient On-Device Deep Networks Using Neural Projections", arXiv 1708.00630.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from handheld.projection.inputs import Bits, Rows
from handheld.projection.training.lessons import Lesson, Tensors, inputs_of, order, rows_of
from handheld.projection.training.net import Joint, Step, Weights
from handheld.projection.training.recipe import Recipe
from handheld.projection.training.table import Table
from handheld.projection.training.trainers import words_as_inputs
from handheld.training import Report, Schedule, fit

Curve = list[tuple[int, float]]

_AT_ONCE = 256  # texts
_STEPS, _LEAST = 32, 4  # in an epoch, so that few texts are learned from too, and texts in a step


def silent(step: int, steps: int, loss: float) -> None:
    """Say nothing."""


def train_student(
    reader: Rows | Bits,
    lesson: Lesson,
    recipe: Recipe,
    *,
    trainer: nn.Module | None = None,
    seed: int = 0,
    save: Path | None = None,
    report: Report = silent,
) -> tuple[nn.Module, Curve]:
    """Train a network that will be shipped; return it, and the (step, loss) of its training.

    Args:
        reader: of texts.
        lesson: what to learn.
        recipe: of the network and its training.
        trainer: a network that learns along, and whose answers teach it; it reads what ``inputs_for`` gives.
        seed: of weights, order and dropout.
        save: file to go on from.
        report: called after each step.

    Raises:
        InputError: a damaged state.
        TrainingError: the loss is no longer a number.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = recipe.network(reader, lesson.classes)
    theirs = None if trainer is None else inputs_for(trainer, lesson.texts)
    curve = learn(
        Joint(network, trainer), (inputs_of(reader, lesson.texts), theirs), lesson, recipe.schedule, recipe.weights,
        seed=seed, save=save, report=report,
    )  # fmt: skip
    return network, curve


def train_trainer(
    trainer: nn.Module, lesson: Lesson, schedule: Schedule, *, seed: int = 0, save: Path | None = None, report: Report = silent
) -> Curve:
    """Train a trainer network from labels alone; return the (step, loss) of its training. Raises as :func:`train_student`."""
    words = inputs_for(trainer, lesson.texts)
    weights = Weights(smoothing=0.1)
    return learn(
        Joint(trainer), (lambda chosen: (words[chosen],), None), lesson, schedule, weights, seed=seed, save=save, report=report
    )


def learn(
    networks: Joint,
    inputs: tuple[Callable[[NDArray[np.intp]], Tensors], torch.Tensor | None],
    lesson: Lesson,
    schedule: Schedule,
    weights: Weights,
    *,
    seed: int,
    save: Path | None,
    report: Report,
) -> Curve:
    """Train networks; a table knows of its grid from the second half on. ``inputs``: of the student, and of the trainer.

    Few texts are learned in smaller batches, so that an epoch has some 32 steps.
    """
    network, (ours, theirs) = networks.projection, inputs
    schedule = replace(schedule, batch=min(schedule.batch, max(_LEAST, len(lesson) // _STEPS)))
    labels, places = torch.from_numpy(lesson.labels), order(len(lesson), schedule.batch, seed)
    answers = None if lesson.answers is None else torch.from_numpy(lesson.answers)
    steps = round(schedule.epochs * max(1, len(lesson) // schedule.batch))

    def batch(number: int) -> tuple[Tensors, Tensors, torch.Tensor]:
        if isinstance(network, Table):
            network.on_grid = 2 * number >= steps
        chosen = places(number)
        return ours(chosen), () if theirs is None else (theirs[chosen],), labels[chosen]

    given = None if answers is None else lambda number: answers[places(number)]
    step = Step(networks.train(), batch, weights, given)
    curve = fit(networks, step, schedule, steps, save=save, report=report, seed=seed)
    if isinstance(network, Table):
        network.on_grid = True
    networks.eval()
    return curve


def inputs_for(trainer: nn.Module, texts: Sequence[str]) -> torch.Tensor:
    """Return (texts, ...) what a trainer network reads: what its own ``inputs`` makes of texts, or else numbers of words."""
    found: torch.Tensor = getattr(trainer, "inputs", words_as_inputs)(texts)
    return found


def logits_of(network: nn.Module, reader: Rows | Bits | None, texts: Sequence[str]) -> NDArray[np.float32]:
    """Return (texts, classes) logits of a network in evaluation mode; without a reader it is a trainer's."""
    found = []
    with torch.inference_mode():
        for start in range(0, len(texts), _AT_ONCE):
            some = texts[start : start + _AT_ONCE]
            if isinstance(reader, Rows):
                inputs = rows_of(reader, reader.features.of(some))
            else:
                inputs = (inputs_for(network, some) if reader is None else torch.from_numpy(reader.of(some)),)
            found.append(network(*inputs).float().numpy())
    return np.concatenate(found)
