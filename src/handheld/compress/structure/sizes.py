"""Shapes and lengths that a network reads from its tensors: those that change when channels go."""

from typing import Any

from torch import fx

from handheld.compress.structure.arranging import argument
from handheld.compress.structure.trace import shape_of
from handheld.compress.structure.variables import Walk

_WHOLE = slice(None)


def reads_size(walk: Walk, node: fx.Node) -> bool:
    """Whether a node is a shape or a length of a tensor; one that holds a number of channels is written down as a count."""
    if node.target in ("dim", "ndimension") or (node.target is getattr and node.args[1] in ("ndim", "dtype", "device")):
        return True
    tensor, index = _question(node)
    if tensor is None or tensor not in walk.known:
        return False
    rank = len(shape_of(tensor) or ())
    read = range(rank)[index] if isinstance(index, slice) else [index % rank] if isinstance(index, int) and rank else [1]
    if 1 in read:
        walk.counts[node] = walk.known[tensor]
    return True


def _question(node: fx.Node) -> tuple[fx.Node | None, Any]:
    """The tensor whose shape a node reads, and which part of it."""
    source = node.args[0] if node.args else None
    if not isinstance(source, fx.Node):
        return None, None
    if node.target == "size":
        return source, argument(node, 1, "dim", _WHOLE)
    if node.target is getattr:
        return (source, _WHOLE) if node.args[1] == "shape" else (None, None)
    tensor, index = _question(source) if source.target == "size" or source.target is getattr else (None, None)
    return (tensor, argument(node, 1, "index")) if index == _WHOLE and node.op == "call_function" else (None, None)
