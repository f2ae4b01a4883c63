"""What every rule asks a node of a graph."""

from typing import Any

import torch
from torch import fx
from torch.nn import functional


def shape_of(node: fx.Node) -> torch.Size | None:
    """Shape of what a node gives; None for what is no tensor."""
    shape: torch.Size | None = node.meta.get("shape")
    return shape


def rank_of(node: fx.Node) -> int:
    """Return the number of axes of what a node gives; 0 for what is no tensor."""
    return len(shape_of(node) or ())


def argument(node: fx.Node, place: int, name: str, default: Any = None) -> Any:
    """Return an argument that may be given by place or by name; an axis has two names."""
    if len(node.args) > place:
        return node.args[place]
    return node.kwargs.get(name, node.kwargs.get("axis", default) if name == "dim" else default)


def numbers(node: fx.Node, place: int, name: str) -> tuple[tuple[Any, ...], tuple[int | str, ...]]:
    """Return numbers that are given as one list or one by one, and the place of the first of them
    among the arguments.

    The second is a way as in ``variables.Length``, but for the number's own index: to be added to a
    list's, or to the last part where they stand one by one.
    """
    if len(node.args) <= place:
        given = node.kwargs.get(name, ())
        return (tuple(given), (name,)) if isinstance(given, tuple | list) else ((given,), ())
    given = node.args[place]
    if isinstance(given, tuple | list):
        return tuple(given), (place,)
    return tuple(node.args[place:]), ()


def spelled(*names: str) -> set[Any]:
    """All ways to call an operation: method, in-place method, function of torch, of its functional
    module, of an export.
    """
    spellings = [*names, *(f"{name}_" for name in names)]
    modules = (torch, functional)
    calls = {
        getattr(module, name) for module in modules for name in spellings if hasattr(module, name)
    }
    packets = [getattr(torch.ops.aten, name) for name in spellings if hasattr(torch.ops.aten, name)]
    overloads = {getattr(packet, overload) for packet in packets for overload in packet.overloads()}
    return {*spellings, *calls, *overloads}
