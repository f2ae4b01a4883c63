"""Functional calls with weights that a module holds itself, as calls of layers: what the rules, the
quantiser and reports know are layers.
"""

from typing import Any, NamedTuple

from torch import fx, nn

from handheld.networks.structure.layers import kind_of
from handheld.networks.structure.names import note_packed
from handheld.networks.structure.nodes import argument, spelled

_LAYER_TYPES: dict[Any, type[nn.Module]] = {
    **dict.fromkeys(spelled("linear"), nn.Linear),
    **dict.fromkeys(spelled("conv1d"), nn.Conv1d),
    **dict.fromkeys(spelled("conv2d"), nn.Conv2d),
    **dict.fromkeys(spelled("conv3d"), nn.Conv3d),
}
_OPTIONS = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
"""Further arguments of a convolution, behind its weights and bias, and their defaults."""


class _Weights(NamedTuple):
    """The nodes of the parameters that a functional call reads; None without a bias."""

    weight: Any
    bias: Any

    @classmethod
    def of(cls, node: fx.Node) -> "_Weights":
        return cls(argument(node, 1, "weight"), argument(node, 2, "bias"))

    def names(self) -> dict[str, str]:
        """Return the names of the parameters, by what they are for a layer."""
        names = {"weight": str(self.weight.target)}
        if self.bias is not None:
            names["bias"] = str(self.bias.target)
        return names


def call_layers(network: fx.GraphModule, module: nn.Module) -> fx.GraphModule:
    """Return a network that calls layers where it called functions with parameters; unread
    parameters are left out.

    Args:
        network: of a traced module.
        module: that module. A layer of it whose weights are read by hand is called itself.
    """
    layers = _NewLayers(network, module)
    # A copy of the list: nodes are erased on the way.
    for node in list(network.graph.nodes):
        layer = _layer_of(network, node)
        if layer is not None:
            _call(network, node, layers.name_of(node, layer))
    if not layers.names:
        return network
    network.graph.eliminate_dead_code(lambda node: node.op != "get_attr")
    # Made again, it holds only what its graph reads; what is known of it goes along.
    rebuilt = fx.GraphModule(network, network.graph, type(network).__name__)
    rebuilt.meta = network.meta
    note_packed(rebuilt, layers.renamed)
    return rebuilt


def _call(network: fx.GraphModule, node: fx.Node, layer: str) -> None:
    """Put a call of a layer in place of a node."""
    with network.graph.inserting_before(node):
        call = network.graph.call_module(layer, (argument(node, 0, "input"),))
    node.replace_all_uses_with(call)
    network.graph.erase_node(node)


class _NewLayers:
    """The layers that take the place of functional calls: one for all calls that are the same.

    Attributes:
        names: of the layers, by what is called.
        renamed: for each parameter that a layer holds under another name than the module, that.
    """

    def __init__(self, network: fx.GraphModule, module: nn.Module):
        self._network = network
        self._module = module
        self.names: dict[tuple[Any, ...], str] = {}
        self.renamed: dict[str, tuple[str, ...]] = {}

    def name_of(self, node: fx.Node, layer: Any) -> str:
        """Return the name of the layer that computes what a node does.

        Args:
            node: a functional call.
            layer: what it computes, which is added unless there is such a one.
        """
        weights = _Weights.of(node)
        parameters = weights.names()
        # The options are in the text that a layer has for print.
        key = (parameters["weight"], parameters.get("bias"), layer.extra_repr())
        if key not in self.names:
            name = self._existing(weights.weight, layer) or self._added(node, layer)
            self.names[key] = name
            self._note(name, parameters)
        return self.names[key]

    def _note(self, layer: str, parameters: dict[str, str]) -> None:
        for attribute, before in parameters.items():
            now = f"{layer}.{attribute}"
            if before == now:
                # It is called so again, whatever another layer has called it.
                self.renamed.pop(before, None)
            else:
                self.renamed[before] = (now,)

    def _existing(self, weight: fx.Node, layer: Any) -> str:
        """Take the layer that holds these parameters and computes the same into the network, and
        return its name; "": none does.
        """
        name = str(weight.target).rpartition(".")[0]
        owner: Any = self._module.get_submodule(name)
        if kind_of(owner) is not type(layer) or owner.extra_repr() != layer.extra_repr():
            return ""
        # Its own weight with another's bias is not what it computes.
        if owner.weight is not layer.weight or owner.bias is not layer.bias:
            return ""
        above, _, attribute = name.rpartition(".")
        setattr(self._network.get_submodule(above), attribute, owner)
        return name

    def _added(self, node: fx.Node, layer: nn.Module) -> str:
        """Add a layer under the name of its weights, if that is free, and return it."""
        weight = _Weights.of(node).weight
        owner, _, attribute = str(weight.target).rpartition(".")
        stem = attribute.removesuffix("weight").rstrip("_") or node.name
        holder = self._network.get_submodule(owner)
        # The names of parameters, submodules and methods are one set.
        while hasattr(holder, stem):
            stem += "_"
        holder.add_module(stem, layer)
        if owner:
            return f"{owner}.{stem}"
        return stem


def _layer_of(network: fx.GraphModule, node: fx.Node) -> Any:
    """Return a layer that computes what a node does, with its parameters; None if there is none."""
    if node.op != "call_function" or node.target not in _LAYER_TYPES:
        return None
    weights = _Weights.of(node)
    weight = _parameter(network, weights.weight)
    bias = _parameter(network, weights.bias)
    has_bias = weights.bias is not None
    if weight is None or (has_bias and bias is None):
        return None
    # A vector gives a number for each example, which no layer does.
    if weight.dim() < 2:
        return None
    options = _options(node)
    if options is None:
        return None
    layer = _layer(_LAYER_TYPES[node.target], weight, has_bias, options)
    layer.weight = weight
    if bias is not None:
        layer.bias = bias
    return layer.train(network.training)


def _layer(layer_type: Any, weight: nn.Parameter, has_bias: bool, options: dict[str, Any]) -> Any:
    """Return a layer without numbers, for a weight of this shape."""
    outputs, inputs = weight.shape[:2]
    if layer_type is nn.Linear:
        return nn.Linear(inputs, outputs, bias=has_bias, device="meta")
    # torch's weight has the inputs of one group.
    size = tuple(weight.shape[2:])
    inputs *= options["groups"]
    return layer_type(inputs, outputs, size, bias=has_bias, device="meta", **options)


def _options(node: fx.Node) -> dict[str, Any] | None:
    """Return the options of a convolution; None if one is computed by the network."""
    options: dict[str, Any] = {}
    for position, (name, default) in enumerate(_OPTIONS.items(), 3):
        option = argument(node, position, name, default)
        # As torch keeps them, so that equal calls have one text.
        if isinstance(option, list):
            option = tuple(option)
        if any(isinstance(value, fx.Node) for value in _values(option)):
            return None
        options[name] = option
    return options


def _values(option: Any) -> tuple[Any, ...]:
    if isinstance(option, tuple):
        return option
    return (option,)


def _parameter(network: fx.GraphModule, value: Any) -> nn.Parameter | None:
    """Return the parameter that an argument is; None for anything else."""
    if not isinstance(value, fx.Node) or value.op != "get_attr":
        return None
    owner, _, name = str(value.target).rpartition(".")
    tensor = getattr(network.get_submodule(owner), name)
    if isinstance(tensor, nn.Parameter):
        return tensor
    return None
