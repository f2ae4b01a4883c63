"""Texts as the rows of a table, once for all steps, and the pairs of each step."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array

from handheld.projection.inputs import Rows
from handheld.reply.training.pairs import NOTHING, Whole
from handheld.reply.training.ranker_network import FlatRows


@dataclass(frozen=True, eq=False)
class TextRows:
    """All texts as rows of a table.

    Attributes:
        numbers, offsets: as ``Rows.flat`` gives them.
        rarity: (rows,) inverse document frequency of each row.
    """

    numbers: NDArray[np.intp]
    offsets: NDArray[np.intp]
    rarity: NDArray[np.float32]

    @classmethod
    def of(cls, reader: Rows, texts: Sequence[str], counted: Whole) -> "TextRows":
        """Read texts; ``counted`` are those by which rarity is judged."""
        numbers, offsets = reader.flat(texts)
        found = cls(numbers, offsets, np.ones(reader.rows, np.float32))
        frequency = np.asarray((found._counts(counted) > 0).sum(axis=0)).ravel()
        rarity = np.log((len(counted) + 1) / (frequency + 1)).astype(np.float32)
        return cls(numbers, offsets, rarity)

    def flat(self, texts: Whole) -> FlatRows:
        """Return the rows of some texts; ``NOTHING`` has none."""
        numbers, offsets = self._take(texts)
        return torch.from_numpy(numbers), torch.from_numpy(offsets)

    def shared(self, texts: Whole) -> "csr_array":
        """Return (texts, rows) of length 1: how much each row weighs in a text."""
        weighted = self._counts(texts) @ diags_array(self.rarity)
        length = np.sqrt(np.asarray((weighted * weighted).sum(axis=1)).ravel())
        return csr_array(diags_array((1 / np.maximum(length, 1e-5)).astype(np.float32)) @ weighted)

    def _counts(self, texts: Whole) -> "csr_array":
        numbers, offsets = self._take(texts)
        found = csr_array(
            (np.ones(len(numbers), np.float32), numbers, offsets),
            shape=(len(texts), len(self.rarity)),
        )
        found.sum_duplicates()
        return found

    def _take(self, texts: Whole) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        places = np.maximum(texts, 0)
        counts = np.where(texts == NOTHING, 0, self.offsets[places + 1] - self.offsets[places])
        offsets = np.zeros(len(texts) + 1, np.intp)
        counts.cumsum(out=offsets[1:])
        inside = np.arange(offsets[-1]) - offsets[:-1].repeat(counts)
        return self.numbers[self.offsets[places].repeat(counts) + inside], offsets


class PairBatches:
    """Which pairs each step sees: those of one group, so that wrong answers are of the same kind as the right one.

    Args:
        groups: (n,) numbers of pairs, and how often an epoch goes through them.
        size: pairs of a step.
        seed: of the order.
    """

    def __init__(self, groups: Sequence[tuple[Whole, int]], size: int, seed: int):
        self.groups, self.size, self.seed = groups, size, seed
        self.per_epoch = sum(len(pairs) // size * repeats for pairs, repeats in groups)
        self._epoch, self._order = -1, [np.empty(0, np.int64)]

    def __call__(self, step: int) -> Whole:
        """Return the pairs of a step."""
        epoch, place = divmod(step, self.per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._shuffled(epoch)
        return self._order[place]

    def _shuffled(self, epoch: int) -> list[Whole]:
        rng = np.random.default_rng((self.seed, epoch))
        found = []
        for pairs, repeats in self.groups:
            for _ in range(repeats):
                order = rng.permutation(pairs)
                found += [
                    order[start : start + self.size]
                    for start in range(0, len(order) - self.size + 1, self.size)
                ]
        return [found[place] for place in rng.permutation(len(found))]
