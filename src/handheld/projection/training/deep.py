"""A hidden layer on picked n-grams, for many labels: it learns from labels and larger models.

It learns on the grid that it is kept on. N-grams share rows: a row for each leaves room for a sixth
of Banking77's n-grams; with all of them the network was 0.9 points better, and what three a row
lose by each other is less.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch

from handheld.projection.features import Bag
from handheld.projection.hashing import Floats, Levels, Numbers
from handheld.projection.hidden import HiddenModel
from handheld.projection.inputs import Rows
from handheld.projection.kept import size_of
from handheld.projection.ragged import offsets_of
from handheld.projection.training.grid import learned, step_of
from handheld.projection.training.lessons import Tensors, TextLesson
from handheld.projection.training.net import Joint, Weights
from handheld.projection.training.picking import GRAPH_BYTES, levels
from handheld.projection.training.recipe import LETTERS, NGRAMS, ProjectionRecipe
from handheld.projection.training.regression import TextMatrix
from handheld.projection.training.table import RowTable
from handheld.projection.training.text import Curve, Inputs, learn, logits_of, train_student
from handheld.training import FitRun, Schedule

WIDTH = 40
HIDDEN = 96
NGRAMS_A_ROW = 3
_BYTES_A_NEURON = 8  # scale and bias, float32, beside its weights
EPOCHS = 20
"""Of the small model, each of all texts and of as many varied ones."""

TEACHERS = (NGRAMS, LETTERS)
"""What the larger models read; each alone is 1 point better than a regression on Banking77, their
mean 2.
"""

_TEACHER = ProjectionRecipe(width=48, hidden=128)  # as large as it likes: it is not shipped
_TEACHER_ROWS = 8192
_TEACHER_EPOCHS = 10
# Smoothed labels gained 0.5 points on CLINC150's validation texts, and softer answers lost as much.
_WEIGHTS = Weights(projection=0.3, distance=0.7, temperature=1.0, smoothing=0.1)
_KEPT_WORDS = 0.75  # of a varied text


def varied(texts: Sequence[str], seed: int) -> tuple[str, ...]:
    """Return as many other texts, for larger models to label.

    They are without some of the words, or the beginning of one and the end of another (Tang et
    al., arXiv 1903.12136). On four tenths of Banking77 the small model was 0.3 points better for
    them, on CLINC150 and HWU64 neither better nor worse.
    """
    rng = np.random.default_rng(seed)
    all_words = [text.split() for text in texts]
    others: list[str] = []
    for words in all_words:
        if rng.random() < 0.5:
            # Word by word: what a text is about is mostly in more than one of them.
            changed = [word for word in words if rng.random() < _KEPT_WORDS]
        else:
            ending = all_words[rng.integers(len(all_words))]
            start = words[: rng.integers(len(words) + 1)]
            changed = start + ending[rng.integers(len(ending) + 1) :]
        others.append(" ".join(changed or words))
    return tuple(others)


def rows_in(size: int, buckets: int, classes: int, ngrams: int | None = None) -> int:
    """Return how many rows fit into a file of so many bytes, without its card.

    Args:
        size: bytes.
        buckets: that n-grams fall into.
        classes: that are told apart.
        ngrams: that there are to pick from, if they are known: of fewer the file says less.
    """
    layers = HIDDEN * (WIDTH + _BYTES_A_NEURON) + classes * (HIDDEN + _BYTES_A_NEURON)
    room = size - GRAPH_BYTES - layers
    most_ngrams = buckets
    if ngrams is not None:
        # Of fewer n-grams the set of buckets is shorter, and more rows fit.
        most_ngrams = ngrams

    def is_too_large(rows: int) -> bool:
        # Two numbers in a byte, and one row more, of zeros.
        table_size = (rows + 1) * WIDTH // 2
        picked_ngrams = min(NGRAMS_A_ROW * rows, most_ngrams)
        return table_size + size_of(picked_ngrams, buckets) > room

    # As many rows fit as there are numbers, from 1 on, before the first that is too large.
    return bisect_left(range(1, 2 * room // WIDTH + 1), True, key=is_too_large)


def teacher_logits(
    lesson: TextLesson,
    number: int,
    texts: Sequence[str],
    run: FitRun,
) -> tuple[Floats, Curve]:
    """Train a larger model on a lesson, and return its (texts, classes) logits of some texts."""
    features = TEACHERS[number]
    schedule = replace(_TEACHER.schedule, epochs=_TEACHER_EPOCHS)
    recipe = replace(_TEACHER, features=features, schedule=schedule)
    reader = Rows(features, _TEACHER_ROWS)
    network, curve = train_student(reader, lesson, recipe, run)
    return logits_of(network, reader, texts), curve


class Watch:
    """Looks at the validation loss while a network learns, and keeps the network with the least.

    Args:
        network: that learns.
        valid: gives its (texts, classes) logits of the validation texts.
        loss: of these.
    """

    def __init__(
        self, network: RowTable, valid: Callable[[], Floats], loss: Callable[[Floats], float]
    ):
        self.network = network
        self.valid = valid
        self.loss = loss
        self.lowest_loss = float("inf")
        self.best: dict[str, torch.Tensor] = {}

    def look(self, step: int, steps: int) -> None:
        """Remember the network, if it is the best so far.

        It looks at the end of each epoch of the second half: before that the network is not on its
        grid.
        """
        epoch = max(1, steps // EPOCHS)
        if step % epoch or 2 * step < steps + 2 * epoch:
            return
        self.network.eval()
        loss = self.loss(self.valid())
        self.network.train()
        if loss < self.lowest_loss:
            self.lowest_loss = loss
            self.best = {name: values.clone() for name, values in self.network.state_dict().items()}

    def restore(self) -> None:
        """Give the network back the weights with the least loss."""
        if self.best:
            self.network.load_state_dict(self.best)


def bag_of(texts: TextMatrix, rows: int) -> Bag:
    """Return the rows of texts, which the columns take in turn; those that occur twice twice."""
    counts = texts.counts.astype(np.intp)
    numbers = (texts.columns % rows).repeat(counts)
    return Bag(numbers.astype(np.uint64), offsets_of(counts).take(texts.starts))


def network_logits(network: RowTable, texts: TextMatrix) -> Floats:
    """Return (texts, classes) logits of a network in evaluation mode."""
    with torch.inference_mode():
        logits: Floats = network(*_tensors(bag_of(texts, len(network.table)))).numpy()
    return logits


def trained(
    texts: TextMatrix,
    lesson: TextLesson,
    valid: TextMatrix,
    valid_loss: Callable[[Floats], float],
    run: FitRun,
    *,
    rows: int,
) -> tuple[RowTable, Curve]:
    """Train the small model; return it, and the (step, loss) of its training.

    It is returned as it was when its validation loss was least.

    Args:
        texts: what it reads of the lesson's texts: picked columns.
        lesson: labels, and the answers of larger models.
        valid: what it reads of the validation texts.
        valid_loss: of (texts, classes) logits of these.
        run: how it is seeded, kept and told.
        rows: that the columns share.
    """
    network = _fresh(rows, lesson.classes, run.seed)
    bag = bag_of(texts, rows)
    schedule: Schedule = replace(_TEACHER.schedule, epochs=EPOCHS)
    # Watched, since so many epochs memorise where the texts are few.
    watch = Watch(network, lambda: network_logits(network, valid), valid_loss)

    def step_done(step: int, steps: int, loss: float) -> None:
        watch.look(step, steps)
        run.report(step, steps, loss)

    def inputs(chosen: Numbers) -> Tensors:
        return _tensors(bag.take(chosen))

    curve = learn(
        Joint(network),
        Inputs(inputs),
        lesson,
        schedule,
        _WEIGHTS,
        replace(run, report=step_done),
    )
    watch.restore()
    network.on_grid = True
    return network.eval(), curve


def _fresh(rows: int, classes: int, seed: int) -> RowTable:
    """Return a network that has learned nothing."""
    # The caller's random numbers go on as if none had been drawn.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return RowTable(rows, WIDTH, classes, hidden=HIDDEN, dropout=0.5)


def whole(network: RowTable, reader: Rows) -> HiddenModel:
    """Return a network with a hidden layer as numbers that a file keeps."""
    table = learned(network.table, reader, network.bits)
    step = float(step_of(network.table, network.bits))
    weights, first_bias = _unnormalised(network)
    first, first_scale = _by_row(weights)
    last, last_scale = _by_row(_numbers(network.last.weight))
    rows = np.concatenate([table.table, np.zeros((1, table.width), np.int8)])
    # The table's numbers are kept over their step, and so is what the normalisation adds to them.
    epsilon = np.array([network.norm.eps / step**2], np.float32)
    return HiddenModel(
        table=rows,
        first=first,
        first_scale=first_scale,
        first_bias=first_bias,
        last=last,
        last_scale=last_scale,
        # a copy: the network may go on learning
        last_bias=_numbers(network.last.bias).copy(),
        least=epsilon,
        bits=network.bits,
    )


def _unnormalised(network: RowTable) -> tuple[Floats, Floats]:
    """Return weights and biases of the first layer, on what is normalised and no more.

    What the normalisation scales and shifts by is folded into them.
    """
    assert network.hidden is not None
    gain = _numbers(network.norm.weight)
    shift = _numbers(network.norm.bias)
    weights = _numbers(network.hidden.weight)
    bias = _numbers(network.hidden.bias) + weights @ shift
    return weights * gain, np.asarray(bias, np.float32)


def _numbers(parameter: torch.Tensor) -> Floats:
    """Return what a parameter holds, without a copy."""
    numbers: Floats = parameter.detach().numpy()
    return numbers


def _by_row(weights: Floats) -> tuple[Levels, Floats]:
    """Return a layer's weights as whole numbers, each output with a step of its own."""
    rows, steps = zip(*(levels(row, 8) for row in weights), strict=True)
    return np.stack(rows), np.array(steps, np.float32)


def _tensors(bag: Bag) -> Tensors:
    numbers: Numbers = bag.hashes.astype(np.int64)
    return torch.from_numpy(numbers), torch.from_numpy(bag.offsets)
