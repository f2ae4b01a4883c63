"""Members that have learned as tensors, numbers and texts: to be sent and kept without any code."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from handheld.compress.family import Step
from handheld.compress.finishing import Finished
from handheld.compress.quantisation import fold
from handheld.compress.structure import channels_of, example_of, with_shapes
from handheld.compress.structure.layers import resize
from handheld.compress.structure.lengths import Lengths, lengths_after, set_lengths


def pack(one: Finished) -> dict[str, Any]:
    """Describe a member that has learned by tensors, numbers and texts."""
    return {
        "network": one.network.state_dict(),
        "lengths": [[[list(place), number] for place, number in found] for found in _lengths(one.network).values()],
        "aware": None if one.aware is None else one.aware.state_dict(),
        "steps": [list(step) for step in one.steps],
        "curve": [list(point) for point in one.curve],
    }


def unpack(started: fx.GraphModule, state: Mapping[str, Any]) -> Finished:
    """Return a member again, given the network that it began with; a pruned one has fewer channels than that."""
    network = _filled(started, state["network"])
    # In the order of the graph: on its way to another machine a network's nodes may get other names.
    set_lengths(network, dict(zip(_lengths(started), state["lengths"], strict=True)))
    network = with_shapes(network, example_of(network))
    aware = None if state["aware"] is None else _filled(fold(network), state["aware"])
    steps = tuple(Step(*step) for step in state["steps"])
    return Finished(network, aware, steps, [(int(step), float(loss)) for step, loss in state["curve"]])


def _filled(network: fx.GraphModule, weights: Mapping[str, torch.Tensor]) -> fx.GraphModule:
    filled = deepcopy(network).cpu()
    layers = dict(filled.named_modules(remove_duplicate=False))
    for name, tensor in weights.items():
        owner, _, attribute = name.rpartition(".")
        is_parameter = isinstance(getattr(layers[owner], attribute), nn.Parameter)
        setattr(layers[owner], attribute, nn.Parameter(tensor) if is_parameter else tensor)
    for layer in layers.values():
        resize(layer)
    return filled.eval()


def _lengths(network: fx.GraphModule) -> Lengths:
    return lengths_after(channels_of(network), np.empty(0, np.int64))
