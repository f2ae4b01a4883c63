"""Channels as variables of a union-find: what is said of one is said of all that are the same."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import fx

Ids = NDArray[np.int64]
Axes = tuple[Ids | None, ...]
"""The channels along each axis of a tensor; None: an axis without channels, whose length stays."""


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

    def same(self, left: Ids, right: Ids) -> Ids:
        """Make the variables of two arrays of one length pairwise the same."""
        for a, b in zip(left.tolist(), right.tolist(), strict=True):
            low, high = sorted((self._root(a), self._root(b)))
            self._parent[high] = low
        return left

    def as_many(self, left: Ids, right: Ids) -> None:
        """Make sure that as many of one array stay as of the other: they are the same in some
        order, or are made so.
        """
        if not np.array_equal(np.sort(self.roots(left)), np.sort(self.roots(right))):
            self.same(left, right)

    def pin(self, ids: Ids | None, reason: str) -> None:
        """Say why these variables must stay; the first reason of each is kept."""
        for variable in [] if ids is None else ids.tolist():
            self._pins.setdefault(variable, reason)

    def roots(self, ids: Ids) -> Ids:
        """Return one variable for all that are the same so far."""
        return np.array(
            [self._root(variable) for variable in ids.ravel().tolist()], np.int64
        ).reshape(ids.shape)

    def dense(self) -> tuple[Ids, dict[int, str]]:
        """Return the unit, from 0 without gaps, that each variable belongs to, and the reasons by
        unit.
        """
        _, units = np.unique(
            [self._root(variable) for variable in range(len(self._parent))], return_inverse=True
        )
        pins: dict[int, str] = {}
        for variable, reason in self._pins.items():
            pins.setdefault(int(units[variable]), reason)
        return units.astype(np.int64), pins

    def _root(self, variable: int) -> int:
        while (above := self._parent[variable]) != variable:
            self._parent[variable] = variable = self._parent[above]
        return variable


class Length(NamedTuple):
    """A number among a node's arguments that is a number of channels, and has to follow it.

    Attributes:
        place: way to the number through the arguments, by position or name.
        ids: whose number it is.
        is_rest: whether it may be left to be whatever the others leave, -1.
    """

    place: tuple[int | str, ...]
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
        parts: likewise for the nodes that give several tensors.
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
    parts: dict[fx.Node, tuple[Axes, ...]] = field(default_factory=dict)
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
        if name not in self.keys:
            return
        key = self.keys[name]
        before = self.axes.setdefault(key, axes)
        for old, new in zip_longest(before, axes):
            if old is not None and new is not None and len(old) == len(new):
                self.variables.same(old, new)
            elif old is not new:
                for ids in (old, new):
                    self.variables.pin(ids, reason or f"{name!r} is used in two ways")

    def makes(self, layer: str, ids: Ids) -> Ids:
        """Say that a layer makes these channels."""
        if layer in self.makers:
            return self.variables.same(self.makers[layer], ids)
        self.makers[layer] = ids
        return ids

    def same_parts(self, ids: Ids, parts: int) -> Ids:
        """Make equal parts lose the same places, and return one part."""
        first, *others = ids.reshape(parts, -1)
        for other in others:
            self.variables.same(first, other)
        return np.asarray(first)

    def same_axis(self, left: Ids | None, right: Ids | None, reason: str) -> Ids | None:
        """Make two axes of one length the same; if one of them has no channels, the other's stay."""
        if left is not None and right is not None:
            return self.variables.same(left, right)
        self.variables.pin(left, reason)
        self.variables.pin(right, reason)
        return None

    def follows(
        self, node: fx.Node, place: tuple[int | str, ...], ids: Ids | None, *, is_rest: bool = False
    ) -> None:
        """Say that an argument of a node is the number of these channels."""
        if ids is not None:
            self.lengths.setdefault(node, []).append(Length(place, ids, is_rest))
