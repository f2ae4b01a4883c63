"""Networks as tensors, numbers and texts: to be sent and kept without any code."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import fx, nn

from handheld.errors import CompileError, InputError
from handheld.networks.structure import channels_of, example_of, with_shapes
from handheld.networks.structure.layers import resize
from handheld.networks.structure.lengths import Lengths, lengths_after, set_lengths
from handheld.training import load_state

Unpacked = TypeVar("Unpacked")


def pack(network: fx.GraphModule) -> dict[str, Any]:
    """Describe a network by tensors, numbers and texts; :func:`unpack` needs the network that it was cut from too."""
    lengths = [
        [[list(place), number] for place, number in found] for found in _lengths(network).values()
    ]
    return {"weights": network.state_dict(), "lengths": lengths}


def unpack(started: fx.GraphModule, state: Mapping[str, Any]) -> fx.GraphModule:
    """Return a network again, on the CPU, given the one that it was cut from: it may have fewer channels than that."""
    network = filled(started, state["weights"])
    # In the order of the graph: on its way to another machine a network's nodes may get other names.
    set_lengths(network, dict(zip(_lengths(started), state["lengths"], strict=True)))
    return with_shapes(network, example_of(network))


def read_packed(path: Path, unpacked: Callable[[dict[str, Any]], Unpacked]) -> Unpacked:
    """Return what a file keeps, put together again. Raises :class:`InputError` for a damaged file."""
    state = load_state(path)
    try:
        return unpacked(state)
    except (
        LookupError,
        TypeError,
        ValueError,
        ArithmeticError,
        AttributeError,
        RuntimeError,
        CompileError,
    ) as error:
        raise InputError(
            f"{path} is damaged, or of another network: delete it, and it is learned again ({error})"
        ) from error


def filled(network: fx.GraphModule, weights: Mapping[str, torch.Tensor]) -> fx.GraphModule:
    """Return a copy of a network with other weights and statistics, which may have fewer channels."""
    copy = deepcopy(network).cpu()
    layers = dict(copy.named_modules(remove_duplicate=False))
    for name, tensor in weights.items():
        owner, _, attribute = name.rpartition(".")
        is_parameter = isinstance(getattr(layers[owner], attribute), nn.Parameter)
        setattr(
            layers[owner], attribute, nn.Parameter(tensor.cpu()) if is_parameter else tensor.cpu()
        )
    for layer in layers.values():
        resize(layer)
    return copy.eval()


def _lengths(network: fx.GraphModule) -> Lengths:
    return lengths_after(channels_of(network), np.empty(0, np.int64))
