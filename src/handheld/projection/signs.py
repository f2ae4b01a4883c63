"""Random projections to bits: locality-sensitive hashing by the signs of sums (Charikar, STOC 2002).

As in "ProjectionNet" (Ravi, arXiv 1708.00630): T functions of d bits each; two texts or vectors agree in a bit with probability
1 - angle / pi. The random directions are never stored: each is a function of the seed and of a feature's fingerprint. All sums
are of whole numbers, so that bits are the same on every machine, alone or in a batch.
"""

from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.projection.features import Bag
from handheld.projection.hashing import Hashes, Numbers, mix

Bits = NDArray[np.uint8]

_BYTE = 255  # what a byte can count
_RANGE = 1 << 15  # of a vector's values, as whole numbers
_FEW = 32  # texts for which loading the compiled counter does not pay


@dataclass(frozen=True)
class Signs:
    """T random projections to d bits each.

    Attributes:
        functions: T, 1 or more.
        bits: d of each function, 1 to 64.
        seed: of all directions.

    Raises:
        InputError: numbers outside of these.
    """

    functions: int = 60
    bits: int = 14
    seed: int = 0

    def __post_init__(self) -> None:
        if not (self.functions >= 1 and 1 <= self.bits <= 64 and 0 <= self.seed < 1 << 62):
            raise InputError(f"expected 1 or more functions of 1 to 64 bits and a seed of 0 or more, got {self}")

    @property
    def size(self) -> int:
        """T times d."""
        return self.functions * self.bits

    def of(self, bag: Bag) -> Bits:
        """Return (texts, T * d) bits: 1 where most of a text's features have that bit; all 0 for a text without any."""
        return self._above(bag, (bag.offsets[1:] - bag.offsets[:-1]) // 2)[0]

    def ternary(self, bag: Bag, dead: float = 0.5) -> NDArray[np.int8]:
        """Return (texts, T * d) of -1, 0 and 1: 0 where a sum is within ``dead`` times the root of the number of features."""
        counts = bag.offsets[1:] - bag.offsets[:-1]
        reach = np.floor(dead * np.sqrt(counts)).astype(np.intp)
        high, low = self._above(bag, (counts + reach) // 2, -((reach - counts) // 2) - 1)
        return high.view(np.int8) + low.view(np.int8) - np.int8(1)

    def of_vectors(self, vectors: NDArray[np.generic]) -> Bits:
        """Return the bits of dense vectors, such as the pixels of pictures.

        Args:
            vectors: (n, ...) finite numbers; each is scaled by its largest value and rounded to 16 bits.

        Raises:
            InputError: no rows, or values that are not finite.
        """
        rows = np.asarray(vectors, np.float64)
        if not rows.size or not np.isfinite(rows).all():
            raise InputError(f"expected finite vectors (n, ...), got {list(np.shape(vectors))}")
        rows = rows.reshape(len(rows), -1)
        largest = np.abs(rows).max(axis=1, keepdims=True)
        whole = np.rint(rows * (_RANGE / np.where(largest > 0, largest, 1.0)))
        places = mix(np.arange(1, rows.shape[1] + 1, dtype=np.uint64))
        # sums of whole numbers below 2^53 are exact in any order
        sums = np.hstack([whole @ (2.0 * _bits(mix(places + key)[:, None]) - 1) for key in self._keys])
        return (sums > 0).view(np.uint8)[:, : self.size]

    def _above(self, bag: Bag, *limits: Numbers) -> list[Bits]:
        """Return (texts, T * d) for each of the ``limits``: whether more of a text's features have a bit."""
        if len(bag) > _FEW and find_spec("numba"):
            from handheld.projection._native import above

            return [_bits(above(bag.hashes, bag.offsets, self._keys, limit))[:, : self.size] for limit in limits]
        ones = np.zeros((len(bag), self._keys.size * 64), np.intp)
        for text, (start, end) in enumerate(pairwise(bag.offsets.tolist())):
            for piece in range(start, end, _BYTE):
                each = self._each(bag.hashes[piece : min(end, piece + _BYTE)])
                ones[text] += np.add.reduce(each, axis=0, dtype=np.uint8)
        return [(ones > limit[:, None]).view(np.uint8)[:, : self.size] for limit in limits]

    def _each(self, hashes: Hashes) -> Bits:
        """Return (features, bits) of each feature for itself."""
        return _bits(mix(hashes[:, None] + self._keys))

    @cached_property
    def _keys(self) -> Hashes:
        """One for each 64 bits."""
        base = mix(np.array([self.seed + 1], np.uint64))
        return mix(base + np.arange(-(-self.size // 64)).astype(np.uint64))


def _bits(words: Hashes) -> Bits:
    return np.unpackbits(words.astype("<u8", copy=False).view(np.uint8), axis=1, bitorder="little")
