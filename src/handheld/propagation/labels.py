"""What is known of each node: its likeliest labels, and how the rest is shared."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handheld.errors import InputError
from handheld.propagation._checks import small_enough

_WHOLE = ("ii", "iu", "ui", "uu")  # kinds of types
_MOST_NUMBER = (1 << 31) - 1  # of nodes and labels, which are int32 where they are stored
_LEAST_SHARE = 1e-30
_MOST_SHARE = 1e30


@dataclass(frozen=True, eq=False)
class Labels:
    """A distribution over labels for each node, of which the largest ``kept`` shares are stored.

    After the streaming approximation of EXPANDER (Ravi and Diao, "Large Scale Distributed
    Semi-Supervised Learning Using Streaming Approximation", AISTATS 2016): memory for a node does
    not grow with the number of labels.

    Attributes:
        names: (nodes, kept) int32 labels, the largest share first; -1 where there are fewer.
        shares: (nodes, kept) float32, 0 to 1.
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

        Raises :class:`InputError` where these are more than 2^31 numbers.
        """
        small_enough(
            "dense shares", len(self.names), self.classes,
            "read names and shares, which hold what is known, or number labels from 0 without gaps",
        )  # fmt: skip
        stored = self.names >= 0
        rest = (self.rest / np.maximum(self.classes - stored.sum(axis=1), 1)).astype(np.float32)
        shares = np.repeat(rest[:, None], self.classes, axis=1)
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
        sweeps: how many were made.
        reached: nodes with a label: seeds, and those that a path joins with one.
        unreached: the other nodes.
        residual: the most by which a share can differ from the solution that sweeps go towards.
    """

    converged: bool
    sweeps: int
    reached: int
    unreached: int
    residual: float


@dataclass(frozen=True, eq=False)
class Seeds:
    """Nodes whose labels are given; they keep them exactly.

    Attributes:
        nodes: (seeds,) numbers; a node with several labels is there several times, with each label
            once.
        labels: (seeds,) 0 to classes - 1.
        shares: (seeds,) weights of a node's labels against each other, above 0.
    """

    nodes: NDArray[np.int64]
    labels: NDArray[np.int32]
    shares: NDArray[np.float32]

    @classmethod
    def of(cls, nodes: ArrayLike, labels: ArrayLike, shares: ArrayLike | None = None) -> "Seeds":
        """Build seeds from lists. Raises :class:`InputError` for what cannot be."""
        where = np.asarray(nodes)
        what = np.asarray(labels)
        much = np.ones(where.shape) if shares is None else np.asarray(shares)
        if not where.size:
            raise InputError("expected one seed or more")
        shapes_fit = where.ndim == 1 and where.shape == what.shape == much.shape
        if not (shapes_fit and where.dtype.kind + what.dtype.kind in _WHOLE):
            raise InputError(
                "expected nodes and labels (seeds,) of whole numbers, and as many shares"
            )
        _within("node", where, 0, _MOST_NUMBER)
        _within("label", what, 0, _MOST_NUMBER)
        # squares of shares beyond these are no float32, and a share of nothing is none
        _within("share", much, _LEAST_SHARE, _MOST_SHARE)
        order = np.lexsort((what, where))
        twice = np.flatnonzero((np.diff(where[order]) == 0) & (np.diff(what[order]) == 0))
        if len(twice):
            node = where[order][twice[0]]
            label = what[order][twice[0]]
            raise InputError(f"node {node} has the label {label} twice; expected it once")
        return cls(where.astype(np.int64), what.astype(np.int32), much.astype(np.float32))

    def start(self, nodes: int, classes: int, kept: int) -> tuple[Labels, NDArray[np.bool_]]:
        """Return what is known before anything is propagated, and which nodes are seeds.

        Raises:
            InputError: seeds that are no nodes, labels beyond ``classes``, or more labels of one
                node than are kept.
        """
        if self.nodes.max() >= nodes:
            raise InputError(f"a seed is node {self.nodes.max()}; there are {nodes} nodes")
        if self.labels.max() >= classes:
            raise InputError(f"a seed has label {self.labels.max()}; there are {classes} labels")
        order = np.lexsort((self.labels, -self.shares, self.nodes))
        where = self.nodes[order]
        what = self.labels[order]
        much = self.shares[order].astype(np.float64)
        first = np.flatnonzero(np.diff(where, prepend=-1))
        counts = np.diff(first, append=len(where))
        if counts.max() > kept:
            node = where[first[counts.argmax()]]
            raise InputError(f"node {node} has {counts.max()} labels; {kept} are kept: raise kept")
        names = np.full((nodes, kept), -1, np.int32)
        shares = np.zeros((nodes, kept), np.float32)
        column = np.arange(len(where)) - first.repeat(counts)
        names[where, column] = what
        shares[where, column] = much / np.add.reduceat(much, first).repeat(counts)
        fixed = np.zeros(nodes, bool)
        fixed[where] = True
        return Labels(names, shares, classes), fixed


def _within(name: str, values: NDArray[Any], least: float, most: float) -> None:
    """Raise :class:`InputError` for the first number that is not within bounds."""
    wrong = np.flatnonzero(~((values >= least) & (values <= most)))
    if len(wrong):
        raise InputError(
            f"seed {wrong[0]} has the {name} {values[wrong[0]]}; expected finite numbers of {least:g} to {most:g}"
        )
