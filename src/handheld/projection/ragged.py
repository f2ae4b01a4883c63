"""Lists of several lengths in one array: all entries, and where each list begins.

Offsets have one number more than there are lists, the last of which is the number of entries (the
``indptr`` of a compressed sparse row).
"""

import numpy as np
from numpy.typing import NDArray

from handheld.projection.hashing import Numbers


def offsets_of(counts: NDArray[np.integer] | NDArray[np.bool_]) -> Numbers:
    """Return (lists + 1,) offsets of lists with so many entries each.

    >>> offsets_of(np.array([2, 0, 3])).tolist()
    [0, 2, 2, 5]
    """
    offsets = np.zeros(len(counts) + 1, np.intp)
    counts.cumsum(out=offsets[1:])
    return offsets


def counts_of(offsets: Numbers) -> Numbers:
    """Return (lists,) how many entries each has."""
    # Not np.diff: its checks cost more than the subtraction where there is one text.
    return offsets[1:] - offsets[:-1]


def taken(offsets: Numbers, chosen: Numbers) -> tuple[Numbers, Numbers]:
    """Return the offsets of lists in the order chosen, and the indices of their entries.

    >>> offsets, indices = taken(np.array([0, 2, 2, 5]), np.array([2, 0]))
    >>> offsets.tolist(), indices.tolist()
    ([0, 3, 5], [2, 3, 4, 0, 1])
    """
    counts = counts_of(offsets).take(chosen)
    new_offsets = offsets_of(counts)
    shifts = offsets.take(chosen) - new_offsets[:-1]
    return new_offsets, shifts.repeat(counts) + np.arange(new_offsets[-1])


def filtered(offsets: Numbers, is_kept: NDArray[np.bool_]) -> Numbers:
    """Return the offsets of lists of which only the entries that are kept are left."""
    return offsets_of(is_kept).take(offsets)


def thinned(entries: Numbers, offsets: Numbers, length: int) -> tuple[Numbers, Numbers]:
    """Return at most ``length`` entries of each list, taken at even distances where there are more.

    >>> entries, offsets = thinned(np.arange(6), np.array([0, 5, 6]), 2)
    >>> entries.tolist(), offsets.tolist()
    ([0, 2, 5], [0, 2, 3])
    """
    counts = counts_of(offsets)
    if counts.max(initial=0) <= length:
        return entries, offsets
    kept = np.minimum(counts, length)
    new_offsets = offsets_of(kept)
    index_in_list = np.arange(new_offsets[-1]) - new_offsets[:-1].repeat(kept)
    # Whole numbers, multiplied before they are divided: the compiled kernel does it the same way.
    steps = index_in_list * counts.repeat(kept) // kept.repeat(kept)
    return entries[offsets[:-1].repeat(kept) + steps], new_offsets


def padded(entries: Numbers, offsets: Numbers, length: int, padding: int) -> NDArray[np.int32]:
    """Return (lists, length) int32 entries, with ``padding`` behind the last of each list.

    Args:
        entries: of all lists, at most ``length`` of each.
        offsets: (lists + 1,) where each list begins.
        length: of a row.
        padding: what stands for no entry.

    >>> padded(np.array([1, 2, 3]), np.array([0, 1, 3]), 3, -1).tolist()
    [[1, -1, -1], [2, 3, -1]]
    """
    rows = np.full((len(offsets) - 1, length), padding, np.int32)
    rows[np.arange(length) < counts_of(offsets)[:, None]] = entries
    return rows
