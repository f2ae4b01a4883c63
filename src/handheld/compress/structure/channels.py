"""Which channels of a network belong together: what removing one of them takes with it.

Every channel of every layer's output is a variable. An addition says that its operands' channels are pairwise the same
variable, a depthwise convolution that its output's are its input's; concatenation, flattening and chunking only arrange
them. What remains after these unions are the *units*: sets of channels that can only be removed together, through residual,
depthwise and concatenated paths. Units that the same layers make form a *group*; a network is made narrower by keeping
fewer units of its groups. An operator that is not known to treat channels one by one pins those it reads.

After Fang et al., "DepGraph: Towards Any Structural Pruning", arXiv 2301.12900, with channels, not layers, as vertices:
permutations and concatenations need no case of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import fx, nn

from handheld.compress.structure.layers import layer_channels
from handheld.compress.structure.operators import operator_channels
from handheld.compress.structure.sizes import reads_size
from handheld.compress.structure.trace import shape_of
from handheld.compress.structure.variables import Axes, Ids, Variables, Walk


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
        axes: for each parameter and buffer with channels, the units along its first axes (None: an axis without channels).
        made: for each layer that makes channels, the unit of each of its output channels.
        groups: all groups, in the order in which the network makes them.
    """

    count: int
    axes: Mapping[str, Axes]
    made: Mapping[str, Ids]
    groups: tuple[Group, ...]

    @property
    def free(self) -> tuple[Group, ...]:
        """The groups that may lose channels."""
        return tuple(group for group in self.groups if not group.pinned)


def channels_of(network: fx.GraphModule) -> Channels:
    """Find the units and groups of a network from :func:`handheld.compress.structure.trace.trace`."""
    keys = _keys(network)
    walk, layers = Walk(keys), dict(network.named_modules())
    for node in network.graph.nodes:
        _visit(walk, node, layers)
    units, pins = walk.variables.dense()
    axes = {
        name: tuple(None if ids is None else units[ids] for ids in walk.axes[key])
        for name, key in keys.items()
        if key in walk.axes
    }
    made = {name: units[ids] for name, ids in walk.makers.items()}
    return Channels(int(units.max(initial=-1)) + 1, axes, made, _groups(made, pins))


def _keys(network: nn.Module) -> dict[str, str]:
    """The first name of each parameter and buffer, by each of its names."""
    first: dict[int, str] = {}
    return {name: first.setdefault(id(tensor), name) for name, tensor in tensors_of(network).items()}


def tensors_of(network: nn.Module) -> dict[str, torch.Tensor]:
    """All parameters and buffers, by each of their names."""
    return {**dict(network.named_parameters(remove_duplicate=False)), **dict(network.named_buffers(remove_duplicate=False))}


def _visit(walk: Walk, node: fx.Node, layers: Mapping[str, nn.Module]) -> None:
    if node.op == "get_attr":
        return
    if node.op == "placeholder":
        walk.known[node] = walk.variables.new(_width(node))
        walk.variables.pin(walk.known[node], "it is an input of the network")
    elif node.op == "output":
        _pin_inputs(walk, node, "it is an output of the network")
    elif not reads_size(walk, node):
        found = _channels(walk, node, layers)
        if found is None or (shape_of(node) is not None and len(found) != _width(node)):
            _unknown(walk, node, layers)
        else:
            walk.known[node] = found


def _channels(walk: Walk, node: fx.Node, layers: Mapping[str, nn.Module]) -> Ids | None:
    if node.op != "call_module":
        return operator_channels(walk, node)
    name, source = str(node.target), node.args[0] if len(node.args) == 1 else None
    shape = shape_of(source) if isinstance(source, fx.Node) else None
    if not isinstance(source, fx.Node) or source not in walk.known or shape is None or len(shape) < 2 or node.kwargs:
        return None
    return layer_channels(walk, name, layers[name], walk.known[source], len(shape), _width(node))


def _unknown(walk: Walk, node: fx.Node, layers: Mapping[str, nn.Module]) -> None:
    """Pin all that a node reads and gives."""
    layer = layers.get(str(node.target)) if node.op == "call_module" else None
    reason = f"{_title(node, layer)} is not known to treat its channels one by one"
    _pin_inputs(walk, node, reason)
    for name in () if layer is None else tensors_of(layer):
        walk.fix(f"{node.target}.{name}", reason)
    if shape_of(node) is not None:
        walk.known[node] = walk.variables.new(_width(node))
        walk.variables.pin(walk.known[node], reason)


def _pin_inputs(walk: Walk, node: fx.Node, reason: str) -> None:
    for source in node.all_input_nodes:
        walk.variables.pin(walk.known.get(source), reason)
        walk.variables.pin(walk.counts.get(source), reason)
        if source.op == "get_attr":
            walk.fix(str(source.target), reason)


def _title(node: fx.Node, layer: nn.Module | None) -> str:
    if layer is not None:
        return f"layer {node.target!s} ({type(layer).__name__})"
    return f"operator {node.name} ({getattr(node.target, '__name__', node.target)!s})"


def _width(node: fx.Node) -> int:
    shape = shape_of(node) or torch.Size()
    return int(shape[1]) if len(shape) > 1 else 0


def _groups(made: Mapping[str, Ids], pins: Mapping[int, str]) -> tuple[Group, ...]:
    """Join the layers that share a unit; the first layer of a group is its root, so groups come in the network's order."""
    layers, first = Variables(), dict[int, int]()
    places = layers.new(len(made))
    for place, units in enumerate(made.values()):
        others = sorted({first.setdefault(unit, place) for unit in units.tolist()})
        layers.same(places[others], np.full(len(others), place))
    roots, _ = layers.dense()
    names = [
        [name for name, root in zip(made, roots, strict=True) if root == group] for group in range(len(set(roots.tolist())))
    ]
    return tuple(_group(group, made, pins) for group in names)


def _group(layers: list[str], made: Mapping[str, Ids], pins: Mapping[int, str]) -> Group:
    units = list(dict.fromkeys(np.concatenate([made[layer] for layer in layers]).tolist()))
    return Group(np.array(units, np.int64), tuple(layers), next((pins[unit] for unit in units if unit in pins), ""))
