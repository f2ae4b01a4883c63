"""Numbers of a few bits in as many bits as they have, one after the other."""

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.federated.secagg.masks import MOST_BITS, word_type
from handheld.ranges import whole_in_range

_GROUP = 8  # numbers of b bits fill b bytes


def packed_bytes(count: int, bits: int) -> int:
    """Return how many bytes ``count`` numbers of so many bits take."""
    return -(-count * bits // 8)


def pack(values: NDArray[np.unsignedinteger], bits: int) -> bytes:
    """Return numbers in ``packed_bytes`` bytes, the lowest bit of the first number first.

    Args:
        values: (count,) of which the lowest ``bits`` bits are taken.
        bits: in [1, 32].

    Raises:
        InputError: ``bits`` is out of range.
    """
    whole_in_range("bits", bits, low=1, high=MOST_BITS)
    groups = -(-len(values) // _GROUP)
    padded = np.zeros((groups, _GROUP), np.uint64)
    padded.reshape(-1)[: len(values)] = values
    padded &= np.uint64((1 << bits) - 1)
    filled = np.zeros((groups, bits), np.uint8)
    for column in range(_GROUP):
        first, shift = divmod(column * bits, 8)
        shifted = padded[:, column] << np.uint64(shift)
        for byte in range(first, -(-(column + 1) * bits // 8)):
            filled[:, byte] |= (shifted & np.uint64(255)).astype(np.uint8)
            shifted >>= np.uint64(8)
    return filled.tobytes()[: packed_bytes(len(values), bits)]


def unpack(content: bytes, count: int, bits: int) -> NDArray[np.unsignedinteger]:
    """Return (count,) numbers of ``word_type(bits)``.

    Raises:
        InputError: ``bits`` is out of range, or the content has another length, or bits behind the
            last number that are not 0.
    """
    whole_in_range("bits", bits, low=1, high=MOST_BITS)
    if len(content) != packed_bytes(count, bits):
        raise InputError(
            f"expected {packed_bytes(count, bits)} bytes of {count} numbers, got {len(content)}"
        )
    groups = -(-count // _GROUP)
    filled = np.zeros((groups, bits), np.uint64)
    filled.reshape(-1)[: len(content)] = np.frombuffer(content, np.uint8)
    numbers = np.zeros((groups, _GROUP), np.uint64)
    for column in range(_GROUP):
        first, shift = divmod(column * bits, 8)
        for number, byte in enumerate(range(first, -(-(column + 1) * bits // 8))):
            numbers[:, column] |= filled[:, byte] << np.uint64(8 * number)
        numbers[:, column] >>= np.uint64(shift)
    numbers &= np.uint64((1 << bits) - 1)
    values = numbers.reshape(-1)
    # Numbers have one form in bytes: what nobody reads could carry a mark.
    if content and content[-1] >> (count * bits - 1) % 8 + 1:
        raise InputError("expected zeros behind the last number")
    return values[:count].astype(word_type(bits))
