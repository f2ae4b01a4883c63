"""Modules whose ``forward`` cannot be followed symbolically, as graphs: through ``torch.export``.

The exported program knows operators alone. Here the operators of each of torch's own layers become
a call of that layer again, so that batch normalisation has two modes, a layer keeps its name, and
one table of layers serves both ways to trace.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from inspect import signature
from itertools import pairwise
from typing import Any, NamedTuple, cast

import torch
from torch import fx, nn
from torch.utils import _pytree as pytree

from handheld.networks.structure.layers import kind_of
from handheld.networks.structure.mutation import without_unread


def as_graph(module: nn.Module, example: torch.Tensor) -> fx.GraphModule:
    """Return a module in evaluation mode as a graph of its layers and of operators; outputs of any
    structure become plain ones.

    Args:
        module: owned by the caller; the graph calls its layers.
        example: (batch, ...) its one input. The batch is open, and so are the places of a picture
            where the module allows it.

    Raises:
        Exception: whatever ``torch.export`` makes of a module that it cannot follow.
    """
    axes: dict[int, Any] = {0: torch.export.Dim.DYNAMIC}
    if example.dim() > 3:
        axes.update(dict.fromkeys(range(2, example.dim()), torch.export.Dim.AUTO))
    shapes: tuple[Any, ...] = (axes,)
    # As torch.compile, DataParallel and decorators do: all arguments are one then.
    if _takes_any(module):
        shapes = (shapes,)
    # Not strict: torch then runs the module in place of reading its bytecode, which fails on more.
    with _by_layers():
        program = torch.export.export(module, (example,), dynamic_shapes=shapes, strict=False)
    return _Rebuilt(module, program).graph_module()


def _takes_any(module: nn.Module) -> bool:
    """Whether a module's first argument is ``*args``."""
    parameters = iter(signature(module.forward).parameters.values())
    first = next(parameters, None)
    return first is not None and first.kind is first.VAR_POSITIONAL


@contextmanager
def _by_layers() -> Iterator[None]:
    """Let torch's transformers call their layers: where nothing learns they would become one
    operator.
    """
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


class _Call(NamedTuple):
    """A call of a module: its name, which is another for each call, and the module's."""

    name: str
    module: str


class _Rebuilt:
    """A graph in the making from an exported program."""

    def __init__(self, module: nn.Module, program: torch.export.ExportedProgram):
        self._module = module
        self._program = program
        self._graph = fx.Graph()
        self._layers = dict(module.named_modules(remove_duplicate=False))
        # One name for a layer that has several: the first.
        self._names: dict[nn.Module, str] = {}
        for name, layer in module.named_modules():
            self._names[layer] = name
        # The nodes of the program that each call of a module became.
        self._calls: dict[_Call | None, list[fx.Node]] = {}
        for node in program.graph.nodes:
            self._calls.setdefault(_call_of(node), []).append(node)
        # The node of the new graph in place of each of the program's.
        self._new: dict[fx.Node, fx.Node] = {}

    def graph_module(self) -> fx.GraphModule:
        """Build it."""
        signature = self._program.graph_signature
        specs = {spec.arg.name: spec for spec in signature.input_specs}
        for node in self._program.graph.nodes:
            if node.op == "placeholder":
                self._input(node, specs[node.name].target)
            elif node.op == "output":
                self._output(node)
            else:
                self._operator(node)
        network = fx.GraphModule(self._module, self._graph, type(self._module).__name__)
        return without_unread(network)

    def _input(self, node: fx.Node, name: str | None) -> None:
        """Take over an input: of the module, where it has no name, or a tensor that it holds."""
        if name is None:
            self._new[node] = self._graph.placeholder(node.name)
        elif _has(self._module, name):
            self._register(name)
            self._new[node] = self._graph.get_attr(name)
        elif name in self._program.constants:
            # A tensor that forward makes is the program's, not the module's.
            constant = self._program.constants[name].detach()
            self._module.register_buffer(node.name, constant, persistent=True)
            self._new[node] = self._graph.get_attr(node.name)

    def _register(self, name: str) -> None:
        """Make a tensor that is a plain attribute a buffer, so that it is saved and moved with the
        others.
        """
        owner, _, attribute = name.rpartition(".")
        holder = self._module.get_submodule(owner)
        tensor = getattr(holder, attribute)
        # torch takes no buffer under a name that is an attribute already.
        if attribute not in holder._parameters and attribute not in holder._buffers:
            delattr(holder, attribute)
            holder.register_buffer(attribute, tensor)

    def _operator(self, node: fx.Node) -> None:
        """Take over an operator, or call the layer whose operators end here."""
        call = _call_of(node)
        name = self._layer_of(call)
        if name is None:
            self._copy(node)
            return
        nodes = self._calls[call]
        sources = self._sources(nodes, name)
        results = _results(nodes)
        # What another reads from the inside of a layer would be lost with it.
        if len(sources) != 1 or len(results) != 1 or not _in_a_row(nodes):
            self._copy(node)
        elif node is nodes[-1]:
            self._new[results[0]] = self._graph.call_module(name, (self._new[sources[0]],))

    def _copy(self, node: fx.Node) -> None:
        self._new[node] = self._graph.node_copy(node, self._new.__getitem__)

    def _layer_of(self, call: _Call | None) -> str | None:
        """Return the name of the layer that is called; None for no call, or of no known layer."""
        if call is None or call.module not in self._layers:
            return None
        layer = self._layers[call.module]
        if kind_of(layer) is None:
            return None
        return self._names[layer]

    def _sources(self, nodes: list[fx.Node], layer: str) -> list[fx.Node]:
        """Return what the operators of a layer read beside each other and its parameters."""
        read: set[fx.Node] = set()
        for node in nodes:
            read.update(node.all_input_nodes)
        read -= set(nodes)
        return [source for source in read if not self._is_held(source, layer)]

    def _is_held(self, source: fx.Node, layer: str) -> bool:
        """Whether a node is a parameter or buffer of a layer, under any of its names."""
        new = self._new.get(source)
        if new is None or new.op != "get_attr":
            return False
        tensor = _tensor(self._module, str(new.target))
        owner = self._module.get_submodule(layer)
        return any(tensor is held for held in (*owner.parameters(), *owner.buffers()))

    def _output(self, node: fx.Node) -> None:
        signature = self._program.graph_signature
        # Before the module's own outputs stand the buffers that it changed.
        changed = len(signature.output_specs) - len(signature.user_outputs)
        values = cast(Sequence[Any], node.args[0])[changed:]
        # A module may return numbers and None as they are.
        results = [self._new.get(value, value) for value in values]
        spec = self._program.call_spec.out_spec
        assert spec is not None  # torch has none only for programs that it read from a file
        self._graph.output(_plain(pytree.tree_unflatten(results, spec)))


def _call_of(node: fx.Node) -> _Call | None:
    """Return which call of which module a node belongs to: of the innermost."""
    stack = list(node.meta.get("nn_module_stack", {}).items())
    if not stack:
        return None
    name, (module, _) = stack[-1]
    return _Call(name, module)


def _results(nodes: list[fx.Node]) -> list[fx.Node]:
    """Return those of some nodes that others read."""
    inside = set(nodes)
    return [node for node in nodes if not inside.issuperset(node.users)]


def _in_a_row(nodes: list[fx.Node]) -> bool:
    return all(node.next is after for node, after in pairwise(nodes))


def _has(module: nn.Module, name: str) -> bool:
    try:
        return isinstance(_tensor(module, name), torch.Tensor)
    except AttributeError:
        return False


def _tensor(module: nn.Module, name: str) -> Any:
    owner, _, attribute = name.rpartition(".")
    return getattr(module.get_submodule(owner), attribute)


def _plain(output: Any) -> Any:
    """Return an output as tuples and dictionaries: a library's own class of results is a dictionary
    by another name.
    """
    if isinstance(output, Mapping):
        return {key: _plain(value) for key, value in output.items() if value is not None}
    if type(output) is list:
        return [_plain(value) for value in output]
    if isinstance(output, tuple | list):
        return tuple(_plain(value) for value in output)
    return output
