"""One pass over nodes, compiled.

Two forms of the same step: ``sweep_all`` where every label in use is stored for every node,
``sweep_kept`` where each node stores a few. Each node's sums are taken in the order of its edges
and only maxima and counts leave a pass, so that the result does not depend on who computes which
nodes.
"""

from typing import Any

import numpy as np
from numba import njit

from handheld._kernels import kernel

# Edges whose ends are read before they are needed; 16 and 256 were slower.
_AHEAD = 64


@kernel()
def sweep_all(
    offsets: Any,
    neighbours: Any,
    weights: Any,
    free: Any,
    scale: Any,
    gap: Any,
    now: Any,
    after: Any,
    first: int,
    last: int,
    omega: float,
) -> Any:
    """Move nodes ``first`` to ``last`` towards the mean of their neighbours.

    Args:
        offsets: (nodes + 1,) int64.
        neighbours: (edges,) uint32: signed numbers would be asked each time whether they are below
            0.
        weights: (edges,) float32.
        free: (nodes,) which nodes learn.
        scale: (nodes,) what turns a node's sum into its mean.
        gap: (nodes,) how much of a change can be an error; see :mod:`handheld.propagation.system`.
        now: (nodes, labels) masses that are read.
        after: (nodes, labels) masses of the sweep before ``now``; those of the next one afterwards.
        first, last: nodes to compute.
        omega: 1 for a plain sweep, more for Chebyshev's.

    Returns:
        The largest change that a plain sweep would make, over its gap; and as it is.
    """
    labels = now.shape[1]
    sums = np.zeros(labels, np.float64)
    bound = 0.0
    largest = 0.0
    for node in range(np.uint64(first), np.uint64(last)):
        if not free[node]:
            continue
        sums[:] = 0.0
        _add_all(neighbours, weights, now, offsets[node], offsets[node + np.uint64(1)], sums)
        change = 0.0
        # of a plain sweep, whatever omega is: bounds of errors hold for these alone
        for label in range(labels):
            mean = scale[node] * sums[label]
            change = max(change, abs(mean - now[node, label]))
            after[node, label] += omega * (mean - after[node, label])
        largest = max(largest, change)
        bound = max(bound, change / gap[node])
    return bound, largest


@njit(nogil=True, inline="always")
def _add_all(neighbours: Any, weights: Any, now: Any, begin: int, end: int, sums: Any) -> None:
    labels = np.uint64(now.shape[1])
    for start in range(np.uint64(begin), np.uint64(end), np.uint64(_AHEAD)):
        stop = min(np.uint64(end), start + np.uint64(_AHEAD))
        # The sums below wait for memory edge by edge; this short loop waits for many rows at once.
        touched = 0.0
        for edge in range(start, stop):
            row = np.uint64(neighbours[edge])
            touched += abs(now[row, np.uint64(0)]) + abs(now[row, labels - np.uint64(1)])
        if touched < 0:  # never: it keeps the loop from being left out
            continue
        for edge in range(start, stop):
            row = np.uint64(neighbours[edge])
            weight = np.float64(weights[edge])
            for label in range(labels):
                sums[label] += weight * now[row, label]


@kernel()
def sweep_kept(
    offsets: Any,
    neighbours: Any,
    weights: Any,
    free: Any,
    scale: Any,
    gap: Any,
    names: Any,
    now: Any,
    new_names: Any,
    after: Any,
    first: int,
    last: int,
    omega: float,
    classes: int,
    choose: bool,
) -> Any:
    """Do what :func:`sweep_all` does where a node stores only ``names`` of its labels.

    With ``choose`` each node takes the labels that weigh most with its neighbours as
    ``new_names``, else it keeps those that it has. What its neighbours hold of other labels is
    shared by all labels that it does not store.

    Returns:
        As :func:`sweep_all`, changes being added up over a node's labels; and of how many nodes
        the stored labels are others than before.
    """
    stored_most = names.shape[1]
    sums = np.zeros(classes, np.float64)
    seen = np.zeros(classes, np.bool_)
    touched = np.empty(classes, np.int32)
    # copies, since asynchronous sweeps write where they read
    old_names = np.empty(stored_most, np.int32)
    old = np.empty(stored_most, np.float64)
    bound = 0.0
    largest = 0.0
    moved = 0
    for node in range(first, last):
        if not free[node]:
            continue
        count, total = _add_kept(
            neighbours, weights, names, now, offsets[node], offsets[node + 1], sums, seen, touched
        )
        old_names[:] = names[node]
        old[:] = now[node]
        if choose:
            take_largest(sums, seen, touched, count, new_names[node])
            moved += _others(old_names, new_names[node])
        chosen = new_names[node] if choose else names[node]
        stored = 0
        dropped = total
        while stored < stored_most and chosen[stored] >= 0:
            dropped -= sums[chosen[stored]]
            stored += 1
        # what is dropped is shared by all labels that are not stored, and no mass of these
        lost = dropped / (classes - stored) if stored < classes else 0.0
        change = 0.0
        for slot in range(stored_most):
            before = _mass(old_names, old, chosen[slot]) if choose else old[slot]
            mean = scale[node] * (sums[chosen[slot]] - lost) if slot < stored else 0.0
            change += abs(mean - before)
            after[node, slot] += omega * (mean - after[node, slot])
        # only what was touched: labels may be many more than a node stores
        for slot in range(count):
            seen[touched[slot]] = False
            sums[touched[slot]] = 0.0
        largest = max(largest, change)
        bound = max(bound, change / gap[node])
    return bound, largest, moved


@njit(nogil=True, inline="always")
def _add_kept(
    neighbours: Any,
    weights: Any,
    names: Any,
    now: Any,
    begin: int,
    end: int,
    sums: Any,
    seen: Any,
    touched: Any,
) -> Any:
    """Add what neighbours store to ``sums``; return how many labels were touched, and the total."""
    count = 0
    total = 0.0
    for edge in range(begin, end):
        row = neighbours[edge]
        weight = np.float64(weights[edge])
        if weight == 0.0:  # the edge of a pendant
            continue
        for slot in range(names.shape[1]):
            label = names[row, slot]
            if label < 0:
                break
            if not seen[label]:
                seen[label] = True
                touched[count] = label
                count += 1
            sums[label] += weight * now[row, slot]
            total += weight * now[row, slot]
    return count, total


@njit(nogil=True)
def take_largest(sums: Any, seen: Any, touched: Any, count: int, names: Any) -> None:
    """Write the labels of the largest sums to ``names``, of equal ones the smaller first."""
    for slot in range(len(names)):
        best = -1
        for number in range(count):
            label = touched[number]
            # taken already, for a slot before this one
            if not seen[label]:
                continue
            if best < 0 or sums[label] > sums[best] or (sums[label] == sums[best] and label < best):
                best = label
        names[slot] = best
        if best >= 0:
            seen[best] = False
    # as it was: the caller empties what was touched
    for slot in range(len(names)):
        if names[slot] >= 0:
            seen[names[slot]] = True


@njit(nogil=True, inline="always")
def _mass(names: Any, masses: Any, label: int) -> float:
    """Return what a node stores of a label; 0 if nothing."""
    for slot in range(len(names)):
        if names[slot] == label and label >= 0:
            return float(masses[slot])
    return 0.0


@njit(nogil=True)
def _others(before: Any, names: Any) -> int:
    """Return 1 if two rows hold other labels, in whatever order; else 0."""
    for name in names:
        known = False
        for other in before:
            known |= other == name
        if not known:
            return 1
    return 0
