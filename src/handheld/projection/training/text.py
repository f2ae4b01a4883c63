"""Train a text classifier of a given size: a table of four bits that learns from labels, and from a teacher if there is one."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from handheld.data import Dataset
from handheld.errors import InputError
from handheld.projection.features import Bag, Features
from handheld.projection.inputs import Rows
from handheld.projection.training.table import Table
from handheld.training import Distillation, Report, Schedule, fit, student_loss

_FIXED = 7_000  # bytes of a file beside its weights, its labels and its card
_FEWEST = 64  # rows of a table


@dataclass(frozen=True)
class Recipe:
    """How a table is trained; the defaults were chosen on validation splits, for about a hundred labels in 100 KB.

    Attributes:
        features: of a text.
        width: numbers in a row.
        hidden: of a layer between table and answers; 0: none.
        length: features of a text that a device reads.
        dropout: share of features that are left out while learning.
        schedule: of the training; its second half knows of the grid of four bits.
        distillation: how much the teacher's answers count, where there is a teacher.
    """

    features: Features = field(default_factory=lambda: Features(words=2, skips=0, letters=(3, 4, 5)))
    width: int = 64
    hidden: int = 0
    length: int = 256
    dropout: float = 0.5
    schedule: Schedule = field(
        default_factory=lambda: Schedule(20, batch=128, rate=0.01, rise=0.1, decay=0.05, optimiser="adam")
    )
    distillation: Distillation = field(default_factory=lambda: Distillation(weight=0.7, temperature=2.0, smoothing=0.1))

    def reader(self, max_size: int, labels: tuple[str, ...]) -> Rows:
        """Return the largest table whose file keeps a size. Raises :class:`InputError` if none does."""
        names = sum(len(label.encode()) + 3 for label in labels)
        outputs = len(labels) * ((self.hidden or self.width) + 20) + self.hidden * self.width
        rows = 2 * (max_size - _FIXED - names - outputs) // self.width
        if rows < _FEWEST:
            raise InputError(f"{max_size} bytes are too few for {len(labels)} labels and rows of {self.width} numbers")
        return Rows(self.features, rows, self.length)


def train_table(
    reader: Rows,
    train: Dataset,
    recipe: Recipe,
    *,
    answers: NDArray[np.float32] | None = None,
    seed: int = 0,
    save: Path | None = None,
    report: Report = lambda step, steps, loss: None,
) -> tuple[Table, list[tuple[int, float]]]:
    """Train a table; return it and the (step, loss) of its training.

    Args:
        reader: of texts.
        train: texts to learn from.
        recipe: of the training.
        answers: (n, classes) a teacher's logits for these texts.
        seed: of weights, order and dropout.
        save: file to go on from.
        report: called after each step.

    Raises:
        InputError: no texts, or a damaged state.
        TrainingError: the loss is no longer a number.
    """
    if not train.is_text or not len(train):
        raise InputError("expected texts to learn from, got none, or something else")
    bag, labels = reader.features.of(train.inputs), torch.from_numpy(train.labels)  # type: ignore[arg-type]
    soft = None if answers is None else torch.from_numpy(answers)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Table(reader.rows, recipe.width, len(train.classes), hidden=recipe.hidden, dropout=recipe.dropout)
    places = order(len(train), recipe.schedule.batch, seed)
    steps = round(recipe.schedule.epochs * max(1, len(train) // recipe.schedule.batch))

    def step(number: int) -> float:
        network.on_grid = 2 * number >= steps
        chosen = places(number)
        logits = network(*tensors(reader, bag.take(chosen)))
        loss = student_loss(logits, labels[chosen], None if soft is None else soft[chosen], recipe.distillation)
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    curve = fit(network.train(), step, recipe.schedule, steps, save=save, report=report, seed=seed)
    network.on_grid = True
    return network.eval(), curve


def order(count: int, batch: int, seed: int) -> Callable[[int], NDArray[np.intp]]:
    """Return what gives the examples of a step: each epoch goes through all of them in an order of its own."""
    per_epoch = max(1, count // batch)

    def places(step: int) -> NDArray[np.intp]:
        epoch, position = divmod(step, per_epoch)
        whole = np.random.default_rng((seed, epoch)).permutation(count)
        return whole[position * batch : (position + 1) * batch]

    return places


def tensors(reader: Rows, bag: Bag) -> tuple[torch.Tensor, torch.Tensor]:
    """Return texts as a table takes them: row numbers and offsets."""
    return torch.from_numpy(reader.numbers(bag)), torch.from_numpy(bag.offsets)


def logits_of(network: Table, reader: Rows, texts: tuple[str, ...]) -> NDArray[np.float32]:
    """Return (texts, classes) logits."""
    with torch.inference_mode():
        return np.asarray(network(*tensors(reader, reader.features.of(texts))).numpy())
