"""Random projections to bits: locality-sensitive hashing by the signs of sums.

Charikar, STOC 2002; as in "ProjectionNet" (Ravi, arXiv 1708.00630): T functions of d bits each; two
texts or vectors agree in a bit with probability 1 - angle / pi. The random directions are never
stored: each is a function of the seed and of a feature's fingerprint. All sums are of whole
numbers, so that bits are the same on every machine, alone or in a batch.
"""

from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.projection.features import Bag
from handheld.projection.hashing import Hashes, Levels, Numbers, mix
from handheld.projection.ragged import counts_of
from handheld.ranges import whole_in_range

Bits = NDArray[np.uint8]

_BYTE_MAX = 255  # features whose bits a byte can count
_RANGE = 1 << 15  # of a vector's values, as whole numbers
_FEW_TEXTS = 32  # for which loading the compiled counter does not pay


@dataclass(frozen=True)
class Signs:
    """T random projections to d bits each.

    Attributes:
        functions: T, 1 or more.
        bits: d of each function, in [1, 64].
        seed: of all directions.

    Raises:
        InputError: numbers outside of these.
    """

    functions: int = 60
    bits: int = 14
    seed: int = 0

    def __post_init__(self) -> None:
        whole_in_range("functions", self.functions, low=1)
        whole_in_range("bits", self.bits, low=1, high=64)
        whole_in_range("seed", self.seed, low=0, high=(1 << 62) - 1)

    @property
    def size(self) -> int:
        """T times d."""
        return self.functions * self.bits

    def of(self, bag: Bag) -> Bits:
        """Return (texts, T * d) bits: 1 where most of a text's features have that bit.

        They are all 0 for a text without any feature.
        """
        counts = counts_of(bag.offsets)
        (bits,) = self._above(bag, counts // 2)
        return bits

    def ternary(self, bag: Bag, dead: float = 0.5) -> Levels:
        """Return (texts, T * d) of -1, 0 and 1.

        It is 0 where a sum is within ``dead`` times the root of the number of features.
        """
        counts = counts_of(bag.offsets)
        reach = np.floor(dead * np.sqrt(counts)).astype(np.intp)
        # A sum of c signs, of which k are +1, is 2 k - c: above the reach, or at minus the reach.
        upper_limit = (counts + reach) // 2
        lower_limit = -((reach - counts) // 2) - 1
        high, low = self._above(bag, upper_limit, lower_limit)
        return high.view(np.int8) + low.view(np.int8) - np.int8(1)

    def of_vectors(self, vectors: NDArray[np.generic]) -> Bits:
        """Return the bits of dense vectors, such as the pixels of pictures.

        Args:
            vectors: (n, ...) finite numbers; each is scaled by its largest value and rounded to 16
                bits.

        Raises:
            InputError: no rows, or values that are not finite.
        """
        rows = np.asarray(vectors, np.float64)
        if not rows.size or not np.isfinite(rows).all():
            raise InputError(f"expected finite vectors (n, ...), got {list(np.shape(vectors))}")
        rows = rows.reshape(len(rows), -1)
        # By its own largest value: the signs of sums do not change with a scale.
        largest = np.abs(rows).max(axis=1, keepdims=True)
        scale = _RANGE / np.where(largest > 0, largest, 1.0)
        integers = np.rint(rows * scale)
        # The fingerprint of a number's place takes the one of a feature.
        positions = np.arange(1, rows.shape[1] + 1, dtype=np.uint64)
        hashes = mix(positions)
        # Sums of whole numbers below 2^53 are exact in any order.
        sums = np.hstack([integers @ _directions(hashes, key) for key in self._keys])
        return (sums > 0).view(np.uint8)[:, : self.size]

    def _above(self, bag: Bag, *limits: Numbers) -> list[Bits]:
        """Return (texts, T * d) for each of the limits: whether more features have a bit."""
        if len(bag) > _FEW_TEXTS and find_spec("numba"):
            return [self._above_compiled(bag, limit) for limit in limits]
        counts = self._counted(bag)
        above = [counts > limit[:, None] for limit in limits]
        # keys are of 64 bits each, of which the last may have more than are asked for
        return [bits.view(np.uint8)[:, : self.size] for bits in above]

    def _above_compiled(self, bag: Bag, limit: Numbers) -> Bits:
        from handheld.projection._native import above

        words = above(bag.hashes, bag.offsets, self._keys, limit)
        return _bits(words)[:, : self.size]

    def _counted(self, bag: Bag) -> Numbers:
        """Return (texts, bits) how many of a text's features have each bit."""
        counts = np.zeros((len(bag), self._keys.size * 64), np.intp)
        for text, (start, end) in enumerate(pairwise(bag.offsets.tolist())):
            for chunk in range(start, end, _BYTE_MAX):
                hashes = bag.hashes[chunk : min(end, chunk + _BYTE_MAX)]
                bits = _bits(mix(hashes[:, None] + self._keys))
                # Bytes are added many at once; _BYTE_MAX keeps them from overflowing.
                counts[text] += np.add.reduce(bits, axis=0, dtype=np.uint8)
        return counts

    @cached_property
    def _keys(self) -> Hashes:
        """One for each 64 bits."""
        # Mixed before it is counted from, so that neighbouring seeds have no keys in common.
        base = mix(np.array([self.seed + 1], np.uint64))
        count = -(-self.size // 64)
        return mix(base + np.arange(count).astype(np.uint64))


def _directions(hashes: Hashes, key: np.uint64) -> NDArray[np.float64]:
    """Return (features, 64) of -1 and 1."""
    bits = _bits(mix(hashes + key)[:, None])
    return bits.astype(np.float64) * 2 - 1


def _bits(words: Hashes) -> Bits:
    little_endian = words.astype("<u8", copy=False)
    return np.unpackbits(little_endian.view(np.uint8), axis=1, bitorder="little")
