"""Networks as tensors, numbers and texts: to be sent and kept without any code."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import fx, nn
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from handheld.errors import CompileError, InputError
from handheld.networks.structure import example_of, with_shapes
from handheld.networks.structure.layers import Convolution, Transposed, set_groups
from handheld.networks.structure.slim import replace_tensors
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
        started: the network that it began as. If no channel of it is gone, the numbers in the graph
            are those of ``started`` and need not be kept.
    """
    weights = network.state_dict()
    # Without them where nothing was cut: most states that are kept are of such networks.
    lengths = None
    if started is None or _shapes(weights) != _shapes(started.state_dict()):
        lengths = [_numbers(node) for node in network.graph.nodes]
    return {"weights": weights, "groups": _groups(network), "lengths": lengths}


def _groups(network: nn.Module) -> dict[str, int]:
    """Return the groups of each convolution: no weight's shape says how many are left of them."""
    groups: dict[str, int] = {}
    for name, layer in network.named_modules(remove_duplicate=False):
        if isinstance(layer, Convolution | Transposed):
            groups[name] = layer.groups
    return groups


def _numbers(node: fx.Node) -> list[int | None]:
    """Return the whole numbers among the arguments of a node, and None for each other argument.

    Not those alone that follow channels: which do is another question after each cut.
    """
    return [_number(leaf) for leaf in tree_leaves((node.args, node.kwargs))]


def _number(argument: Any) -> int | None:
    # True is an int to Python as well.
    if type(argument) is int:
        return argument
    return None


def unpack(started: fx.GraphModule, state: Mapping[str, Any]) -> fx.GraphModule:
    """Return a network again, on the CPU.

    Args:
        started: the network that it was cut from: it may have fewer channels than that.
        state: from :func:`pack`.
    """
    network = filled(started, state["weights"])
    for name, groups in state["groups"].items():
        layer: Any = network.get_submodule(name)
        set_groups(layer, groups)
    if state["lengths"] is not None:
        # In the order of the graph: on its way to another machine nodes may get other names.
        for node, numbers in zip(network.graph.nodes, state["lengths"], strict=True):
            _set_numbers(node, numbers)
        network.recompile()
    return with_shapes(network, example_of(network))


def _set_numbers(node: fx.Node, numbers: Sequence[int | None]) -> None:
    """Write numbers into the arguments of a node; None: the argument stays."""
    arguments, structure = tree_flatten((node.args, node.kwargs))
    for index, number in zip(range(len(arguments)), numbers, strict=True):
        if number is not None:
            arguments[index] = number
    node.args, node.kwargs = tree_unflatten(arguments, structure)


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
    replace_tensors(copy, ((name, tensor.cpu()) for name, tensor in weights.items()))
    return copy.eval()


def _shapes(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in weights.items()}
