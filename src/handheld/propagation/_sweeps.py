"""One pass over nodes, compiled."""

from typing import Any

import numpy as np
from numba import njit

_AHEAD = 64  # edges


@njit(nogil=True, cache=True)
def sweep(
    offsets: Any, neighbours: Any, weights: Any, fixed: Any, names: Any, shares: Any, new_names: Any, new_shares: Any,
    first: int, last: int, classes: int, smooth: float, prior: float, unit: int,
) -> int:  # fmt: skip
    """Give nodes ``first`` to ``last`` the mean of their neighbours' shares and of a uniform prior; return how much changed.

    A label that a neighbour does not store has an equal part of what that neighbour has left. Each node's sums are taken in
    the order of its edges, and changes are added up in whole parts of ``unit``, so that the result does not depend on who
    computes which nodes.
    """
    sums = np.zeros(classes, np.float64)
    seen = np.zeros(classes, np.bool_)
    touched = np.empty(classes, np.int32)
    changed = 0
    for node in range(first, last):
        if fixed[node]:
            continue
        base, total, count = 0.0, 0.0, 0
        begin, end, reached = offsets[node], offsets[node + 1], 0
        for start in range(begin, end, _AHEAD):
            stop = min(end, start + _AHEAD)
            reached += _read_ahead(neighbours[start:stop], names, shares)
            more_base, more_total, count = _add(
                neighbours[start:stop], weights[start:stop], names, shares, classes, sums, seen, touched, count
            )
            base += more_base
            total += more_total
        if not reached:
            continue  # as before: once reached, always reached
        for place in range(names.shape[1]):
            best = _largest(sums, seen, touched, count)
            if best < 0:
                new_names[node, place], new_shares[node, place] = -1, 0.0
                continue
            seen[best] = False
            share = (smooth * (sums[best] + base) + prior / classes) / (smooth * total + prior)
            if place == 0:
                changed += int(abs(share - _share(names[node], shares[node], best)) * unit + 0.5)
            new_names[node, place] = best
            new_shares[node, place] = share
        for n in range(count):
            seen[touched[n]] = False
            sums[touched[n]] = 0.0
    return changed


@njit(nogil=True)
def _read_ahead(neighbours: Any, names: Any, shares: Any) -> int:
    """Return how many neighbours have labels.

    The processor waits for memory in each step of :func:`_add`; in this short loop it waits for many nodes at once. What a
    node stores begins with its names and ends with its shares, so both ends of it are read.
    """
    known, last = 0, shares.shape[1] - 1
    for other in neighbours:
        known += (names[other, 0] >= 0) | (shares[other, last] > 0)
    return known


@njit(nogil=True)
def _add(
    neighbours: Any, weights: Any, names: Any, shares: Any, classes: int, sums: Any, seen: Any, touched: Any, count: int
) -> Any:
    """Add what neighbours store to ``sums``; return what each label gets besides, the weights' sum, and the labels touched."""
    base, total = 0.0, 0.0
    for edge in range(len(neighbours)):
        other, weight = neighbours[edge], np.float64(weights[edge])
        stored, left = 0, 1.0
        while stored < names.shape[1] and names[other, stored] >= 0:
            left -= shares[other, stored]
            stored += 1
        each = max(left, 0.0) / (classes - stored) if stored < classes else 0.0
        base += weight * each
        total += weight
        for place in range(stored):
            label = names[other, place]
            if not seen[label]:
                seen[label] = True
                touched[count] = label
                count += 1
            sums[label] += weight * (shares[other, place] - each)
    return base, total, count


@njit(nogil=True)
def _largest(sums: Any, seen: Any, touched: Any, count: int) -> int:
    """Return the label of the largest sum that is not taken yet, of equal ones the smaller; -1 if there is none."""
    best = -1
    for n in range(count):
        label = touched[n]
        if seen[label] and (best < 0 or sums[label] > sums[best] or (sums[label] == sums[best] and label < best)):
            best = label
    return best


@njit(nogil=True, inline="always")
def _share(names: Any, shares: Any, label: int) -> Any:
    """Return what a node stores of a label; 0 if nothing."""
    for place in range(len(names)):
        if names[place] == label:
            return shares[place]
    return 0.0
