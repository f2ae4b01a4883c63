"""Loops over the numbers of an update, compiled; the one file of the room that imports numba.

Random numbers are hashes of a seed and a place (SplitMix64; Steele, Lea and Flood, OOPSLA 2014):
the same on every machine, in any order of the work.
"""

from typing import Any

import numpy as np
from numba import njit

from handheld._kernels import kernel

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # SplitMix64's step: the golden ratio's fraction of 2^64
_ONE = np.uint64(1)
_UNIT = np.float32(2.0**-24)
_ZERO: Any = np.float32(0)
_LOWEST = 1 << 23  # state of the coder of bytes, at least
# Sums may be taken in any order; what is no number stays none.
_SUMS = {"reassoc", "nsz", "contract"}
_PIECE = 1024  # numbers that are summed up in 32 bits


@njit(nogil=True, inline="always")
def _hash(seed: Any, index: Any) -> Any:
    z = seed + np.uint64(index) * _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(nogil=True, inline="always")
def _uniform(seed: Any, index: Any) -> Any:
    """Return a number in [0, 1), in steps of 2^-24."""
    return np.float32(_hash(seed, index) >> np.uint64(40)) * _UNIT


@kernel()
def flip(x: Any, seed: Any, factor: Any, out: Any) -> None:
    """Write ``factor`` times ``x``, the sign of each number turned at random.

    (n,), n a multiple of 64.
    """
    for word in range(len(x) // 64):
        bits = _hash(seed, word)
        for bit in range(64):
            sign = np.float32(np.int64((bits >> np.uint64(bit)) & _ONE) * -2 + 1)
            out[64 * word + bit] = x[64 * word + bit] * sign * factor


@kernel()
def walsh_hadamard(x: Any, out: Any) -> None:
    """Transform (rows, columns), both powers of two, into (columns, rows); ``x`` is spoilt.

    What comes out is longer by the root of its size.

    Columns come first, rows after a transposition, so that each inner loop goes along memory. The
    transform of what comes out is what went in.
    """
    _columns(x)
    _transpose(x, out)
    _columns(out)


@kernel()
def _columns(x: Any) -> None:
    """Transform each column, two stages at once."""
    rows, width = x.shape
    half = 1
    while 4 * half <= rows:
        for first in range(0, rows, 4 * half):
            for row in range(first, first + half):
                a, b, c, d = x[row], x[row + half], x[row + 2 * half], x[row + 3 * half]
                for j in range(width):
                    p, q, r, s = a[j] + b[j], a[j] - b[j], c[j] + d[j], c[j] - d[j]
                    a[j], b[j], c[j], d[j] = p + r, q + s, p - r, q - s
        half *= 4
    if half < rows:
        for row in range(half):
            a, b = x[row], x[row + half]
            for j in range(width):
                a[j], b[j] = a[j] + b[j], a[j] - b[j]


@kernel()
def _transpose(x: Any, out: Any) -> None:
    rows, width = x.shape
    for top in range(0, rows, 16):
        for first in range(0, width, 16):
            for row in range(top, min(top + 16, rows)):
                for column in range(first, min(first + 16, width)):
                    out[column, row] = x[row, column]


@kernel()
def add_weighted(x: Any, weight: float, out: Any) -> None:
    """Add ``weight`` times ``x`` to ``out``, in the precision of ``out``."""
    for i in range(len(x)):
        out[i] += weight * x[i]


@kernel(fastmath=_SUMS)
def squares(x: Any) -> Any:
    """Return the sum of the squares of (n,) numbers."""
    squares_sum = 0.0
    for start in range(0, len(x), _PIECE):
        piece = x[start : start + _PIECE]
        total = _ZERO
        for i in range(len(piece)):
            total += piece[i] * piece[i]
        squares_sum += total
    return squares_sum


@kernel(fastmath=_SUMS)
def peakedness(x: Any) -> Any:
    """Return the sum of (n,) numbers' fourth powers over that of their squares squared.

    It is 1 / k where k numbers are alike and the others zero.
    """
    # In double precision: fourth powers of small updates, of 1e-12 say, are zero in float32.
    fourths = 0.0
    seconds = 0.0
    for i in range(len(x)):
        square = np.float64(x[i]) * np.float64(x[i])
        seconds += square
        fourths += square * square
    return fourths / (seconds * seconds) if seconds > 0 else 0.0


@kernel()
def distances(x: Any) -> Any:
    """Return (k, k) squared distances of (k, n) vectors, by differences in double precision."""
    count = len(x)
    apart = np.zeros((count, count))
    for start in range(0, x.shape[1], _PIECE):
        end = min(start + _PIECE, x.shape[1])
        for one in range(count):
            for other in range(one):
                total = 0.0
                for i in range(start, end):
                    difference = np.float64(x[one, i]) - np.float64(x[other, i])
                    total += difference * difference
                apart[one, other] += total
                apart[other, one] += total
    return apart


@kernel(fastmath=_SUMS)
def nearest_of_few(x: Any, unit: Any, borders: Any, centres: Any, codes: Any) -> Any:
    """Write which centre, times ``unit``, is nearest to each number.

    Return the sum of numbers times their centres.

    Args:
        x: (n,).
        unit: above 0.
        borders: (levels - 1,) between the centres, rising.
        centres: (levels,).
        codes: (n,) uint8, written.
    """
    values = np.empty(_PIECE, np.float32)
    counts = np.empty(_PIECE, np.int32)
    product = 0.0
    for start in range(0, len(x), _PIECE):
        piece = x[start : start + _PIECE]
        code = codes[start : start + _PIECE]
        for i in range(len(piece)):
            values[i] = centres[0]
            counts[i] = 0
        for border in range(len(borders)):
            limit = borders[border] * unit
            step = centres[border + 1] - centres[border]
            for i in range(len(piece)):
                above = piece[i] > limit
                values[i] += step if above else np.float32(0)
                counts[i] += 1 if above else 0
        total = _ZERO
        for i in range(len(piece)):
            total += piece[i] * values[i]
        for i in range(len(piece)):
            code[i] = counts[i]
        product += total
    return product


@kernel(fastmath=_SUMS)
def nearest_of_many(x: Any, unit: Any, borders: Any, centres: Any, codes: Any, guesses: Any) -> Any:
    """Do the same for many levels.

    ``guesses`` (m,) says the level at the lower end of each part of the borders' range.
    """
    low = borders[0]
    last = len(borders) - 1
    product = 0.0
    scale = np.float32(len(guesses)) / (borders[last] - low)
    for start in range(0, len(x), _PIECE):
        piece = x[start : start + _PIECE]
        code = codes[start : start + _PIECE]
        total = _ZERO
        for i in range(len(piece)):
            value = piece[i] / unit
            cell = int(min(max((value - low) * scale, np.float32(0)), np.float32(len(guesses) - 1)))
            level = guesses[cell]
            while level <= last and value > borders[level]:
                level += 1
            while level > 0 and value <= borders[level - 1]:
                level -= 1
            code[i] = level
            total += piece[i] * centres[level]
        product += total
    return product


@kernel()
def round_randomly(x: Any, low: Any, step: Any, levels: int, seed: Any, codes: Any) -> None:
    """Write (n,) numbers as multiples of ``step`` above ``low``.

    They are rounded up as likely as they are far from the multiple below.
    """
    for i in range(len(x)):
        value = (x[i] - low) / step + _uniform(seed, i)
        codes[i] = min(max(int(value), 0), levels - 1)


@kernel()
def pack(codes: Any, bits: int, out: Any) -> None:
    """Write (n,) codes below 2^bits one after another, the lowest bit first.

    Eight of them fill ``bits`` bytes of ``out``.
    """
    for group in range(len(codes) // 8):
        word = np.uint64(0)
        for number in range(8):
            word |= np.uint64(codes[8 * group + number]) << np.uint64(bits * number)
        for number in range(bits):
            out[bits * group + number] = word >> np.uint64(8 * number)


@kernel()
def unpack(content: Any, bits: int, codes: Any) -> None:
    """Write the (n,) codes that :func:`pack` wrote."""
    mask = (_ONE << np.uint64(bits)) - _ONE
    for group in range(len(codes) // 8):
        word = np.uint64(0)
        for number in range(bits):
            word |= np.uint64(content[bits * group + number]) << np.uint64(8 * number)
        for number in range(8):
            codes[8 * group + number] = word >> np.uint64(bits * number) & mask


@kernel()
def chosen(count: int, share: Any, seed: Any) -> Any:
    """Return which of so many places are chosen, each with probability ``share``: rising."""
    indices = np.empty(count, np.int64)
    size = 0
    for index in range(count):
        if _uniform(seed, index) < share:
            indices[size] = index
            size += 1
    return indices[:size].copy()


@kernel()
def write_gaps(positions: Any, low: int, out: Any) -> int:
    """Write rising places by the gaps between them (Rice, 1979): ones, a zero, ``low`` bits.

    Return the bits that are used.

    ``out`` has zeros, and room enough.
    """
    bit = 0
    before = -1
    for position in positions:
        gap = position - before - 1
        for _ in range(gap >> low):
            out[bit >> 3] |= np.uint8(1 << (bit & 7))
            bit += 1
        bit += 1
        for n in range(low):
            out[bit >> 3] |= np.uint8((gap >> n & 1) << (bit & 7))
            bit += 1
        before = position
    return bit


@kernel()
def read_gaps(content: Any, low: int, limit: int, positions: Any) -> bool:
    """Write the places that :func:`write_gaps` wrote.

    Return whether there are as many below ``limit`` and no bytes behind.
    """
    bit = 0
    before = -1
    end = 8 * len(content)
    gap: Any
    for number in range(len(positions)):
        gap = 0
        while bit < end and content[bit >> 3] >> (bit & 7) & 1:
            gap += 1 << low
            bit += 1
        bit += 1
        if bit + low > end:
            return False
        for n in range(low):
            gap += np.int64(content[bit >> 3] >> (bit & 7) & 1) << n
            bit += 1
        before += gap + 1
        if before >= limit:
            return False
        positions[number] = before
    return end - bit < 8


@kernel()
def encode_bytes(values: Any, shares: Any, bits: int, out: Any) -> int:
    """Write bytes by their shares of 2^bits, and return how many bytes that takes.

    0 if it is no fewer than ``values`` has.
    """
    starts = np.zeros(257, np.int64)
    for value in range(256):
        starts[value + 1] = starts[value] + shares[value]
    state = np.uint64(_LOWEST)
    end = len(out)
    for number in range(len(values) - 1, -1, -1):
        share = np.uint64(shares[values[number]])
        while state >= (np.uint64(_LOWEST >> bits) << np.uint64(8)) * share:
            end -= 1
            out[end] = state & np.uint64(255)
            state >>= np.uint64(8)
        if len(out) - end >= len(values):
            return 0
        state = (
            ((state // share) << np.uint64(bits))
            + state % share
            + np.uint64(starts[values[number]])
        )
    for _ in range(4):
        end -= 1
        out[end] = state & np.uint64(255)
        state >>= np.uint64(8)
    used = len(out) - end
    for n in range(used):
        out[n] = out[end + n]
    return used


@kernel()
def decode_bytes(content: Any, shares: Any, bits: int, out: Any) -> bool:
    """Write the bytes that :func:`encode_bytes` was given.

    Return whether they were read to the end, and no further.
    """
    symbols = np.empty(1 << bits, np.uint8)
    starts = np.zeros(257, np.int64)
    for value in range(256):
        starts[value + 1] = starts[value] + shares[value]
        symbols[starts[value] : starts[value + 1]] = value
    if len(content) < 4:
        return False
    state = np.uint64(0)
    read = 4
    mask = np.uint64((1 << bits) - 1)
    for n in range(4):
        state = state << np.uint64(8) | np.uint64(content[n])
    for number in range(len(out)):
        slot = state & mask
        value = symbols[slot]
        state = (
            np.uint64(shares[value]) * (state >> np.uint64(bits)) + slot - np.uint64(starts[value])
        )
        while state < np.uint64(_LOWEST):
            if read >= len(content):
                return False
            state = state << np.uint64(8) | np.uint64(content[read])
            read += 1
        out[number] = value
    return read == len(content) and state == np.uint64(_LOWEST)


@kernel()
def round_to_grid(x: Any, step: Any, highest: int, seed: Any, out: Any) -> None:
    """Write (n,) numbers as multiples of ``step``, rounded at random, at most ``highest``.

    Those below zero modulo 2^32.
    """
    for i in range(len(x)):
        value = np.floor(x[i] / step + _uniform(seed, i))
        out[i] = np.uint32(np.int64(min(max(value, np.float32(-highest)), np.float32(highest))))
