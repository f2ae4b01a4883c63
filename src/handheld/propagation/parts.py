"""A graph in parts: what one process holds of it, a sweep over that, and what parts tell each other between sweeps.

Nodes are cut into ranges of about as many edges. A part holds the edges that lead to its nodes, and labels of its own nodes and
of those that it reads from other parts. Each node's sums are taken in the order of its edges, as in one part: so the result
is the same, bit for bit, for any number of parts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.errors import MissingDependencyError
from handheld.propagation.graph import Graph
from handheld.propagation.labels import Labels

UNIT = 1 << 31
"""A change of 1: as whole numbers, changes have the same sum in any order. Of 2^31 nodes it still fits 64 bits."""

News = tuple[NDArray[np.int32], NDArray[np.float32]]
"""Names and shares of nodes that another part reads."""


@dataclass(frozen=True)
class Rule:
    """How sweeps are made; see :func:`handheld.propagation.propagate` for each."""

    smooth: float
    prior: float
    synchronous: bool
    threads: int


class Part:
    """Nodes that one process computes.

    Args:
        rows: edges to the nodes; neighbours may have higher numbers than the nodes: labels that are only read.
        fixed: (nodes,) which of them are seeds.
        start: what is known of the nodes and of those that are only read.
        rule: how.

    Attributes:
        now: labels of its nodes and of those that are only read, which others may write between sweeps.

    Raises:
        MissingDependencyError: the extra ``train`` is not installed.
    """

    def __init__(self, rows: Graph, fixed: NDArray[np.bool_], start: Labels, rule: Rule):
        try:
            from handheld.propagation._sweeps import sweep
        except ImportError as error:
            raise MissingDependencyError("numba", "graphs", "propagating labels") from error
        self._rows, self._fixed, self._rule, self._compiled = rows, fixed, rule, sweep
        self.now = _side_by_side(start)
        self._next = _side_by_side(start) if rule.synchronous else self.now
        self._ranges = ranges(rows, rule.threads)

    def sweep(self) -> int:
        """Compute each node anew; return the sum of the changes of their largest shares, 1 being ``UNIT``."""
        if len(self._ranges) == 1:
            change = self._range(self._ranges[0])
        else:
            from concurrent.futures import ThreadPoolExecutor  # late: tables alone need none, and open sooner

            with ThreadPoolExecutor(len(self._ranges)) as pool:
                change = sum(pool.map(self._range, self._ranges))
        self.now, self._next = self._next, self.now
        return change

    def labels(self) -> Labels:
        """Return what is known of the nodes now."""
        nodes = slice(self._rows.nodes)
        return Labels(self.now.names[nodes].copy(), self.now.shares[nodes].copy(), self.now.classes)

    def _range(self, nodes: tuple[int, int]) -> int:
        now, after, rows = self.now, self._next, self._rows
        return self._compiled(
            rows.offsets, rows.neighbours, rows.weights, self._fixed, now.names, now.shares, after.names, after.shares,
            *nodes, now.classes, self._rule.smooth, self._rule.prior, UNIT,
        )  # fmt: skip


def _side_by_side(labels: Labels) -> Labels:
    """Return a copy in which each node's names and shares are neighbours in memory: one node is read at a time."""
    stored = np.empty((len(labels.names), 2, labels.names.shape[1]), np.int32)
    names, shares = stored[:, 0], stored[:, 1].view(np.float32)
    names[:], shares[:] = labels.names, labels.shares
    return Labels(names, shares, labels.classes)


@dataclass(frozen=True, eq=False)
class Shard:
    """What one of several processes holds.

    Attributes:
        first, last: its nodes, ``last`` excluded.
        rows: the edges to them; its own nodes have numbers from 0, those of other parts the numbers after them.
        reads: nodes of other parts that its edges lead to, rising.
        tells: for each part, which of its own nodes that part reads, from 0.
        hears: for each part, the place in ``reads`` from which on its nodes stand; and the end.
    """

    first: int
    last: int
    rows: Graph
    reads: NDArray[np.int64]
    tells: tuple[NDArray[np.int64], ...]
    hears: tuple[int, ...]

    def take(self, fixed: NDArray[np.bool_], start: Labels) -> tuple["Shard", NDArray[np.bool_], Labels]:
        """Return what a worker of it begins with, of what there is of all nodes."""
        held = np.concatenate([np.arange(self.first, self.last), self.reads])
        return self, fixed[self.first : self.last], Labels(start.names[held], start.shares[held], start.classes)


class Worker:
    """A part among others: hears what their nodes have become, sweeps, and tells what its own have become."""

    def __init__(self, shard: Shard, fixed: NDArray[np.bool_], start: Labels, rule: Rule):
        self._shard, self._part = shard, Part(shard.rows, fixed, start, rule)

    def sweep(self, *heard: News) -> tuple[Any, ...]:
        """Return the sum of changes, and news for each part; nothing is heard before the first sweep."""
        own, now = self._shard.rows.nodes, self._part.now
        for (first, last), (names, shares) in zip(pairwise(self._shard.hears), heard, strict=bool(heard)):
            now.names[own + first : own + last], now.shares[own + first : own + last] = names, shares
        change, now = self._part.sweep(), self._part.now
        return change, *((now.names[nodes], now.shares[nodes]) for nodes in self._shard.tells)

    def own(self) -> News:
        """Return names and shares of its own nodes."""
        labels = self._part.labels()
        return labels.names, labels.shares


def ranges(graph: Graph, count: int) -> list[tuple[int, int]]:
    """Cut the nodes into ranges of about as many edges."""
    ends = np.searchsorted(graph.offsets, np.linspace(0, graph.edges, count + 1)[1:-1]).tolist()
    return list(pairwise([0, *ends, graph.nodes]))


def shards(graph: Graph, count: int) -> list[Shard]:
    """Cut a graph for ``count`` processes."""
    cut = ranges(graph, count)
    reads = [_reads(graph, *nodes) for nodes in cut]
    return [_shard(graph, number, cut, reads) for number in range(count)]


def _reads(graph: Graph, first: int, last: int) -> NDArray[np.int64]:
    others = np.unique(graph.neighbours[graph.offsets[first] : graph.offsets[last]])
    return others[(others < first) | (others >= last)].astype(np.int64)


def _shard(graph: Graph, number: int, cut: Sequence[tuple[int, int]], reads: Sequence[NDArray[np.int64]]) -> Shard:
    (first, last), mine = cut[number], reads[number]
    edges = slice(graph.offsets[first], graph.offsets[last])
    numbers = graph.neighbours[edges].astype(np.int64)
    inside = (numbers >= first) & (numbers < last)
    places = np.where(inside, numbers - first, last - first + mine.searchsorted(numbers)).astype(np.int32)
    rows = Graph(graph.offsets[first : last + 1] - graph.offsets[first], places, graph.weights[edges])
    tells = tuple(other[(other >= first) & (other < last)] - first for other in reads)
    hears = (*mine.searchsorted([begin for begin, _ in cut]).tolist(), len(mine))
    return Shard(first, last, rows, mine, tells, hears)
