"""Waves from seeds through a graph, compiled: who is reached, what arrives where little does."""

from typing import Any

import numpy as np
from numba import njit

from handheld._kernels import kernel
from handheld.propagation._sweeps import take_largest


@kernel()
def waves(offsets: Any, targets: Any, seeds: Any) -> Any:
    """Go from node to node breadth first (Moore 1959).

    Args:
        offsets, targets: where edges lead to from each node.
        seeds: (nodes,) where the waves begin.

    Returns:
        (reached,) nodes in the order in which they are reached, and (nodes,) after how many edges;
        -1 for those that are not.
    """
    nodes = len(offsets) - 1
    level = np.full(nodes, -1, np.int32)
    order = np.empty(nodes, np.int32)
    reached = 0
    # a queue from which nothing is taken out, so that it is the answer as well
    for node in range(nodes):
        if seeds[node]:
            level[node] = 0
            order[reached] = node
            reached += 1
    position = 0
    while position < reached:
        node = order[position]
        position += 1
        for edge in range(offsets[node], offsets[node + 1]):
            other = targets[edge]
            if level[other] < 0:
                level[other] = level[node] + 1
                order[reached] = other
                reached += 1
    return order[:reached], level


@kernel()
def pendant(
    offsets: Any,
    neighbours: Any,
    weights: Any,
    free: Any,
    mu: float,
    prior: float,
    parents: Any,
    factors: Any,
    leaks: Any,
) -> Any:
    """Eliminate free nodes that have one neighbour, then those that have one left, and so on.

    A node whose only neighbour is p holds ``factor`` times what p holds: Gaussian elimination,
    which makes no new edges here. It adds to what p loses to the uniform prior; only positive
    numbers are added, so that nothing is cancelled (Grassmann, Taksar and Heyman 1985).

    Args:
        offsets, neighbours, weights: a symmetric graph.
        free: (nodes,) which are not seeds, and reached.
        mu, prior: of :func:`handheld.propagation.propagate`.
        parents: (nodes,) to be written: the one neighbour of each that is eliminated.
        factors: (nodes,) to be written: what its masses are times those of its parent.
        leaks: (nodes,) zeros; what eliminated neighbours lose, to be added to the prior.

    Returns:
        (eliminated,) nodes in the order in which they were eliminated.
    """
    nodes = len(offsets) - 1
    degrees = np.empty(nodes, np.int64)
    gone = np.zeros(nodes, np.bool_)
    order = np.empty(nodes, np.int32)
    count = 0
    # degrees fall as leaves go: what is left with one neighbour joins the end of the queue
    for node in range(nodes):
        degrees[node] = offsets[node + 1] - offsets[node]
        if free[node] and degrees[node] == 1:
            order[count] = node
            count += 1
    position = 0
    while position < count:
        node = order[position]
        position += 1
        gone[node] = True
        for edge in range(offsets[node], offsets[node + 1]):
            parent = neighbours[edge]
            # edges stay where they are: one of them leads to what is left, the others to leaves
            if gone[parent]:
                continue
            # what the node itself loses to the prior, and those that hung from it
            weight = mu * weights[edge]
            lost = prior + leaks[node]
            parents[node] = parent
            factors[node] = weight / (weight + lost)
            leaks[parent] += factors[node] * lost
            degrees[parent] -= 1
            if free[parent] and degrees[parent] == 1:
                order[count] = parent
                count += 1
    return order[:count]


@kernel()
def cut(offsets: Any, neighbours: Any, weights: Any, gone: Any) -> None:
    """Set the weights of all edges from and to nodes that are gone to 0."""
    for node in range(len(offsets) - 1):
        for edge in range(offsets[node], offsets[node + 1]):
            if gone[node] or gone[neighbours[edge]]:
                weights[edge] = 0.0


@kernel()
def follow(order: Any, parents: Any, factors: Any, names: Any, masses: Any) -> None:
    """Give eliminated nodes what follows from their parents, the last eliminated first."""
    for position in range(len(order) - 1, -1, -1):
        node = order[position]
        parent = parents[node]
        names[node] = names[parent]
        for label in range(masses.shape[1]):
            masses[node, label] = factors[node] * masses[parent, label]


@kernel()
def row_sums(offsets: Any, neighbours: Any, weights: Any, values: Any, sums: Any) -> None:
    """Write what the neighbours of each node have together, by weight."""
    for node in range(len(offsets) - 1):
        total = 0.0
        for edge in range(offsets[node], offsets[node + 1]):
            total += np.float64(weights[edge]) * values[neighbours[edge]]
        sums[node] = total


@kernel()
def arrive(
    order: Any,
    level: Any,
    offsets: Any,
    neighbours: Any,
    weights: Any,
    ratio: float,
    far: Any,
    names: Any,
    masses: Any,
    classes: int,
) -> None:
    """Give ``far`` nodes what comes to them along the shortest ways from nodes that are not far.

    Masses fall by a factor with each edge: after some thousand edges no float64 could hold them.
    So each far node has an exponent beside its masses, until they are written.

    Args:
        order, level: of :func:`waves`.
        offsets, neighbours, weights: the edges to each node.
        ratio: the prior over mu.
        far: (nodes,) whose masses are to be written.
        names, masses: (nodes, kept) labels, -1 behind the last, and their masses; changed.
        classes: number of labels.
    """
    sums = np.zeros(classes, np.float64)
    seen = np.zeros(classes, np.bool_)
    touched = np.empty(classes, np.int32)
    exponents = np.zeros(len(level), np.int64)
    for node in order:
        if not far[node]:
            continue
        highest = _highest(node, level, offsets, neighbours, exponents)
        # the weights of all neighbours and of the prior: what the sum is a mean over
        total = ratio
        for edge in range(offsets[node], offsets[node + 1]):
            total += weights[edge]
        count = 0
        for edge in range(offsets[node], offsets[node + 1]):
            row = neighbours[edge]
            # only nodes nearer to a seed: others get theirs from here, or as late
            if level[row] < 0 or level[row] >= level[node]:
                continue
            # 2^-1100 is 0 in float64 already: an exponent far below it says no more
            factor = weights[edge] / total * 2.0 ** max(exponents[row] - highest, -1100)
            for position in range(names.shape[1]):
                label = names[row, position]
                if label < 0 or masses[row, position] <= 0:
                    continue
                if not seen[label]:
                    seen[label] = True
                    touched[count] = label
                    count += 1
                sums[label] += factor * masses[row, position]
        take_largest(sums, seen, touched, count, names[node])
        _store(names[node], masses[node], sums)
        exponents[node] = highest + _normalise(masses[node])
        # only what was touched: labels may be many more than a node stores
        for position in range(count):
            seen[touched[position]] = False
            sums[touched[position]] = 0.0
    # once all exponents are known, masses are written as they are
    for node in order:
        if far[node]:
            for position in range(names.shape[1]):
                masses[node, position] *= 2.0 ** max(exponents[node], -1100)


@njit(nogil=True, inline="always")
def _highest(node: int, level: Any, offsets: Any, neighbours: Any, exponents: Any) -> int:
    """Return the largest exponent of the neighbours that a wave comes from."""
    highest = -(1 << 62)
    for edge in range(offsets[node], offsets[node + 1]):
        row = neighbours[edge]
        if 0 <= level[row] < level[node]:
            highest = max(highest, exponents[row])
    return highest


@njit(nogil=True, inline="always")
def _store(names: Any, masses: Any, sums: Any) -> None:
    for position in range(len(names)):
        masses[position] = sums[names[position]] if names[position] >= 0 else 0.0


@njit(nogil=True)
def _normalise(masses: Any) -> int:
    """Bring the largest mass to 1/2 to 1; return by which power of 2 it was multiplied before."""
    exponent = 0
    if masses[0] > 0:
        exponent = int(np.floor(np.log2(masses[0]))) + 1
    for position in range(len(masses)):
        masses[position] *= 2.0 ** (-exponent)
    return exponent
