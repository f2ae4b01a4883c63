"""A hidden layer on picked n-grams, for many labels: it learns from labels and from larger models,
on the grid that it is kept on."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from handheld.projection.features import Bag
from handheld.projection.hashing import Numbers
from handheld.projection.hidden import HiddenModel
from handheld.projection.inputs import Rows
from handheld.projection.kept import size_of
from handheld.projection.training.grid import learned, step_of
from handheld.projection.training.lessons import Lesson, Tensors
from handheld.projection.training.net import Joint, Weights
from handheld.projection.training.picking import GRAPH_BYTES, levels
from handheld.projection.training.recipe import LETTERS, NGRAMS, Recipe
from handheld.projection.training.regression import Floats, TextMatrix
from handheld.projection.training.table import Table
from handheld.projection.training.text import Curve, learn, logits_of, train_student
from handheld.training import Report, Schedule

WIDTH, HIDDEN = 40, 96
EPOCHS = 30
"""Of the small model; on CLINC150's validation texts 20 lost 0.5 points, on a tenth of Banking77 10 lost 0.7."""

TEACHERS = (NGRAMS, LETTERS)
"""What the larger models read; each alone is 1 point better than a regression on Banking77, their
mean 2."""

_TEACHER = Recipe(width=48, hidden=128)  # as large as it likes: it is not shipped
_TEACHER_ROWS, _TEACHER_EPOCHS = 8192, 10
# Smoothed labels gained 0.5 points on CLINC150's validation texts, and softer answers lost as much.
_WEIGHTS = Weights(projection=0.3, distance=0.7, temperature=1.0, smoothing=0.1)
_BIT_LEVELS = 127


def rows_in(size: int, buckets: int, classes: int) -> int:
    """Return how many rows fit into a file of so many bytes, without its card."""
    room = size - GRAPH_BYTES - HIDDEN * (WIDTH + 8) - classes * (HIDDEN + 8)
    low = 0
    high = max(0, 2 * room // WIDTH)
    while low < high:
        middle = (low + high + 1) // 2
        fits = (middle + 1) * WIDTH // 2 + size_of(middle, buckets) <= room
        low, high = (middle, high) if fits else (low, middle - 1)
    return low


def teacher_logits(lesson: Lesson, number: int, *, seed: int, save: Path | None, report: Report) -> tuple[Floats, Curve]:
    """Train a larger model and return its (texts, classes) logits of what it learned."""
    features = TEACHERS[number]
    recipe = replace(_TEACHER, features=features, schedule=replace(_TEACHER.schedule, epochs=_TEACHER_EPOCHS))
    reader = Rows(features, _TEACHER_ROWS)
    network, curve = train_student(reader, lesson, recipe, seed=seed, save=save, report=report)
    return logits_of(network, reader, lesson.texts), curve


class Watch:
    """Looks at the validation loss while a network learns, and keeps the network that had the
    least.

    Args:
        network: that learns.
        valid: gives its (texts, classes) logits of the validation texts.
        loss: of these.
        every: steps between two looks.
        start: the first step that counts: before it the network is not on its grid.
    """

    def __init__(self, network: Table, valid: Callable[[], Floats], loss: Callable[[Floats], float], *, every: int, start: int):
        self.network, self.valid, self.loss = network, valid, loss
        self.every, self.start = max(1, every), start
        self.least = float("inf")
        self.best: dict[str, torch.Tensor] = {}

    def look(self, step: int) -> None:
        """Remember the network, if it is the best so far."""
        if step < self.start or step % self.every:
            return
        self.network.eval()
        loss = self.loss(self.valid())
        self.network.train()
        if loss < self.least:
            self.least = loss
            self.best = {name: values.clone() for name, values in self.network.state_dict().items()}

    def restore(self) -> None:
        """Give the network back the weights with the least loss."""
        if self.best:
            self.network.load_state_dict(self.best)


def bag_of(texts: TextMatrix) -> Bag:
    """Return the columns of texts, those that occur twice twice."""
    counts = texts.counts.astype(np.intp)
    before = np.zeros(len(counts) + 1, np.intp)
    counts.cumsum(out=before[1:])
    return Bag(texts.columns.repeat(counts).astype(np.uint64), before.take(texts.starts))


def network_logits(network: Table, texts: TextMatrix) -> Floats:
    """Return (texts, classes) logits of a network in evaluation mode."""
    with torch.inference_mode():
        logits: Floats = network(*_tensors(bag_of(texts))).numpy()
    return logits


def trained(
    texts: TextMatrix,
    lesson: Lesson,
    valid: TextMatrix,
    valid_loss: Callable[[Floats], float],
    *,
    seed: int,
    save: Path | None,
    report: Report,
) -> tuple[Table, Curve]:
    """Train the small model; return it as it was when its validation loss was least, and the
    (step, loss) of its training.

    Args:
        texts: what it reads of the lesson's texts: picked columns.
        lesson: labels, and the answers of larger models.
        valid: what it reads of the validation texts.
        valid_loss: of (texts, classes) logits of these.
        seed: of weights, order and dropout.
        save: file to go on from.
        report: called after each step.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Table(texts.width, WIDTH, lesson.classes, hidden=HIDDEN, dropout=0.5)
    bag = bag_of(texts)
    schedule: Schedule = replace(_TEACHER.schedule, epochs=EPOCHS)
    batches = max(1, len(lesson) // schedule.batch)
    watch = Watch(
        network, lambda: network_logits(network, valid), valid_loss, every=batches, start=EPOCHS * batches // 2 + batches
    )

    def step_done(step: int, steps: int, loss: float) -> None:
        watch.look(step)
        report(step, steps, loss)

    inputs: Callable[[NDArray[np.intp]], Tensors] = lambda chosen: _tensors(bag.take(chosen))  # noqa: E731
    curve = learn(Joint(network), (inputs, None), lesson, schedule, _WEIGHTS, seed=seed, save=save, report=step_done)
    watch.restore()
    network.on_grid = True
    return network.eval(), curve


def whole(network: Table, reader: Rows) -> HiddenModel:
    """Return a network with a hidden layer as numbers that a file keeps."""
    assert network.hidden is not None
    table = learned(network.table, reader, network.bits)
    step = float(step_of(network.table, network.bits))
    gain = network.norm.weight.detach().numpy()
    shift = network.norm.bias.detach().numpy()
    weights = network.hidden.weight.detach().numpy()
    # What the normalisation scales and shifts by is the first layer's business.
    first, first_scale = _by_row(weights * gain)
    first_bias = network.hidden.bias.detach().numpy() + weights @ shift
    last, last_scale = _by_row(network.last.weight.detach().numpy())
    rows = np.concatenate([table.table, np.zeros((1, table.width), np.int8)])
    least = np.array([network.norm.eps / step**2], np.float32)
    return HiddenModel(
        rows, first, first_scale, np.asarray(first_bias, np.float32), last, last_scale,
        network.last.bias.detach().numpy().copy(), least, network.bits,
    )  # fmt: skip


def _by_row(weights: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Return a layer's weights as whole numbers, each output with a step of its own."""
    pairs = [levels(row, 8) for row in weights]
    return np.stack([row for row, _ in pairs]), np.array([step for _, step in pairs], np.float32)


def _tensors(bag: Bag) -> Tensors:
    numbers: Numbers = bag.hashes.astype(np.int64)
    return torch.from_numpy(numbers), torch.from_numpy(bag.offsets)
