"""What operators have in common: the tensor that they read, and tensors that meet along an axis."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import fx

from handheld.networks.structure.nodes import rank_of, shape_of
from handheld.networks.structure.variables import Axes, Ids, Walk

_STAYS = "it meets an axis that stays as it is"


def source_of(walk: Walk, node: fx.Node) -> fx.Node | None:
    """The one tensor that a node reads, which has to be its first argument."""
    first = node.args[0] if node.args else None
    if not isinstance(first, fx.Node) or not is_known(walk, first):
        return None
    others = [other for other in node.all_input_nodes if other is not first]
    return None if any(other not in walk.numbers for other in others) else first


def is_known(walk: Walk, value: Any) -> bool:
    """Whether an argument is a tensor whose channels are known."""
    return isinstance(value, fx.Node) and value in walk.known and shape_of(value) is not None


def counts_channels(walk: Walk, node: fx.Node) -> bool:
    """Whether a node reads a number of channels."""
    return any(other in walk.counts for other in node.all_input_nodes)


def length(node: fx.Node, axis: int) -> int:
    """Return the length of an axis of what a node gives."""
    return int((shape_of(node) or ())[axis])


def joined(walk: Walk, sources: Sequence[fx.Node], axis: int, wanted: int) -> Ids | None:
    """The channels along an axis, counted from the last, of tensors that meet there and are
    broadcast to a length.
    """
    here = [source for source in sources if rank_of(source) >= -axis]
    wide = [source for source in here if length(source, axis) == wanted]
    for source in here:
        if source not in wide:
            walk.variables.pin(
                walk.known[source][axis], "it is broadcast over an axis of another layer"
            )
    found = walk.known[wide[0]][axis]
    for before, source in pairwise(wide):
        found = walk.same_axis(found, walk.known[source][axis], why(walk, source, before))
    return found


def all_joined(
    walk: Walk, sources: Sequence[fx.Node], lengths: Sequence[int], *, below: int = 0
) -> Axes:
    """The channels along all axes but the last ``below`` of tensors that are broadcast to some
    lengths.
    """
    return tuple(
        joined(walk, sources, axis - len(lengths), lengths[axis])
        for axis in range(len(lengths) - below)
    )


def why(walk: Walk, *nodes: fx.Node) -> str:
    """Return why an axis of one of some tensors stays."""
    return next((walk.stays[node] for node in nodes if node in walk.stays), _STAYS)
