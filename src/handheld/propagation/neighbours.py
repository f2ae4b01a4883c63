"""Near neighbours among bit codes, without comparing each with each.

Codes that agree in the bits that they are sorted by lie side by side (Charikar, STOC 2002, section 3): sorted by several
choices of bits, each code is compared with those next to it. Time grows with n log n, memory with n.
"""

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError, MissingDependencyError
from handheld.propagation.graph import Graph


def near(
    codes: NDArray[np.uint8], count: int = 10, *, orders: int = 8, reach: int = 16, seed: int = 0
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return near neighbours of codes, the nearest first.

    Args:
        codes: (n, bytes) packed bits, 1 to 64 bytes, as ``np.packbits`` gives them.
        count: neighbours of each to look for.
        orders: choices of bits to sort by; more find more.
        reach: codes on either side that each is compared with.
        seed: of the choices.

    Returns:
        (n, count) int32 numbers of neighbours, -1 where there are fewer; and in how many bits they differ.

    Raises:
        InputError: codes or numbers outside of these.
        MissingDependencyError: the extra ``train`` is not installed.
    """
    if codes.ndim != 2 or codes.dtype != np.uint8 or not 1 <= codes.shape[1] <= 64:
        raise InputError(f"expected codes (n, 1 to 64) of uint8, got {list(codes.shape)} {codes.dtype}")
    if not (count >= 1 and orders >= 1 and reach >= 1):
        raise InputError(f"expected a count, orders and a reach of 1 or more, got {count}, {orders}, {reach}")
    try:
        from handheld.propagation._codes import compare
    except ImportError as error:
        raise MissingDependencyError("numba", "graphs", "finding neighbours") from error
    words = _words(codes)
    found = np.full((len(codes), count), -1, np.int32)
    distance = np.full((len(codes), count), 8 * codes.shape[1] + 1, np.int32)
    rng = np.random.default_rng(seed)
    for _ in range(orders):
        bits = rng.permutation(8 * codes.shape[1])[:64]
        compare(words, _sorted_by(codes, bits), reach, found, distance)
    distance[found < 0] = -1
    return found, distance


def graph_of(codes: NDArray[np.uint8], count: int = 10, *, orders: int = 8, reach: int = 16, seed: int = 0) -> Graph:
    """Join each code with its near neighbours; edges weigh the share of bits that agree beyond half, 0 to 1.

    See :func:`near`; pairs that agree in half of their bits or less are not joined.
    """
    found, distance = near(codes, count, orders=orders, reach=reach, seed=seed)
    rows, places = (found >= 0).nonzero()
    others = found[rows, places]
    weights = 1 - distance[rows, places] / (4.0 * codes.shape[1])
    pairs = np.minimum(rows, others) * len(codes) + np.maximum(rows, others)
    first = np.unique(pairs, return_index=True)[1]  # many pairs are near in both directions
    first = first[weights[first] > 0]
    return Graph.of_edges(others[first], rows[first], weights[first], nodes=len(codes))


def _words(codes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return (n, words) of 64 bits, zeros behind the last."""
    padded = np.zeros((len(codes), -(-codes.shape[1] // 8) * 8), np.uint8)
    padded[:, : codes.shape[1]] = codes
    return padded.view(np.uint64)


def _sorted_by(codes: NDArray[np.uint8], bits: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the order of codes by some of their bits."""
    keys = np.zeros(len(codes), np.uint64)
    for bit in bits:
        keys = keys << np.uint64(1) | (codes[:, bit // 8] >> np.uint8(7 - bit % 8) & np.uint8(1))
    return keys.argsort(kind="stable")
