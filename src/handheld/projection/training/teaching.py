"""Trainer networks learn first, then answer for all texts: the shipped network learns from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from handheld.errors import InputError, TrainingError
from handheld.projection.features import Features
from handheld.projection.hashing import Floats
from handheld.projection.inputs import Bits, Rows
from handheld.projection.training.lessons import TextLesson
from handheld.projection.training.recipe import LETTERS, NGRAMS, SKIPGRAMS, ProjectionRecipe
from handheld.projection.training.text import (
    Curve,
    logits_of,
    train_student,
    train_trainer,
)
from handheld.projection.training.trainers import TRAINERS
from handheld.training import FitRun, Schedule

# Clipped, since gradients of a recurrent network may be large.
SCHEDULE = Schedule(12, batch=64, rate=0.002, warmup=0.1, decay=0.01, clip=1.0, optimiser="adam")
"""Of trainer networks."""

TABLES: Mapping[str, Features] = {
    "ngrams": NGRAMS,
    "skipgrams": SKIPGRAMS,
    "letters": LETTERS,
}
"""Trainers that are tables too, by what they read: each is wrong about other texts."""

NAMES = (*TRAINERS, *TABLES)
"""Of all trainers."""

_ROWS = 4096  # of a trainer that is a table


@dataclass(frozen=True, eq=False)
class TaughtTrainer:
    """A trainer that has learned.

    Attributes:
        network: in evaluation mode.
        reader: of a table; None for a network that reads what its ``inputs`` makes of texts.
        curve: (step, loss) of its training.
    """

    network: nn.Module
    reader: Rows | Bits | None
    curve: Curve

    def logits(self, texts: Sequence[str]) -> Floats:
        """Return (texts, classes)."""
        return logits_of(self.network, self.reader, texts)


def build(trainer: str, classes: int, seed: int = 0) -> nn.Module:
    """Return a trainer network by its name.

    Raises:
        InputError: a name that there is not.
    """
    if trainer not in TRAINERS:
        raise InputError(
            f"no trainer {trainer!r}: expected {', '.join(NAMES)}, or package.module:factory"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return TRAINERS[trainer](classes)


def teach(
    trainer: str | nn.Module,
    lesson: TextLesson,
    run: FitRun = FitRun(),
    *,
    schedule: Schedule = SCHEDULE,
) -> TaughtTrainer:
    """Train a trainer from labels.

    Args:
        trainer: one of :data:`NAMES`, or a module that gives (n, classes) logits of what its
            ``inputs`` makes of texts; without that method it gets (n, 32) numbers of words, 0
            behind the last.
        lesson: what to learn.
        run: how it is seeded, kept and told.
        schedule: of a network's training; a table has its own.

    Raises:
        InputError: no such trainer, or a damaged state.
        TrainingError: the network gives something else, or the loss is no longer a number.
    """
    if isinstance(trainer, str) and trainer in TABLES:
        recipe = ProjectionRecipe(features=TABLES[trainer])
        reader = Rows(recipe.features, _ROWS)
        table, curve = train_student(reader, lesson, recipe, run)
        return TaughtTrainer(table, reader, curve)
    network = trainer
    if isinstance(network, str):
        network = build(network, lesson.classes, run.seed)
    # Before it learns for minutes: what others wrote may give anything.
    check(network, lesson.classes)
    curve = train_trainer(network, lesson, schedule, run)
    return TaughtTrainer(network, None, curve)


def check(network: nn.Module, classes: int) -> None:
    """See that a network gives (texts, classes) logits.

    Raises:
        TrainingError: it does not, or fails.
    """
    try:
        # One text without a word: networks of others' making may not know what to do with it.
        shape = logits_of(network.eval(), None, ["a text", ""]).shape
    except Exception as error:  # whatever another's code raises
        name = type(network).__name__
        raise TrainingError(f"the trainer {name} fails on texts: {error}") from error
    if shape != (2, classes):
        raise TrainingError(
            f"the trainer gives {list(shape)} for 2 texts of {classes} labels: "
            f"expected [2, {classes}]"
        )


def mean_of(answers: Sequence[Floats]) -> Floats:
    """Return the mean of several teachers' (texts, classes) logits.

    What all labels of a text share does not count.
    """
    contrasts = [logits - logits.mean(axis=1, keepdims=True) for logits in answers]
    return np.asarray(np.mean(contrasts, axis=0), np.float32)
