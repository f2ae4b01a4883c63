"""A graph in parts: what a process holds of it, a sweep over that, and what parts tell each other.

Nodes are cut into ranges of about as many edges. A part holds the edges that lead to its nodes, and
masses of its own nodes and of those that it reads from other parts. Each node's sums are taken in
the order of its edges, as in one part: so the result is the same, bit for bit, for any number of
parts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.errors import MissingDependencyError
from handheld.propagation.graph import WeightedGraph

News = tuple[NDArray[np.int32], NDArray[np.float64]]
"""Names and masses of nodes that another part reads."""


@dataclass(frozen=True)
class SweepRule:
    """How sweeps are made; see :func:`handheld.propagation.propagate` for each."""

    synchronous: bool
    threads: int


@dataclass(frozen=True, eq=False)
class LabelMasses:
    """What has arrived from seeds at each node; see :mod:`handheld.propagation.system`.

    Attributes:
        names: (nodes, stored) int32 labels, -1 behind the last; (nodes, 0) where each node stores
            all labels in use, in the order in which they are numbered.
        values: (nodes, stored or labels in use) float64.
        classes: how many labels there are.
    """

    names: NDArray[np.int32]
    values: NDArray[np.float64]
    classes: int

    def of(self, nodes: Any) -> "LabelMasses":
        """Return a copy for some nodes."""
        # a slice would be a view, and sweeps write what they read
        return LabelMasses(self.names[nodes].copy(), self.values[nodes].copy(), self.classes)


@dataclass(frozen=True, eq=False)
class SweepCoefficients:
    """``free``, ``scale`` and ``gap`` of :class:`handheld.propagation.system.LinearSystem`."""

    free: NDArray[np.bool_]
    scale: NDArray[np.float64]
    gap: NDArray[np.float64]

    def of(self, first: int, last: int) -> "SweepCoefficients":
        """Return those of nodes ``first`` to ``last``."""
        return SweepCoefficients(
            self.free[first:last], self.scale[first:last], self.gap[first:last]
        )


@dataclass(frozen=True)
class SweepChange:
    """What a sweep saw, of masses as they were before it.

    Attributes:
        bound: the largest change of a plain sweep over its node's gap: bounds the error.
        largest: the largest change of a plain sweep.
        moved: nodes that store other labels than before.
    """

    bound: float
    largest: float
    moved: int

    @classmethod
    def together(cls, changes: Sequence["SweepChange"]) -> "SweepChange":
        """Return the change of all parts; maxima and counts are the same in any order."""
        return cls(
            max(change.bound for change in changes),
            max(change.largest for change in changes),
            sum(change.moved for change in changes),
        )


class GraphPart:
    """Nodes that one process computes.

    Args:
        rows: edges to the nodes; neighbours may have higher numbers than the nodes: masses that
            are only read.
        coefficients: of the nodes.
        start: masses of the nodes and of those that are only read.
        rule: how.

    Attributes:
        now: masses of its nodes and of those that are only read, which others may write between
            sweeps.

    Raises:
        MissingDependencyError: the extra ``train`` is not installed.
    """

    def __init__(
        self,
        rows: WeightedGraph,
        coefficients: SweepCoefficients,
        start: LabelMasses,
        rule: SweepRule,
    ):
        try:
            from handheld.propagation._sweeps import sweep_all, sweep_kept
        except ImportError as error:
            raise MissingDependencyError("numba", "graphs", "propagating labels") from error
        self._sweep_all = sweep_all
        self._sweep_kept = sweep_kept
        self._rows = rows
        # signed numbers would be asked each time whether they are below 0
        self._unsigned = rows.neighbours.view(np.uint32)
        self._coefficients = coefficients
        self.now = start.of(slice(None))
        # asynchronous sweeps read what they write
        self._after = self.now
        if rule.synchronous:
            self._after = start.of(slice(None))
        # A thread without a node would have nothing to do.
        self._ranges = ranges(rows, min(rule.threads, max(1, rows.nodes)))

    def sweep(self, omega: float, *, choose: bool) -> SweepChange:
        """Compute each node anew.

        Args:
            omega: how far to go, see :mod:`handheld.propagation.momentum`.
            choose: whether nodes choose anew which labels they store; then omega is 1.
        """
        changes = self._changes(omega, choose)
        before = self.now
        after = self._after
        if not choose:
            # such sweeps write no names: those of ``after`` are of an earlier sweep
            after = LabelMasses(before.names, after.values, before.classes)
        self.now = after
        # the arrays of the sweep before are those that the next one writes
        self._after = before
        return SweepChange.together(changes)

    def _changes(self, omega: float, choose: bool) -> list[SweepChange]:
        """Compute each range of nodes anew, in a thread of its own if there are several."""
        if len(self._ranges) == 1:
            return [self._sweep(self._ranges[0], omega, choose)]
        # late: tables alone need none, and open sooner
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(len(self._ranges)) as pool:
            return list(pool.map(lambda nodes: self._sweep(nodes, omega, choose), self._ranges))

    def masses(self) -> LabelMasses:
        """Return the masses that the last sweep began with, whose error its change bounds."""
        return self._after.of(slice(self._rows.nodes))

    def _sweep(self, nodes: tuple[int, int], omega: float, choose: bool) -> SweepChange:
        """Compute a range of nodes anew."""
        if self.now.names.shape[1] == 0:
            return self._sweep_labels_in_use(nodes, omega)
        return self._sweep_stored_labels(nodes, omega, choose)

    def _sweep_labels_in_use(self, nodes: tuple[int, int], omega: float) -> SweepChange:
        # one by one: numba compiles a kernel for arrays, and knows no dataclasses
        rows = self._rows
        known = self._coefficients
        first, last = nodes
        bound, largest = self._sweep_all(
            rows.offsets,
            self._unsigned,
            rows.weights,
            known.free,
            known.scale,
            known.gap,
            self.now.values,
            self._after.values,
            first,
            last,
            omega,
        )
        return SweepChange(bound, largest, moved=0)

    def _sweep_stored_labels(
        self, nodes: tuple[int, int], omega: float, choose: bool
    ) -> SweepChange:
        rows = self._rows
        known = self._coefficients
        first, last = nodes
        bound, largest, moved = self._sweep_kept(
            rows.offsets,
            rows.neighbours,
            rows.weights,
            known.free,
            known.scale,
            known.gap,
            self.now.names,
            self.now.values,
            self._after.names,
            self._after.values,
            first,
            last,
            omega,
            self.now.classes,
            choose,
        )
        return SweepChange(bound, largest, moved)


@dataclass(frozen=True, eq=False)
class GraphShard:
    """What one of several processes holds.

    Attributes:
        first, last: its nodes, [first, last).
        rows: the edges to them; its own nodes have numbers from 0, those of other parts the numbers
            after them.
        reads: nodes of other parts that its edges lead to, rising.
        tells: for each part, which of its own nodes that part reads, from 0.
        hears: for each part, the place in ``reads`` from which on its nodes stand; and the end.
    """

    first: int
    last: int
    rows: WeightedGraph
    reads: NDArray[np.int64]
    tells: tuple[NDArray[np.int64], ...]
    hears: tuple[int, ...]

    def take(
        self, coefficients: SweepCoefficients, start: LabelMasses
    ) -> tuple["GraphShard", SweepCoefficients, LabelMasses]:
        """Return what a worker of it begins with, of what there is of all nodes."""
        held = np.concatenate([np.arange(self.first, self.last), self.reads])
        return self, coefficients.of(self.first, self.last), start.of(held)


class PartWorker:
    """A part among others: hears what their nodes are now, sweeps, and tells what its own are."""

    def __init__(
        self,
        shard: GraphShard,
        coefficients: SweepCoefficients,
        start: LabelMasses,
        rule: SweepRule,
    ):
        self._shard = shard
        self._part = GraphPart(shard.rows, coefficients, start, rule)

    def sweep(self, omega: float, choose: bool, *heard: News) -> tuple[Any, ...]:
        """Return the change, and news for each part; nothing is heard before the first sweep."""
        # its own nodes come first, then those that it only reads
        count = self._shard.rows.nodes
        now = self._part.now
        borders = pairwise(self._shard.hears)
        for (first, last), (names, values) in zip(borders, heard, strict=bool(heard)):
            now.names[count + first : count + last] = names
            now.values[count + first : count + last] = values
        change = self._part.sweep(omega, choose=choose)
        return change, *self._news()

    def _news(self) -> list[News]:
        """Return what each part reads of the nodes here."""
        # after a sweep these are other arrays than before: it swaps them
        now = self._part.now
        return [(now.names[nodes], now.values[nodes]) for nodes in self._shard.tells]

    def masses(self) -> News:
        """Return names and masses of its own nodes; see :meth:`GraphPart.masses`."""
        masses = self._part.masses()
        return masses.names, masses.values


def ranges(graph: WeightedGraph, count: int) -> list[tuple[int, int]]:
    """Cut the nodes into ranges of about as many edges."""
    # by edges, which are what a sweep costs; a hub may leave a range empty
    edges = np.linspace(0, graph.edges, count + 1)[1:-1]
    ends = np.searchsorted(graph.offsets, edges).tolist()
    return list(pairwise([0, *ends, graph.nodes]))


def shards(graph: WeightedGraph, count: int) -> list[GraphShard]:
    """Cut a graph for ``count`` processes."""
    cut = ranges(graph, count)
    # of all parts first: what one reads is what the others tell
    reads = [_reads(graph, *nodes) for nodes in cut]
    return [_shard(graph, number, cut, reads) for number in range(count)]


def _reads(graph: WeightedGraph, first: int, last: int) -> NDArray[np.int64]:
    """Return the nodes outside of a range that its edges lead to, rising."""
    others = np.unique(graph.neighbours[graph.offsets[first] : graph.offsets[last]])
    return others[~_within(others, first, last)].astype(np.int64)


def _shard(
    graph: WeightedGraph,
    number: int,
    cut: Sequence[tuple[int, int]],
    reads: Sequence[NDArray[np.int64]],
) -> GraphShard:
    first, last = cut[number]
    mine = reads[number]
    # what it reads is rising, so that nodes of one part stand side by side
    begins = mine.searchsorted([begin for begin, _ in cut])
    return GraphShard(
        first=first,
        last=last,
        rows=_shard_rows(graph, first, last, mine),
        reads=mine,
        tells=tuple(other[_within(other, first, last)] - first for other in reads),
        hears=(*begins.tolist(), len(mine)),
    )


def _shard_rows(
    graph: WeightedGraph, first: int, last: int, reads: NDArray[np.int64]
) -> WeightedGraph:
    """Return the edges to nodes [first, last): these from 0, those that are read after them."""
    edges = slice(graph.offsets[first], graph.offsets[last])
    numbers = graph.neighbours[edges].astype(np.int64)
    others = last - first + reads.searchsorted(numbers)
    neighbours = np.where(_within(numbers, first, last), numbers - first, others)
    offsets = graph.offsets[first : last + 1] - graph.offsets[first]
    return WeightedGraph(offsets, neighbours.astype(np.int32), graph.weights[edges])


def _within(numbers: NDArray[Any], first: int, last: int) -> NDArray[np.bool_]:
    """Return which numbers are in [first, last)."""
    return (numbers >= first) & (numbers < last)
