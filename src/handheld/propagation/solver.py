"""Labels that spread along edges: semi-supervised learning on graphs.

Ravi and Diao, "Large Scale Distributed Semi-Supervised Learning Using Streaming Approximation"
(AISTATS 2016), with the labels of seeds kept exactly, and solved to the end: sweeps go on until no
share can be further from the solution than the tolerance. A sweep costs time linear in the edges.
"""

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.propagation.graph import WeightedGraph
from handheld.propagation.labels import (
    ConvergenceWarning,
    Labels,
    PropagatedLabels,
    SeedLabels,
)
from handheld.propagation.momentum import ChebyshevMomentum
from handheld.propagation.parts import (
    GraphPart,
    LabelMasses,
    SweepChange,
    SweepCoefficients,
    SweepRule,
)
from handheld.propagation.system import LinearSystem
from handheld.ranges import in_range, whole_in_range

Report = Callable[[int, int, float], None]
"""Called with the sweep, how many there are at most, and the residual before it."""

# In float64 masses, sums of a few hundred terms are right to about this: it cannot get stiller.
_STILL = 2.0**-50
# What float32 shares can tell, and so what is near enough if more cannot be had. Where weights are
# 1e9 times the prior, nothing seems to move long before the end.
_NEAR = 6e-8
# Masses below which labels are named by who arrives first; less, where sweeps end later.
_FAR = 1e-6
# Up to here masses of all labels are computed, even of those that are not stored: two arrays of
# float64, half a GB together, and time that grows with the labels.
_MOST_MASSES = 1 << 25
_MOST_LABELS = 64
# Sweeps in which nodes choose which labels they store. On random graphs of 1,000 nodes and 100
# labels nine tenths of the nodes kept theirs after 8, and 20 was all there ever was.
_CHOOSING = 30


def propagate(  # noqa: PLR0913  # options by keyword, each by itself
    graph: WeightedGraph,
    seeds: SeedLabels,
    *,
    classes: int | None = None,
    max_labels: int = 10,
    mu: float = 1.0,
    prior: float = 0.01,
    max_iter: int = 100_000,
    tolerance: float = 5e-7,
    synchronous: bool = True,
    threads: int = 1,
    backend: str = "local",
    address: str | None = None,
    workers: int = 2,
    report: Report = lambda sweep, sweeps, residual: None,
) -> PropagatedLabels:
    """Spread the labels of seeds over a graph, to all nodes that a path joins with one.

    The shares of a node that is no seed are the weighted mean of its neighbours' and of a uniform
    distribution: the solution of the linear system in :mod:`handheld.propagation.system`, from
    which they differ by ``residual`` at most. Where seeds have more than 64 labels (or, times
    nodes, more than 2^25) and more than ``max_labels``, memory would grow with them: there nodes
    settle in the first sweeps which ``max_labels`` labels they store, as in the paper, and the
    shares of these are solved for: what neighbours hold of others is shared by all labels that are
    not stored.

    A node so far from all seeds that less than the residual arrives gets its labels in the order in
    which they arrive along the shortest ways; its shares are uniform to within the residual.

    Args:
        graph: who is joined with whom.
        seeds: nodes whose labels are given.
        classes: how many labels there are; one more than the largest of the seeds if left out.
        max_labels: labels that are returned of each node, the largest shares, 1 or more; of few
            classes, all.
        mu: weight of the neighbours (mu 2 in the paper), above 0.
        prior: weight of the uniform distribution (mu 3), above 0; it holds back what comes from
            far. As seeds keep their labels, only its ratio to ``mu`` counts.
        max_iter: sweeps at most; if they run out, a :class:`ConvergenceWarning` says so.
        tolerance: the most by which a share may differ from the solution, 0 or more.
        synchronous: each sweep reads what the last one wrote, so that any number of threads or
            workers gives the same result; otherwise each node reads what those before it have
            become in this sweep, which takes less memory and, mostly, more sweeps.
        threads: for synchronous sweeps; with Ray, of each worker.
        backend: ``local``, in this process, or ``ray``: synchronous sweeps by workers on a cluster,
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

    >>> friends = WeightedGraph.of_edges([0, 1, 3], [1, 2, 4])
    >>> labels = propagate(friends, SeedLabels.of([0, 4], [1, 0]))
    >>> labels.best.tolist(), labels.converged
    ([1, 1, 1, 0, 0], True)
    """
    count = _classes(classes, seeds)
    whole_in_range("max_labels", max_labels, low=1)
    whole_in_range("max_iter", max_iter, low=1)
    whole_in_range("threads", threads, low=1)
    whole_in_range("workers", workers, low=1)
    in_range("tolerance", tolerance, low=0)
    in_range("mu", mu, low=0, low_open=True)
    in_range("prior", prior, low=0, low_open=True)
    limit = _Limit(sweeps=max_iter, tolerance=tolerance)
    rule = SweepRule(synchronous, threads)
    _check_order(rule, backend)
    labels = np.unique(seeds.labels)
    stored = min(max_labels, len(labels))  # no node ever stores another label
    start, is_seed = seeds.start(graph.nodes, count, stored)
    make = _backend(backend, address, workers)
    system = LinearSystem.of(graph, is_seed, mu, prior)
    problem = _Problem(system, start, is_seed, labels)
    masses, end = problem.solve(make, rule, limit, report)
    if not end.converged:
        # the line that asked for labels is the one that can raise max_iter
        warnings.warn(_not_converged(end, limit), ConvergenceWarning, stacklevel=2)
    return problem.propagated(masses, end)


class SweepRunner(Protocol):
    """Sweeps over all nodes of a graph."""

    def sweep(self, omega: float, *, choose: bool) -> SweepChange:
        """Compute each node anew; see :meth:`handheld.propagation.parts.GraphPart.sweep`."""

    def masses(self) -> LabelMasses:
        """Return the masses that the last sweep began with."""


Backend = Callable[
    [WeightedGraph, SweepCoefficients, LabelMasses, SweepRule],
    AbstractContextManager[SweepRunner],
]
"""Makes what sweeps over a graph."""


class _Limit(NamedTuple):
    """When sweeps end, at the latest."""

    sweeps: int
    tolerance: float


class _End(NamedTuple):
    """Where sweeps ended: after how many, how far from the solution, and whether that is near."""

    sweeps: int
    residual: float
    converged: bool


def _not_converged(end: _End, limit: _Limit) -> str:
    return (
        f"labels still change after {end.sweeps} sweeps: shares may be {end.residual:.2g} from"
        f" where they end (tolerance {limit.tolerance:g}); raise max_iter, or the prior,"
        " against which weights are very large"
    )


def _check_order(rule: SweepRule, backend: str) -> None:
    """Raise :class:`InputError` for asynchronous sweeps whose order would be left to chance."""
    is_shared = rule.threads > 1 or backend == "ray"
    if is_shared and not rule.synchronous:
        raise InputError(
            "asynchronous sweeps run on one thread of this process: each node reads those before it"
        )


def _classes(classes: int | None, seeds: SeedLabels) -> int:
    if classes is None:
        return int(seeds.labels.max()) + 1
    whole_in_range("classes", classes, low=1)
    return classes


def _backend(name: str, address: str | None, workers: int) -> Backend:
    if name not in ("local", "ray"):
        raise InputError(f"no backend {name!r}: expected local or ray")
    if name == "ray":
        # late: Ray takes seconds to import, and is not always there
        from handheld.propagation.cluster import on_cluster

        return on_cluster(address, workers)
    if address is not None:
        raise InputError(
            f"an address ({address}) is that of a Ray cluster: it needs the backend ray"
        )
    return lambda *arguments: nullcontext(GraphPart(*arguments))


@dataclass(frozen=True, eq=False)
class _Problem:
    """A linear system and what is known of its solution.

    Attributes:
        system: of the nodes.
        start: labels of the seeds.
        is_seed: (nodes,).
        labels: (labels in use,) int32, rising.
    """

    system: LinearSystem
    start: Labels
    is_seed: NDArray[np.bool_]
    labels: NDArray[np.int32]

    def solve(
        self, make: Backend, rule: SweepRule, limit: _Limit, report: Report
    ) -> tuple[LabelMasses, _End]:
        """Return the masses of all nodes, and how near they are."""
        system = self.system
        few = not self._all_fit()
        masses = self._first_masses(few=few)
        end = _End(sweeps=0, residual=0.0, converged=True)
        if system.free.any():
            coefficients = SweepCoefficients(system.free, system.scale, system.gap)
            with make(system.core, coefficients, masses, rule) as runner:
                end = _run(runner, system, rule, limit, few=few, report=report)
                masses = runner.masses()
        system.pendants.follow(masses.names, masses.values)
        return masses, end

    def _first_masses(self, *, few: bool) -> LabelMasses:
        """Return the masses that the first sweep begins with."""
        if few:
            return self._few_masses()
        return self._all_masses()

    def _all_fit(self) -> bool:
        """Return whether masses of all labels in use are computed."""
        nodes, stored = self.start.names.shape
        count = len(self.labels)
        is_small = count <= _MOST_LABELS and nodes * count <= _MOST_MASSES
        return count <= stored or is_small

    def _all_masses(self) -> LabelMasses:
        """Return masses of all labels in use: those of seeds."""
        start = self.start
        nodes = len(start.names)
        values = np.zeros((nodes, len(self.labels)))
        rows, columns = (start.names >= 0).nonzero()
        # columns of labels in use, which may be numbered with gaps
        labels = self.labels.searchsorted(start.names[rows, columns])
        values[rows, labels] = start.shares[rows, columns]
        return LabelMasses(np.empty((nodes, 0), np.int32), values, start.classes)

    def _few_masses(self) -> LabelMasses:
        """Return masses of a few labels of each node: what comes to it along the shortest ways."""
        start = self.start
        values = start.shares.astype(np.float64)
        masses = LabelMasses(start.names.copy(), values, start.classes)
        self._arrive(masses, self.system.reached)
        return masses

    def _arrive(self, masses: LabelMasses, far: NDArray[np.bool_]) -> None:
        """Write what comes to far nodes along the shortest ways."""
        # late: numba takes a second to import
        from handheld.propagation._waves import arrive

        system = self.system
        graph = system.graph
        arrive(
            system.order,
            system.level,
            graph.offsets,
            graph.neighbours,
            graph.weights,
            system.ratio,
            far,
            masses.names,
            masses.values,
            masses.classes,
        )

    def propagated(self, masses: LabelMasses, end: _End) -> PropagatedLabels:
        """Return the labels of all nodes, and how they were come by."""
        labels = self.labels_of(masses, end.residual)
        reached = len(self.system.order)
        return PropagatedLabels(
            names=labels.names,
            shares=labels.shares,
            classes=labels.classes,
            converged=end.converged,
            n_iter=end.sweeps,
            reached=reached,
            unreached=len(labels.names) - reached,
            residual=end.residual,
        )

    def labels_of(self, masses: LabelMasses, residual: float) -> Labels:
        """Turn masses into shares, the largest first."""
        start = self.start
        masses = self._named(masses)
        far = self.system.reached & (masses.values.max(axis=1) <= min(residual, _FAR))
        if far.any():
            self._arrive(masses, far)
        names, shares = _largest(masses, far, stored=start.names.shape[1])
        # seeds keep their labels exactly
        names[self.is_seed] = start.names[self.is_seed]
        shares[self.is_seed] = start.shares[self.is_seed]
        return Labels(names, shares, masses.classes)

    def _named(self, masses: LabelMasses) -> LabelMasses:
        """Return masses with their names, also where all labels in use are stored."""
        if masses.names.shape[1]:
            return masses
        names = np.where(masses.values != 0, self.labels, -1).astype(np.int32)
        return LabelMasses(names, masses.values, masses.classes)


def _largest(
    masses: LabelMasses, far: NDArray[np.bool_], stored: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return (nodes, stored) labels, the largest share first, and their shares."""
    order = _ranks(masses, far)[:, :stored]
    best = np.take_along_axis(masses.names, order, axis=1)
    values = np.take_along_axis(masses.values, order, axis=1)
    # what has not arrived from seeds is the uniform prior's, alike for all labels
    arrived = masses.values.sum(axis=1, keepdims=True)
    uniform = np.maximum(1 - arrived, 0) / masses.classes
    shares = np.where(best >= 0, np.maximum(values + uniform, 0), 0.0)
    # there may be fewer labels than are stored
    missing = ((0, 0), (0, stored - best.shape[1]))
    names = np.pad(best, missing, constant_values=-1)
    return names.astype(np.int32), np.pad(shares, missing).astype(np.float32)


def _ranks(masses: LabelMasses, far: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return (nodes, labels) columns of masses, those of the largest masses first."""
    # of equal masses the smaller label first, of far nodes the one that arrives: they are in order
    comparable = np.where(far[:, None], 0.0, masses.values)
    ranked = np.where(masses.names >= 0, comparable, -np.inf)
    return np.argsort(-ranked, axis=1, kind="stable")


def _run(
    runner: SweepRunner,
    system: LinearSystem,
    rule: SweepRule,
    limit: _Limit,
    *,
    few: bool,
    report: Report,
) -> _End:
    """Sweep until nothing changes."""
    momentum = ChebyshevMomentum(system.radius, 1 - float(system.gap.min()))
    # a change that is 0 was not seen, which is not the same where weights are 1e16 times the prior
    rounding = float(np.finfo(np.float64).eps / system.gap.min())
    residual = np.inf
    for number in range(1, limit.sweeps + 1):
        choose = few and number <= _CHOOSING
        # an asynchronous sweep has no masses before the last ones to go on from
        plain = choose or not rule.synchronous
        omega = 1.0
        if not plain:
            omega = momentum.omega()
        change = runner.sweep(omega, choose=choose)
        # a change of masses moves all shares of a node: once its own, once the rest
        residual = 2 * max(change.bound, rounding)
        report(number, limit.sweeps, residual)
        if choose:
            few = change.moved > 0
        elif residual <= limit.tolerance or change.largest <= _STILL:
            return _End(number, residual, converged=residual <= max(limit.tolerance, _NEAR))
        elif not plain:
            momentum.hear(change.largest)
    return _End(limit.sweeps, float(residual), converged=False)
