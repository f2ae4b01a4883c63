"""Channels as variables of a union-find: what is said of one is said of all that are the same."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray
from torch import fx

Ids = NDArray[np.int64]
Axes = tuple[Ids | None, ...]


class Variables:
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

    def pin(self, ids: Ids | None, reason: str) -> None:
        """Say why these variables must stay; the first reason of each is kept."""
        for variable in [] if ids is None else ids.tolist():
            self._pins.setdefault(variable, reason)

    def dense(self) -> tuple[Ids, dict[int, str]]:
        """Return the unit, from 0 without gaps, that each variable belongs to, and the reasons by unit."""
        _, units = np.unique([self._root(variable) for variable in range(len(self._parent))], return_inverse=True)
        pins: dict[int, str] = {}
        for variable, reason in self._pins.items():
            pins.setdefault(int(units[variable]), reason)
        return units.astype(np.int64), pins

    def _root(self, variable: int) -> int:
        while (above := self._parent[variable]) != variable:
            self._parent[variable] = variable = self._parent[above]
        return variable


@dataclass(eq=False)
class Walk:
    """What a walk over a graph has found so far.

    Attributes:
        keys: the one name that stands for each parameter and buffer, since several names can share a tensor.
        variables: all channels.
        known: the channels along axis 1 of each node's tensor.
        counts: nodes that are a number of channels, or a shape that holds one, and the channels counted.
        axes: the channels along the axes of each parameter and buffer.
        makers: layers that make channels, and the channels.
        fixed: why a parameter must keep its shape.
    """

    keys: Mapping[str, str]
    variables: Variables = field(default_factory=Variables)
    known: dict[fx.Node, Ids] = field(default_factory=dict)
    counts: dict[fx.Node, Ids] = field(default_factory=dict)
    axes: dict[str, Axes] = field(default_factory=dict)
    makers: dict[str, Ids] = field(default_factory=dict)
    fixed: dict[str, str] = field(default_factory=dict)

    def uses(self, name: str, axes: Axes) -> None:
        """Say which channels the axes of a parameter are; if it has been used before, they are the same ones."""
        if name not in self.keys:
            return
        key = self.keys[name]
        before = self.axes.setdefault(key, axes)
        for old, new in zip_longest(before, axes):
            if old is not None and new is not None:
                self.variables.same(old, new)
            elif old is not new:
                self.fix(name, f"{name!r} is used in two ways")
        if key in self.fixed:
            for ids in axes:
                self.variables.pin(ids, self.fixed[key])

    def fix(self, name: str, reason: str) -> None:
        """Say why a parameter must keep its shape, in all of its uses."""
        key = self.keys.get(name, name)
        self.fixed.setdefault(key, reason)
        for ids in self.axes.get(key, ()):
            self.variables.pin(ids, reason)

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
