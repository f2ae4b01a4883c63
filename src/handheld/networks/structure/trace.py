"""A module as a graph of operators, with shapes."""

from typing import Any

import numpy as np
import torch
from torch import fx, nn

from handheld._copies import copied
from handheld.errors import CompileError, InputError
from handheld.networks.structure.attention import open_attention
from handheld.networks.structure.channels import channels_of
from handheld.networks.structure.execution import NodeWatch
from handheld.networks.structure.export import as_graph
from handheld.networks.structure.functional import call_layers
from handheld.networks.structure.layers import kind_of
from handheld.networks.structure.lengths import lengths_after, set_lengths
from handheld.networks.structure.mutation import make_plain, without_unread
from handheld.networks.structure.names import note_packed
from handheld.networks.structure.nodes import argument, calls, shape_of, spelled

ATTENTION = spelled("scaled_dot_product_attention")

_SCALE_POSITION = 6  # of scaled_dot_product_attention's scale among its arguments

# torch's own layers are whole for its tracer; the rules know those that these consist of.
_OF_LAYERS = (
    nn.Transformer,
    nn.TransformerEncoder,
    nn.TransformerEncoderLayer,
    nn.TransformerDecoder,
    nn.TransformerDecoderLayer,
)


def trace(module: nn.Module, example: torch.Tensor) -> fx.GraphModule:
    """Return a copy of a module as a graph whose nodes know their shapes.

    The copy is on the CPU and in evaluation mode. What ``forward`` does only while training, other
    than by layers such as :class:`torch.nn.Dropout`, is not in it.

    Args:
        module: whose ``forward`` takes one tensor and has no branches that depend on values; it may
            give any structure of tensors, which are tuples and dictionaries in the graph.
        example: (batch, ...) an input of two examples or more.

    Raises:
        CompileError: the module cannot be traced, or fails on the example.
        InputError: the example is no tensor, or an empty one, or the module none that can be
            copied.
    """
    _check_example(example)
    copy = copied(module).cpu().eval()
    packed = open_attention(copy)
    network = _as_graph(copy, example)
    note_packed(network, packed)
    # Calls of layers are made last: what nobody reads would be taken for a layer's weights.
    network = call_layers(without_unread(make_plain(network, example)), copy)
    # Numbers that are written out now have been computed by nodes that nobody reads any more.
    return without_unread(_settled(with_shapes(network, example)))


def _check_example(example: object) -> None:
    if isinstance(example, torch.Tensor):
        if not example.numel():
            # Of no examples everything costs nothing, which nothing can be a share of.
            raise InputError(f"expected an example with numbers in it, got {list(example.shape)}")
        return
    description = type(example).__name__
    if isinstance(example, tuple):
        description = "a tuple, of which the module would have to take one"
    raise InputError(f"expected one tensor (batch, ...) as an example, got {description}")


def _as_graph(module: nn.Module, example: torch.Tensor) -> fx.GraphModule:
    try:
        return _Tracer().graph_module(module)
    except Exception:
        # Whatever the module's own code raises when it is given a stand-in for a tensor.
        return _exported(module, example)


class _Tracer(fx.Tracer):
    """Keeps the layers that the rules know whole, subclasses that compute as these too."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module is one node."""
        if kind_of(m) is not None:
            return True
        if isinstance(m, _OF_LAYERS):
            return False
        return super().is_leaf_module(m, module_qualified_name)

    def graph_module(self, module: nn.Module) -> fx.GraphModule:
        """Trace a module."""
        return fx.GraphModule(module, self.trace(module), type(module).__name__)


def _exported(module: nn.Module, example: torch.Tensor) -> fx.GraphModule:
    """Trace by running the module, where its code cannot be followed with a stand-in."""
    try:
        return as_graph(module, example)
    except Exception as error:
        # What torch.export makes of a module that it cannot follow, or the module itself.
        raise CompileError(
            f"{type(module).__name__} cannot be traced, so its structure is not known: "
            f"{_first_line(error)}. Its forward must take one tensor and not branch or loop on "
            "values: use torch.where, or move such a part out of the module"
        ) from error


def _first_line(error: Exception) -> str:
    """Return what an error says first: torch.export's go on for pages."""
    for line in str(error).splitlines():
        if line.strip():
            return line
    return type(error).__name__


def _settled(network: fx.GraphModule) -> fx.GraphModule:
    """Write out numbers that are computed from numbers of channels and would not follow these."""
    for node in network.graph.nodes:
        if calls(node, ATTENTION):
            _write_scale(node)
    set_lengths(network, lengths_after(channels_of(network), np.empty(0, np.int64)))
    return network


def _write_scale(node: fx.Node) -> None:
    """Fix the scale of an attention: by default it would change with the number of channels."""
    if node.kwargs.get("scale") is not None or len(node.args) > _SCALE_POSITION:
        return
    query = shape_of(argument(node, 0, "query")) or (1,)
    node.update_kwarg("scale", query[-1] ** -0.5)


def with_shapes(network: fx.GraphModule, example: torch.Tensor) -> fx.GraphModule:
    """Write the shape of each node into the graph, and return it; each layer keeps its mode.

    Raises :class:`CompileError`.
    """
    _ShapeWatch(network).watch(example)
    return network


class _ShapeWatch(NodeWatch):
    def see(self, node: fx.Node, result: Any) -> None:
        """Note the shape and type of the tensor that a node gives."""
        is_tensor = isinstance(result, torch.Tensor)
        node.meta["shape"] = result.shape if is_tensor else None
        node.meta["dtype"] = result.dtype if is_tensor else None
        node.meta["value"] = result if isinstance(result, int) else None


def example_of(network: fx.GraphModule) -> torch.Tensor:
    """Return zeros of the shape and type of the example that the network was traced with."""
    meta = input_of(network).meta
    return torch.zeros(meta["shape"], dtype=meta["dtype"])


def input_of(network: fx.GraphModule) -> fx.Node:
    """Return the node of a traced network's one input."""
    node: fx.Node = next(node for node in network.graph.nodes if node.op == "placeholder")
    return node
