"""A module as a graph of operators, with shapes and costs."""

import operator
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, cast

import numpy as np
import torch
from torch import fx, nn

from handheld.errors import CompileError, InputError
from handheld.networks.structure.attention import open_attention
from handheld.networks.structure.channels import channels_of
from handheld.networks.structure.export import as_graph
from handheld.networks.structure.functional import call_layers
from handheld.networks.structure.layers import kind_of
from handheld.networks.structure.lengths import lengths_after, set_lengths
from handheld.networks.structure.mutation import make_plain, without_unread
from handheld.networks.structure.names import note_packed
from handheld.networks.structure.nodes import argument, shape_of, spelled

_PRODUCTS = spelled("matmul", "bmm") | {operator.matmul}
_ATTENTION = spelled("scaled_dot_product_attention")
_OF_LAYERS = (
    nn.Transformer,
    nn.TransformerEncoder,
    nn.TransformerEncoderLayer,
    nn.TransformerDecoder,
    nn.TransformerDecoderLayer,
)
_COUNTED = (
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
    nn.Linear,
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
        InputError: the example is no tensor.
    """
    if not isinstance(example, torch.Tensor):
        what = (
            "a tuple, of which the module would have to take one"
            if isinstance(example, tuple)
            else type(example).__name__
        )
        raise InputError(f"expected one tensor (batch, ...) as an example, got {what}")
    own = deepcopy(module).cpu().eval()
    packed = open_attention(own)
    try:
        network = _Tracer().graph_module(own)
    except (
        Exception
    ):  # whatever the module's own code raises when it is given a stand-in for a tensor
        network = _exported(own, example)
    note_packed(network, packed)
    network = call_layers(without_unread(make_plain(network)), own)
    return _settled(with_shapes(network, example))


class _Tracer(fx.Tracer):
    """Keeps the layers that the rules know whole, subclasses that compute as these too."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module is one node."""
        is_layer = super().is_leaf_module(m, module_qualified_name) and not isinstance(
            m, _OF_LAYERS
        )
        return kind_of(m) is not None or is_layer

    def graph_module(self, module: nn.Module) -> fx.GraphModule:
        """Trace a module."""
        return fx.GraphModule(module, self.trace(module), type(module).__name__)


def _exported(module: nn.Module, example: torch.Tensor) -> fx.GraphModule:
    """Trace by running the module, where its code cannot be followed with a stand-in."""
    try:
        return as_graph(module, example)
    except (
        Exception
    ) as error:  # what torch.export makes of a module that it cannot follow, or the module itself
        first = next(
            (line for line in str(error).splitlines() if line.strip()), type(error).__name__
        )
        raise CompileError(
            f"{type(module).__name__} cannot be traced, so its structure is not known: {first}. Its forward must take one "
            "tensor and not branch or loop on values: use torch.where, or move such a part out of the module"
        ) from error


def _settled(network: fx.GraphModule) -> fx.GraphModule:
    """Write out numbers that are computed from numbers of channels and would not follow these."""
    for node in network.graph.nodes:
        if node.target in _ATTENTION and node.kwargs.get("scale") is None and len(node.args) < 7:
            query = argument(node, 0, "query")
            node.update_kwarg("scale", (shape_of(query) or (1,))[-1] ** -0.5)
    set_lengths(network, lengths_after(channels_of(network), np.empty(0, np.int64)))
    return network


def with_shapes(network: fx.GraphModule, example: torch.Tensor) -> fx.GraphModule:
    """Write the shape of each node into the graph, and return it; each layer keeps its mode.

    Raises :class:`CompileError`.
    """
    device = next((parameter.device for parameter in network.parameters()), example.device)
    try:
        with evaluating(network), torch.inference_mode():
            _Shapes(network).run(example.to(device))
    except Exception as error:  # any layer can fail on it in its own way
        raise CompileError(
            f"the module fails on an input {list(example.shape)}: {error}. Give an example that it takes"
        ) from error
    return network


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode for a while; each layer gets its own mode back."""
    modes = {layer: layer.training for layer in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for layer, mode in modes.items():
            layer.training = mode


class _Shapes(fx.Interpreter):
    """Runs a graph and notes what it sees.

    (torch's own ``ShapeProp`` prints to stderr and hides the error of a layer.)
    """

    def __init__(self, network: fx.GraphModule):
        super().__init__(network)
        self.extra_traceback = False

    def run_node(self, n: fx.Node) -> Any:
        """Run a node and note the shape and type of the tensor it gives."""
        result = super().run_node(n)
        tensor = result if isinstance(result, torch.Tensor) else None
        n.meta["shape"], n.meta["dtype"] = (
            (None, None) if tensor is None else (tensor.shape, tensor.dtype)
        )
        n.meta["value"] = result if isinstance(result, int) else None
        return result


def example_of(network: fx.GraphModule) -> torch.Tensor:
    """Return zeros of the shape and type of the example that the network was traced with."""
    meta = next(node for node in network.graph.nodes if node.op == "placeholder").meta
    return torch.zeros(meta["shape"], dtype=meta["dtype"])


def macs(network: fx.GraphModule) -> dict[str, int]:
    """Multiply-accumulate operations for one example: of each layer with weights by its name, of
    each product by its node's.
    """
    found: dict[str, int] = {}
    layers = dict(network.named_modules())
    batch = next(
        (shape_of(node) or (1,))[0] for node in network.graph.nodes if node.op == "placeholder"
    )
    for node in network.graph.nodes:
        count = (
            _of_layer(node, layers[str(node.target)])
            if node.op == "call_module"
            else sum(products_of(node))
        )
        if count:
            name = str(node.target) if node.op == "call_module" else node.name
            found[name] = found.get(name, 0) + count // batch
    return found


def products_of(node: fx.Node) -> tuple[int, ...]:
    """Multiply-accumulates of each product of activations in a node, for the whole batch; none for
    most.
    """
    if node.target in _PRODUCTS:
        left = shape_of(argument(node, 0, "input"))
        return () if left is None else ((shape_of(node) or torch.Size()).numel() * left[-1],)
    if node.target in _ATTENTION:
        query, key, value = (
            shape_of(argument(node, n, name)) for n, name in enumerate(("query", "key", "value"))
        )
        if query is None or key is None or value is None:
            return ()
        return query.numel() * key[-2], query[:-1].numel() * value[-2] * value[-1]
    return ()


def _of_layer(node: fx.Node, layer: nn.Module) -> int:
    if isinstance(layer, _COUNTED):
        return layer.weight.numel() * _places(node, layer)
    if isinstance(layer, nn.RNNBase):
        weights = sum(
            weight.numel() for name, weight in layer.named_parameters() if name.startswith("weight")
        )
        return weights * (shape_of(node.all_input_nodes[0]) or torch.Size())[:-1].numel()
    if isinstance(layer, nn.MultiheadAttention):
        return _of_attention(node, layer)
    return 0


def _of_attention(node: fx.Node, layer: nn.MultiheadAttention) -> int:
    sources = cast(list[fx.Node], [*node.args, *node.args[-1:] * 2][:3])
    query, key, value = (shape_of(source) or torch.Size([1, 1, 1]) for source in sources)
    width = layer.embed_dim
    into = (query.numel() + key.numel() + value.numel()) * width
    batch = query[0 if layer.batch_first else 1] if len(query) > 2 else 1
    tokens = query[:-1].numel() // batch
    others = key[:-1].numel() // batch
    return int(into + query[:-1].numel() * width**2 + 2 * batch * tokens * others * width)


def _places(node: fx.Node, layer: nn.Module) -> int:
    """How often a layer's weights are used in one call."""
    if isinstance(layer, nn.Linear):
        return (shape_of(node) or torch.Size())[:-1].numel()
    # A transposed convolution spreads each place of its input.
    at = node.all_input_nodes[0] if isinstance(layer, nn.modules.conv._ConvTransposeNd) else node
    shape = shape_of(at) or torch.Size([0])
    return shape[0] * shape[2:].numel()
