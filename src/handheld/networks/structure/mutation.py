"""Operators that write into what they read: made plain where that is safe, so that a graph shows
what depends on what.
"""

import inspect
import operator
from collections.abc import Callable
from functools import partial
from itertools import takewhile
from typing import Any, cast

import torch
from torch import fx
from torch.nn import functional

from handheld.networks.structure.execution import Memory, memory_of

_PLAIN: dict[Any, Any] = {
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    operator.itruediv: operator.truediv,
}


class Writers:
    """The nodes of a graph that write into what they read, and into whose memory.

    Which nodes share memory is seen on an example: a list of the operators and layers that give the
    memory of what they read would never be whole, and some do only where they need not copy.

    Args:
        network: not changed here; where a node is made plain later, no more memory is shared.
        example: (batch, ...) an input.

    Attributes:
        nodes: that write, in the graph's order.
    """

    def __init__(self, network: fx.GraphModule, example: torch.Tensor):
        nodes = list(network.graph.nodes)
        self._positions = {node: position for position, node in enumerate(nodes)}
        writing = (node for node in nodes if is_in_place(network, node))
        # One that reads nothing writes into nothing that anybody else could read.
        self.nodes = [node for node in writing if node.all_input_nodes]
        # Most networks write nowhere, and need not run.
        self._memory: Memory = memory_of(network, example) if self.nodes else {}

    def is_behind(self, node: fx.Node, other: fx.Node) -> bool:
        """Whether a node comes after another."""
        return self._positions[node] > self._positions[other]

    def share(self, node: fx.Node, other: fx.Node) -> bool:
        """Whether two nodes hold the same memory."""
        return not self._memory[node].isdisjoint(self._memory[other])

    def is_written_behind(self, position: fx.Node, node: fx.Node) -> bool:
        """Whether somebody writes into the memory of a node, after another."""
        later = (writer for writer in self.nodes if self.is_behind(writer, position))
        return any(self.share(writer.all_input_nodes[0], node) for writer in later)

    def is_seen(self, writer: fx.Node) -> bool:
        """Whether others see what a node writes than those who read its source, or what it gives:
        the caller, the next run, or who reads the memory through another node.
        """
        source = writer.all_input_nodes[0]
        earlier = takewhile(lambda node: node is not writer, self._positions)
        return any(
            self.share(node, source) and self._shows(node, writer, source) for node in earlier
        )

    def _shows(self, node: fx.Node, writer: fx.Node, source: fx.Node) -> bool:
        """Whether somebody else sees through a node what is written into the memory of both."""
        if node.op in ("placeholder", "get_attr"):
            return True
        # Who reads the source itself will read what the writer gives.
        return node is not source and any(self.is_behind(user, writer) for user in node.users)


def make_plain(network: fx.GraphModule, example: torch.Tensor) -> fx.GraphModule:
    """Let a network write into nothing that it reads, and return it; whoever read what was written
    reads the result instead.

    What others see, through a view or behind the call, is written as before.

    Args:
        network: changed in place.
        example: (batch, ...) an input.

    Raises:
        CompileError: the network fails on the example.
    """
    writers = Writers(network, example)
    kept_layers = _seen_layers(writers)
    for node in writers.nodes:
        is_kept = node.op == "call_module" and node.target in kept_layers
        if is_kept or _plain(node) is None or writers.is_seen(node):
            continue
        source = node.all_input_nodes[0]
        _write_plainly(network, node)
        # Who read the source before it was written read something else.
        source.replace_all_uses_with(node, partial(writers.is_behind, other=node))
    network.recompile()
    return network


def _seen_layers(writers: Writers) -> set[Any]:
    """Return the layers that write what others see, in any of their calls."""
    seen: set[Any] = set()
    for node in writers.nodes:
        # A layer is plain or not for all of its calls.
        if node.op == "call_module" and writers.is_seen(node):
            seen.add(node.target)
    return seen


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


def _plain(node: fx.Node) -> Any:
    """The target that computes the same into a new tensor; None if there is none."""
    target: Any = node.target
    if target is operator.setitem:
        return None
    if target in _PLAIN:
        return _PLAIN[target]
    if node.op == "call_module" or _asked(node) is not None:
        return target
    # By torch's habit: what writes is called as what does not, with an underscore behind.
    name = _name(node).removesuffix("_")
    if node.op == "call_method":
        return _plain_method(name)
    if isinstance(target, torch._ops.OpOverload):
        overloads = getattr(torch.ops.aten, name, None)
        return getattr(overloads, target._overloadname, None)
    return getattr(torch, name, getattr(functional, name, None))


def _plain_method(name: str) -> str | None:
    # And not an attribute: what requires_grad_ sets is no tensor.
    if callable(getattr(torch.Tensor, name, None)):
        return name
    return None


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
