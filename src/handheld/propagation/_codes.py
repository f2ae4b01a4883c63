"""Hamming distances of codes that lie side by side, compiled."""

from typing import Any

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def compare(words: Any, order: Any, reach: int, found: Any, distance: Any) -> None:
    """Compare each code with the ``reach`` that come after it in an order, and keep the nearest of both."""
    count = len(order)
    for place in range(count):
        one = order[place]
        for after in range(place + 1, min(count, place + 1 + reach)):
            other = order[after]
            apart = 0
            for word in range(words.shape[1]):
                apart += _ones(words[one, word] ^ words[other, word])
            _keep(found[one], distance[one], other, apart)
            _keep(found[other], distance[other], one, apart)


@njit(nogil=True, inline="always")
def _ones(x: Any) -> int:
    """Count bits (Wilkes, Wheeler and Gill, 1951)."""
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((x * np.uint64(0x0101010101010101)) >> np.uint64(56))  # type: ignore[return-value]


@njit(nogil=True, inline="always")
def _keep(found: Any, distance: Any, other: int, apart: int) -> None:
    """Put a neighbour where it belongs, if it is near enough and new; of equally near ones the smaller number first."""
    last = len(found) - 1
    if apart > distance[last] or (apart == distance[last] and found[last] >= 0 and found[last] <= other):
        return
    for place in range(last + 1):
        if found[place] == other:
            return
    place = last
    while place > 0 and (
        apart < distance[place - 1] or (apart == distance[place - 1] and (found[place - 1] < 0 or found[place - 1] > other))
    ):
        found[place], distance[place] = found[place - 1], distance[place - 1]
        place -= 1
    found[place], distance[place] = other, apart
