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
    return {
        name: [(one.place, _left(one, gone)) for one in found]
        for name, found in channels.lengths.items()
    }


def _left(length: Length, gone: Ids) -> int:
    return -1 if length.is_rest else int((~np.isin(length.ids, gone)).sum())


def set_lengths(network: fx.GraphModule, lengths: Lengths) -> None:
    """Write numbers of channels into the arguments of nodes."""
    for node in network.graph.nodes:
        for place, number in lengths.get(node.name, ()):
            first, *rest = place
            if isinstance(first, str):
                node.update_kwarg(first, _replaced(node.kwargs[first], rest, number))
            else:
                node.update_arg(first, _replaced(node.args[first], rest, number))
    network.recompile()


def _replaced(value: Any, place: Sequence[int | str], number: int) -> Any:
    if not place:
        return number
    entries = list(value)
    entries[int(place[0])] = _replaced(entries[int(place[0])], place[1:], number)
    return tuple(entries) if isinstance(value, tuple) else entries
