"""Labels that spread along edges: semi-supervised learning on graphs.

Ravi and Diao, "Large Scale Distributed Semi-Supervised Learning Using Streaming Approximation" (AISTATS 2016), with the labels
of seeds kept exactly. A sweep costs time linear in the edges and memory linear in the nodes.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from handheld.errors import InputError, MissingDependencyError
from handheld.propagation.graph import Graph
from handheld.propagation.labels import Labels, Seeds

Report = Callable[[int, int, float], None]
"""Called with the sweep, how many there are at most, and the mean change of a node's largest share."""


def propagate(
    graph: Graph,
    seeds: Seeds,
    *,
    classes: int | None = None,
    kept: int = 10,
    smooth: float = 1.0,
    prior: float = 0.01,
    sweeps: int = 20,
    tolerance: float = 1e-4,
    synchronous: bool = True,
    threads: int = 1,
    report: Report = lambda sweep, sweeps, change: None,
) -> Labels:
    """Spread the labels of seeds over a graph.

    Args:
        graph: who is joined with whom.
        seeds: nodes whose labels are given.
        classes: how many labels there are; one more than the largest of the seeds if left out.
        kept: labels that each node stores, 1 or more; of few classes, all.
        smooth: weight of the neighbours (mu 2 in the paper).
        prior: weight of the uniform distribution (mu 3); it holds back what comes from far.
        sweeps: at most.
        tolerance: mean change of a node's largest share, below which nothing more is expected.
        synchronous: each sweep reads what the last one wrote, so that any number of threads or machines gives the same result;
            otherwise each node reads what those before it have become in this sweep, which needs fewer sweeps.
        threads: for synchronous sweeps.
        report: called after each sweep.

    Raises:
        InputError: seeds that are no nodes, or numbers outside of these ranges.
        MissingDependencyError: the extra ``train`` is not installed.
    """
    count = int(seeds.labels.max()) + 1 if classes is None else classes
    if not (kept >= 1 and smooth > 0 and prior > 0 and sweeps >= 1 and tolerance >= 0 and threads >= 1):
        raise InputError("expected kept, sweeps and threads of 1 or more, and weights above 0")
    if threads > 1 and not synchronous:
        raise InputError("asynchronous sweeps run on one thread: each node reads those before it")
    try:
        from handheld.propagation._sweeps import sweep
    except ImportError as error:
        raise MissingDependencyError("numba", "train", "propagating labels") from error
    now, fixed = seeds.start(graph.nodes, count, min(kept, count))
    other = Labels(now.names.copy(), now.shares.copy(), count) if synchronous else now
    parts = _parts(graph, threads)
    free = max(1, graph.nodes - int(fixed.sum()))
    with ThreadPoolExecutor(threads) as pool:
        for number in range(sweeps):
            changes = pool.map(
                lambda part, now=now, other=other: sweep(
                    graph.offsets, graph.neighbours, graph.weights, fixed, now.names, now.shares, other.names, other.shares,
                    part[0], part[1], count, smooth, prior,
                ),
                parts,
            )  # fmt: skip
            change = sum(changes) / free
            now, other = other, now
            report(number + 1, sweeps, change)
            if change <= tolerance:
                break
    return now


def _parts(graph: Graph, count: int) -> list[tuple[int, int]]:
    """Cut the nodes into ranges of about as many edges."""
    ends = np.searchsorted(graph.offsets, np.linspace(0, graph.edges, count + 1)[1:-1]).tolist()
    bounds = [0, *ends, graph.nodes]
    return list(pairwise(bounds))
