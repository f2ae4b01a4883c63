"""Names of parameters in a traced network that are not those of the module that it was made of."""

from collections.abc import Mapping

import torch
from torch import fx

PackedNames = Mapping[str, tuple[str, ...]]
"""Name of a parameter of the module -> names of the parameters of the traced network that it
consists of, along axis 0.
"""

_KEY = "packed"


def note_packed(network: fx.GraphModule, packed: PackedNames) -> None:
    """Remember with a network what its module's parameters became."""
    network.meta[_KEY] = {**network.meta.get(_KEY, {}), **packed}


def module_state(network: fx.GraphModule) -> dict[str, torch.Tensor]:
    """Return a traced network's state under the names that its module has for it, each tensor in
    memory of its own.
    """
    state = network.state_dict()
    packed: PackedNames = network.meta.get(_KEY, {})
    for name, pieces in packed.items():
        # A layer that nobody reads is left out of the graph, and so are its pieces.
        if state.keys() >= set(pieces):
            state[name] = torch.cat([state.pop(piece) for piece in pieces])
    return {name: tensor.contiguous().clone() for name, tensor in state.items()}
