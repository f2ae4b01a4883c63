"""Labels that spread along edges: semi-supervised learning on graphs.

Ravi and Diao, "Large Scale Distributed Semi-Supervised Learning Using Streaming Approximation" (AISTATS 2016), with the labels
of seeds kept exactly. A sweep costs time linear in the edges and memory linear in the nodes.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.propagation.graph import Graph
from handheld.propagation.labels import Labels, Seeds
from handheld.propagation.parts import UNIT, Part, Rule

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
    engine: str = "local",
    address: str | None = None,
    workers: int = 2,
    report: Report = lambda sweep, sweeps, change: None,
) -> Labels:
    """Spread the labels of seeds over a graph.

    Args:
        graph: who is joined with whom.
        seeds: nodes whose labels are given.
        classes: how many labels there are; one more than the largest of the seeds if left out.
        kept: labels that each node stores, 1 or more; of few classes, all.
        smooth: weight of the neighbours (mu 2 in the paper).
        prior: weight of the uniform distribution (mu 3); it holds back what comes from far. As seeds keep their labels, only
            its ratio to ``smooth`` counts.
        sweeps: at most.
        tolerance: mean change of a node's largest share, below which nothing more is expected.
        synchronous: each sweep reads what the last one wrote, so that any number of threads or workers gives the same result;
            otherwise each node reads what those before it have become in this sweep, which needs fewer sweeps.
        threads: for synchronous sweeps; with Ray, of each worker.
        engine: ``local``, in this process, or ``ray``: synchronous sweeps by workers on a cluster, with the same result.
        address: of a Ray cluster, such as ``10.0.0.1:6379``; without one a cluster on this machine is started and stopped.
        workers: with Ray, into how many parts the graph is cut.
        report: called after each sweep.

    Returns:
        Labels of all nodes; a node that no path joins with a seed has none, and ``best`` is -1 there.

    Raises:
        InputError: seeds that are no nodes, numbers outside of these ranges, or no cluster at the address.
        MissingDependencyError: the extra ``train`` is not installed, or for Ray ``cluster``.
        TrainingError: the cluster lost a worker.

    >>> friends = Graph.of_edges([0, 1, 3], [1, 2, 4])
    >>> propagate(friends, Seeds.of([0, 4], [1, 0])).best.tolist()
    [1, 1, 1, 0, 0]
    """
    count = int(seeds.labels.max()) + 1 if classes is None else classes
    if not (kept >= 1 and smooth > 0 and prior > 0 and sweeps >= 1 and tolerance >= 0 and threads >= 1 and workers >= 1):
        raise InputError("expected kept, sweeps, threads and workers of 1 or more, weights above 0, a tolerance of 0 or more")
    if not synchronous and (threads > 1 or engine == "ray"):
        raise InputError("asynchronous sweeps run on one thread of this process: each node reads those before it")
    start, fixed = seeds.start(graph.nodes, count, min(kept, count))
    rule = Rule(smooth, prior, synchronous, threads)
    free = max(1, graph.nodes - int(fixed.sum()))
    with _engine(engine, address, workers)(graph, fixed, start, rule) as spread:
        for number in range(sweeps):
            change = spread.sweep() / (UNIT * free)
            report(number + 1, sweeps, change)
            if change <= tolerance:
                break
        return spread.labels()


class Spread(Protocol):
    """Sweeps over all nodes of a graph."""

    def sweep(self) -> int:
        """Compute each node anew; return the sum of changes, 1 being ``UNIT``."""

    def labels(self) -> Labels:
        """Return what is known of all nodes now."""


Engine = Callable[[Graph, NDArray[np.bool_], Labels, Rule], AbstractContextManager[Spread]]


def _engine(name: str, address: str | None, workers: int) -> Engine:
    if name not in ("local", "ray"):
        raise InputError(f"no engine {name!r}: expected local or ray")
    if name == "ray":
        from handheld.propagation.cluster import on_cluster

        return on_cluster(address, workers)
    if address is not None:
        raise InputError(f"an address ({address}) is that of a Ray cluster: it needs the engine ray")
    return lambda *parts: nullcontext(Part(*parts))
