"""What is known of each node: its likeliest labels, and how the rest is shared."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handheld.errors import InputError
from handheld.propagation._checks import small_enough

# Letters of numpy's types of whole numbers.
_WHOLE = ("i", "u")
# Of nodes and labels, which are int32 where they are stored.
_MOST_NUMBER = (1 << 31) - 1
# Squares of shares beyond these are no float32, and a share of nothing is none.
_LEAST_SHARE = 1e-30
_MOST_SHARE = 1e30


@dataclass(frozen=True, eq=False)
class Labels:
    """A distribution over labels for each node, of which the largest shares are stored.

    After the streaming approximation of EXPANDER (Ravi and Diao, "Large Scale Distributed
    Semi-Supervised Learning Using Streaming Approximation", AISTATS 2016): memory for a node does
    not grow with the number of labels.

    Attributes:
        names: (nodes, stored) int32 labels, the largest share first; -1 where there are fewer.
        shares: (nodes, stored) float32, in [0, 1].
        classes: how many labels there are; those that a node does not store share the rest alike.
    """

    names: NDArray[np.int32]
    shares: NDArray[np.float32]
    classes: int

    @property
    def rest(self) -> NDArray[np.float32]:
        """(nodes,) what is left for all labels that are not stored."""
        return np.asarray(np.maximum(1 - self.shares.sum(axis=1), 0), np.float32)

    @property
    def best(self) -> NDArray[np.int32]:
        """(nodes,) the likeliest label, -1 for a node that nothing reached."""
        return self.names[:, 0]

    def dense(self) -> NDArray[np.float32]:
        """Return (nodes, classes) shares.

        Raises:
            InputError: these would be more than 2^31 numbers.
        """
        small_enough(
            "dense shares",
            len(self.names),
            self.classes,
            "read names and shares, which hold what is known, or number labels from 0 without gaps",
        )
        stored = self.names >= 0
        # where all labels are stored the rest is 0
        others = np.maximum(self.classes - stored.sum(axis=1), 1)
        unstored = (self.rest / others).astype(np.float32)
        shares = np.repeat(unstored[:, None], self.classes, axis=1)
        rows, columns = stored.nonzero()
        shares[rows, self.names[rows, columns]] = self.shares[rows, columns]
        return shares


class ConvergenceWarning(UserWarning):
    """Sweeps ran out before labels were as near to the solution as was asked for."""


@dataclass(frozen=True, eq=False)
class PropagatedLabels(Labels):
    """Labels, and how they were come by.

    Attributes:
        converged: whether ``residual`` came down to the tolerance or, if float64 cannot tell that,
            below 6e-8, what float32 shares can tell.
        n_iter: how many sweeps were made.
        reached: nodes with a label: seeds, and those that a path joins with one.
        unreached: the other nodes.
        residual: the most by which a share can differ from the solution that sweeps go towards.
    """

    converged: bool
    n_iter: int
    reached: int
    unreached: int
    residual: float


@dataclass(frozen=True, eq=False)
class SeedLabels:
    """Nodes whose labels are given; they keep them exactly.

    Attributes:
        nodes: (seeds,) numbers; a node with several labels is there several times, with each label
            once.
        labels: (seeds,) in [0, classes).
        shares: (seeds,) weights of a node's labels against each other, above 0.
    """

    nodes: NDArray[np.int64]
    labels: NDArray[np.int32]
    shares: NDArray[np.float32]

    @classmethod
    def of(
        cls, nodes: ArrayLike, labels: ArrayLike, shares: ArrayLike | None = None
    ) -> "SeedLabels":
        """Build seeds from lists.

        Args:
            nodes: (seeds,) numbers.
            labels: (seeds,) the label of each.
            shares: (seeds,) from 1e-30 to 1e30; 1 if left out.

        Raises:
            InputError: no seeds, numbers outside of these, or a label of a node twice.
        """
        node = np.asarray(nodes)
        label = np.asarray(labels)
        if shares is None:
            shares = np.ones(node.shape)
        share = np.asarray(shares)
        _check_arrays(node, label, share)
        _within("node", node, 0, _MOST_NUMBER)
        _within("label", label, 0, _MOST_NUMBER)
        _within("share", share, _LEAST_SHARE, _MOST_SHARE)
        # a label that is there twice would weigh twice without anybody having meant it
        _once(node, label)
        return cls(node.astype(np.int64), label.astype(np.int32), share.astype(np.float32))

    def start(self, nodes: int, classes: int, max_labels: int) -> tuple[Labels, NDArray[np.bool_]]:
        """Return what is known before anything is propagated, and which nodes are seeds.

        Args:
            nodes: how many there are.
            classes: how many labels there are.
            max_labels: labels of a node that are stored.

        Raises:
            InputError: seeds that are no nodes, labels beyond ``classes``, or more labels of one
                node than are stored.
        """
        self._check_numbers(nodes, classes)
        # node by node, the largest share of each first
        order = np.lexsort((self.labels, -self.shares, self.nodes))
        node = self.nodes[order]
        column, share = _of_each_node(node, self.shares[order].astype(np.float64))
        _check_room(node, column, max_labels)
        names = np.full((nodes, max_labels), -1, np.int32)
        names[node, column] = self.labels[order]
        shares = np.zeros((nodes, max_labels), np.float32)
        shares[node, column] = share
        is_seed = np.zeros(nodes, bool)
        is_seed[node] = True
        return Labels(names, shares, classes), is_seed

    def _check_numbers(self, nodes: int, classes: int) -> None:
        if self.nodes.max() >= nodes:
            raise InputError(f"a seed is node {self.nodes.max()}; there are {nodes} nodes")
        if self.labels.max() >= classes:
            raise InputError(f"a seed has label {self.labels.max()}; there are {classes} labels")


def _check_arrays(nodes: NDArray[Any], labels: NDArray[Any], shares: NDArray[Any]) -> None:
    """Raise :class:`InputError` for arrays that are no seeds, whatever their numbers."""
    if not nodes.size:
        raise InputError("expected one seed or more")
    shapes_fit = nodes.ndim == 1 and nodes.shape == labels.shape == shares.shape
    types_fit = nodes.dtype.kind in _WHOLE and labels.dtype.kind in _WHOLE
    if not (shapes_fit and types_fit):
        raise InputError("expected nodes and labels (seeds,) of whole numbers, and as many shares")
    if shares.dtype.kind not in (*_WHOLE, "f"):
        raise InputError(f"expected shares that are numbers, got {shares.dtype}")


def _check_room(nodes: NDArray[np.int64], columns: NDArray[np.int64], max_labels: int) -> None:
    """Raise :class:`InputError` for a seed with more labels than are stored of a node.

    Args:
        nodes: (seeds,) numbers.
        columns: (seeds,) which of its node's labels each is, from 0.
        max_labels: labels of a node that are stored.
    """
    # never cut off: seeds keep their labels exactly
    if columns.max() >= max_labels:
        fullest = nodes[columns.argmax()]
        raise InputError(
            f"node {fullest} has {columns.max() + 1} labels; {max_labels} are kept:"
            " raise max_labels"
        )


def _of_each_node(
    nodes: NDArray[np.int64], shares: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return which of its node's labels each is, from 0, and shares that add up to 1.

    Args:
        nodes: (seeds,) rising.
        shares: (seeds,) weights of a node's labels against each other.
    """
    # nodes are 0 or more, so that the first one of all differs from -1 as well
    first = np.flatnonzero(np.diff(nodes, prepend=-1))
    counts = np.diff(first, append=len(nodes))
    column = np.arange(len(nodes)) - first.repeat(counts)
    totals = np.add.reduceat(shares, first).repeat(counts)
    return column, shares / totals


def _within(name: str, values: NDArray[Any], minimum: float, maximum: float) -> None:
    """Raise :class:`InputError` for the first number that is not within bounds."""
    # not (values < minimum) | (values > maximum), which lets a nan pass
    wrong = np.flatnonzero(~((values >= minimum) & (values <= maximum)))
    if len(wrong):
        raise InputError(
            f"seed {wrong[0]} has the {name} {values[wrong[0]]};"
            f" expected finite numbers of {minimum:g} to {maximum:g}"
        )


def _once(nodes: NDArray[Any], labels: NDArray[Any]) -> None:
    """Raise :class:`InputError` for a label that a node has twice."""
    order = np.lexsort((labels, nodes))
    node = nodes[order]
    label = labels[order]
    twice = np.flatnonzero((np.diff(node) == 0) & (np.diff(label) == 0))
    if len(twice):
        number = twice[0]
        raise InputError(
            f"node {node[number]} has the label {label[number]} twice; expected it once"
        )
