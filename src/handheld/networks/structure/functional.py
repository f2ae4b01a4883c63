"""Functional calls with weights that a module holds itself, as calls of layers: what the rules, the
quantiser and reports know are layers.
"""

from typing import Any

from torch import fx, nn

from handheld.networks.structure.layers import kind_of
from handheld.networks.structure.names import note_packed
from handheld.networks.structure.nodes import argument, spelled

_CONVOLUTIONS: tuple[type[nn.Conv1d | nn.Conv2d | nn.Conv3d], ...] = (
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
)
_KINDS: dict[Any, type[nn.Module]] = {
    **dict.fromkeys(spelled("linear"), nn.Linear),
    **{call: kind for kind in _CONVOLUTIONS for call in spelled(kind.__name__.lower())},
}
_OPTIONS = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
"""Further arguments of a convolution, behind its weights and bias, and their defaults."""


def call_layers(network: fx.GraphModule, module: nn.Module) -> fx.GraphModule:
    """Return a network that calls layers where it called functions with parameters; unread
    parameters are left out.

    Args:
        network: of a traced module.
        module: that module. A layer of it whose weights are read by hand is called itself.
    """
    made: dict[tuple[Any, ...], str] = {}
    packed: dict[str, tuple[str, ...]] = {}
    for node in list(network.graph.nodes):
        layer = _layer_of(network, node)
        if layer is None:
            continue
        weight, bias = (
            argument(node, place, name) for place, name in enumerate(("weight", "bias"), 1)
        )
        key = (str(weight.target), None if bias is None else str(bias.target), layer.extra_repr())
        if key not in made:
            made[key] = _owner(network, module, weight, layer) or _add(network, node, weight, layer)
            packed |= {
                str(one.target): (f"{made[key]}.{name}",)
                for one, name in ((weight, "weight"), (bias, "bias"))
                if one is not None
            }
        with network.graph.inserting_before(node):
            call = network.graph.call_module(made[key], (argument(node, 0, "input"),))
        node.replace_all_uses_with(call)
        network.graph.erase_node(node)
    if not made:
        return network
    network.graph.eliminate_dead_code(lambda node: node.op != "get_attr")
    meta = network.meta
    network = fx.GraphModule(network, network.graph, type(network).__name__)
    network.meta = meta
    note_packed(network, {name: parts for name, parts in packed.items() if name != parts[0]})
    return network


def _layer_of(network: fx.GraphModule, node: fx.Node) -> Any:
    """Return a layer that computes what a node does, with its parameters; None if there is none."""
    kind = _KINDS.get(node.target) if node.op == "call_function" else None
    if kind is None:
        return None
    weight, bias = (
        _parameter(network, argument(node, place, name))
        for place, name in enumerate(("weight", "bias"), 1)
    )
    has_bias = argument(node, 2, "bias") is not None
    if weight is None or (has_bias and bias is None):
        return None
    if kind is nn.Linear:
        layer: Any = nn.Linear(weight.shape[1], weight.shape[0], bias=has_bias, device="meta")
    else:
        options = {
            name: argument(node, place, name, _OPTIONS[name])
            for place, name in enumerate(_OPTIONS, 3)
        }
        if any(_holds_nodes(option) for option in options.values()):
            return None
        options = {
            name: tuple(option) if isinstance(option, list) else option
            for name, option in options.items()
        }
        inputs = weight.shape[1] * options["groups"]
        layer = kind(
            inputs,
            weight.shape[0],
            tuple(weight.shape[2:]),
            bias=has_bias,
            device="meta",
            **options,
        )
    layer.weight = weight
    if bias is not None:
        layer.bias = bias
    return layer.train(network.training)


def _holds_nodes(option: Any) -> bool:
    return any(
        isinstance(one, fx.Node)
        for one in (option if isinstance(option, tuple | list) else [option])
    )


def _parameter(network: fx.GraphModule, value: Any) -> nn.Parameter | None:
    if not isinstance(value, fx.Node) or value.op != "get_attr":
        return None
    owner, _, name = str(value.target).rpartition(".")
    found = getattr(network.get_submodule(owner), name)
    return found if isinstance(found, nn.Parameter) else None


def _owner(network: fx.GraphModule, module: nn.Module, weight: fx.Node, layer: Any) -> str:
    """Take the layer that holds these parameters and computes the same into the network, and return
    its name; "": none does.
    """
    name = str(weight.target).rpartition(".")[0]
    owner: Any = module.get_submodule(name)
    if kind_of(owner) is not type(layer) or owner.extra_repr() != layer.extra_repr():
        return ""
    if owner.weight is not layer.weight or owner.bias is not layer.bias:
        return ""
    above, _, attribute = name.rpartition(".")
    setattr(network.get_submodule(above), attribute, owner)
    return name


def _add(network: fx.GraphModule, node: fx.Node, weight: fx.Node, layer: nn.Module) -> str:
    """Add a layer under the name that its weights have, as far as that is free, and return it."""
    owner, _, attribute = str(weight.target).rpartition(".")
    stem = attribute.removesuffix("weight").rstrip("_") or node.name
    holder = network.get_submodule(owner)
    while hasattr(holder, stem):
        stem += "_"
    holder.add_module(stem, layer)
    return f"{owner}.{stem}" if owner else stem
