"""The linear system whose solution label propagation is, and what is known of it beforehand.

With the labels of seeds fixed, and w(i, j) the weight with which node i learns from j, the shares
x of the other nodes are those that satisfy, for each node i and label c of C,

    x(i, c) = (mu * sum_j w(i, j) x(j, c) + prior / C) / (mu * sum_j w(i, j) + prior).

That is the minimum of the objective of Ravi and Diao (AISTATS 2016, eq. 1), seeds being exact.
Sweeps work with *masses* u, what arrives from seeds: x(i, c) = u(i, c) + (1 - sum_c u(i, c)) / C.
For masses the uniform prior is 0. A node that no path joins with a seed has none; along the edges
of a directed graph others may read it, and its uniform shares would pull theirs, so it is left out
of the system, with its edges.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from handheld.errors import MissingDependencyError
from handheld.propagation.graph import WeightedGraph

# Steps of a walk from which bounds are taken: each costs a tenth of a sweep of ten labels. On
# graphs with hubs 8 made the bound a hundred times tighter than 1 did, and 16 hardly tighter.
_STEPS = 8


@dataclass(frozen=True, eq=False)
class Pendants:
    """Nodes that hang from one other node, alone or as trees: what they hold follows from it.

    Attributes:
        order: (pendants,) int32 nodes, leaves first.
        parents: (nodes,) int32 what each hangs from.
        factors: (nodes,) masses of a pendant over those of its parent, in (0, 1].
        leaks: (nodes,) what pendants lose, to be added to the prior of what they hang from.
    """

    order: NDArray[np.int32]
    parents: NDArray[np.int32]
    factors: NDArray[np.float64]
    leaks: NDArray[np.float64]

    def follow(self, names: NDArray[np.int32], masses: NDArray[np.float64]) -> None:
        """Write the names and masses of pendants, (nodes, labels), from those of all others."""
        from handheld.propagation._waves import follow

        follow(self.order, self.parents, self.factors, names, masses)


@dataclass(frozen=True, eq=False)
class LinearSystem:
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
        ratio: the prior over mu.
        scale: (nodes,) what turns the weighted sum over core neighbours into the mean, above 0.
        gap: (nodes,) a change below ``tolerance * gap`` everywhere is an error below ``tolerance``.
        radius: estimate of the spectral radius of a sweep, in [0, 1): how slow plain sweeps are.
    """

    graph: WeightedGraph
    core: WeightedGraph
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
    def of(
        cls, graph: WeightedGraph, seeds: NDArray[np.bool_], mu: float, prior: float
    ) -> "LinearSystem":
        """Find who is reached, and bounds of errors.

        Args:
            graph: who learns from whom.
            seeds: (nodes,) which nodes are seeds.
            mu, prior: weights of the neighbours and of the uniform distribution, above 0.

        Raises:
            MissingDependencyError: the extra ``train`` is not installed.
        """
        try:
            from handheld.propagation._waves import waves
        except ImportError as error:
            raise MissingDependencyError("numba", "graphs", "propagating labels") from error
        # labels go from neighbours to learners: against the edges that a row lists
        towards = graph.reversed()
        order, level = waves(towards.offsets, towards.neighbours, seeds)
        reached = (level >= 0) & ~seeds
        # in a directed graph a node may be read by others than those that it reads
        if _equal(graph, towards):
            pendants = _pendants(graph, reached, mu, prior)
        else:
            pendants = _no_pendants(graph.nodes)
            graph = _without_unreached(graph, level)
        core = _core(graph, pendants)
        free = reached.copy()
        free[pendants.order] = False
        weights = _sums(core, np.ones(graph.nodes))
        # what hangs from a node adds to what that loses to the prior
        scale = mu / (mu * weights + prior + pendants.leaks)
        gap, radius = _bounds(core, free, scale)
        return cls(
            graph=graph,
            core=core,
            reached=reached,
            free=free,
            pendants=pendants,
            order=order,
            level=level,
            ratio=prior / mu,
            scale=scale,
            gap=gap,
            radius=radius,
        )


def _equal(graph: WeightedGraph, other: WeightedGraph) -> bool:
    return (
        np.array_equal(graph.offsets, other.offsets)
        and np.array_equal(graph.neighbours, other.neighbours)
        and np.array_equal(graph.weights, other.weights)
    )


def _no_pendants(nodes: int) -> Pendants:
    return Pendants(
        order=np.empty(0, np.int32),
        parents=np.full(nodes, -1, np.int32),
        factors=np.ones(nodes),
        leaks=np.zeros(nodes),
    )


def _without_unreached(graph: WeightedGraph, level: NDArray[np.int32]) -> WeightedGraph:
    """Return a graph in which nobody reads a node that no path joins with a seed."""
    is_unreached = level[graph.neighbours] < 0
    if not is_unreached.any():
        return graph
    weights = np.where(is_unreached, np.float32(0), graph.weights)
    return WeightedGraph(graph.offsets, graph.neighbours, weights)


def _pendants(
    graph: WeightedGraph, reached: NDArray[np.bool_], mu: float, prior: float
) -> Pendants:
    """Eliminate the pendants of a symmetric graph.

    Args:
        graph: of the nodes.
        reached: (nodes,) which nodes learn.
        mu, prior: weights of the neighbours and of the uniform distribution.
    """
    from handheld.propagation._waves import pendant

    pendants = _no_pendants(graph.nodes)
    order = pendant(
        graph.offsets,
        graph.neighbours,
        graph.weights,
        reached,
        mu,
        prior,
        pendants.parents,
        pendants.factors,
        pendants.leaks,
    )
    return replace(pendants, order=order)


def _core(graph: WeightedGraph, pendants: Pendants) -> WeightedGraph:
    """Return a graph whose edges of pendants weigh nothing."""
    if not len(pendants.order):
        return graph
    # late, as everywhere: numba takes a second to import
    from handheld.propagation._waves import cut

    gone = np.zeros(graph.nodes, bool)
    gone[pendants.order] = True
    # a copy: the graph itself still tells pendants what arrives from far seeds
    weights = graph.weights.copy()
    cut(graph.offsets, graph.neighbours, weights, gone)
    return WeightedGraph(graph.offsets, graph.neighbours, weights)


def _sums(graph: WeightedGraph, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (nodes,) what the neighbours of each node have together, by weight."""
    from handheld.propagation._waves import row_sums

    sums = np.empty(graph.nodes)
    row_sums(graph.offsets, graph.neighbours, graph.weights, values, sums)
    return sums


def _bounds(
    graph: WeightedGraph, free: NDArray[np.bool_], scale: NDArray[np.float64]
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

    def step(walk: NDArray[np.float64]) -> NDArray[np.float64]:
        # seeds and pendants are no part of J: what comes to them ends there
        return np.where(free, scale * _sums(graph, walk), 0.0)

    walk = free.astype(np.float64)
    visits = np.zeros(graph.nodes)
    for _ in range(_STEPS):
        visits += walk
        walk = step(walk)
    # rounding could make 1 - walk 0 where weights are 1e16 times the prior
    absorbed = np.maximum(1 - walk, np.finfo(np.float64).eps)
    gap = np.where(free, absorbed / visits.max(), 1.0)
    radius = _rayleigh_quotient(walk, step(walk), scale)
    # a walk that rounding left next to nothing of may give any number
    return gap, min(max(radius, 0.0), 1 - float(gap.min()))


def _rayleigh_quotient(
    walk: NDArray[np.float64], after: NDArray[np.float64], scale: NDArray[np.float64]
) -> float:
    """Return by how much a step shrinks a walk, 0 if nothing is left of it.

    Args:
        walk, after: (nodes,) before and after the step.
        scale: (nodes,) of the system.
    """
    # in the inner product in which a sweep is symmetric
    weighted = walk / scale
    norm = float(weighted @ walk)
    if norm <= 0:
        return 0.0
    return float(weighted @ after) / norm
