"""The labels that propagation is defined to give, by a direct solution of the linear system."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import spsolve

from handheld.propagation import SeedLabels, WeightedGraph

Solution = Callable[..., NDArray[np.float64]]


@pytest.fixture(scope="session")
def solution() -> Solution:
    return solved_directly


@pytest.fixture(scope="session")
def joined() -> Callable[[WeightedGraph, SeedLabels], NDArray[np.bool_]]:
    return joined_with_seeds


def solved_directly(
    graph: WeightedGraph, seeds: SeedLabels, classes: int, *, mu: float = 1.0, prior: float = 0.01
) -> NDArray[np.float64]:
    """Return (nodes, classes) shares: of seeds as given, of all others

    (mu * sum_j w_ij + prior) x_ic - mu * sum_j w_ij x_jc = prior / classes,

    in which nodes that no path joins with a seed are left out.
    """
    nodes = graph.nodes
    is_read = joined_with_seeds(graph, seeds)[graph.neighbours]
    weights = csr_array(
        (graph.weights * is_read.astype(np.float64), graph.neighbours, graph.offsets),
        (nodes, nodes),
    )
    shares = np.zeros((nodes, classes))
    shares[seeds.nodes, seeds.labels] = seeds.shares
    totals = shares.sum(axis=1, keepdims=True)
    shares = np.divide(shares, totals, out=shares, where=totals > 0)
    free = np.flatnonzero(totals[:, 0] == 0)
    if not len(free):
        return shares
    matrix = diags_array(mu * weights.sum(axis=1) + prior) - mu * weights
    known = mu * (weights @ shares)[free] + prior / classes
    solved = spsolve(matrix.tocsr()[free][:, free].tocsc(), known)
    shares[free] = solved.reshape(len(free), classes)
    return shares


def joined_with_seeds(graph: WeightedGraph, seeds: SeedLabels) -> NDArray[np.bool_]:
    """Return which nodes a path joins with a seed, by growing the set until it stays."""
    reached = np.zeros(graph.nodes, bool)
    reached[seeds.nodes] = True
    learners = np.repeat(np.arange(graph.nodes), np.diff(graph.offsets))
    while True:
        before = int(reached.sum())
        reached[learners[reached[graph.neighbours]]] = True
        if int(reached.sum()) == before:
            return reached
