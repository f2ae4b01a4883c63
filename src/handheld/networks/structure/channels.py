"""Which channels of a network belong together: what removing one of them takes with it.

Every channel of every layer's output is a variable. An addition says that its operands' channels
are pairwise the same variable, a depthwise convolution that its output's are its input's;
concatenation, flattening and chunking only arrange them. What remains after these unions are the
*units*: sets of channels that can only be removed together, through residual, depthwise and
concatenated paths. Units that the same layers make form a *group*; a network is made narrower by
keeping fewer units of its groups. An operator that is not known to treat channels one by one pins
those it reads.

After Fang et al., "DepGraph: Towards Any Structural Pruning", arXiv 2301.12900, with channels, not
layers, as vertices: permutations and concatenations need no case of their own. A tensor may have
channels along any of its axes: those of tokens are the last. Statistics over channels, of layer and
group normalisation, are those of the channels that stay.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import fx, nn

from handheld.networks.structure.division import DIVISIONS, pieces_of
from handheld.networks.structure.layers import LayerCall, layer_axes
from handheld.networks.structure.nodes import shape_of
from handheld.networks.structure.operands import Operation
from handheld.networks.structure.operators import operator_axes
from handheld.networks.structure.sizes import reads_number
from handheld.networks.structure.variables import (
    Axes,
    ChannelVariables,
    Ids,
    Length,
    NoRuleError,
    Walk,
    require,
)


@dataclass(frozen=True, eq=False)
class Group:
    """Units made by the same layers.

    Attributes:
        units: ids of its units, in the order of the channels of its first layer.
        layers: names of the layers that make its channels.
        pinned: why its channels must stay, or an empty text.
    """

    units: Ids
    layers: tuple[str, ...]
    pinned: str


@dataclass(frozen=True, eq=False)
class Channels:
    """The channels of a traced network.

    Attributes:
        count: number of units; their ids are 0 to count - 1.
        axes: for each parameter and buffer with channels, the units along its first axes (None: an
            axis without channels).
        made: for each layer that makes channels, the unit of each of its output channels.
        groups: all groups, in the order in which the network makes them.
        lengths: numbers of channels among the arguments of nodes, by the node's name; their ids are
            units.
        products: for each product of two activations, by its node's name, the units along the axes
            that are multiplied out.
    """

    count: int
    axes: Mapping[str, Axes]
    made: Mapping[str, Ids]
    groups: tuple[Group, ...]
    lengths: Mapping[str, tuple[Length, ...]]
    products: Mapping[str, tuple[Axes, ...]]

    @property
    def free(self) -> tuple[Group, ...]:
        """The groups that may lose channels."""
        return tuple(group for group in self.groups if not group.pinned)


def channels_of(network: fx.GraphModule) -> Channels:
    """Find the units and groups of a network from :func:`~handheld.networks.structure.trace`."""
    walk = Walk(_keys(network))
    layers = dict(network.named_modules())
    # In the order of computation: what a node reads is known when it is met.
    for node in network.graph.nodes:
        _visit(walk, node, layers)
    units, pins = walk.variables.dense()
    outputs = {name: units[ids] for name, ids in walk.makers.items()}
    # Units are numbered without gaps; a network without channels has none.
    count = int(units.max(initial=-1)) + 1
    return Channels(
        count=count,
        axes=_units_of_parameters(walk, units),
        made=outputs,
        groups=_groups(outputs, pins),
        lengths=_units_of_lengths(walk, units),
        products=_units_of_products(walk, units),
    )


def _keys(network: nn.Module) -> dict[str, str]:
    """The first name of each parameter and buffer, by each of its names."""
    # Shared weights are one tensor under several names.
    first: dict[int, str] = {}
    keys: dict[str, str] = {}
    for name, tensor in tensors_of(network).items():
        keys[name] = first.setdefault(id(tensor), name)
    return keys


def tensors_of(network: nn.Module) -> dict[str, torch.Tensor]:
    """All parameters and buffers, by each of their names."""
    return {
        **dict(network.named_parameters(remove_duplicate=False)),
        **dict(network.named_buffers(remove_duplicate=False)),
    }


def _units_along(axes: Axes, units: Ids) -> Axes:
    """Return axes of variables as axes of the units that these belong to."""
    return tuple(None if ids is None else units[ids] for ids in axes)


def _units_of_parameters(walk: Walk, units: Ids) -> dict[str, Axes]:
    axes: dict[str, Axes] = {}
    for name, key in walk.keys.items():
        if key in walk.axes:
            axes[name] = _units_along(walk.axes[key], units)
    return axes


def _units_of_lengths(walk: Walk, units: Ids) -> dict[str, tuple[Length, ...]]:
    lengths: dict[str, tuple[Length, ...]] = {}
    for node, noted in walk.lengths.items():
        lengths[node.name] = tuple(length._replace(ids=units[length.ids]) for length in noted)
    return lengths


def _units_of_products(walk: Walk, units: Ids) -> dict[str, tuple[Axes, ...]]:
    products: dict[str, tuple[Axes, ...]] = {}
    for node, operands in walk.products.items():
        products[node.name] = tuple(_units_along(axes, units) for axes in operands)
    return products


def _visit(walk: Walk, node: fx.Node, layers: Mapping[str, nn.Module]) -> None:
    if node.op == "get_attr":
        _constant(walk, node)
    elif node.op == "placeholder":
        _stays(walk, node, "it is an input of the network")
    elif node.op == "output":
        _pin_inputs(walk, node, "it is an output of the network")
    elif not reads_number(walk, node):
        _compute(walk, node, layers)


def _compute(walk: Walk, node: fx.Node, layers: Mapping[str, nn.Module]) -> None:
    """Say which channels a node's tensors have that are computed from those of others."""
    layer = layers[str(node.target)] if node.op == "call_module" else None
    try:
        if layer is None and node.target in DIVISIONS:
            walk.pieces[node] = pieces_of(Operation(walk, node))
            return
        axes = _axes_of(walk, node, layer)
        require(_fits(axes, shape_of(node)))
    except NoRuleError:
        _unknown(walk, node, layer)
        return
    walk.known[node] = axes
    _inherit(walk, node)


def _axes_of(walk: Walk, node: fx.Node, layer: nn.Module | None) -> Axes:
    if layer is not None:
        return _layer_axes(walk, node, layer)
    return operator_axes(walk, node)


def _constant(walk: Walk, node: fx.Node) -> None:
    """A parameter or buffer: whatever meets it says which of its axes are of channels."""
    name = str(node.target)
    shape = shape_of(node)
    if name not in walk.keys:
        _stays(walk, node, f"{name!r} is no parameter or buffer")
        return
    if shape is None:
        return
    walk.known[node] = tuple(_axis_of_constant(walk, length) for length in shape)
    walk.uses(name, walk.known[node])


def _axis_of_constant(walk: Walk, length: int) -> Ids | None:
    """Return new channels; an axis of one is stretched along others, and holds none of its own."""
    if length > 1:
        return walk.variables.new(length)
    return None


def _fits(axes: Axes, shape: torch.Size | None) -> bool:
    if shape is None or len(axes) != len(shape):
        return False
    return all(ids is None or len(ids) == length for ids, length in zip(axes, shape, strict=True))


def _layer_axes(walk: Walk, node: fx.Node, layer: nn.Module) -> Axes:
    # Further arguments change what it computes: a transposed convolution takes a size.
    require(len(node.args) == 1 and not node.kwargs)
    source = node.args[0]
    if not isinstance(source, fx.Node) or source not in walk.known:
        raise NoRuleError
    before = shape_of(source)
    after = shape_of(node)
    if before is None or after is None:
        raise NoRuleError
    call = LayerCall(walk, str(node.target), layer, walk.known[source], before, after)
    return layer_axes(call)


def _unknown(walk: Walk, node: fx.Node, layer: nn.Module | None) -> None:
    """Pin all that a node reads and gives."""
    reason = f"{_title(node, layer)} is not known to treat its channels one by one"
    _pin_inputs(walk, node, reason)
    if layer is not None:
        # They may be another layer's too.
        for name in tensors_of(layer):
            walk.uses(f"{node.target}.{name}", (), reason)
    _stays(walk, node, reason)


def _stays(walk: Walk, node: fx.Node, reason: str) -> None:
    shape = shape_of(node)
    if shape is not None:
        walk.known[node] = (None,) * len(shape)
        walk.stays[node] = reason


def _inherit(walk: Walk, node: fx.Node) -> None:
    """What is computed from a tensor that stays, stays for the same reason."""
    for source in node.all_input_nodes:
        if source in walk.stays:
            walk.stays[node] = walk.stays[source]
            return


def _pin_inputs(walk: Walk, node: fx.Node, reason: str) -> None:
    for source in node.all_input_nodes:
        for ids in _all_ids(walk, source):
            walk.variables.pin(ids, reason)


def _all_ids(walk: Walk, node: fx.Node) -> Iterator[Ids | None]:
    """Yield all channels that whoever reads a node could depend on."""
    yield from walk.known.get(node, ())
    yield from walk.counts.get(node, ())
    for axes in walk.pieces.get(node, ()):
        yield from axes


def _title(node: fx.Node, layer: nn.Module | None) -> str:
    if layer is not None:
        return f"layer {node.target!s} ({type(layer).__name__})"
    return f"operator {node.name} ({getattr(node.target, '__name__', node.target)!s})"


def _groups(outputs: Mapping[str, Ids], pins: Mapping[int, str]) -> tuple[Group, ...]:
    """Join the layers that share a unit; the first layer of a group is its root, so groups come in
    the network's order.
    """
    names: dict[int, list[str]] = {}
    # Roots are numbered as their layers are, so each is first seen in the network's order.
    for name, root in zip(outputs, _roots_of_layers(outputs), strict=True):
        names.setdefault(root, []).append(name)
    return tuple(_group(group, outputs, pins) for group in names.values())


def _roots_of_layers(outputs: Mapping[str, Ids]) -> list[int]:
    """Return one number for all layers that share a unit, for each layer."""
    # A union-find again, of layers in place of channels.
    layers = ChannelVariables()
    numbers = layers.new(len(outputs))
    # Of each unit, the first layer that makes it.
    first: dict[int, int] = {}
    for number, units in enumerate(outputs.values()):
        others = sorted({first.setdefault(unit, number) for unit in units.tolist()})
        layers.same(numbers[others], np.full(len(others), number))
    roots, _ = layers.dense()
    return list(roots.tolist())


def _group(layers: list[str], outputs: Mapping[str, Ids], pins: Mapping[int, str]) -> Group:
    units = np.concatenate([outputs[layer] for layer in layers]).tolist()
    # A layer may make a unit twice, and several layers make the same.
    distinct = list(dict.fromkeys(units))
    reason = _first_reason(distinct, pins)
    return Group(np.array(distinct, np.int64), tuple(layers), reason)


def _first_reason(units: list[int], pins: Mapping[int, str]) -> str:
    for unit in units:
        if unit in pins:
            return pins[unit]
    return ""
