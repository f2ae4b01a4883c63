"""Channels as variables of a union-find: what is said of one is said of all that are the same."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import fx

from handheld.networks.structure.nodes import ArgumentPath

Ids = NDArray[np.int64]
Axes = tuple[Ids | None, ...]
"""The channels along each axis of a tensor; None: an axis without channels, whose length stays."""


class NoRuleError(Exception):
    """What a node computes is not known channel by channel: all that it reads and gives stays."""


def require(condition: bool) -> None:
    """Raise :class:`NoRuleError` where the condition of a rule is not met."""
    if not condition:
        raise NoRuleError


class ChannelVariables:
    """Variables that can be made equal, and reasons why some of them must stay."""

    def __init__(self) -> None:
        self._parent: list[int] = []
        self._pins: dict[int, str] = {}

    def new(self, count: int) -> Ids:
        """Return variables that are not yet the same as any other."""
        start = len(self._parent)
        self._parent.extend(range(start, start + count))
        return np.arange(start, start + count)

    def same(self, left_ids: Ids, right_ids: Ids) -> Ids:
        """Make the variables of two arrays of one length pairwise the same."""
        for one, other in zip(left_ids.tolist(), right_ids.tolist(), strict=True):
            # The older stands for both: units are then numbered in the order of the network.
            low, high = sorted((self._root(one), self._root(other)))
            self._parent[high] = low
        return left_ids

    def as_many(self, left_ids: Ids, right_ids: Ids) -> None:
        """Make sure that as many of one array stay as of the other: they are the same in some
        order, or are made so.
        """
        left_roots = np.sort(self.roots(left_ids))
        right_roots = np.sort(self.roots(right_ids))
        if not np.array_equal(left_roots, right_roots):
            self.same(left_ids, right_ids)

    def pin(self, ids: Ids | None, reason: str) -> None:
        """Say why these variables must stay; the first reason of each is kept."""
        if ids is not None:
            for variable in ids.tolist():
                self._pins.setdefault(variable, reason)

    def roots(self, ids: Ids) -> Ids:
        """Return one variable for all that are the same so far."""
        roots = [self._root(variable) for variable in ids.ravel().tolist()]
        return np.array(roots, np.int64).reshape(ids.shape)

    def dense(self) -> tuple[Ids, dict[int, str]]:
        """Return the unit, from 0 without gaps, that each variable belongs to, and the reasons by
        unit.
        """
        roots = self.roots(np.arange(len(self._parent)))
        _, units = np.unique(roots, return_inverse=True)
        pins: dict[int, str] = {}
        for variable, reason in self._pins.items():
            pins.setdefault(int(units[variable]), reason)
        return units.astype(np.int64), pins

    def _root(self, variable: int) -> int:
        while (above := self._parent[variable]) != variable:
            # Paths are halved on the way: a chain of unions would otherwise be walked each time.
            self._parent[variable] = self._parent[above]
            variable = self._parent[above]
        return variable


class Length(NamedTuple):
    """A number among a node's arguments that is a number of channels, and has to follow it.

    Attributes:
        path: way to the number through the arguments, by position or name.
        ids: whose number it is.
        is_rest: whether it may be left to be whatever the others leave, -1.
    """

    path: ArgumentPath
    ids: Ids
    is_rest: bool = False


@dataclass(eq=False)
class Walk:
    """What a walk over a graph has found so far.

    Attributes:
        keys: the one name that stands for each parameter and buffer, since several names can share
            a tensor.
        variables: all channels.
        known: the channels along the axes of each node's tensor.
        pieces: likewise for the nodes that give several tensors.
        numbers: nodes that are numbers or shapes.
        counts: those of them that are computed from numbers of channels, and the channels counted.
        stays: why the axes without channels of a node's tensor stay as they are.
        axes: the channels along the axes of each parameter and buffer.
        makers: layers that make channels, and the channels.
        lengths: numbers of channels among each node's arguments.
        products: the channels along the axes of each matrix product between activations that cost
            something.
    """

    keys: Mapping[str, str]
    variables: ChannelVariables = field(default_factory=ChannelVariables)
    known: dict[fx.Node, Axes] = field(default_factory=dict)
    pieces: dict[fx.Node, tuple[Axes, ...]] = field(default_factory=dict)
    numbers: set[fx.Node] = field(default_factory=set)
    counts: dict[fx.Node, tuple[Ids, ...]] = field(default_factory=dict)
    stays: dict[fx.Node, str] = field(default_factory=dict)
    axes: dict[str, Axes] = field(default_factory=dict)
    makers: dict[str, Ids] = field(default_factory=dict)
    lengths: dict[fx.Node, list[Length]] = field(default_factory=dict)
    products: dict[fx.Node, tuple[Axes, ...]] = field(default_factory=dict)

    def uses(self, name: str, axes: Axes, reason: str = "") -> None:
        """Say which channels the axes of a parameter are; if it has been used before, they are the
        same ones.

        An axis with channels in one use and without in another stays, because of ``reason``.
        """
        # A layer without a bias has no such key.
        if name not in self.keys:
            return
        before = self.axes.setdefault(self.keys[name], axes)
        for old, new in zip_longest(before, axes):
            self._meet(old, new, reason or f"{name!r} is used in two ways")

    def _meet(self, old: Ids | None, new: Ids | None, reason: str) -> None:
        """Make two uses of one axis of a parameter the same, or let both stay."""
        if old is new:
            return
        if old is not None and new is not None and len(old) == len(new):
            self.variables.same(old, new)
            return
        self.variables.pin(old, reason)
        self.variables.pin(new, reason)

    def makes(self, layer: str, ids: Ids) -> Ids:
        """Say that a layer makes these channels."""
        # One that is called twice makes the same channels each time.
        if layer in self.makers:
            return self.variables.same(self.makers[layer], ids)
        self.makers[layer] = ids
        return ids

    def same_pieces(self, ids: Ids, count: int) -> Ids:
        """Let that many equal pieces of an axis lose the same places, and return one piece."""
        first, *others = ids.reshape(count, -1)
        for other in others:
            self.variables.same(first, other)
        return np.asarray(first)

    def same_axis(self, one: Ids | None, other: Ids | None, reason: str) -> Ids | None:
        """Make two axes of one length the same; if one has no channels, those of the other stay."""
        if one is not None and other is not None:
            return self.variables.same(one, other)
        self.variables.pin(one, reason)
        self.variables.pin(other, reason)
        return None

    def follows(
        self, node: fx.Node, path: ArgumentPath, ids: Ids | None, *, is_rest: bool = False
    ) -> None:
        """Say that an argument of a node is the number of these channels."""
        if ids is not None:
            self.lengths.setdefault(node, []).append(Length(path, ids, is_rest))
