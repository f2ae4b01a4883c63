"""Operators that write into what they read: made plain where that is safe, so that a graph shows
what depends on what.
"""

import inspect
import operator
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import fx
from torch.nn import functional

from handheld.networks.structure.nodes import spelled

_PLAIN: dict[Any, Any] = {
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    operator.itruediv: operator.truediv,
}
# What may give the memory of its source: writing there, or to what it gives, writes to both.
_VIEWS = {operator.getitem, operator.setitem} | spelled(
    "view",
    "reshape",
    "flatten",
    "unflatten",
    "transpose",
    "permute",
    "squeeze",
    "unsqueeze",
    "expand",
    "expand_as",
    "chunk",
    "split",
    "split_with_sizes",
    "unbind",
    "select",
    "slice",
    "narrow",
    "detach",
    "contiguous",
    "t",
    "alias",
    "view_as",
    "reshape_as",
    "float",
)


def make_plain(network: fx.GraphModule) -> fx.GraphModule:
    """Let a network write into nothing that it reads, and return it; whoever read what was written
    reads the result instead.

    What writes into a view of another tensor, or into a tensor that has views, stays as it is.
    """
    nodes = list(network.graph.nodes)
    positions = {node: position for position, node in enumerate(nodes)}
    writers = [node for node in nodes if is_in_place(network, node)]
    kept = {node.target for node in writers if not _is_alone(network, node)}
    for node in writers:
        # A layer is plain or not for all of its calls. And one that was alone need not be now.
        is_kept_layer = node.op == "call_module" and node.target in kept
        if is_kept_layer or (node.target in kept and not _is_alone(network, node)):
            continue
        source = node.all_input_nodes[0]
        _write_plainly(network, node)
        source.replace_all_uses_with(node, _is_behind(positions, node))
    network.recompile()
    return network


def _is_behind(positions: dict[fx.Node, int], node: fx.Node) -> Any:
    """Return what says whether a node comes after this one."""
    return lambda user: positions[user] > positions[node]


def without_unread(network: fx.GraphModule) -> fx.GraphModule:
    """Remove what nobody reads from a graph, but not what writes into something else, and return
    it.
    """
    network.graph.eliminate_dead_code(lambda node: node.is_impure() or is_in_place(network, node))
    network.delete_all_unused_submodules()
    network.recompile()
    return network


def is_in_place(network: fx.GraphModule, node: fx.Node) -> bool:
    """Whether a node changes what it reads."""
    if node.op == "call_module":
        return bool(getattr(network.get_submodule(str(node.target)), "inplace", False))
    if node.op not in ("call_function", "call_method"):
        return False
    if node.target in _PLAIN or node.target is operator.setitem:
        return True
    name = _name(node)
    # Two underscores end Python's own names, such as __and__.
    is_marked = name.endswith("_") and not name.endswith("__")
    return is_marked or _asked(node) is not None


def _name(node: fx.Node) -> str:
    if isinstance(node.target, torch._ops.OpOverload):
        return node.target._schema.name.partition("::")[2]
    return str(getattr(node.target, "__name__", node.target))


def _asked(node: fx.Node) -> inspect.BoundArguments | None:
    """The arguments that a function was called with, if it was asked to work in place."""
    function = cast(Callable[..., Any], node.target)
    if node.op != "call_function":
        return None
    if getattr(functional, _name(node), None) is not function:
        return None
    try:
        bound = inspect.signature(function).bind(*node.args, **node.kwargs)
    except (TypeError, ValueError):
        # Functions of C have no signature, and no such argument.
        return None
    if bound.arguments.get("inplace") is True:
        return bound
    return None


def _is_alone(network: fx.GraphModule, node: fx.Node) -> bool:
    """Whether what a node writes into is no view, has none, and the node has a plain form."""
    if not node.all_input_nodes or node.target is operator.setitem:
        return False
    source = node.all_input_nodes[0]
    if source.op in ("placeholder", "get_attr") or source.target in _VIEWS:
        return False
    if any(user.target in _VIEWS for user in source.users):
        return False
    return _plain(node) is not None


def _plain(node: fx.Node) -> Any:
    """The target that computes the same into a new tensor; None if there is none."""
    target: Any = node.target
    if target in _PLAIN:
        return _PLAIN[target]
    if node.op == "call_module" or _asked(node) is not None:
        return target
    name = _name(node).removesuffix("_")
    if node.op == "call_method":
        if hasattr(torch.Tensor, name):
            return name
        return None
    if isinstance(target, torch._ops.OpOverload):
        return getattr(getattr(torch.ops.aten, name, None), target._overloadname, None)
    return getattr(torch, name, getattr(functional, name, None))


def _write_plainly(network: fx.GraphModule, node: fx.Node) -> None:
    bound = _asked(node)
    if node.op == "call_module":
        layer: Any = network.get_submodule(str(node.target))
        layer.inplace = False
    elif bound is not None:
        bound.arguments["inplace"] = False
        node.args = bound.args
        node.kwargs = bound.kwargs
    else:
        node.target = _plain(node)
