"""Sets of whole numbers in few bytes: how a file says which buckets of n-grams it has rows for.

Elias, "Efficient Storage and Retrieval by Content and Address of Static Files", J. ACM 21(2),
1974; Fano, 1971: the low bits of each number as they are, the high ones as a bitmap in unary. A
set of n numbers below u takes about 2 + log2(u / n) bits a number.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.projection.hashing import Numbers

_HEAD = 8  # bytes: how many numbers there are


@dataclass(frozen=True)
class _Layout:
    """Where what stands in the bytes of a set.

    Attributes:
        count: numbers in the set.
        universe: above every number.
    """

    count: int
    universe: int

    @property
    def low_bits(self) -> int:
        """Bits of each number that are kept as they are."""
        # Elias: the logarithm of the mean distance makes the whole shortest.
        mean_distance = self.universe // max(1, self.count)
        return max(0, mean_distance.bit_length() - 1)

    @property
    def unary_bits(self) -> int:
        """Bits of the bitmap: a one for each number, a zero for each step of the high bits."""
        return self.count + (self.universe >> self.low_bits) + 1

    @property
    def low_end(self) -> int:
        """Byte behind the low bits, where the bitmap begins."""
        return _HEAD + _bytes_for(self.count * self.low_bits)

    @property
    def end(self) -> int:
        """Bytes of the set."""
        return self.low_end + _bytes_for(self.unary_bits)


def encoded(numbers: Numbers, universe: int) -> bytes:
    """Return a set as bytes.

    Args:
        numbers: (n,) in rising order, none twice, 0 to ``universe`` - 1.
        universe: above every number.

    Raises:
        InputError: numbers of another kind.

    >>> decoded(encoded(np.array([3, 4, 250]), 256), 256).tolist()
    [3, 4, 250]
    """
    count = len(numbers)
    if count and not (numbers[0] >= 0 and _rises_below(numbers, universe)):
        raise InputError(
            f"expected numbers of 0 to {universe - 1} in rising order, "
            f"got {numbers[:5].tolist()} ..."
        )
    layout = _Layout(count, universe)
    low = (numbers[:, None] >> np.arange(layout.low_bits)) & 1
    unary = np.zeros(layout.unary_bits, np.uint8)
    # Behind a one for each number before it: the zeros up to there count the high bits.
    unary[(numbers >> layout.low_bits) + np.arange(count)] = 1
    return count.to_bytes(_HEAD, "little") + _packed(low) + _packed(unary)


def decoded(content: bytes, universe: int) -> Numbers:
    """Return the set that :func:`encoded` wrote. Raises :class:`InputError` for other bytes."""
    count = int.from_bytes(content[:_HEAD], "little")
    # Before anything is counted with it: damaged bytes may ask for any memory.
    if count > universe:
        raise _damaged(f"{count} numbers below {universe}")
    layout = _Layout(count, universe)
    if len(content) != layout.end:
        raise _damaged(f"{count} numbers in {len(content)} bytes, expected {layout.end}")
    low_bits = layout.low_bits
    bits = _unpacked(content[_HEAD : layout.low_end])[: count * low_bits]
    low = (bits.reshape(count, low_bits) << np.arange(low_bits)).sum(axis=1, dtype=np.intp)
    ones = np.flatnonzero(_unpacked(content[layout.low_end :]))
    if len(ones) != count:
        raise _damaged(f"{count} numbers whose high bits are {len(ones)}")
    # What is left of a place without the ones before it.
    high = ones - np.arange(count)
    numbers = low + (high << low_bits)
    # The right number of bits may still be of no set that was written here.
    if count and not _rises_below(numbers, universe):
        raise _damaged(f"{count} numbers that do not rise below {universe}")
    return np.asarray(numbers, np.intp)


def size_of(count: int, universe: int) -> int:
    """Return how many bytes a set of ``count`` numbers takes."""
    return _Layout(count, universe).end


def _rises_below(numbers: Numbers, universe: int) -> bool:
    return bool(numbers[-1] < universe and (np.diff(numbers) > 0).all())


def _damaged(content: str) -> InputError:
    return InputError(f"a set of {content}: the bytes are damaged")


def _bytes_for(bits: int) -> int:
    return -(-bits // 8)


def _packed(bits: NDArray[np.integer]) -> bytes:
    return np.packbits(bits.astype(np.uint8), bitorder="little").tobytes()


def _unpacked(content: bytes) -> NDArray[np.uint8]:
    return np.unpackbits(np.frombuffer(content, np.uint8), bitorder="little")
