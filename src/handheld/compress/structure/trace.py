"""A module as a graph of operators, with shapes and costs."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from torch import fx, nn

from handheld.errors import CompileError

_COUNTED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Linear)


def trace(module: nn.Module, example: torch.Tensor) -> fx.GraphModule:
    """Return a copy of a module as a graph whose nodes know their shapes.

    The copy is on the CPU and in evaluation mode. What ``forward`` does only while training, other than by layers such as
    :class:`torch.nn.Dropout`, is not in it.

    Args:
        module: whose ``forward`` takes one tensor and has no branches that depend on values.
        example: (batch, ...) an input of two examples or more.

    Raises:
        CompileError: the module cannot be traced, or fails on the example.
    """
    try:
        network = fx.symbolic_trace(deepcopy(module).cpu().eval())
    except Exception as error:  # whatever the module's own code raises when it is given a stand-in for a tensor
        raise CompileError(
            f"{type(module).__name__} cannot be traced, so its structure is not known: {error}. Its forward must take one "
            "tensor and not branch or loop on values: use torch.where, or move such a part out of the module"
        ) from error
    return with_shapes(network, example)


def with_shapes(network: fx.GraphModule, example: torch.Tensor) -> fx.GraphModule:
    """Write the shape of each node into the graph, and return it; each layer keeps its mode. Raises :class:`CompileError`."""
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
    """Runs a graph and notes what it sees. (torch's own ``ShapeProp`` prints to stderr and hides the error of a layer.)"""

    def __init__(self, network: fx.GraphModule):
        super().__init__(network)
        self.extra_traceback = False

    def run_node(self, n: fx.Node) -> Any:
        """Run a node and note the shape and type of the tensor it gives."""
        result = super().run_node(n)
        tensor = result if isinstance(result, torch.Tensor) else None
        n.meta["shape"], n.meta["dtype"] = (None, None) if tensor is None else (tensor.shape, tensor.dtype)
        return result


def example_of(network: fx.GraphModule) -> torch.Tensor:
    """Return zeros of the shape and type of the example that the network was traced with."""
    meta = next(node for node in network.graph.nodes if node.op == "placeholder").meta
    return torch.zeros(meta["shape"], dtype=meta["dtype"])


def shape_of(node: fx.Node) -> torch.Size | None:
    """Shape of what a node gives; None for what is no tensor."""
    shape: torch.Size | None = node.meta.get("shape")
    return shape


def macs(network: fx.GraphModule) -> dict[str, int]:
    """Multiply-accumulate operations of each convolution and dense layer for one example, by the layer's name."""
    found: dict[str, int] = {}
    layers = dict(network.named_modules())
    batch = next((shape_of(node) or (1,))[0] for node in network.graph.nodes if node.op == "placeholder")
    for node in network.graph.nodes:
        layer = layers.get(str(node.target)) if node.op == "call_module" else None
        if isinstance(layer, _COUNTED):
            found[str(node.target)] = found.get(str(node.target), 0) + layer.weight.numel() * _places(node, layer) // batch
    return found


def _places(node: fx.Node, layer: nn.Module) -> int:
    """How often a layer's weights are used in one call."""
    if isinstance(layer, nn.Linear):
        return (shape_of(node) or torch.Size())[:-1].numel()
    # A transposed convolution spreads each place of its input.
    at = node.all_input_nodes[0] if isinstance(layer, nn.modules.conv._ConvTransposeNd) else node
    shape = shape_of(at) or torch.Size([0])
    return shape[0] * shape[2:].numel()
