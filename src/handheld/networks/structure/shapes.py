"""What operators that move axes do to channels: reshape, permute, squeeze, expand."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import fx

from handheld.networks.structure.arrangement import reshaped
from handheld.networks.structure.nodes import (
    ArgumentPath,
    argument,
    length,
    numbers,
    rank_of,
    shape_of,
    spelled,
)
from handheld.networks.structure.operands import Operation, why
from handheld.networks.structure.variables import Axes, Ids, NoRuleError, Walk, require

FLATTENS = spelled("flatten")
UNFLATTENS = spelled("unflatten")
TRANSPOSES = spelled("transpose", "swapaxes", "t")


@dataclass(frozen=True, eq=False)
class WrittenLengths:
    """The lengths that a call of a reshape names.

    Attributes:
        values: numbers, or nodes that give numbers; -1 for what the others leave.
        path: way to the list of them; empty where they stand one by one behind the tensor.
        first: the axis of the result that the first of them is of.
    """

    values: tuple[Any, ...]
    path: ArgumentPath
    first: int = 0

    @classmethod
    def of(cls, node: fx.Node) -> "WrittenLengths":
        """Read those of a node."""
        if node.target in FLATTENS:
            return cls((), ())
        if node.target in UNFLATTENS:
            axis = argument(node, 1, "dim") % rank_of(node.all_input_nodes[0])
            return cls(*numbers(node, 2, "sizes"), axis)
        # x.reshape calls it a shape, x.view a size.
        name = "size" if "size" in node.kwargs else "shape"
        return cls(*numbers(node, 1, name))

    def path_to(self, index: int) -> ArgumentPath:
        """Return the way to one of them."""
        if self.path:
            return (*self.path, index)
        return (1 + index,)

    def are_whole(self) -> bool:
        """Whether all of them were whole numbers when the example ran."""
        return all(isinstance(_number(size), int) for size in self.values)

    def of_axes(self, axes: Axes) -> Iterator[tuple[Any, Ids | None]]:
        """Yield each of them with the channels along its axis of the result."""
        return zip(self.values, axes[self.first :], strict=False)


def _number(size: Any) -> Any:
    if isinstance(size, fx.Node):
        return size.meta.get("value")
    return size


def reshape(operation: Operation) -> Axes:
    """``x.view``, ``x.flatten``, ``x.unflatten``: lengths that are written out have to follow the
    channels.
    """
    walk = operation.walk
    node = operation.node
    # Not operation.source: a length may be computed from whatever the network computes.
    source = operation.tensor(0, "input")
    lengths = WrittenLengths.of(node)
    require(shape_of(node) is not None and lengths.are_whole())
    require(len(lengths.values) + lengths.first <= rank_of(node))
    require(node.target in FLATTENS or bool(lengths.values))
    axes = reshaped(walk, walk.known[source], tuple(shape_of(source) or ()), operation.shape)
    for size, ids in lengths.of_axes(axes):
        # A number of channels as the length of what is no axis of channels cannot follow them.
        require(ids is not None or size not in walk.counts)
    _follow(walk, node, lengths, axes)
    return axes


def _follow(walk: Walk, node: fx.Node, lengths: WrittenLengths, axes: Axes) -> None:
    """Note which of the lengths are numbers of channels."""
    has_rest = -1 in lengths.values
    for index, (size, ids) in enumerate(lengths.of_axes(axes)):
        if ids is None or size == -1:
            continue
        counted = walk.counts.get(size, ())
        if len(counted) == 1 and len(counted[0]) == len(ids):
            walk.variables.as_many(ids, counted[0])
            continue
        # What was computed may hold places too, which are others for another picture: better
        # whatever is left. Only one length of a reshape may be that.
        is_rest = isinstance(size, fx.Node) and not has_rest
        has_rest = has_rest or is_rest
        walk.follows(node, lengths.path_to(index), ids, is_rest=is_rest)


def reshape_as(operation: Operation) -> Axes:
    """In the shape of another tensor: as many channels stay along each axis as there."""
    walk = operation.walk
    source = operation.tensor(0, "input")
    other = operation.tensor(1, "other")
    axes = reshaped(walk, walk.known[source], tuple(shape_of(source) or ()), operation.shape)
    # The other's lengths are read when it runs, so they follow what is cut there.
    for ids, there in zip(axes, walk.known[other], strict=False):
        if ids is not None and there is not None:
            walk.variables.as_many(ids, there)
        else:
            walk.same_axis(ids, there, why(walk, source, other))
    return axes


def permute(operation: Operation) -> Axes:
    """Axes in another order."""
    # The order is of axes, which stay, whatever is cut.
    axes = operation.axes
    order, _ = numbers(operation.node, 1, "dims")
    require(len(order) == len(axes))
    require(all(isinstance(axis, int) for axis in order))
    return tuple(axes[axis] for axis in order)


def transpose(operation: Operation) -> Axes:
    """Two axes change their places."""
    axes = list(operation.axes)
    one = operation.argument(1, "dim0")
    two = operation.argument(2, "dim1")
    if one is None and two is None and len(axes) == 2:
        # x.t() of a matrix.
        return tuple(reversed(axes))
    if not isinstance(one, int) or not isinstance(two, int):
        raise NoRuleError
    axes[one], axes[two] = axes[two], axes[one]
    return tuple(axes)


def squeeze(operation: Operation) -> Axes:
    """Axes of one place go, but not one that holds the only channel."""
    known = operation.axes
    source = operation.source
    removed = set()
    for axis in operation.integers(1, "dim"):
        # Of one channel, or once only one is left.
        require(known[axis] is None)
        if length(source, axis) == 1:
            removed.add(axis % len(known))
    return tuple(ids for axis, ids in enumerate(known) if axis not in removed)


def unsqueeze(operation: Operation) -> Axes:
    """An axis of one place comes."""
    known = operation.axes
    axis = operation.integer(1, "dim") % (len(known) + 1)
    return (*known[:axis], None, *known[axis:])


def expand(operation: Operation) -> Axes:
    """Places repeated; a length of channels that is written out has to follow them."""
    known = operation.axes
    require(not operation.counts_channels)
    node = operation.node
    added = rank_of(node) - len(known)
    lengths = WrittenLengths(*numbers(node, 1, "size"))
    for axis, ids in enumerate(known, added):
        if ids is None:
            continue
        require(length(node, axis) == len(ids))
        # -1 says that it stays as it is, and needs no following.
        if lengths.values[axis] != -1:
            operation.walk.follows(node, lengths.path_to(axis), ids)
    return (*[None] * added, *known)
