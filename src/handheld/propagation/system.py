"""The linear system whose solution label propagation is, and what is known of it beforehand.

With the labels of seeds fixed, and w(i, j) the weight with which node i learns from j, the shares
x of the other nodes are those that satisfy, for each node i and label c of C,

    x(i, c) = (smooth * sum_j w(i, j) x(j, c) + prior / C) / (smooth * sum_j w(i, j) + prior).

That is the minimum of the objective of Ravi and Diao (AISTATS 2016, eq. 1), seeds being exact.
Sweeps work with *masses* u, what arrives from seeds: x(i, c) = u(i, c) + (1 - sum_c u(i, c)) / C.
For masses the uniform prior is 0, so a node that no path joins with a seed has none, and changes
nothing: it is left out of all that follows.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handheld.errors import MissingDependencyError
from handheld.propagation.graph import Graph

# Steps of a walk from which bounds are taken: each costs a tenth of a sweep of ten labels. On
# graphs with hubs 8 made the bound a hundred times tighter than 1 did, and 16 hardly tighter.
_STEPS = 8


@dataclass(frozen=True, eq=False)
class System:
    """What sweeps need to know of a graph, computed once.

    Attributes:
        graph: who learns from whom.
        free: (nodes,) which are computed: those that a path joins with a seed, but for seeds.
        order: (reached,) int32 seeds and free nodes, in the order in which waves reach them.
        level: (nodes,) int32 edges from the nearest seed, -1 where there is no path.
        scale: (nodes,) what turns the weighted sum over neighbours into the mean, (0, 1].
        gap: (nodes,) a change below ``tolerance * gap`` everywhere is an error below ``tolerance``.
        radius: estimate of the spectral radius of a sweep, [0, 1): how slowly plain sweeps converge.
    """

    graph: Graph
    free: NDArray[np.bool_]
    order: NDArray[np.int32]
    level: NDArray[np.int32]
    scale: NDArray[np.float64]
    gap: NDArray[np.float64]
    radius: float

    @classmethod
    def of(cls, graph: Graph, seeds: NDArray[np.bool_], smooth: float, prior: float) -> "System":
        """Find who is reached, and bounds of errors.

        Args:
            graph: who learns from whom.
            seeds: (nodes,) which nodes are seeds.
            smooth, prior: weights of the neighbours and of the uniform distribution, above 0.

        Raises:
            MissingDependencyError: the extra ``train`` is not installed.
        """
        try:
            from handheld.propagation._waves import waves
        except ImportError as error:
            raise MissingDependencyError("numba", "train", "propagating labels") from error
        order, level = waves(*graph.leads_to(), seeds)
        free = (level >= 0) & ~seeds
        scale = smooth / (smooth * _sums(graph, np.ones(graph.nodes)) + prior)
        gap, radius = _bounds(graph, free, scale)
        return cls(graph, free, order, level, scale, gap, radius)


def _sums(graph: Graph, values: NDArray[np.float64]) -> NDArray[np.float64]:
    from handheld.propagation._waves import row_sums

    sums = np.empty(graph.nodes)
    row_sums(graph.offsets, graph.neighbours, graph.weights, values, sums)
    return sums


def _bounds(graph: Graph, free: NDArray[np.bool_], scale: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Return ``gap`` and ``radius`` of a system.

    Let J be a sweep without its constant: not negative, its powers vanish. The error e of masses
    whose change is d satisfies e = d + J e. With v = 1 + J 1 + ... + J^(k-1) 1 and
    h = v - J v = 1 - J^k 1, abs(d) <= t h everywhere gives abs(e) <= t v (Varga, "Matrix Iterative
    Analysis", theorem 3.16 and after). So h / max(v) is a gap. For k = 1 it is what the prior and
    seeds have of a node's weight, which for a hub is next to nothing.

    The radius is J's Rayleigh quotient of J^k 1: of symmetric weights, below the spectral radius.
    """
    if not free.any():
        return np.ones(graph.nodes), 0.0
    walk = free.astype(np.float64)
    visits = np.zeros(graph.nodes)
    for _ in range(_STEPS):
        visits += walk
        walk = np.where(free, scale * _sums(graph, walk), 0.0)
    after = np.where(free, scale * _sums(graph, walk), 0.0)
    # rounding could make 1 - walk 0 where weights are 1e16 times the prior
    absorbed = np.maximum(1 - walk, np.finfo(np.float64).eps)
    gap = np.where(free, absorbed / visits.max(), 1.0)
    norm = float((walk / scale) @ walk)
    radius = float((walk / scale) @ after) / norm if norm > 0 else 0.0
    return gap, min(max(radius, 0.0), 1 - float(gap.min()))
