"""Sets of whole numbers in few bytes: how a file says which buckets of n-grams it has rows for.

Elias, "Efficient Storage and Retrieval by Content and Address of Static Files", J. ACM 21(2),
1974; Fano, 1971: the low bits of each number as they are, the high ones as a bitmap in unary. A
set of n numbers below u takes about 2 + log2(u / n) bits a number.
"""

import numpy as np

from handheld.errors import InputError
from handheld.projection.hashing import Numbers

_HEAD = 8  # bytes: how many numbers there are


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
    if count and not (numbers[0] >= 0 and numbers[-1] < universe and (np.diff(numbers) > 0).all()):
        raise InputError(f"expected numbers of 0 to {universe - 1} in rising order, got {numbers[:5].tolist()} ...")
    low = _low_bits(count, universe)
    bits = (numbers[:, None] >> np.arange(low)) & 1
    unary = np.zeros(_unary_bits(count, universe, low), np.uint8)
    unary[(numbers >> low) + np.arange(count)] = 1
    packed = (np.packbits(bits.astype(np.uint8), bitorder="little"), np.packbits(unary, bitorder="little"))
    return count.to_bytes(_HEAD, "little") + packed[0].tobytes() + packed[1].tobytes()


def decoded(content: bytes, universe: int) -> Numbers:
    """Return the set that :func:`encoded` wrote. Raises :class:`InputError` for bytes that are
    none."""
    count = int.from_bytes(content[:_HEAD], "little")
    if count > universe:
        raise InputError(f"a set of {count} numbers below {universe}: the bytes are damaged")
    low = _low_bits(count, universe)
    split = _HEAD + -(-count * low // 8)
    expected = split + -(-_unary_bits(count, universe, low) // 8)
    if len(content) != expected:
        raise InputError(f"a set of {count} numbers in {len(content)} bytes, expected {expected}: the bytes are damaged")
    bits = np.unpackbits(np.frombuffer(content[_HEAD:split], np.uint8), bitorder="little")[: count * low]
    unary = np.unpackbits(np.frombuffer(content[split:], np.uint8), bitorder="little")
    high = np.flatnonzero(unary) - np.arange(count) if unary.sum() == count else np.empty(0, np.intp)
    if len(high) != count:
        raise InputError(f"a set of {count} numbers whose high bits are {int(unary.sum())}: the bytes are damaged")
    numbers = (bits.reshape(count, low) << np.arange(low)).sum(axis=1, dtype=np.intp) + (high << low)
    if count and not (numbers[-1] < universe and (np.diff(numbers) > 0).all()):
        raise InputError(f"a set of {count} numbers that do not rise below {universe}: the bytes are damaged")
    return np.asarray(numbers, np.intp)


def size_of(count: int, universe: int) -> int:
    """Return how many bytes a set of ``count`` numbers takes."""
    low = _low_bits(count, universe)
    return _HEAD + -(-count * low // 8) + -(-_unary_bits(count, universe, low) // 8)


def _low_bits(count: int, universe: int) -> int:
    return max(0, (universe // max(1, count)).bit_length() - 1)


def _unary_bits(count: int, universe: int, low: int) -> int:
    return count + (universe >> low) + 1
