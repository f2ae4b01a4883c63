"""Hamming distances of codes that lie side by side, compiled."""

from typing import Any

import numpy as np
from numba import njit

from handheld._kernels import kernel


@kernel()
def compare(words: Any, order: Any, reach: int, neighbours: Any, distance: Any) -> None:
    """Compare each code with the ``reach`` that come after it in an order; keep the nearest."""
    count = len(order)
    for position in range(count):
        one = order[position]
        for after in range(position + 1, min(count, position + 1 + reach)):
            other = order[after]
            apart = 0
            # 64 bits at once
            for word in range(words.shape[1]):
                apart += _ones(words[one, word] ^ words[other, word])
            _keep(neighbours[one], distance[one], other, apart)
            _keep(neighbours[other], distance[other], one, apart)


@kernel()
def expand(
    numbers: Any,
    members: Any,
    offsets: Any,
    others: Any,
    distance: Any,
    neighbours: Any,
    apart: Any,
) -> None:
    """Write copies of each code, and then of its near codes, as neighbours until there is no room.

    Copies are taken from the code's own place on, around in a circle: else all of a thousand copies
    would have the same first ten.
    """
    # where each code stands among the members
    starts = np.empty(len(numbers), np.int64)
    for position in range(len(members)):
        starts[members[position]] = position
    for code in range(len(numbers)):
        group = numbers[code]
        room = neighbours.shape[1]
        size = offsets[group + 1] - offsets[group]
        filled = 0
        for step in range(1, min(size, room + 1)):
            position = offsets[group] + (starts[code] - offsets[group] + step) % size
            neighbours[code, filled] = members[position]
            apart[code, filled] = 0
            filled += 1
        for column in range(others.shape[1]):
            other = others[group, column]
            if other < 0:
                break
            for position in range(offsets[other], offsets[other + 1]):
                if filled == room:
                    break
                neighbours[code, filled] = members[position]
                apart[code, filled] = distance[group, column]
                filled += 1


@njit(nogil=True, inline="always")
def _ones(x: Any) -> int:
    """Count bits (Wilkes, Wheeler and Gill, 1951)."""
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    ones = (x * np.uint64(0x0101010101010101)) >> np.uint64(56)
    return np.int64(ones)  # type: ignore[return-value]  # numba knows it as one of its own


@njit(nogil=True, inline="always")
def _keep(neighbours: Any, distance: Any, other: int, apart: int) -> None:
    """Put a neighbour where it belongs, if it is near and new; of equals the smaller first."""
    last = len(neighbours) - 1
    if _before(neighbours[last], distance[last], other, apart):
        return
    for position in range(last + 1):
        if neighbours[position] == other:
            return
    # from the last one on, each that is further moves one place back
    position = last
    while position > 0 and not _before(
        neighbours[position - 1], distance[position - 1], other, apart
    ):
        neighbours[position] = neighbours[position - 1]
        distance[position] = distance[position - 1]
        position -= 1
    neighbours[position] = other
    distance[position] = apart


@njit(nogil=True, inline="always")
def _before(neighbour: int, distance: int, other: int, apart: int) -> bool:
    """Return whether a stored neighbour comes before another, or is it."""
    if distance != apart:
        return distance < apart
    return 0 <= neighbour <= other
