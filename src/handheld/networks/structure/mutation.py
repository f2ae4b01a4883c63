"""Operators that write into what they read: made plain where that is safe, so that a graph shows
what depends on what.
"""

import inspect
import operator
from typing import Any

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
_VIEWS = spelled(
    "view", "reshape", "flatten", "unflatten", "transpose", "permute", "squeeze", "unsqueeze", "expand", "expand_as", "chunk",
    "split", "split_with_sizes", "unbind", "select", "slice", "narrow", "detach", "contiguous", "t", "alias", "view_as",
    "reshape_as", "float",
) | {operator.getitem, operator.setitem}  # fmt: skip


def make_plain(network: fx.GraphModule) -> fx.GraphModule:
    """Let a network write into nothing that it reads, and return it; whoever read what was written
    reads the result instead.

    What writes into a view of another tensor, or into a tensor that has views, stays as it is.
    """
    writers = [node for node in network.graph.nodes if is_in_place(network, node)]
    places = {node: place for place, node in enumerate(network.graph.nodes)}
    kept = {node.target for node in writers if not _is_alone(network, node)}
    for node in writers:
        if node.target in kept and (node.op == "call_module" or not _is_alone(network, node)):
            continue
        source = node.all_input_nodes[0]
        _write_plainly(network, node)
        source.replace_all_uses_with(node, lambda user, after=places[node]: places[user] > after)
    network.recompile()
    return network


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
    name = _name(node)
    is_named = name.endswith("_") and not name.endswith("__")
    return (
        is_named
        or node.target in _PLAIN
        or node.target is operator.setitem
        or _asked(node) is not None
    )


def _name(node: fx.Node) -> str:
    if isinstance(node.target, torch._ops.OpOverload):
        return node.target._schema.name.partition("::")[2]
    return str(getattr(node.target, "__name__", node.target))


def _asked(node: fx.Node) -> Any:
    """The signature that a function was called with, if it was asked to work in place."""
    if node.op != "call_function" or getattr(functional, _name(node), None) is not node.target:
        return None
    try:
        bound = inspect.signature(node.target).bind(*node.args, **node.kwargs)
    except (TypeError, ValueError):
        return None
    return bound if bound.arguments.get("inplace") is True else None


def _is_alone(network: fx.GraphModule, node: fx.Node) -> bool:
    """Whether what a node writes into is no view, has none, and the node has a plain form."""
    if not node.all_input_nodes or node.target is operator.setitem:
        return False
    source = node.all_input_nodes[0]
    if source.op in ("placeholder", "get_attr") or source.target in _VIEWS:
        return False
    return (
        not any(user.target in _VIEWS for user in source.users)
        and _plain(network, node) is not None
    )


def _plain(network: fx.GraphModule, node: fx.Node) -> Any:
    """The target that computes the same into a new tensor; None if there is none."""
    if node.op == "call_module" or _asked(node) is not None or node.target in _PLAIN:
        target: Any = node.target
        return _PLAIN.get(target, target)
    name = _name(node).removesuffix("_")
    if node.op == "call_method":
        return name if hasattr(torch.Tensor, name) else None
    if isinstance(node.target, torch._ops.OpOverload):
        return getattr(getattr(torch.ops.aten, name, None), node.target._overloadname, None)
    return getattr(torch, name, getattr(functional, name, None))


def _write_plainly(network: fx.GraphModule, node: fx.Node) -> None:
    bound = _asked(node)
    if node.op == "call_module":
        network.get_submodule(str(node.target)).inplace = False  # type: ignore[assignment]
    elif bound is not None:
        bound.arguments["inplace"] = False
        node.args = bound.args
        node.kwargs = bound.kwargs
    else:
        node.target = _plain(network, node)
