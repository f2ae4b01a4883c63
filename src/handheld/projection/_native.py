"""Counting bits in many hashes at once, compiled; the one file of the room that imports numba.

Counters are sliced: plane p of 64 of them is one word, whose bits are worth 2^p. Eight words are
added by full adders on whole words before they meet the planes (Harley and Seal; Mula, Kurz and
Lemire, arXiv 1611.07612).
"""

from typing import Any

import numpy as np
from numba import njit

from handheld._kernels import kernel

_PLANES = 32  # more than 4 billion features of a text have no memory


@kernel()
def above(hashes: Any, offsets: Any, keys: Any, limits: Any) -> Any:
    """Return (texts, keys) words: whether more than ``limits`` of a text's hashes have a bit set.

    Bit b of hash h along key k is bit b of ``mix(h + k)``.
    """
    width = len(keys)
    texts = len(offsets) - 1
    is_above = np.zeros((texts, width), np.uint64)
    planes = np.zeros((_PLANES, width), np.uint64)
    words = np.zeros((8, width), np.uint64)
    for text in range(texts):
        start = offsets[text]
        end = offsets[text + 1]
        if limits[text] < 0:
            # Any count is more than a number below 0, which the planes cannot hold.
            is_above[text, :] = ~np.uint64(0)
            continue
        # Planes that a count of these hashes needs; the adders always fill three.
        depth = 3
        while (end - start + 7) >> depth:
            depth += 1
        for first in range(start, end, 8):
            for lane in range(8):
                if first + lane < end:
                    _spread(hashes[first + lane], keys, words[lane])
                else:
                    words[lane, :] = 0
            _add(words, planes, depth)
        _compare(planes, depth, limits[text], is_above[text])
        planes[:depth, :] = 0
    return is_above


@njit(nogil=True, inline="always")
def _spread(value: Any, keys: Any, out: Any) -> None:
    for k in range(len(keys)):
        # hashing.mix, written out for one number at a time.
        z = value + keys[k]
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        out[k] = z ^ (z >> np.uint64(31))


@njit(nogil=True, inline="always")
def _full(a: Any, b: Any, c: Any) -> Any:
    """Add three bits: their sum and their carry."""
    half = a ^ b
    return half ^ c, (a & b) | (half & c)


@njit(nogil=True, inline="always")
def _add(words: Any, planes: Any, depth: int) -> None:
    for k in range(words.shape[1]):
        # Eight words and three planes give the planes anew and one carry, which is worth 8.
        ones, a = _full(planes[0, k], words[0, k], words[1, k])
        ones, b = _full(ones, words[2, k], words[3, k])
        twos, e = _full(planes[1, k], a, b)
        ones, a = _full(ones, words[4, k], words[5, k])
        ones, b = _full(ones, words[6, k], words[7, k])
        twos, f = _full(twos, a, b)
        fours, carry = _full(planes[2, k], e, f)
        planes[0, k] = ones
        planes[1, k] = twos
        planes[2, k] = fours
        for plane in range(3, depth):
            old = planes[plane, k]
            planes[plane, k] = old ^ carry
            carry &= old


@njit(nogil=True, inline="always")
def _compare(planes: Any, depth: int, limit: int, out: Any) -> None:
    for k in range(planes.shape[1]):
        more = np.uint64(0)
        equal = ~np.uint64(0)
        # From the highest plane down: the first that differs from the limit decides.
        for plane in range(depth - 1, -1, -1):
            limit_bit = ~np.uint64(0) if (limit >> plane) & 1 else np.uint64(0)
            more |= equal & planes[plane, k] & ~limit_bit
            equal &= ~(planes[plane, k] ^ limit_bit)
        out[k] = more
