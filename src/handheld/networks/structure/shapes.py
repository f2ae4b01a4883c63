"""What operators that move axes do to channels: reshape, permute, squeeze, expand."""

from typing import Any

from torch import fx

from handheld.networks.structure.arrangement import reshaped
from handheld.networks.structure.nodes import argument, numbers, rank_of, shape_of, spelled
from handheld.networks.structure.operands import counts_channels, length, source_of, why
from handheld.networks.structure.variables import Axes, Ids, Walk

FLATTENS = spelled("flatten")
UNFLATTENS = spelled("unflatten")
TRANSPOSES = spelled("transpose", "swapaxes", "t")


def reshape(walk: Walk, node: fx.Node) -> Axes | None:
    """``x.view``, ``x.flatten``, ``x.unflatten``: lengths that are written out have to follow the
    channels.
    """
    source = node.args[0] if node.args else None
    if not isinstance(source, fx.Node) or source not in walk.known:
        return None
    sizes, place, first = _sizes(node)
    old = shape_of(source)
    new = shape_of(node)
    if (
        old is None
        or new is None
        or not all(map(_is_whole, sizes))
        or len(sizes) + first > len(new)
    ):
        return None
    if node.target not in FLATTENS and not sizes:
        return None
    found = reshaped(walk, walk.known[source], tuple(old), tuple(new))
    if found is None or any(
        ids is None and size in walk.counts for ids, size in zip(found[first:], sizes, strict=False)
    ):
        return None
    has_rest = -1 in sizes
    for axis, size in enumerate(sizes, first):
        ids = found[axis]
        if ids is None or size == -1:
            continue
        counted = walk.counts.get(size, ())
        if len(counted) == 1 and len(counted[0]) == len(ids):
            walk.variables.as_many(ids, counted[0])
            continue
        # What was computed may hold places too, which are others for another picture: better
        # whatever is left.
        is_rest = isinstance(size, fx.Node) and not has_rest
        has_rest = has_rest or is_rest
        walk.follows(node, _at(place, axis - first), ids, is_rest=is_rest)
    return found


def _is_whole(size: Any) -> bool:
    return isinstance(size.meta.get("value") if isinstance(size, fx.Node) else size, int)


def _sizes(node: fx.Node) -> tuple[tuple[Any, ...], tuple[int | str, ...], int]:
    """The lengths given to a reshape, their place among the arguments, and the first axis that they
    are of.
    """
    if node.target in FLATTENS:
        return (), (), 0
    if node.target in UNFLATTENS:
        sizes, place = numbers(node, 2, "sizes")
        return sizes, place, argument(node, 1, "dim") % rank_of(node.all_input_nodes[0])
    sizes, place = numbers(node, 1, "size" if "size" in node.kwargs else "shape")
    return sizes, place, 0


def _at(place: tuple[int | str, ...], number: int) -> tuple[int | str, ...]:
    """The way to a number of a list, or of those that stand one by one behind the tensor."""
    return (*place, number) if place else (1 + number,)


def reshape_as(walk: Walk, node: fx.Node) -> Axes | None:
    """In the shape of another tensor: as many channels stay along each axis as there."""
    source = node.args[0]
    other = argument(node, 1, "other")
    if source not in walk.known or other not in walk.known:
        return None
    assert isinstance(source, fx.Node)
    found = reshaped(
        walk, walk.known[source], tuple(shape_of(source) or ()), tuple(shape_of(node) or ())
    )
    for ids, there in zip(found or (), walk.known[other], strict=False):
        if ids is not None and there is not None:
            walk.variables.as_many(ids, there)
        else:
            walk.same_axis(ids, there, why(walk, source, other))
    return found


def permute(walk: Walk, node: fx.Node) -> Axes | None:
    """Axes in another order."""
    source = source_of(walk, node)
    if source is None:
        return None
    axes = walk.known[source]
    rank = rank_of(source)
    order = list(range(rank))
    if node.target in TRANSPOSES:
        pair = argument(node, 1, "dim0"), argument(node, 2, "dim1")
        one, two = (0, 1) if pair == (None, None) and rank == 2 else pair
        if not isinstance(one, int) or not isinstance(two, int):
            return None
        order[one], order[two] = order[two], order[one]
    else:
        order = list(numbers(node, 1, "dims")[0])
    if len(order) != rank or not all(isinstance(axis, int) for axis in order):
        return None
    return tuple(axes[axis] for axis in order)


def squeeze(walk: Walk, node: fx.Node) -> Axes | None:
    """Axes of one place go, but not one that holds the only channel."""
    source = source_of(walk, node)
    axes = argument(node, 1, "dim")
    if isinstance(axes, int):
        axes = (axes,)
    if source is None or not axes:
        return None
    known = walk.known[source]
    if any(known[axis] is not None for axis in axes):  # of one channel, or once only one is left
        return None
    gone = {axis % len(known) for axis in axes if length(source, axis) == 1}
    return tuple(ids for axis, ids in enumerate(known) if axis not in gone)


def unsqueeze(walk: Walk, node: fx.Node) -> Axes | None:
    """An axis of one place comes."""
    source = source_of(walk, node)
    axis = argument(node, 1, "dim")
    if source is None or not isinstance(axis, int):
        return None
    known = walk.known[source]
    axis %= rank_of(source) + 1
    return (*known[:axis], None, *known[axis:])


def expand(walk: Walk, node: fx.Node) -> Axes | None:
    """Places repeated; a length of channels that is written out has to follow them."""
    source = source_of(walk, node)
    if source is None or counts_channels(walk, node):
        return None
    known = walk.known[source]
    added = rank_of(node) - rank_of(source)
    sizes, place = numbers(node, 1, "size")
    found: list[Ids | None] = [None] * added
    for axis, ids in enumerate(known, added):
        if ids is not None and length(node, axis) != len(ids):
            return None
        if ids is not None and sizes[axis] != -1:
            walk.follows(node, _at(place, axis), ids)
        found.append(ids)
    return tuple(found)
