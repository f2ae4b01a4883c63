"""The linear system whose solution label propagation is, and what is known of it beforehand.

With the labels of seeds fixed, and w(i, j) the weight with which node i learns from j, the shares
x of the other nodes are those that satisfy, for each node i and label c of C,

    x(i, c) = (smooth * sum_j w(i, j) x(j, c) + prior / C) / (smooth * sum_j w(i, j) + prior).

That is the minimum of the objective of Ravi and Diao (AISTATS 2016, eq. 1), seeds being exact.
Sweeps work with *masses* u, what arrives from seeds: x(i, c) = u(i, c) + (1 - sum_c u(i, c)) / C.
For masses the uniform prior is 0. A node that no path joins with a seed has none; along the edges of
a directed graph others may read it, and its uniform shares would pull theirs, so it is left out of
the system, with its edges.
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
class Pendants:
    """Nodes that hang from one other node, alone or as trees: what they hold follows from it.

    Attributes:
        order: (pendants,) int32 nodes, leaves first.
        parents: (nodes,) int32 what each hangs from.
        factors: (nodes,) masses of a pendant over those of its parent, (0, 1].
    """

    order: NDArray[np.int32]
    parents: NDArray[np.int32]
    factors: NDArray[np.float64]

    def follow(self, names: NDArray[np.int32], masses: NDArray[np.float64]) -> None:
        """Write the names and masses of pendants, (nodes, labels), from those of all others."""
        from handheld.propagation._waves import follow

        follow(self.order, self.parents, self.factors, names, masses)


@dataclass(frozen=True, eq=False)
class System:
    """What sweeps need to know of a graph, computed once.

    Attributes:
        graph: who learns from whom, but for nodes that no path joins with a seed: their edges have
            the weight 0.
        core: the same without edges of pendants, whose weight is 0 there.
        reached: (nodes,) which hold masses in the end: those that a path joins with a seed, but for
            seeds.
        free: (nodes,) those of them that sweeps compute: all but pendants.
        pendants: the others.
        order: (reached,) int32 seeds and reached nodes, in the order in which waves reach them.
        level: (nodes,) int32 edges from the nearest seed, -1 where there is no path.
        ratio: the prior over smooth.
        scale: (nodes,) what turns the weighted sum over core neighbours into the mean, above 0.
        gap: (nodes,) a change below ``tolerance * gap`` everywhere is an error below ``tolerance``.
        radius: estimate of the spectral radius of a sweep, [0, 1): how slow plain sweeps are.
    """

    graph: Graph
    core: Graph
    reached: NDArray[np.bool_]
    free: NDArray[np.bool_]
    pendants: Pendants
    order: NDArray[np.int32]
    level: NDArray[np.int32]
    ratio: float
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
            raise MissingDependencyError("numba", "graphs", "propagating labels") from error
        towards = graph.reversed()
        order, level = waves(towards.offsets, towards.neighbours, seeds)
        reached = (level >= 0) & ~seeds
        leaks = np.zeros(graph.nodes)
        symmetric = _equal(graph, towards)
        if not symmetric:
            graph = _without_unreached(graph, level)
        pendants = _pendants(graph, symmetric, reached, smooth, prior, leaks)
        core = _core(graph, pendants)
        free = reached.copy()
        free[pendants.order] = False
        scale = smooth / (smooth * _sums(core, np.ones(graph.nodes)) + prior + leaks)
        gap, radius = _bounds(core, free, scale)
        return cls(
            graph, core, reached, free, pendants, order, level, prior / smooth, scale, gap, radius
        )


def _equal(graph: Graph, other: Graph) -> bool:
    return (
        np.array_equal(graph.offsets, other.offsets)
        and np.array_equal(graph.neighbours, other.neighbours)
        and np.array_equal(graph.weights, other.weights)
    )


def _without_unreached(graph: Graph, level: NDArray[np.int32]) -> Graph:
    """Return a graph in which nobody reads a node that no path joins with a seed."""
    is_unreached = level[graph.neighbours] < 0
    if not is_unreached.any():
        return graph
    return Graph(
        graph.offsets, graph.neighbours, np.where(is_unreached, np.float32(0), graph.weights)
    )


def _pendants(
    graph: Graph,
    symmetric: bool,
    reached: NDArray[np.bool_],
    smooth: float,
    prior: float,
    leaks: NDArray[np.float64],
) -> Pendants:
    from handheld.propagation._waves import pendant

    parents = np.full(graph.nodes, -1, np.int32)
    factors = np.ones(graph.nodes)
    if not symmetric:  # a node may be read by others than those that it reads
        return Pendants(np.empty(0, np.int32), parents, factors)
    edges = (graph.offsets, graph.neighbours, graph.weights)
    order = pendant(*edges, reached, smooth, prior, parents, factors, leaks)
    return Pendants(order, parents, factors)


def _core(graph: Graph, pendants: Pendants) -> Graph:
    if not len(pendants.order):
        return graph
    from handheld.propagation._waves import cut

    gone = np.zeros(graph.nodes, bool)
    gone[pendants.order] = True
    weights = graph.weights.copy()
    cut(graph.offsets, graph.neighbours, weights, gone)
    return Graph(graph.offsets, graph.neighbours, weights)


def _sums(graph: Graph, values: NDArray[np.float64]) -> NDArray[np.float64]:
    from handheld.propagation._waves import row_sums

    sums = np.empty(graph.nodes)
    row_sums(graph.offsets, graph.neighbours, graph.weights, values, sums)
    return sums


def _bounds(
    graph: Graph, free: NDArray[np.bool_], scale: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
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
