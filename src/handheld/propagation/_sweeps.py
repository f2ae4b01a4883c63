"""One pass over nodes, compiled."""

from typing import Any

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def sweep(
    offsets: Any, neighbours: Any, weights: Any, fixed: Any, names: Any, shares: Any, new_names: Any, new_shares: Any,
    first: int, last: int, classes: int, smooth: float, prior: float,
) -> float:  # fmt: skip
    """Give nodes ``first`` to ``last`` the mean of their neighbours' shares and of a uniform prior; return how much changed.

    A label that a neighbour does not store has an equal part of what that neighbour has left. Each node's sums are taken in
    the order of its edges, so that the result does not depend on who computes which nodes.
    """
    kept = names.shape[1]
    sums = np.zeros(classes, np.float64)
    seen = np.zeros(classes, np.bool_)
    touched = np.empty(classes, np.int32)
    changed = 0.0
    for node in range(first, last):
        if fixed[node]:
            continue
        base, total, count = 0.0, 0.0, 0
        for edge in range(offsets[node], offsets[node + 1]):
            other, weight = neighbours[edge], np.float64(weights[edge])
            stored, left = 0, 1.0
            while stored < kept and names[other, stored] >= 0:
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
        mass, largest = smooth * total + prior, 0.0
        for place in range(kept):
            best = -1
            for n in range(count):
                label = touched[n]
                if seen[label] and (best < 0 or sums[label] > sums[best] or (sums[label] == sums[best] and label < best)):
                    best = label
            if best < 0:
                new_names[node, place], new_shares[node, place] = -1, 0.0
                continue
            seen[best] = False
            share = (smooth * (sums[best] + base) + prior / classes) / mass
            if place == 0:
                largest = abs(share - _share(names[node], shares[node], best))
            new_names[node, place] = best
            new_shares[node, place] = share
        for n in range(count):
            seen[touched[n]] = False
            sums[touched[n]] = 0.0
        changed += largest
    return changed


@njit(nogil=True, inline="always")
def _share(names: Any, shares: Any, label: int) -> Any:
    """Return what a node stores of a label; 0 if nothing."""
    for place in range(len(names)):
        if names[place] == label:
            return shares[place]
    return 0.0
