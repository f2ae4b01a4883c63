"""Numbers of channels that stand among the arguments of nodes, such as those of a literal reshape:
they follow the channels.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import fx

from handheld.networks.structure.channels import Channels
from handheld.networks.structure.variables import Ids, Length

Lengths = Mapping[str, Sequence[tuple[Sequence[int | str], int]]]
"""By a node's name, the way to each number among its arguments that follows channels, and the
number.
"""


def lengths_after(channels: Channels, gone: Ids) -> Lengths:
    """Return the numbers of channels among the arguments of nodes once some units are gone."""
    lengths: dict[str, list[tuple[Sequence[int | str], int]]] = {}
    for name, followers in channels.lengths.items():
        lengths[name] = [(length.path, _remaining(length, gone)) for length in followers]
    return lengths


def _remaining(length: Length, gone: Ids) -> int:
    # Whatever the other lengths of the reshape leave.
    if length.is_rest:
        return -1
    return int((~np.isin(length.ids, gone)).sum())


def set_lengths(network: fx.GraphModule, lengths: Lengths) -> None:
    """Write numbers of channels into the arguments of nodes."""
    for node in network.graph.nodes:
        for path, number in lengths.get(node.name, ()):
            _set(node, path, number)
    network.recompile()


def _set(node: fx.Node, path: Sequence[int | str], number: int) -> None:
    # torch replaces an argument only whole.
    first, *others = path
    if isinstance(first, str):
        node.update_kwarg(first, _replaced(node.kwargs[first], others, number))
    else:
        node.update_arg(first, _replaced(node.args[first], others, number))


def _replaced(value: Any, path: Sequence[int | str], number: int) -> Any:
    """Return an argument with a number in place of another; nodes share their lists, so it is
    copied.
    """
    if not path:
        return number
    entries = list(value)
    index = int(path[0])
    entries[index] = _replaced(entries[index], path[1:], number)
    if isinstance(value, tuple):
        return tuple(entries)
    return entries
