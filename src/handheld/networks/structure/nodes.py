"""What every rule asks a node of a graph."""

from collections.abc import Collection, Iterator
from typing import Any

import torch
from torch import fx
from torch.nn import functional

ArgumentPath = tuple[int | str, ...]
"""The way to a value among the arguments of a node: a position or name, then indices into lists."""


def shape_of(node: fx.Node) -> torch.Size | None:
    """Shape of what a node gives; None for what is no tensor."""
    shape: torch.Size | None = node.meta.get("shape")
    return shape


def rank_of(node: fx.Node) -> int:
    """Return the number of axes of what a node gives; 0 for what is no tensor."""
    return len(shape_of(node) or ())


def length(node: fx.Node, axis: int) -> int:
    """Return the length of an axis of what a node gives."""
    return int((shape_of(node) or ())[axis])


def argument(node: fx.Node, position: int, name: str, default: Any = None) -> Any:
    """Return an argument that may be given by position or by name; an axis has two names."""
    if len(node.args) > position:
        return node.args[position]
    if name == "dim":
        # torch takes numpy's word for an axis as well.
        default = node.kwargs.get("axis", default)
    return node.kwargs.get(name, default)


def numbers(node: fx.Node, position: int, name: str) -> tuple[tuple[Any, ...], ArgumentPath]:
    """Return numbers that are given as one list or one by one, and the way to that list.

    The way lacks the number's own index. It is empty where the numbers stand one by one: the index
    is then to be added to the position of the first.
    """
    if len(node.args) > position:
        value = node.args[position]
        # x.view(2, 3) and x.view((2, 3)) are the same to torch.
        if isinstance(value, tuple | list):
            return tuple(value), (position,)
        return tuple(node.args[position:]), ()
    value = node.kwargs.get(name, ())
    if isinstance(value, tuple | list):
        return tuple(value), (name,)
    return (value,), ()


def calls(node: fx.Node, operations: Collection[Any]) -> bool:
    """Whether a node calls one of some operations, as :func:`spelled` gives them."""
    # The target of a layer's call is its name, which may well be "size" or "dim".
    return node.op in ("call_function", "call_method") and node.target in operations


def spelled(*names: str) -> set[Any]:
    """All ways to call an operation: method, in-place method, function of torch, of its functional
    module, of an export.
    """
    spellings: set[Any] = set()
    for name in names:
        spellings |= _calls(name)
        # torch's mark for what writes into its first argument.
        spellings |= _calls(f"{name}_")
    return spellings


def _calls(name: str) -> set[Any]:
    """What the target of a node can be that calls an operation of this very name."""
    return {name, *_functions(name), *_overloads(name)}


def _functions(name: str) -> Iterator[Any]:
    for module in (torch, functional):
        if hasattr(module, name):
            yield getattr(module, name)


def _overloads(name: str) -> Iterator[Any]:
    # Exported programs call these, and never the packet that they are bundled in.
    packet = getattr(torch.ops.aten, name, None)
    if packet is not None:
        for overload in packet.overloads():
            yield getattr(packet, overload)
