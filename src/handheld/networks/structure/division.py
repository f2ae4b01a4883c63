"""What operators that take tensors apart, or put them together, do to channels."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from torch import fx

from handheld.networks.structure.arrangement import with_axis
from handheld.networks.structure.nodes import length, rank_of, shape_of, spelled
from handheld.networks.structure.operands import Operation, all_joined, joined
from handheld.networks.structure.variables import Axes, Ids, NoRuleError, Walk, require

_CHUNKS = spelled("chunk")
_UNBOUND = spelled("unbind")
DIVISIONS = spelled("split", "split_with_sizes") | _CHUNKS | _UNBOUND
"""Operators that give several tensors."""

_SIZES = ("chunks", "split_size", "split_sizes", "split_size_or_sections")
_BY_NUMBER = "takes one of them by its number"


def pieces_of(operation: Operation) -> tuple[Axes, ...]:
    """Return the channels of each of the tensors that one is divided into."""
    if operation.node.target in _UNBOUND:
        return _unbound(operation)
    axes = operation.axes
    axis = operation.integer(2, "dim", 0) % len(axes)
    total = length(operation.source, axis)
    key, sizes = _sizes(operation.node)
    is_count = operation.node.target in _CHUNKS
    lengths = _lengths(sizes, total, is_count=is_count)
    ids = axes[axis]
    if ids is None:
        return (axes,) * len(lengths)
    if isinstance(sizes, int):
        # A number of pieces stays; the length of each follows its channels.
        path = () if is_count else (key,)
        pieces = _equal_pieces(operation, ids, lengths, path)
    else:
        pieces = _listed_pieces(operation, ids, lengths, key)
    return tuple(with_axis(axes, axis, piece) for piece in pieces)


def _unbound(operation: Operation) -> tuple[Axes, ...]:
    axes = operation.axes
    axis = operation.integer(1, "dim", 0) % len(axes)
    # A tensor for each channel: with one channel less there would be a tensor less to unpack.
    require(axes[axis] is None)
    return (with_axis(axes, axis),) * length(operation.source, axis)


def _sizes(node: fx.Node) -> tuple[int | str, Any]:
    """Return where a node says into what it divides, and what it says there."""
    if len(node.args) > 1:
        return 1, node.args[1]
    for name in _SIZES:
        if name in node.kwargs:
            return name, node.kwargs[name]
    raise NoRuleError


def _lengths(sizes: Any, total: int, *, is_count: bool) -> list[int]:
    """The lengths of pieces, given their number, the length of each, or all lengths."""
    if isinstance(sizes, int):
        size = -(-total // sizes) if is_count else sizes
        # The last is shorter where the axis is no multiple.
        return [min(size, total - start) for start in range(0, total, size)]
    require(isinstance(sizes, tuple | list))
    require(all(isinstance(size, int) for size in sizes))
    return list(sizes)


def _equal_pieces(
    operation: Operation, ids: Ids, lengths: list[int], path: tuple[int | str, ...]
) -> list[Ids]:
    """Return pieces of one length, which lose the same places; the length at a path follows."""
    # A shorter last piece cannot lose the same places.
    require(len(set(lengths)) == 1)
    piece = operation.walk.same_pieces(ids, len(lengths))
    if path:
        operation.walk.follows(operation.node, path, piece)
    return np.split(ids, len(lengths))


def _listed_pieces(operation: Operation, ids: Ids, lengths: list[int], key: int | str) -> list[Ids]:
    """Return pieces whose lengths stand in a list: each of these follows its own channels."""
    ends = np.cumsum([0, *lengths])
    pieces = [ids[start:end] for start, end in pairwise(ends)]
    for index, piece in enumerate(pieces):
        operation.walk.follows(operation.node, (key, index), piece)
    return pieces


def concatenate(operation: Operation) -> Axes:
    """One after the other along one axis; along all others they are the same."""
    walk = operation.walk
    sources = operation.tensors(0, "tensors")
    rank = rank_of(operation.node)
    axis = operation.integer(1, "dim", 0)
    require(all(rank_of(source) == rank for source in sources))
    axis %= rank
    together = _end_to_end(walk, sources, axis)
    axes: list[Ids | None] = []
    for other, other_length in enumerate(operation.shape):
        if other == axis:
            axes.append(together)
        else:
            # Counted from behind, as broadcasting does.
            axes.append(joined(walk, sources, other - rank, other_length))
    return tuple(axes)


def _end_to_end(walk: Walk, sources: Sequence[fx.Node], axis: int) -> Ids | None:
    """The channels of several tensors, one after the other; None if none has any."""
    along = [walk.known[source][axis] for source in sources]
    if all(ids is None for ids in along):
        return None
    pieces = []
    # Beside channels even what has none needs a place for each, to be counted along with them.
    for source, ids in zip(sources, along, strict=True):
        pieces.append(_kept(walk, source, axis) if ids is None else ids)
    return np.concatenate(pieces)


def _kept(walk: Walk, node: fx.Node, axis: int) -> Ids:
    """Variables for an axis that stays, beside others that need not."""
    ids = walk.variables.new(length(node, axis))
    walk.variables.pin(ids, walk.stays.get(node, "it stays as it is"))
    return ids


def stack(operation: Operation) -> Axes:
    """Side by side along a new axis."""
    sources = operation.tensors(0, "tensors")
    axis = operation.argument(1, "dim", 0) % rank_of(operation.node)
    axes = all_joined(operation.walk, sources, tuple(shape_of(sources[0]) or ()))
    return (*axes[:axis], None, *axes[axis:])


def slice_of_axis(operation: Operation) -> Axes:
    """``aten.slice``: a part of an axis; of an axis of channels, its ends have to follow."""
    axes = operation.axes
    axis = operation.argument(1, "dim", 0) % len(axes)
    ids = axes[axis]
    if ids is None:
        return axes
    start = operation.argument(2, "start")
    end = operation.argument(3, "end")
    # Every second channel would be others once one before them is gone.
    require(operation.argument(4, "step", 1) == 1)
    require(isinstance(start, int | None) and isinstance(end, int | None))
    return with_axis(axes, axis, _sliced(operation, ids, start, end))


def _sliced(operation: Operation, ids: Ids, start: int | None, end: int | None) -> Ids:
    """Return a run of channels, whose ends follow the channels before them."""
    first, last, _ = slice(start, end).indices(len(ids))
    if start is not None:
        _follow_bound(operation, 2, "start", ids[:first])
    # An end behind the last, as exports write "all", stays right whatever is cut.
    if end is not None and end <= len(ids):
        _follow_bound(operation, 3, "end", ids[:last])
    return ids[first:last]


def _follow_bound(operation: Operation, position: int, name: str, ids: Ids) -> None:
    key: int | str = position if len(operation.node.args) > position else name
    operation.walk.follows(operation.node, (key,), ids)


def select(operation: Operation) -> Axes:
    """One place of an axis."""
    axes = operation.axes
    axis = operation.integer(1, "dim") % len(axes)
    # The same number would take another channel once one before it is gone.
    operation.pin(axes[axis], _BY_NUMBER)
    return with_axis(axes, axis)


def item(operation: Operation) -> Axes:
    """One of several tensors, or a part of one: ``x[:, :, 0]``."""
    source = operation.node.args[0]
    index = operation.argument(1, "index")
    if isinstance(source, fx.Node) and source in operation.walk.pieces:
        require(isinstance(index, int))
        return operation.walk.pieces[source][index]
    entries = index if isinstance(index, tuple) else (index,)
    return _indexed(operation, _written_out(entries, len(operation.axes)))


def _written_out(index: Sequence[Any], rank: int) -> Sequence[Any]:
    """Return an index without an ellipsis: a full slice for each axis that this stands for."""
    if Ellipsis not in index:
        return index
    position = index.index(Ellipsis)
    indexed = sum(entry is not None for entry in index) - 1
    slices = [slice(None)] * (rank - indexed)
    return (*index[:position], *slices, *index[position + 1 :])


def _indexed(operation: Operation, index: Sequence[Any]) -> Axes:
    axes: list[Ids | None] = []
    remaining = list(operation.axes)
    for entry in index:
        if entry is None:
            axes.append(None)
            continue
        ids = remaining.pop(0)
        if isinstance(entry, int):
            operation.pin(ids, _BY_NUMBER)
            continue
        # A part of the channels would be another once one before it is gone.
        require(ids is None or entry == slice(None))
        if isinstance(entry, slice):
            axes.append(ids)
        else:
            # A number that the network computes takes one place; a list of places has no rule.
            require(isinstance(entry, fx.Node))
    return (*axes, *remaining)
