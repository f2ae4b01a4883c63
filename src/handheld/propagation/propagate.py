"""Labels that spread along edges: semi-supervised learning on graphs.

Ravi and Diao, "Large Scale Distributed Semi-Supervised Learning Using Streaming Approximation"
(AISTATS 2016), with the labels of seeds kept exactly, and solved to the end: sweeps go on until no
share can be further from the solution than the tolerance. A sweep costs time linear in the edges.
"""

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.propagation._checks import positive, whole
from handheld.propagation.graph import Graph
from handheld.propagation.labels import ConvergenceWarning, Labels, PropagatedLabels, Seeds
from handheld.propagation.momentum import Momentum
from handheld.propagation.parts import Change, Coefficients, Masses, Part, Rule
from handheld.propagation.system import System

Report = Callable[[int, int, float], None]
"""Called with the sweep, how many there are at most, and the residual before it."""

# In float64 masses, sums of a few hundred terms are right to about this: it cannot get stiller.
_STILL = 2.0**-50
# What float32 shares can tell, and so what is near enough if more cannot be had. Where weights are
# 1e9 times the prior, nothing seems to move long before the end.
_NEAR = 6e-8
# Masses below which labels are named by who arrives first; less, where sweeps end later.
_FAR = 1e-6
# Up to here masses of all labels are computed, even of those that are not kept: two arrays of
# float64, half a GB together, and time that grows with the labels.
_MOST_MASSES = 1 << 25
_MOST_LABELS = 64
# Sweeps in which nodes choose which labels they store. On random graphs of 1,000 nodes and 100
# labels nine tenths of the nodes kept theirs after 8, and 20 was all there ever was.
_CHOOSING = 30


def propagate(
    graph: Graph,
    seeds: Seeds,
    *,
    classes: int | None = None,
    kept: int = 10,
    smooth: float = 1.0,
    prior: float = 0.01,
    sweeps: int = 100_000,
    tolerance: float = 5e-7,
    synchronous: bool = True,
    threads: int = 1,
    engine: str = "local",
    address: str | None = None,
    workers: int = 2,
    report: Report = lambda sweep, sweeps, residual: None,
) -> PropagatedLabels:
    """Spread the labels of seeds over a graph, to all nodes that a path joins with one.

    The shares of a node that is no seed are the weighted mean of its neighbours' and of a uniform
    distribution: the solution of the linear system in :mod:`handheld.propagation.system`, from
    which they differ by ``residual`` at most. Where seeds have more than 64 labels (or, times
    nodes, more than 2^25) and more than ``kept``, memory would grow with them: there nodes settle
    in the first sweeps which ``kept`` labels they store, as in the paper, and the shares of these
    are solved for: what neighbours hold of others is shared by all labels that are not stored.

    A node so far from all seeds that less than the residual arrives gets its labels in the order in
    which they arrive along the shortest ways; its shares are uniform to within the residual.

    Args:
        graph: who is joined with whom.
        seeds: nodes whose labels are given.
        classes: how many labels there are; one more than the largest of the seeds if left out.
        kept: labels that are returned of each node, the largest shares, 1 or more; of few classes,
            all.
        smooth: weight of the neighbours (mu 2 in the paper), above 0.
        prior: weight of the uniform distribution (mu 3), above 0; it holds back what comes from
            far. As seeds keep their labels, only its ratio to ``smooth`` counts.
        sweeps: at most; if they run out, a :class:`ConvergenceWarning` says so.
        tolerance: the most by which a share may differ from the solution, 0 or more.
        synchronous: each sweep reads what the last one wrote, so that any number of threads or
            workers gives the same result; otherwise each node reads what those before it have
            become in this sweep, which takes less memory and, mostly, more sweeps.
        threads: for synchronous sweeps; with Ray, of each worker.
        engine: ``local``, in this process, or ``ray``: synchronous sweeps by workers on a cluster,
            with the same result.
        address: of a Ray cluster, such as ``10.0.0.1:6379``; without one a cluster on this machine
            is started and stopped.
        workers: with Ray, into how many parts the graph is cut.
        report: called after each sweep.

    Returns:
        Labels of all nodes; one that no path joins with a seed has none, and ``best`` is -1 there.

    Raises:
        InputError: seeds that are no nodes, numbers outside of these ranges, or no cluster at the
            address.
        MissingDependencyError: the extra ``train`` is not installed, or for Ray ``cluster``.
        TrainingError: the cluster lost a worker.

    >>> friends = Graph.of_edges([0, 1, 3], [1, 2, 4])
    >>> labels = propagate(friends, Seeds.of([0, 4], [1, 0]))
    >>> labels.best.tolist(), labels.converged
    ([1, 1, 1, 0, 0], True)
    """
    count = _classes(classes, seeds)
    kept = whole("kept", kept)
    limit = whole("sweeps", sweeps)
    tolerance = positive("tolerance", tolerance, zero=True)
    rule = Rule(synchronous, whole("threads", threads))
    workers = whole("workers", workers)
    if not synchronous and (rule.threads > 1 or engine == "ray"):
        raise InputError(
            "asynchronous sweeps run on one thread of this process: each node reads those before it"
        )
    used = np.unique(seeds.labels)
    kept = min(kept, len(used))  # no node ever stores another label
    start, fixed = seeds.start(graph.nodes, count, kept)
    make = _engine(engine, address, workers)
    system = System.of(graph, fixed, positive("smooth", smooth), positive("prior", prior))
    exact = _all_fit(graph.nodes, len(used), kept)
    masses = _all_masses(start, used) if exact else _few_masses(start, system)
    number = 0
    residual = 0.0
    converged = not system.free.any()
    if not converged:
        coefficients = Coefficients(system.free, system.scale, system.gap)
        with make(system.core, coefficients, masses, rule) as spread:
            number, residual, converged = _run(
                spread, system, rule, limit, tolerance, few=not exact, report=report
            )
            masses = spread.masses()
    system.pendants.follow(masses.names, masses.values)
    labels = _labels(masses, used, start, fixed, system, residual)
    reached = len(system.order)
    if not converged:
        warnings.warn(
            f"labels still change after {number} sweeps: shares may be {residual:.2g} from where"
            f" they end (tolerance {tolerance:g}); raise sweeps, or the prior, against which"
            " weights are very large",
            ConvergenceWarning,
            stacklevel=2,
        )
    unreached = graph.nodes - reached
    return PropagatedLabels(
        labels.names, labels.shares, count, converged, number, reached, unreached, residual
    )


class Spread(Protocol):
    """Sweeps over all nodes of a graph."""

    def sweep(self, omega: float, *, choose: bool) -> Change:
        """Compute each node anew; see :meth:`handheld.propagation.parts.Part.sweep`."""

    def masses(self) -> Masses:
        """Return the masses that the last sweep began with."""


Engine = Callable[[Graph, Coefficients, Masses, Rule], AbstractContextManager[Spread]]


def _classes(classes: int | None, seeds: Seeds) -> int:
    return int(seeds.labels.max()) + 1 if classes is None else whole("classes", classes)


def _all_fit(nodes: int, used: int, kept: int) -> bool:
    return used <= kept or (used <= _MOST_LABELS and nodes * used <= _MOST_MASSES)


def _engine(name: str, address: str | None, workers: int) -> Engine:
    if name not in ("local", "ray"):
        raise InputError(f"no engine {name!r}: expected local or ray")
    if name == "ray":
        from handheld.propagation.cluster import on_cluster

        return on_cluster(address, workers)
    if address is not None:
        raise InputError(
            f"an address ({address}) is that of a Ray cluster: it needs the engine ray"
        )
    return lambda *parts: nullcontext(Part(*parts))


def _run(
    spread: Spread,
    system: System,
    rule: Rule,
    limit: int,
    tolerance: float,
    *,
    few: bool,
    report: Report,
) -> tuple[int, float, bool]:
    """Sweep until nothing changes; return how often, the residual, and whether it is small."""
    momentum = Momentum(system.radius, 1 - float(system.gap.min()))
    # a change that is 0 was not seen, which is not the same where weights are 1e16 times the prior
    rounding = float(np.finfo(np.float64).eps / system.gap.min())
    residual = np.inf
    for number in range(1, limit + 1):
        choose = few and number <= _CHOOSING
        # an asynchronous sweep has no masses before the last ones to go on from
        plain = choose or not rule.synchronous
        change = spread.sweep(1.0 if plain else momentum.omega(), choose=choose)
        # a change of masses moves all shares of a node: once its own, once the rest
        residual = 2 * max(change.bound, rounding)
        report(number, limit, residual)
        if choose:
            few = change.moved > 0
        elif residual <= tolerance:
            return number, residual, True
        elif change.largest <= _STILL:
            return number, residual, residual <= _NEAR
        elif not plain:
            momentum.hear(change.largest)
    return limit, float(residual), False


def _all_masses(start: Labels, used: NDArray[np.int32]) -> Masses:
    """Return masses of all labels in use: those of seeds."""
    nodes = len(start.names)
    values = np.zeros((nodes, len(used)))
    rows, places = (start.names >= 0).nonzero()
    values[rows, used.searchsorted(start.names[rows, places])] = start.shares[rows, places]
    return Masses(np.empty((nodes, 0), np.int32), values, start.classes)


def _few_masses(start: Labels, system: System) -> Masses:
    """Return masses of a few labels of each node, what comes to it along the shortest ways."""
    masses = Masses(start.names.copy(), start.shares.astype(np.float64), start.classes)
    _arrive(masses, system, system.reached)
    return masses


def _arrive(masses: Masses, system: System, far: NDArray[np.bool_]) -> None:
    from handheld.propagation._waves import arrive

    graph = system.graph
    edges = (graph.offsets, graph.neighbours, graph.weights)
    waves = (system.order, system.level)
    arrive(*waves, *edges, system.ratio, far, masses.names, masses.values, masses.classes)


def _labels(
    masses: Masses,
    used: NDArray[np.int32],
    start: Labels,
    fixed: NDArray[np.bool_],
    system: System,
    residual: float,
) -> Labels:
    """Turn masses into shares, the largest first."""
    if masses.names.shape[1] == 0:
        names = np.where(masses.values != 0, used, -1).astype(np.int32)
        masses = Masses(names, masses.values, masses.classes)
    far = system.reached & (masses.values.max(axis=1) <= min(residual, _FAR))
    if far.any():
        _arrive(masses, system, far)
    kept = start.names.shape[1]
    names = np.full((len(masses.names), kept), -1, np.int32)
    shares = np.zeros((len(masses.names), kept), np.float32)
    # of equal masses the smaller label first, of far nodes the one that arrives: they are in order
    ranked = np.where(masses.names >= 0, np.where(far[:, None], 0.0, masses.values), -np.inf)
    order = np.argsort(-ranked, axis=1, kind="stable")[:, :kept]
    width = order.shape[1]
    names[:, :width] = np.take_along_axis(masses.names, order, axis=1)
    values = np.take_along_axis(masses.values, order, axis=1)
    rest = np.maximum(1 - masses.values.sum(axis=1, keepdims=True), 0) / masses.classes
    shares[:, :width] = np.where(names[:, :width] >= 0, np.maximum(values + rest, 0), 0.0)
    names[fixed] = start.names[fixed]
    shares[fixed] = start.shares[fixed]
    return Labels(names, shares, masses.classes)
