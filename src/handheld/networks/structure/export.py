"""Modules whose ``forward`` cannot be followed symbolically, as graphs: through ``torch.export``.

The exported program knows operators alone. Here the operators of each of torch's own layers become
a call of that layer again, so that batch normalisation has two modes, a layer keeps its name, and
one table of layers serves both ways to trace.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, cast

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
    auto = torch.export.Dim.AUTO
    axes = {
        0: torch.export.Dim.DYNAMIC,
        **dict.fromkeys(range(2, example.dim()) if example.dim() > 3 else (), auto),
    }
    with _by_layers():
        program = torch.export.export(module, (example,), dynamic_shapes=(axes,), strict=False)
    return _Rebuilt(module, program).graph_module()


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


class _Rebuilt:
    """A graph in the making from an exported program."""

    def __init__(self, module: nn.Module, program: torch.export.ExportedProgram):
        self._module = module
        self._program = program
        self._graph = fx.Graph()
        names = {layer: name for name, layer in reversed(list(module.named_modules()))}
        everywhere = module.named_modules(remove_duplicate=False)
        self._layers = {
            name: (names[layer], layer) for name, layer in everywhere
        }  # one name for a layer that has several
        self._calls: dict[tuple[str, str] | None, list[fx.Node]] = {}
        for node in program.graph.nodes:
            self._calls.setdefault(_call_of(node), []).append(node)
        self._new: dict[fx.Node, fx.Node] = {}

    def graph_module(self) -> fx.GraphModule:
        """Build it."""
        kinds = {spec.arg.name: spec for spec in self._program.graph_signature.input_specs}
        for node in self._program.graph.nodes:
            if node.op == "placeholder":
                self._input(node, kinds[node.name])
            elif node.op == "output":
                self._output(node)
            else:
                self._operator(node)
        network = fx.GraphModule(self._module, self._graph, type(self._module).__name__)
        return without_unread(network)

    def _input(self, node: fx.Node, spec: Any) -> None:
        if spec.target is None:
            self._new[node] = self._graph.placeholder(node.name)
            return
        if spec.target in self._program.constants and not _has(self._module, spec.target):
            self._module.register_buffer(
                node.name, self._program.constants[spec.target].detach(), persistent=True
            )
            self._new[node] = self._graph.get_attr(node.name)
        elif _has(self._module, spec.target):
            self._own(spec.target)
            self._new[node] = self._graph.get_attr(spec.target)

    def _own(self, name: str) -> None:
        """Make a tensor that is a plain attribute a buffer, so that it is saved and moved with the
        others.
        """
        owner, _, attribute = name.rpartition(".")
        holder = self._module.get_submodule(owner)
        tensor = getattr(holder, attribute)
        if attribute not in holder._parameters and attribute not in holder._buffers:
            delattr(holder, attribute)
            holder.register_buffer(attribute, tensor)

    def _operator(self, node: fx.Node) -> None:
        call = _call_of(node)
        if call is None or not self._is_layer(call):
            self._new[node] = self._graph.node_copy(node, self._new.__getitem__)
            return
        calls = self._calls[call]
        inside = set(calls)
        name, _ = self._layers[call[1]]
        read = {source for other in calls for source in other.all_input_nodes} - inside
        sources = [source for source in read if not self._is_own(source, name)]
        results = [other for other in calls if any(user not in inside for user in other.users)]
        if len(sources) != 1 or len(results) != 1 or not _in_a_row(calls):
            self._new[node] = self._graph.node_copy(node, self._new.__getitem__)
        elif node is calls[-1]:
            self._new[results[0]] = self._graph.call_module(name, (self._new[sources[0]],))

    def _is_layer(self, call: tuple[str, str]) -> bool:
        _, layer = self._layers.get(call[1], ("", None))
        return layer is not None and kind_of(layer) is not None

    def _is_own(self, source: fx.Node, layer: str) -> bool:
        """Whether a node is a parameter or buffer of a layer, under any of its names."""
        new = self._new.get(source)
        if new is None or new.op != "get_attr":
            return False
        tensor = _tensor(self._module, str(new.target))
        owner = self._module.get_submodule(layer)
        return any(tensor is own for own in (*owner.parameters(), *owner.buffers()))

    def _output(self, node: fx.Node) -> None:
        signature = self._program.graph_signature
        count = len(signature.output_specs) - len(signature.user_outputs)
        returned = cast(Sequence[Any], node.args[0])[count:]
        results = [self._new[one] if isinstance(one, fx.Node) else one for one in returned]
        spec = self._program.call_spec.out_spec
        assert spec is not None
        self._graph.output(_plain(pytree.tree_unflatten(results, spec)))


def _call_of(node: fx.Node) -> tuple[str, str] | None:
    """Which call of which module a node is part of: the name of the call, and that of the module."""
    stack = list(node.meta.get("nn_module_stack", {}).items())
    return (stack[-1][0], stack[-1][1][0]) if stack else None


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
    if isinstance(output, tuple | list):
        return (
            type(output)(map(_plain, output))
            if type(output) in (tuple, list)
            else tuple(map(_plain, output))
        )
    return output
