"""What a network for texts learns from: texts, what is right for each, and a teacher's answers."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from handheld.data import Dataset
from handheld.errors import InputError
from handheld.projection.features import Bag
from handheld.projection.hashing import Floats
from handheld.projection.inputs import Bits, Rows

# Texts of a class, over those out of scope: of fewer of these, each is learned several times.
_OUTSIDE_RATIO = 20

Tensors = tuple[torch.Tensor, ...]


@dataclass(frozen=True, eq=False)
class TextLesson:
    """Texts to learn from.

    Attributes:
        texts: n of them.
        labels: (n, classes) float32 shares of each class; even ones where none is right.
        answers: (n, classes) float32 logits of a teacher, if there is one.
    """

    texts: tuple[str, ...]
    labels: Floats
    answers: Floats | None = None

    @classmethod
    def of(cls, data: Dataset, outside: tuple[str, ...] = ()) -> "TextLesson":
        """Return labelled texts as a lesson, and texts that no label fits.

        The right answer to these is even shares (Hendrycks et al., "Outlier Exposure", arXiv
        1812.04606).

        Raises:
            InputError: no texts, or something else.
        """
        texts = texts_of(data)
        classes = len(data.classes)
        # Few texts out of scope would not be heard among many in scope.
        repeated = outside * _repetitions(len(data), len(outside))
        even = np.full((len(repeated), classes), 1 / classes, np.float32)
        known = np.eye(classes, dtype=np.float32)[data.labels]
        return cls((*texts, *repeated), np.concatenate([known, even]))

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def classes(self) -> int:
        """How many there are."""
        return int(self.labels.shape[1])


def _repetitions(labelled: int, outside: int) -> int:
    if not outside:
        return 0
    return max(1, round(labelled / (_OUTSIDE_RATIO * outside)))


def texts_of(data: Dataset) -> tuple[str, ...]:
    """Return a data set's texts. Raises :class:`InputError` if it holds none, or anything else."""
    if isinstance(data.inputs, np.ndarray) or not len(data):
        raise InputError("expected texts to learn from, got none, or something else")
    return data.inputs


def order(count: int, batch: int, seed: int) -> Callable[[int], NDArray[np.intp]]:
    """Return what gives the examples of a step.

    Each epoch goes through all of them in an order of its own.
    """
    per_epoch = max(1, count // batch)

    def indices(step: int) -> NDArray[np.intp]:
        epoch, position = divmod(step, per_epoch)
        # Made anew from the epoch's number: a training that goes on needs no state of it.
        permutation = np.random.default_rng((seed, epoch)).permutation(count)
        return permutation[position * batch : (position + 1) * batch]

    return indices


def inputs_of(reader: Rows | Bits, texts: tuple[str, ...]) -> Callable[[NDArray[np.intp]], Tensors]:
    """Return what gives some of the texts as a network takes them while it learns."""
    if isinstance(reader, Rows):
        bag = reader.features.of(texts)
        return lambda chosen: rows_of(reader, bag.take(chosen))
    bits = reader.of(texts).astype(np.int8)  # a quarter of the memory
    return lambda chosen: (torch.from_numpy(bits[chosen].astype(np.float32)),)


def rows_of(reader: Rows, bag: Bag) -> Tensors:
    """Return texts as a table takes them: row numbers and offsets."""
    return torch.from_numpy(reader.numbers(bag)), torch.from_numpy(bag.offsets)
