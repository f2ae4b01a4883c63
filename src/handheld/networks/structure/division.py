"""What operators that take tensors apart, or put them together, do to channels."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from torch import fx

from handheld.networks.structure.nodes import argument, rank_of, shape_of, spelled
from handheld.networks.structure.operands import all_joined, is_known, joined, length, source_of
from handheld.networks.structure.variables import Axes, Ids, Walk

Parts = tuple[Axes, ...]

_CHUNKS = spelled("chunk")
_UNBOUND = spelled("unbind")
DIVIDING = spelled("split", "split_with_sizes") | _CHUNKS | _UNBOUND
"""Operators that give several tensors."""

_SIZES = ("chunks", "split_size", "split_sizes", "split_size_or_sections")


def parts_of(walk: Walk, node: fx.Node) -> Parts | None:
    """Return the channels of each of the tensors that one is divided into; None if it is not known
    how.
    """
    source = source_of(walk, node)
    axis = argument(node, 1 if node.target in _UNBOUND else 2, "dim", 0)
    if source is None or not isinstance(axis, int):
        return None
    axes = walk.known[source]
    axis = axis % rank_of(source)
    if node.target in _UNBOUND:
        return (
            None
            if axes[axis] is not None
            else ((*axes[:axis], *axes[axis + 1 :]),) * length(source, axis)
        )
    key = 1 if len(node.args) > 1 else next((name for name in _SIZES if name in node.kwargs), "")
    wanted = node.args[1] if key == 1 else node.kwargs.get(str(key))
    lengths = _lengths(wanted, length(source, axis), is_number=node.target in _CHUNKS)
    if lengths is None:
        return None
    ids = axes[axis]
    if ids is not None and isinstance(wanted, int):
        if len(set(lengths)) > 1:
            return None
        part = walk.same_parts(ids, len(lengths))
        walk.follows(node, (key,), None if node.target in _CHUNKS else part)
    ends = np.cumsum([0, *lengths])
    parts = [None if ids is None else ids[start:end] for start, end in pairwise(ends)]
    if not isinstance(wanted, int):
        for number, part_ids in enumerate(parts):
            walk.follows(node, (key, number), part_ids)
    return tuple((*axes[:axis], part, *axes[axis + 1 :]) for part in parts)


def _lengths(wanted: Any, whole: int, *, is_number: bool) -> list[int] | None:
    """The lengths of parts, given their number, the length of each, or all lengths."""
    if isinstance(wanted, int):
        each = -(-whole // wanted) if is_number else wanted
        return [min(each, whole - start) for start in range(0, whole, each)]
    if isinstance(wanted, tuple | list) and all(isinstance(part, int) for part in wanted):
        return list(wanted)
    return None


def concatenate(walk: Walk, node: fx.Node) -> Axes | None:
    """One after the other along one axis; along all others they are the same."""
    sources = argument(node, 0, "tensors")
    axis = argument(node, 1, "dim", 0)
    rank = rank_of(node)
    if not _are_known(walk, sources) or not isinstance(axis, int):
        return None
    if any(rank_of(source) != rank for source in sources):
        return None
    axis %= rank
    together = _end_to_end(walk, sources, axis)
    lengths = tuple(shape_of(node) or ())
    return tuple(
        together if other == axis else joined(walk, list(sources), other - rank, lengths[other])
        for other in range(rank)
    )


def _end_to_end(walk: Walk, sources: Sequence[fx.Node], axis: int) -> Ids | None:
    """The channels of several tensors, one after the other; None if none has any."""
    along = [walk.known[source][axis] for source in sources]
    if all(ids is None for ids in along):
        return None
    pieces = [
        _kept(walk, source, axis) if ids is None else ids
        for source, ids in zip(sources, along, strict=True)
    ]
    return np.concatenate(pieces)


def _are_known(walk: Walk, sources: Any) -> bool:
    return isinstance(sources, tuple | list) and all(is_known(walk, one) for one in sources)


def _kept(walk: Walk, node: fx.Node, axis: int) -> Ids:
    """Variables for an axis that stays, beside others that need not."""
    ids = walk.variables.new(length(node, axis))
    walk.variables.pin(ids, walk.stays.get(node, "it stays as it is"))
    return ids


def stack(walk: Walk, node: fx.Node) -> Axes | None:
    """Side by side along a new axis."""
    sources = argument(node, 0, "tensors")
    axis = argument(node, 1, "dim", 0)
    if not _are_known(walk, sources):
        return None
    axes = list(all_joined(walk, list(sources), tuple(shape_of(sources[0]) or ())))
    axes.insert(axis % rank_of(node), None)
    return tuple(axes)


def part(walk: Walk, node: fx.Node) -> Axes | None:
    """``aten.slice``: a part of an axis; of an axis of channels, its ends have to follow."""
    source = source_of(walk, node)
    if source is None:
        return None
    axis = argument(node, 1, "dim", 0)
    start = argument(node, 2, "start")
    end = argument(node, 3, "end")
    step = argument(node, 4, "step", 1)
    axes = walk.known[source]
    axis %= len(axes)
    ids = axes[axis]
    if ids is None:
        return axes
    if step != 1 or not all(bound is None or isinstance(bound, int) for bound in (start, end)):
        return None
    first, last, _ = slice(start, end).indices(len(ids))
    if start is not None:
        walk.follows(node, (2,) if len(node.args) > 2 else ("start",), ids[:first])
    if end is not None and end <= len(ids):
        walk.follows(node, (3,) if len(node.args) > 3 else ("end",), ids[:last])
    return (*axes[:axis], ids[first:last], *axes[axis + 1 :])


def select(walk: Walk, node: fx.Node) -> Axes | None:
    """One place of an axis."""
    source = source_of(walk, node)
    axis = argument(node, 1, "dim")
    if source is None or not isinstance(axis, int):
        return None
    axes = walk.known[source]
    axis %= rank_of(source)
    walk.variables.pin(axes[axis], f"operator {node.name} takes one of them by its number")
    return (*axes[:axis], *axes[axis + 1 :])


def item(walk: Walk, node: fx.Node) -> Axes | None:
    """One of several tensors, or a part of one: ``x[:, :, 0]``."""
    source = node.args[0]
    index = argument(node, 1, "index")
    if not isinstance(source, fx.Node):
        return None
    if source in walk.parts:
        return walk.parts[source][index] if isinstance(index, int) else None
    if source_of(walk, node) is None:
        return None
    return _indexed(walk, node, walk.known[source], index if isinstance(index, tuple) else (index,))


def _indexed(walk: Walk, node: fx.Node, axes: Axes, index: Sequence[Any]) -> Axes | None:
    if Ellipsis in index:
        at = index.index(Ellipsis)
        missing = len(axes) - sum(entry is not None for entry in index) + 1
        index = (*index[:at], *[slice(None)] * missing, *index[at + 1 :])
    found: list[Ids | None] = []
    rest = list(axes)
    for entry in index:
        if entry is None:
            found.append(None)
            continue
        ids = rest.pop(0)
        if isinstance(entry, int):
            walk.variables.pin(ids, f"operator {node.name} takes one of them by its number")
            continue
        if ids is not None and entry != slice(None):
            return None
        if isinstance(entry, slice):
            found.append(ids)
        elif not isinstance(entry, fx.Node):
            return None
    return (*found, *rest)
