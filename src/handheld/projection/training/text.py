"""Networks for texts learn: from labels, from a teacher's answers, or with a trainer network.

"ProjectionNet: Learning Efficient On-Device Deep Networks Using Neural Projections", arXiv
1708.00630.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from handheld.projection.hashing import Floats
from handheld.projection.inputs import Bits, Rows
from handheld.projection.training.lessons import Tensors, TextLesson, inputs_of, order, rows_of
from handheld.projection.training.net import Joint, JointBatch, ProjectionStep, Weights
from handheld.projection.training.recipe import ProjectionRecipe
from handheld.projection.training.table import RowTable
from handheld.projection.training.trainers import words_as_inputs
from handheld.training import FitRun, Schedule, fit

Curve = list[tuple[int, float]]

_LOGITS_BATCH = 256  # texts that are answered at once
# Few texts are learned in smaller batches: an epoch has 32 steps, of 4 texts at least.
_EPOCH_STEPS = 32
_MIN_BATCH = 4
_SMOOTHING = 0.1  # of a trainer's labels (Szegedy et al., arXiv 1512.00567)


@dataclass(frozen=True, eq=False)
class Inputs:
    """What networks read of a lesson's texts.

    Attributes:
        projection: gives the inputs of the network that is shipped, for some of the texts.
        trainer: (texts, ...) inputs of a trainer network, if one learns along.
    """

    projection: Callable[[NDArray[np.intp]], Tensors]
    trainer: torch.Tensor | None = None


def train_student(
    reader: Rows | Bits,
    lesson: TextLesson,
    recipe: ProjectionRecipe,
    run: FitRun = FitRun(),
    *,
    trainer: nn.Module | None = None,
) -> tuple[nn.Module, Curve]:
    """Train a network that will be shipped; return it, and the (step, loss) of its training.

    Args:
        reader: of texts.
        lesson: what to learn.
        recipe: of the network and its training.
        run: how it is seeded, kept and told.
        trainer: a network that learns along, and whose answers teach it; it reads what
            ``inputs_for`` gives.

    Raises:
        InputError: a damaged state.
        TrainingError: the loss is no longer a number.
    """
    # The caller's random numbers go on as if none had been drawn.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        network = recipe.network(reader, lesson.classes)
    trainer_inputs: torch.Tensor | None = None
    if trainer is not None:
        trainer_inputs = inputs_for(trainer, lesson.texts)
    curve = learn(
        Joint(network, trainer),
        Inputs(inputs_of(reader, lesson.texts), trainer_inputs),
        lesson,
        recipe.schedule,
        recipe.weights,
        run,
    )
    return network, curve


def train_trainer(
    trainer: nn.Module,
    lesson: TextLesson,
    schedule: Schedule,
    run: FitRun = FitRun(),
) -> Curve:
    """Train a trainer network from labels alone; return the (step, loss) of its training.

    Raises as :func:`train_student`.
    """
    # Once for all texts: an encoder of a package takes long.
    inputs = inputs_for(trainer, lesson.texts)
    return learn(
        Joint(trainer),
        Inputs(lambda chosen: (inputs[chosen],)),
        lesson,
        schedule,
        Weights(smoothing=_SMOOTHING),
        run,
    )


def learn(
    networks: Joint,
    inputs: Inputs,
    lesson: TextLesson,
    schedule: Schedule,
    weights: Weights,
    run: FitRun,
) -> Curve:
    """Train networks; a table knows of its grid from the second half on.

    Few texts are learned in smaller batches, so that an epoch has some 32 steps.
    """
    network = networks.projection
    batch_size = min(schedule.batch, max(_MIN_BATCH, len(lesson) // _EPOCH_STEPS))
    schedule = replace(schedule, batch=batch_size)
    steps = round(schedule.epochs * max(1, len(lesson) // batch_size))
    batches = _Batches(lesson, inputs, batch_size, run.seed)

    def batch(number: int) -> JointBatch:
        if isinstance(network, RowTable):
            # By the number of the step: a training that goes on needs no state of it.
            network.on_grid = 2 * number >= steps
        return batches(number)

    step = ProjectionStep(networks.train(), batch, weights)
    curve = fit(networks, step, schedule, steps, save=run.save, report=run.report, seed=run.seed)
    if isinstance(network, RowTable):
        # Also where it learned for a step or none.
        network.on_grid = True
    networks.eval()
    return curve


class _Batches:
    """Gives what is learned in a step."""

    def __init__(self, lesson: TextLesson, inputs: Inputs, batch_size: int, seed: int):
        self.inputs = inputs
        self.labels = torch.from_numpy(lesson.labels)
        self.answers: torch.Tensor | None = None
        if lesson.answers is not None:
            self.answers = torch.from_numpy(lesson.answers)
        self.order = order(len(lesson), batch_size, seed)

    def __call__(self, step: int) -> JointBatch:
        chosen = self.order(step)
        trainer_inputs: Tensors = ()
        if self.inputs.trainer is not None:
            trainer_inputs = (self.inputs.trainer[chosen],)
        answers: torch.Tensor | None = None
        if self.answers is not None:
            answers = self.answers[chosen]
        inputs = self.inputs.projection(chosen)
        return JointBatch(inputs, trainer_inputs, self.labels[chosen], answers)


def inputs_for(trainer: nn.Module, texts: Sequence[str]) -> torch.Tensor:
    """Return (texts, ...) what a trainer network reads.

    That is what its own ``inputs`` makes of texts, or else numbers of words.
    """
    # Modules of others have it or not: it is no part of what a module is.
    make_inputs = getattr(trainer, "inputs", words_as_inputs)
    inputs: torch.Tensor = make_inputs(texts)
    return inputs


def logits_of(network: nn.Module, reader: Rows | Bits | None, texts: Sequence[str]) -> Floats:
    """Return (texts, classes) logits of a network in evaluation mode.

    Without a reader it is a trainer's.
    """
    logits: list[Floats] = []
    with torch.inference_mode():
        for start in range(0, len(texts), _LOGITS_BATCH):
            inputs = _inputs(network, reader, texts[start : start + _LOGITS_BATCH])
            logits.append(network(*inputs).float().numpy())
    return np.concatenate(logits)


def _inputs(network: nn.Module, reader: Rows | Bits | None, texts: Sequence[str]) -> Tensors:
    if reader is None:
        return (inputs_for(network, texts),)
    if isinstance(reader, Rows):
        return rows_of(reader, reader.features.of(texts))
    return (torch.from_numpy(reader.of(texts)),)
