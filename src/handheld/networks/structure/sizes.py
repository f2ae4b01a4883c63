"""Numbers that a network reads from the shapes of its tensors, which change when channels go."""

import operator
from typing import Any

from torch import fx

from handheld.networks.structure.nodes import argument, calls, spelled
from handheld.networks.structure.variables import Axes, Ids, Walk

_WHOLE_SHAPE = slice(None)
_RANKS = {"dim", "ndimension"}
_ATTRIBUTES = {"ndim", "dtype", "device"}
_SIZE = {"size", *spelled("sym_size")}
# What computes a number from numbers alone; of tensors these are rules of their own.
_ARITHMETIC = {
    operator.add,
    operator.sub,
    operator.mul,
    operator.floordiv,
    operator.truediv,
    operator.mod,
    operator.neg,
    operator.getitem,
    int,
    round,
    max,
    min,
}


def reads_number(walk: Walk, node: fx.Node) -> bool:
    """Whether a node is a shape, or numbers; which numbers of channels these are computed from is
    written down.
    """
    counted = _counted(walk, node)
    if counted is None:
        return False
    walk.numbers.add(node)
    if counted:
        walk.counts[node] = counted
    return True


def _counted(walk: Walk, node: fx.Node) -> tuple[Ids, ...] | None:
    """The channels that a number depends on; None for what is no number."""
    if calls(node, _RANKS) or (node.target is getattr and node.args[1] in _ATTRIBUTES):
        # Cutting leaves ranks and types as they are.
        return ()
    tensor, index = _question(node)
    if tensor is not None and tensor in walk.known:
        return _along(walk.known[tensor], index)
    if calls(node, _ARITHMETIC):
        return _computed(walk, node)
    return None


def _computed(walk: Walk, node: fx.Node) -> tuple[Ids, ...] | None:
    """The channels of the numbers that a number is computed from; None where it is a tensor."""
    # Of no other node it is a constant, and of a tensor it is a tensor.
    sources = node.all_input_nodes
    if not sources or not walk.numbers.issuperset(sources):
        return None
    counted: list[Ids] = []
    for source in sources:
        counted += walk.counts.get(source, ())
    return tuple(counted)


def _along(axes: Axes, index: Any) -> tuple[Ids, ...]:
    """The channels along one axis, or along a slice of them; along all where that is not known."""
    # -1 counts from the last here as it does for a shape.
    if isinstance(index, slice):
        axes = axes[index]
    elif isinstance(index, int) and axes:
        axes = (axes[index],)
    return tuple(ids for ids in axes if ids is not None)


def _question(node: fx.Node) -> tuple[fx.Node | None, Any]:
    """The tensor whose shape a node reads, and which entries of it."""
    source = node.args[0] if node.args else None
    if not isinstance(source, fx.Node):
        return None, None
    if calls(node, _SIZE):
        return source, argument(node, 1, "dim", _WHOLE_SHAPE)
    if node.target is getattr:
        if node.args[1] == "shape":
            return (source, _WHOLE_SHAPE)
        return (None, None)
    if node.op == "call_function" and (calls(source, _SIZE) or source.target is getattr):
        return _entry(node, source)
    return None, None


def _entry(node: fx.Node, shape: fx.Node) -> tuple[fx.Node | None, Any]:
    """The tensor and entry, where a node takes one of a shape that another node reads whole."""
    tensor, index = _question(shape)
    if index == _WHOLE_SHAPE:
        return tensor, argument(node, 1, "index")
    return None, None
