"""Numbers that a network reads from the shapes of its tensors: those that change when channels go."""

import operator
from typing import Any

from torch import fx

from handheld.networks.structure.nodes import argument, spelled
from handheld.networks.structure.variables import Ids, Walk

_WHOLE = slice(None)
_RANKS = {"dim", "ndimension"}
_ATTRIBUTES = {"ndim", "dtype", "device"}
_SIZE = {"size", *spelled("sym_size")}
_ARITHMETIC = {
    operator.add, operator.sub, operator.mul, operator.floordiv, operator.truediv, operator.mod, operator.neg, operator.getitem,
    int, round, max, min,
}  # fmt: skip


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
    if node.target in _RANKS or (node.target is getattr and node.args[1] in _ATTRIBUTES):
        return ()
    tensor, index = _question(node)
    if tensor is not None and tensor in walk.known:
        axes = walk.known[tensor]
        read = (
            axes[index]
            if isinstance(index, slice)
            else (axes[index],)
            if isinstance(index, int) and axes
            else axes
        )
        return tuple(ids for ids in read if ids is not None)
    sources = node.all_input_nodes
    if node.target in _ARITHMETIC and sources and all(source in walk.numbers for source in sources):
        return tuple(ids for source in sources for ids in walk.counts.get(source, ()))
    return None


def _question(node: fx.Node) -> tuple[fx.Node | None, Any]:
    """The tensor whose shape a node reads, and which part of it."""
    source = node.args[0] if node.args else None
    if not isinstance(source, fx.Node):
        return None, None
    if node.target in _SIZE:
        return source, argument(node, 1, "dim", _WHOLE)
    if node.target is getattr:
        return (source, _WHOLE) if node.args[1] == "shape" else (None, None)
    tensor, index = (
        _question(source) if source.target in _SIZE or source.target is getattr else (None, None)
    )
    return (
        (tensor, argument(node, 1, "index"))
        if index == _WHOLE and node.op == "call_function"
        else (None, None)
    )
