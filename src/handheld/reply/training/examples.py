"""Texts as the rows of a table, once for all steps, and the pairs of each step."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array

from handheld.projection.inputs import Rows
from handheld.reply.training.pairs import NOTHING, Integers
from handheld.reply.training.ranker_network import FlatRows

# Lengths below this are taken to be this: those of texts without any known row are 0.
_SMALL = 1e-5


@dataclass(frozen=True, eq=False)
class TextRows:
    """All texts as rows of a table.

    Attributes:
        numbers, offsets: as ``Rows.flat`` gives them.
        idf: (rows,) inverse document frequency of each row.
    """

    numbers: NDArray[np.intp]
    offsets: NDArray[np.intp]
    idf: NDArray[np.float32]

    @classmethod
    def of(cls, reader: Rows, texts: Sequence[str], counted: Integers) -> "TextRows":
        """Read texts.

        Args:
            reader: makes rows of texts.
            texts: to read.
            counted: numbers of those by which it is known how rare a row is.
        """
        numbers, offsets = reader.flat(texts)
        rows = cls(numbers, offsets, np.ones(reader.rows, np.float32))
        frequency = np.asarray((rows._counts(counted) > 0).sum(axis=0)).ravel()
        idf = np.log((len(counted) + 1) / (frequency + 1)).astype(np.float32)
        return cls(numbers, offsets, idf)

    def flat(self, texts: Integers) -> FlatRows:
        """Return the rows of some texts; ``NOTHING`` has none."""
        numbers, offsets = self._take(texts)
        return torch.from_numpy(numbers), torch.from_numpy(offsets)

    def shared(self, texts: Integers) -> "csr_array":
        """Return (texts, rows) of length 1: how much each row weighs in a text."""
        weights = self._counts(texts) @ diags_array(self.idf)
        lengths = np.sqrt(np.asarray((weights * weights).sum(axis=1)).ravel())
        factors = (1 / np.maximum(lengths, _SMALL)).astype(np.float32)
        return csr_array(diags_array(factors) @ weights)

    def _counts(self, texts: Integers) -> "csr_array":
        """Return (texts, rows) how often each row stands in a text."""
        numbers, offsets = self._take(texts)
        ones = np.ones(len(numbers), np.float32)
        counts = csr_array((ones, numbers, offsets), shape=(len(texts), len(self.idf)))
        counts.sum_duplicates()
        return counts

    def _take(self, texts: Integers) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the rows of some texts, one after another, and where each text's begin."""
        begins = self.offsets[np.maximum(texts, 0)]
        ends = self.offsets[np.maximum(texts, 0) + 1]
        counts = np.where(texts == NOTHING, 0, ends - begins)
        offsets = np.zeros(len(texts) + 1, np.intp)
        counts.cumsum(out=offsets[1:])
        within = np.arange(offsets[-1]) - offsets[:-1].repeat(counts)
        return self.numbers[begins.repeat(counts) + within], offsets


class PairBatches:
    """Which pairs each step sees.

    They are of one group, so that wrong answers are of the same kind as the right one: else the
    network would learn to tell files apart.

    Args:
        groups: (n,) numbers of pairs, and how often an epoch goes through them.
        size: pairs of a step.
        seed: of the order.
    """

    def __init__(self, groups: Sequence[tuple[Integers, int]], size: int, seed: int):
        self.groups = groups
        self.size = size
        self.seed = seed
        self.per_epoch = sum(len(pairs) // size * repeats for pairs, repeats in groups)
        self._epoch = -1
        self._order: list[Integers] = []

    def __call__(self, step: int) -> Integers:
        """Return the pairs of a step."""
        epoch, position = divmod(step, self.per_epoch)
        # steps come in their order, so one epoch at a time is enough
        if epoch != self._epoch:
            self._order = self._shuffled(epoch)
            self._epoch = epoch
        return self._order[position]

    def _shuffled(self, epoch: int) -> list[Integers]:
        # by the epoch, so that a run which was stopped goes on as if it had not been
        rng = np.random.default_rng((self.seed, epoch))
        batches: list[Integers] = []
        for pairs, repeats in self.groups:
            for _ in range(repeats):
                batches += self._cut(rng.permutation(pairs))
        return [batches[number] for number in rng.permutation(len(batches))]

    def _cut(self, order: Integers) -> list[Integers]:
        """Return the batches of a group; what is left over at its end has another chance."""
        starts = range(0, len(order) - self.size + 1, self.size)
        return [order[start : start + self.size] for start in starts]
