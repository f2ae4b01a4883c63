"""What is known of each node: its likeliest labels, and how the rest is shared."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handheld.errors import InputError

_WHOLE = ("ii", "iu", "ui", "uu")  # kinds of types


@dataclass(frozen=True, eq=False)
class Labels:
    """A distribution over labels for each node, of which the largest ``kept`` shares are stored.

    After the streaming approximation of EXPANDER (Ravi and Diao, "Large Scale Distributed Semi-Supervised Learning Using
    Streaming Approximation", AISTATS 2016): memory for a node does not grow with the number of labels.

    Attributes:
        names: (nodes, kept) int32 labels, the largest share first; -1 where there are fewer.
        shares: (nodes, kept) float32, 0 to 1.
        classes: how many labels there are; those of a node that are not stored share the rest alike.
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
        """Return (nodes, classes) shares."""
        stored = self.names >= 0
        each = self.rest / np.maximum(self.classes - stored.sum(axis=1), 1)
        found = np.repeat(each[:, None], self.classes, axis=1)
        rows, places = stored.nonzero()
        found[rows, self.names[rows, places]] = self.shares[rows, places]
        return found


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
        nodes: (seeds,) numbers; a node with several labels is there several times, with each label once.
        labels: (seeds,) 0 to classes - 1.
        shares: (seeds,) weights of a node's labels against each other, above 0.
    """

    nodes: NDArray[np.int64]
    labels: NDArray[np.int32]
    shares: NDArray[np.float32]

    @classmethod
    def of(cls, nodes: ArrayLike, labels: ArrayLike, shares: ArrayLike | None = None) -> "Seeds":
        """Build seeds from lists. Raises :class:`InputError` for what cannot be."""
        where, what = np.asarray(nodes), np.asarray(labels)
        much = np.ones(where.shape, np.float32) if shares is None else np.asarray(shares, np.float32)
        if not where.size:
            raise InputError("expected one seed or more")
        if not (where.ndim == 1 and where.shape == what.shape == much.shape and where.dtype.kind + what.dtype.kind in _WHOLE):
            raise InputError("expected nodes and labels (seeds,) of whole numbers, and as many shares")
        if where.min() < 0 or what.min() < 0 or not (np.isfinite(much) & (much > 0)).all():
            raise InputError("expected nodes and labels of 0 or more, and finite shares above 0")
        order = np.lexsort((what, where))
        twice = np.flatnonzero((np.diff(where[order]) == 0) & (np.diff(what[order]) == 0))
        if len(twice):
            raise InputError(f"node {where[order][twice[0]]} has the label {what[order][twice[0]]} twice; expected it once")
        return cls(where.astype(np.int64), what.astype(np.int32), much)

    def start(self, nodes: int, classes: int, kept: int) -> tuple[Labels, NDArray[np.bool_]]:
        """Return what is known before anything is propagated, and which nodes are seeds.

        Raises:
            InputError: seeds that are no nodes, labels beyond ``classes``, or more labels of one node than are kept.
        """
        if self.nodes.max() >= nodes or self.labels.max() >= classes:
            raise InputError(
                f"seeds name node {self.nodes.max()} and label {self.labels.max()}; there are {nodes} nodes, {classes} labels"
            )
        order = np.lexsort((self.labels, -self.shares, self.nodes))
        where, what, much = self.nodes[order], self.labels[order], self.shares[order]
        first = np.flatnonzero(np.diff(where, prepend=-1))
        counts = np.diff(first, append=len(where))
        if counts.max() > kept:
            raise InputError(f"node {where[first[counts.argmax()]]} has {counts.max()} labels; {kept} are kept: raise kept")
        names, shares = np.full((nodes, kept), -1, np.int32), np.zeros((nodes, kept), np.float32)
        place = np.arange(len(where)) - first.repeat(counts)
        names[where, place] = what
        shares[where, place] = much / np.add.reduceat(much, first).repeat(counts)
        fixed = np.zeros(nodes, bool)
        fixed[where] = True
        return Labels(names, shares, classes), fixed
