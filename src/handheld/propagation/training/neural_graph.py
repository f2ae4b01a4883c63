"""Neural graph machines: a network learns from labels, and from which nodes are alike.

Bui, Ravi and Ramavajjala, "Neural Graph Machines: Learning Neural Networks Using Graphs" (arXiv
1703.04818): to the loss of labelled nodes is added, over all edges, their weight times the distance
of what the network makes of both ends. Here both terms are means where the paper has sums, so that
a weight means the same for a graph of any size.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from handheld.errors import InputError
from handheld.propagation.graph import WeightedGraph
from handheld.ranges import in_range, whole_in_range

Distance = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Of (n, width) and (n, width): (n,)."""


def squared(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Return the squared distances of (n, width) rows: (n,)."""
    return (one - other).square().sum(dim=1)


def cross_entropy(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Return (n,) cross-entropies of (n, classes) logits, the mean of both directions."""
    logs = functional.log_softmax(one, dim=1)
    other_logs = functional.log_softmax(other, dim=1)
    both = logs.exp() * other_logs + other_logs.exp() * logs
    return -both.sum(dim=1) / 2


@dataclass(frozen=True)
class EdgeWeights:
    """How much an edge counts, by which of its ends have labels (alpha 1, 2 and 3 in the paper).

    Attributes:
        labelled: both have one.
        mixed: one of them has.
        unlabelled: none has. Where labels are few, most edges are of this kind, and if they count
            as much as the others they draw all answers to one: try a tenth.

    Raises:
        InputError: weights below 0 or not finite.
    """

    labelled: float = 1.0
    mixed: float = 1.0
    unlabelled: float = 1.0

    def __post_init__(self) -> None:
        for name in ("labelled", "mixed", "unlabelled"):
            in_range(name, getattr(self, name), low=0)


@dataclass(frozen=True, eq=False)
class EdgeSampler:
    """Edges of a graph, drawn in proportion to how much they count.

    Attributes:
        graph: whose edges.
        until: (edges,) float64, the sum of what all edges up to each count.
        share: what an edge counts for each unit of its weight, the mean over all edges.
    """

    graph: WeightedGraph
    until: NDArray[np.float64]
    share: float

    @classmethod
    def of(
        cls, graph: WeightedGraph, labelled: NDArray[np.bool_], weights: EdgeWeights = EdgeWeights()
    ) -> "EdgeSampler":
        """Weigh the edges of a graph.

        Args:
            graph: of the nodes that the network reads.
            labelled: (nodes,) which of them have labels.
            weights: how much edges count.

        Raises:
            InputError: not as many as nodes, or no edges.
        """
        if labelled.shape != (graph.nodes,) or not graph.edges:
            raise InputError(
                f"expected {graph.nodes} nodes, joined by edges,"
                f" got {list(labelled.shape)} and {graph.edges} edges"
            )
        # how many of an edge's ends have labels
        learners = np.repeat(labelled, np.diff(graph.offsets)).astype(np.int8)
        ends = learners + labelled[graph.neighbours]
        weight_of = np.array([weights.unlabelled, weights.mixed, weights.labelled])
        # float64: of millions of edges, float32 would draw the last ones too rarely
        until = (weight_of[ends] * graph.weights).cumsum()
        total = graph.weights.sum(dtype=np.float64)
        return cls(graph, until, float(until[-1] / total))

    def draw(
        self, count: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return both ends of some edges, each drawn as often as it counts.

        Args:
            count: edges to draw.
            rng: which draws.

        Returns:
            (count,) and (count,) numbers of nodes.
        """
        # the last that counts: products may be rounded up
        last = self.until.searchsorted(self.until[-1])
        draws = rng.random(count) * self.until[-1]
        edges = self.until.searchsorted(draws, side="right").clip(max=last)
        learners = self.graph.offsets.searchsorted(edges, side="right") - 1
        return learners, self.graph.neighbours[edges].astype(np.int64)


@dataclass(frozen=True, eq=False)
class GraphStep:
    """Computes the gradients of one step: an argument of ``training.fit``.

    The expected loss is the mean cross-entropy of labelled nodes, plus the sum over edges of what
    they count times the distance of their ends, divided by the sum of their weights.

    Attributes:
        network: gives (n, classes) logits.
        inputs: gives what the network reads of nodes, given their numbers (n,).
        labels: (nodes,) int64, -1 where none is known.
        edges: that draw answers together.
        batch: labelled nodes in a step.
        pairs: edges in a step.
        distance: of what is compared; by default of the logits.
        hidden: gives what is compared, (n, width), from what the network reads; its logits if left
            out.
        seed: of what is drawn; a step draws the same whether the run was stopped or not.

    Raises:
        InputError: no labels, not as many as nodes, or numbers below 1.
    """

    network: nn.Module
    inputs: Callable[[NDArray[np.int64]], tuple[torch.Tensor, ...]]
    labels: NDArray[np.int64]
    edges: EdgeSampler
    batch: int = 64
    pairs: int = 256
    distance: Distance = squared
    hidden: Callable[..., torch.Tensor] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        nodes = self.edges.graph.nodes
        if self.labels.shape != (nodes,) or not (self.labels >= 0).any():
            raise InputError(
                f"expected labels of {nodes} nodes, some of them known, got {self.labels.shape}"
            )
        whole_in_range("batch", self.batch, low=1)
        whole_in_range("pairs", self.pairs, low=1)
        whole_in_range("seed", self.seed, low=0)

    def __call__(self, number: int) -> float:
        """Return the loss of a step."""
        rng = np.random.default_rng((self.seed, number))
        labelled = np.flatnonzero(self.labels >= 0)
        # each step draws anew: an epoch over labelled nodes would tell little where these are few
        chosen = rng.permutation(labelled)[: self.batch]
        one, other = self.edges.draw(self.pairs, rng)
        logits, first, second = self._answers(chosen, one, other)
        labels = torch.from_numpy(self.labels[chosen]).to(logits.device)
        # edges are drawn by what they count, so their mean has to be scaled to what they count
        apart = self.edges.share * self.distance(first, second).mean()
        loss = functional.cross_entropy(logits, labels) + apart
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no types there
        return float(loss.detach())

    def _answers(
        self, chosen: NDArray[np.int64], *ends: NDArray[np.int64]
    ) -> tuple[torch.Tensor, ...]:
        """Return the logits of labelled nodes, and what is compared of both ends of edges."""
        sizes = [len(chosen), *map(len, ends)]
        if self.hidden is not None:
            compared = self.hidden(*self.inputs(np.concatenate(ends)))
            logits = self.network(*self.inputs(chosen))
            return logits, *torch.split(compared, sizes[1:])
        # one batch, so that batch normalisation sees all of it
        logits = self.network(*self.inputs(np.concatenate([chosen, *ends])))
        return torch.split(logits, sizes)
