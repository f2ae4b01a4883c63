"""A network that rounds as its int8 file will, and still has gradients.

Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", arXiv 1712.05877: weights by output channel and symmetric, activations by tensor and
asymmetric, with moving ranges; gradients pass through the rounding.
"""

from collections.abc import Collection
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import fx, nn
from torch.func import functional_call

from handheld.networks.quantisation.fold import layers_of
from handheld.networks.structure.channels import tensors_of
from handheld.networks.structure.nodes import spelled
from handheld.networks.structure.operators import CONCATENATIONS, PRODUCTS, SUMS

# Of activation ranges: of about the last twenty batches.
_MOMENTUM = 0.05
# A range of nothing has no scale to divide by.
_LEAST_SCALE = 1e-8
_JOINS = SUMS | PRODUCTS | CONCATENATIONS
_RECTIFIERS = (nn.ReLU, nn.ReLU6)
_RECTIFYING = spelled("relu", "relu6")
# Layers without weights whose outputs have ranges of their own; batch normalisation is such a one
# where it could not be folded.
_AVERAGES = (
    nn.AdaptiveAvgPool2d,
    nn.AvgPool2d,
    nn.BatchNorm1d,
    nn.BatchNorm2d,
)
_FAKE = "fake_"
_LAYER = "layer"  # the name that a layer has within the one that rounds its weights


class FakeActivation(nn.Module):
    """Rounds activations to 256 levels of the range seen so far, which always holds 0."""

    low: torch.Tensor
    high: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Round, and widen the range while training."""
        if self.training:
            self._widen(x.detach())
        scale = ((self.high - self.low) / 255).clamp(min=_LEAST_SCALE)
        # The level that stands for 0: of a range that begins at 0 it is the lowest.
        zero = (-128 - self.low / scale).round().clamp(-128, 127)
        level = zero.to(torch.int32)
        return torch.fake_quantize_per_tensor_affine(x.float(), scale, level, -128, 127)

    @torch.no_grad()
    def _widen(self, x: torch.Tensor) -> None:
        """Move the range towards that of a batch."""
        low, high = torch.aminmax(x)
        # The first batch sets it.
        momentum = _MOMENTUM if bool(self.high > self.low) else 1.0
        # It holds 0: padding and rectifiers give zeros that must stay exact.
        self.low.lerp_(low.clamp(max=0).float(), momentum)
        self.high.lerp_(high.clamp(min=0).float(), momentum)


class FakeConstant(nn.Module):
    """Rounds a constant to 255 levels around 0, one scale for each place along an axis."""

    def __init__(self, axis: int):
        super().__init__()
        self.axis = axis

    def forward(self, constant: torch.Tensor) -> torch.Tensor:
        """Round."""
        others = [axis for axis in range(constant.ndim) if axis != self.axis]
        largest = constant.detach().abs().amax(dim=others)
        scale = (largest / 127).clamp(min=_LEAST_SCALE)
        zeros = torch.zeros_like(scale, dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(constant, scale, zeros, self.axis, -127, 127)


class FakeWeights(nn.Module):
    """A layer that rounds its weights, each output channel with a scale of its own."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer
        # Of the output channels: a transposed convolution's weight begins with what it reads.
        self.rounding = FakeConstant(1 if isinstance(layer, nn.ConvTranspose2d) else 0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the layer with rounded weights."""
        weights = {"weight": self.rounded()}
        y: torch.Tensor = functional_call(self.layer, weights, (x,))
        return y

    def rounded(self) -> torch.Tensor:
        """Return the weights as the file has them."""
        rounded: torch.Tensor = self.rounding(self.layer.get_parameter("weight"))
        return rounded


def fake_quantise(
    network: fx.GraphModule, *, only: Collection[str] | None = None, skip: Collection[str] = ()
) -> fx.GraphModule:
    """Return a copy that rounds weights and activations.

    Args:
        network: from :func:`handheld.networks.quantisation.fold.fold`.
        only: names of the layers to round, with their outputs; None: all, and the input.
        skip: names of layers that stay as they are.
    """
    fake = deepcopy(network)
    chosen = set(layers_of(fake))
    if only is not None:
        chosen &= set(only)
    chosen -= set(skip)
    _round_activations(fake, _Rounding(fake, chosen, everything=only is None))
    for name in sorted(chosen):
        _round_weights(fake, name)
    fake.recompile()
    return fake


def _round_activations(network: fx.GraphModule, rounding: "_Rounding") -> None:
    # All of them first: what is put in between would be seen as a reader.
    rounded = [node for node in network.graph.nodes if rounding.is_after(node)]
    for node in rounded:
        _round_after(network, node, FakeActivation())


def _round_weights(network: fx.GraphModule, name: str) -> None:
    """Put a layer that rounds its weights in place of another."""
    layer = FakeWeights(network.get_submodule(name))
    # The file holds a weight once, rounded for whoever reads it.
    for node in _readers_of(network, layer.layer.get_parameter("weight")):
        _round_after(network, node, FakeConstant(layer.rounding.axis))
    _replace(network, name, layer)
    _rename_constants(network, f"{name}.", f"{name}.{_LAYER}.")


def without_fakes(fake: fx.GraphModule) -> fx.GraphModule:
    """Return a copy with the same weights that rounds nothing."""
    plain = deepcopy(fake)
    for name, layer in list(plain.named_modules()):
        if isinstance(layer, FakeWeights):
            _replace(plain, name, layer.layer)
            _rename_constants(plain, f"{name}.{_LAYER}.", f"{name}.")
    for node in list(plain.graph.nodes):
        if _is_rounding(plain, node):
            node.replace_all_uses_with(node.args[0])
            plain.graph.erase_node(node)
    plain.delete_all_unused_submodules()
    plain.recompile()
    return plain


@dataclass(frozen=True, eq=False)
class _Rounding:
    """Where the file rounds activations.

    Attributes:
        network: that becomes the file.
        chosen: names of the layers with weights that are rounded.
        everything: whether what has no weights is rounded as well.
    """

    network: fx.GraphModule
    chosen: Collection[str]
    everything: bool

    def is_after(self, node: fx.Node) -> bool:
        """Whether the file rounds what a node gives: fused rectifiers round once, behind them."""
        readers = list(node.users)
        if len(readers) == 1 and self._is_rectifier(readers[0]):
            return False
        if self._is_rectifier(node):
            node = node.all_input_nodes[0]
        if not _is_of_fractions(node):
            return False
        if node.op == "call_module":
            return self._is_after_layer(node)
        return self.everything and (node.op == "placeholder" or node.target in _JOINS)

    def _is_after_layer(self, node: fx.Node) -> bool:
        if str(node.target) in self.chosen:
            return True
        return self.everything and isinstance(self._layer(node), _AVERAGES)

    def _is_rectifier(self, node: fx.Node) -> bool:
        if node.op == "call_module":
            return isinstance(self._layer(node), _RECTIFIERS)
        return node.target in _RECTIFYING

    def _layer(self, node: fx.Node) -> nn.Module:
        return self.network.get_submodule(str(node.target))


def _is_of_fractions(node: fx.Node) -> bool:
    """Whether a node gives what can be rounded: ids of words are whole numbers, and stay so."""
    dtype: torch.dtype | None = node.meta.get("dtype")
    return dtype is not None and dtype.is_floating_point


def _readers_of(network: fx.GraphModule, tensor: torch.Tensor) -> list[fx.Node]:
    """Return the nodes by which a graph reads a parameter itself, under any of its names."""
    tensors = tensors_of(network)
    constants = [node for node in network.graph.nodes if node.op == "get_attr"]
    return [node for node in constants if tensors.get(str(node.target)) is tensor]


def _rename_constants(network: fx.GraphModule, before: str, after: str) -> None:
    """Let a graph read what has names that begin so under names that begin otherwise."""
    for node in network.graph.nodes:
        if node.op == "get_attr" and str(node.target).startswith(before):
            node.target = after + str(node.target).removeprefix(before)


def _is_rounding(network: fx.GraphModule, node: fx.Node) -> bool:
    # By what it is, not by its name: a layer of the network itself may be called so.
    if node.op != "call_module":
        return False
    return isinstance(network.get_submodule(str(node.target)), FakeActivation | FakeConstant)


def _replace(network: nn.Module, name: str, layer: nn.Module) -> None:
    owner, _, attribute = name.rpartition(".")
    setattr(network.get_submodule(owner), attribute, layer)


def _round_after(network: fx.GraphModule, node: fx.Node, rounding: nn.Module) -> None:
    name = f"{_FAKE}{node.name}"
    # A layer of the network itself may be called so already.
    while hasattr(network, name):
        name += "_"
    network.add_module(name, rounding)
    with network.graph.inserting_after(node):
        fake = network.graph.call_module(name, (node,))
    node.replace_all_uses_with(fake)
    # It reads the node too, and was given itself to read.
    fake.args = (node,)
