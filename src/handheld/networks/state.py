"""Networks as tensors, numbers and texts: to be sent and kept without any code."""

from collections.abc import Callable, Mapping, Sequence
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

# What putting a state together raises where the file is damaged, or of another network.
_MISFITS = (
    LookupError,
    TypeError,
    ValueError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    CompileError,
)


def pack(network: fx.GraphModule, started: fx.GraphModule | None = None) -> dict[str, Any]:
    """Describe a network by tensors, numbers and texts, for :func:`unpack`.

    Args:
        network: to describe.
        started: the network that it began as. If no channel of it is gone, the numbers of channels
            in the graph are those of ``started`` and need not be kept.
    """
    weights = network.state_dict()
    # Without them where nothing was cut: most states that are kept are of such networks.
    lengths = None
    if started is None or _shapes(weights) != _shapes(started.state_dict()):
        lengths = [_as_lists(followers) for followers in _lengths(network).values()]
    return {"weights": weights, "lengths": lengths}


def _as_lists(followers: Sequence[tuple[Sequence[int | str], int]]) -> list[list[Any]]:
    """Return the ways to some numbers, and the numbers, as lists: a file keeps no tuples."""
    return [[list(path), number] for path, number in followers]


def unpack(started: fx.GraphModule, state: Mapping[str, Any]) -> fx.GraphModule:
    """Return a network again, on the CPU.

    Args:
        started: the network that it was cut from: it may have fewer channels than that.
        state: from :func:`pack`.
    """
    network = filled(started, state["weights"])
    if state["lengths"] is not None:
        # In the order of the graph: on its way to another machine nodes may get other names.
        set_lengths(network, dict(zip(_lengths(started), state["lengths"], strict=True)))
    return with_shapes(network, example_of(network))


def read_packed(path: Path, unpacked: Callable[[dict[str, Any]], Unpacked]) -> Unpacked:
    """Return what a file keeps, put together again.

    Args:
        path: of the file.
        unpacked: puts it together.

    Raises:
        InputError: the file is damaged, or of another network.
    """
    state = load_state(path)
    try:
        return unpacked(state)
    except _MISFITS as error:
        raise InputError(
            f"{path} is damaged, or of another network: delete it, and it is learned again "
            f"({error})"
        ) from error


def filled(network: fx.GraphModule, weights: Mapping[str, torch.Tensor]) -> fx.GraphModule:
    """Return a copy of a network with other weights and statistics.

    It may have fewer channels than the network.
    """
    copy = deepcopy(network).cpu()
    layers = dict(copy.named_modules(remove_duplicate=False))
    for name, tensor in weights.items():
        owner, _, attribute = name.rpartition(".")
        _set_tensor(layers[owner], attribute, tensor.cpu())
    # After all tensors are there: a layer's attributes depend on several.
    for layer in layers.values():
        resize(layer)
    return copy.eval()


def _set_tensor(layer: nn.Module, attribute: str, tensor: torch.Tensor) -> None:
    """Replace a tensor of a layer by one that may have another shape."""
    is_parameter = isinstance(getattr(layer, attribute), nn.Parameter)
    setattr(layer, attribute, nn.Parameter(tensor) if is_parameter else tensor)


def _shapes(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in weights.items()}


def _lengths(network: fx.GraphModule) -> Lengths:
    """Return the numbers of channels in a graph, none of which is gone."""
    return lengths_after(channels_of(network), np.empty(0, np.int64))
