"""Near neighbours among bit codes, without comparing each with each.

Codes that agree in the bits that they are sorted by lie side by side (Charikar, STOC 2002, section
3): sorted by several choices of bits, each code is compared with those next to it. Codes that are
there several times are compared once: else copies would have only copies beside them. Time grows
with n log n, memory with n.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError, MissingDependencyError
from handheld.propagation.graph import WeightedGraph
from handheld.ranges import whole_in_range

# Of a code: distances and places of bits are small numbers, and no projection of ours makes more.
_MOST_BYTES = 64
# Bits that codes are sorted by: one number of the machine.
_SORTED_BITS = 64
# More than all near codes of a code weigh together, ten of its own and those that it is one of ten
# of. Copies that have no other edge are solved for exactly, so it costs no sweeps.
_COPY_WEIGHT = 1000.0


def near(
    codes: NDArray[np.uint8], count: int = 10, *, orders: int = 8, reach: int = 16, seed: int = 0
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return near neighbours of codes, the nearest first: copies of a code, then other codes.

    Args:
        codes: (n, bytes) packed bits, 1 to 64 bytes, as ``np.packbits`` gives them.
        count: neighbours of each to look for, 1 or more.
        orders: choices of bits to sort by, 1 or more; more find more.
        reach: distinct codes on either side that each is compared with, 1 or more.
        seed: of the choices.

    Returns:
        (n, count) int32 numbers of neighbours, -1 where there are fewer; and in how many bits they
        differ.

    Raises:
        InputError: codes or numbers outside of these.
        MissingDependencyError: the extra ``train`` is not installed.
    """
    distinct = _distinct(codes)
    others, distance = _near_distinct(distinct.codes, count, orders, reach, seed)
    if len(distinct.codes) == len(codes):
        return others, distance
    # late: numba takes a second to import
    from handheld.propagation._codes import expand

    neighbours = np.full((len(codes), count), -1, np.int32)
    apart = np.full((len(codes), count), -1, np.int32)
    expand(
        distinct.numbers,
        distinct.members,
        distinct.offsets,
        others,
        distance,
        neighbours,
        apart,
    )
    return neighbours, apart


def graph_of(
    codes: NDArray[np.uint8], count: int = 10, *, orders: int = 8, reach: int = 16, seed: int = 0
) -> WeightedGraph:
    """Join each code with its near neighbours among other codes, and copies of a code together.

    Edges weigh the share of bits that agree beyond half, in (0, 1]; pairs that agree in half of
    their bits or less are not joined. A code that is there several times has its edges at its first
    copy, which each other copy is joined with by an edge of 1000: so copies share what comes to any
    of them, a seed that is a copy outweighs all near codes together, and memory is linear in
    copies.

    Args and errors are those of :func:`near`.
    """
    distinct = _distinct(codes)
    others, distance = _near_distinct(distinct.codes, count, orders, reach, seed)
    one, other, weights = _pairs(others, distance, 8 * codes.shape[1])
    heads = distinct.members[distinct.offsets[:-1]]
    head_of = heads[distinct.numbers]
    copies = np.flatnonzero(head_of != np.arange(len(codes)))
    copy_weights = np.full(len(copies), _COPY_WEIGHT)
    return WeightedGraph.of_edges(
        np.concatenate([heads[one], head_of[copies]]),
        np.concatenate([heads[other], copies]),
        np.concatenate([weights, copy_weights]),
        nodes=len(codes),
    )


def _pairs(
    others: NDArray[np.int32], distance: NDArray[np.int32], bits: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
    """Return both codes of each pair that is near, once, and what an edge between them weighs.

    Args:
        others, distance: (codes, count) near codes of each, and in how many bits they differ.
        bits: of a code.
    """
    one, column = (others >= 0).nonzero()
    other = others[one, column]
    # 1 for copies, 0 where half of the bits agree, as they do by chance
    weights = 1 - distance[one, column] / (bits / 2)
    first = _first_of_pairs(one, other, len(others))
    first = first[weights[first] > 0]
    return one[first], other[first], weights[first]


def _first_of_pairs(
    one: NDArray[np.int64], other: NDArray[np.int32], count: int
) -> NDArray[np.intp]:
    """Return where each pair stands first: many are near in both directions.

    Args:
        one, other: (pairs,) numbers of codes.
        count: of codes.
    """
    smaller = np.minimum(one, other)
    larger = np.maximum(one, other)
    # one number a pair, which is faster than unique over rows
    pairs = smaller * count + larger
    return np.unique(pairs, return_index=True)[1]


@dataclass(frozen=True, eq=False)
class _DistinctCodes:
    """Codes without copies.

    Attributes:
        codes: (distinct, bytes).
        numbers: (n,) which of them each code is.
        members: (n,) codes, those that are copies of each other side by side, rising.
        offsets: (distinct + 1,) where each one's copies begin.
    """

    codes: NDArray[np.uint8]
    numbers: NDArray[np.int64]
    members: NDArray[np.int64]
    offsets: NDArray[np.int64]


def _distinct(codes: NDArray[np.uint8]) -> _DistinctCodes:
    codes = _checked(codes)
    # a row as one value, so that unique compares rows
    rows = np.ascontiguousarray(codes).view(f"V{codes.shape[1]}").ravel()
    first, sorted_numbers = np.unique(rows, return_index=True, return_inverse=True)[1:]
    # in the order in which codes come, so that without copies nothing is renumbered
    order = first.argsort()
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    numbers = rank[sorted_numbers]
    members = numbers.argsort(kind="stable")
    sizes = np.bincount(numbers, minlength=len(order))
    offsets = np.append(0, sizes.cumsum()).astype(np.int64)
    return _DistinctCodes(codes[first[order]], numbers, members, offsets)


def _checked(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return codes as an array. Raises :class:`InputError` for what are none."""
    codes = np.asarray(codes)
    are_codes = codes.ndim == 2 and codes.dtype == np.uint8
    if not are_codes or not 1 <= codes.shape[1] <= _MOST_BYTES:
        got = f"{list(codes.shape)} {codes.dtype}"
        raise InputError(f"expected codes (n, 1 to {_MOST_BYTES}) of uint8, got {got}")
    return codes


def _near_distinct(
    codes: NDArray[np.uint8], count: int, orders: int, reach: int, seed: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return :func:`near` of codes without copies."""
    whole_in_range("count", count, low=1)
    whole_in_range("orders", orders, low=1)
    whole_in_range("reach", reach, low=1)
    try:
        from handheld.propagation._codes import compare
    except ImportError as error:
        raise MissingDependencyError("numba", "graphs", "finding neighbours") from error
    words = _words(codes)
    bits = 8 * codes.shape[1]
    others = np.full((len(codes), count), -1, np.int32)
    # one more than can differ, so that whatever is compared is nearer
    distance = np.full((len(codes), count), bits + 1, np.int32)
    rng = np.random.default_rng(seed)
    for _ in range(orders):
        chosen = rng.permutation(bits)[:_SORTED_BITS]
        order = _sorted_by(codes, chosen)
        compare(words, order, reach, others, distance)
    # places that nothing took
    distance[others < 0] = -1
    return others, distance


def _words(codes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return (n, words) of 64 bits, zeros behind the last."""
    count, width = codes.shape
    words = math.ceil(width / 8)
    padded = np.zeros((count, 8 * words), np.uint8)
    padded[:, :width] = codes
    return padded.view(np.uint64)


def _sorted_by(codes: NDArray[np.uint8], bits: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the order of codes by some of their bits."""
    keys = np.zeros(len(codes), np.uint64)
    for bit in bits:
        byte = codes[:, bit // 8]
        # the first bit of a byte is its highest, as np.packbits has it
        value = byte >> np.uint8(7 - bit % 8) & np.uint8(1)
        keys = keys << np.uint64(1) | value
    return keys.argsort(kind="stable")
