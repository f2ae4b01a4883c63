"""What operators have in common: the tensor that they read, and tensors that meet along an axis."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from torch import fx

from handheld.networks.structure.nodes import argument, length, rank_of, shape_of
from handheld.networks.structure.variables import Axes, Ids, NoRuleError, Walk, require

# Where nobody has said why.
_STAYS = "it meets an axis that stays as it is"


@dataclass(frozen=True, eq=False)
class Operation:
    """A node that calls an operator, as the operator's rule sees it.

    Methods raise :class:`~handheld.networks.structure.variables.NoRuleError` where the node is
    called otherwise than they expect.

    Attributes:
        walk: what is known of the nodes before it; rules write to it.
        node: that calls the operator.
    """

    walk: Walk
    node: fx.Node

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor that it gives; empty for what is no tensor."""
        return tuple(shape_of(self.node) or ())

    def argument(self, position: int, name: str, default: Any = None) -> Any:
        """Return an argument that may be given by position or by name."""
        return argument(self.node, position, name, default)

    def integer(self, position: int, name: str, default: int | None = None) -> int:
        """Return an argument that has to be a number, and no result of another node."""
        value = self.argument(position, name, default)
        # A number that the network computes may be another for the next input.
        if not isinstance(value, int):
            raise NoRuleError
        return value

    def integers(self, position: int, name: str) -> tuple[int, ...]:
        """Return an argument that has to be one number, or a list of one or more."""
        values = self.argument(position, name)
        if isinstance(values, int):
            return (values,)
        if not isinstance(values, tuple | list) or not values:
            raise NoRuleError
        require(all(isinstance(value, int) for value in values))
        return tuple(values)

    def tensor(self, position: int, name: str) -> fx.Node:
        """Return an argument that has to be a tensor whose channels are known."""
        value = self.argument(position, name)
        if not is_known(self.walk, value):
            raise NoRuleError
        node: fx.Node = value
        return node

    def tensors(self, position: int, name: str) -> list[fx.Node]:
        """Return an argument that has to be a list of tensors whose channels are known."""
        values = self.argument(position, name)
        if not isinstance(values, tuple | list):
            raise NoRuleError
        require(all(is_known(self.walk, value) for value in values))
        return list(values)

    @property
    def source(self) -> fx.Node:
        """The one tensor that it reads, which has to be its first argument."""
        first = self.node.args[0] if self.node.args else None
        if not isinstance(first, fx.Node) or not is_known(self.walk, first):
            raise NoRuleError
        # A second tensor would meet the first, which is another rule's to say.
        others = set(self.node.all_input_nodes) - {first}
        require(others <= self.walk.numbers)
        return first

    @property
    def axes(self) -> Axes:
        """The channels along the axes of its source."""
        return self.walk.known[self.source]

    @property
    def counts_channels(self) -> bool:
        """Whether it reads a number of channels."""
        return any(other in self.walk.counts for other in self.node.all_input_nodes)

    def pin(self, ids: Ids | None, reason: str = "looks at all of them together") -> None:
        """Let channels stay, since the operator does what is said."""
        self.walk.variables.pin(ids, f"operator {self.node.name} {reason}")


Rule = Callable[[Operation], Axes]
"""Returns the channels along the axes of what an operator gives; raises
:class:`~handheld.networks.structure.variables.NoRuleError` where that is not known.
"""


def is_known(walk: Walk, value: Any) -> bool:
    """Whether an argument is a tensor whose channels are known."""
    return isinstance(value, fx.Node) and value in walk.known and shape_of(value) is not None


def joined(walk: Walk, sources: Sequence[fx.Node], axis: int, broadcast_length: int) -> Ids | None:
    """The channels along an axis, counted from the last, of tensors that meet there and are
    broadcast to a length.
    """
    wide = _wide(walk, sources, axis, broadcast_length)
    together = walk.known[wide[0]][axis]
    for before, source in pairwise(wide):
        together = walk.same_axis(together, walk.known[source][axis], why(walk, source, before))
    return together


def _wide(
    walk: Walk, sources: Sequence[fx.Node], axis: int, broadcast_length: int
) -> list[fx.Node]:
    """Return the tensors that are of this length as they are; the channels of others stay."""
    wide: list[fx.Node] = []
    for source in sources:
        # A tensor of fewer axes has none here, and takes no part.
        if rank_of(source) < -axis:
            continue
        if length(source, axis) == broadcast_length:
            wide.append(source)
            continue
        # One channel for all of another's: without it these would be computed otherwise.
        ids = walk.known[source][axis]
        walk.variables.pin(ids, "it is broadcast over an axis of another layer")
    return wide


def all_joined(
    walk: Walk, sources: Sequence[fx.Node], lengths: Sequence[int], *, below: int = 0
) -> Axes:
    """The channels along all axes but the last ``below`` of tensors that are broadcast to some
    lengths.
    """
    rank = len(lengths)
    # From the last, since that is how shapes of several ranks are laid side by side.
    return tuple(joined(walk, sources, axis - rank, lengths[axis]) for axis in range(rank - below))


def why(walk: Walk, *nodes: fx.Node) -> str:
    """Return why an axis of one of some tensors stays."""
    for node in nodes:
        if node in walk.stays:
            return walk.stays[node]
    return _STAYS
