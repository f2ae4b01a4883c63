"""Names of parameters in a traced network that are not those of the module that it was made of."""

from collections.abc import Mapping

import torch
from torch import fx

Packed = Mapping[str, tuple[str, ...]]
"""Name of a parameter of the module -> names of the parameters of the traced network that it
consists of, along axis 0.
"""

_KEY = "packed"


def note_packed(network: fx.GraphModule, packed: Packed) -> None:
    """Remember with a network what its module's parameters became."""
    network.meta[_KEY] = {**network.meta.get(_KEY, {}), **packed}


def module_state(network: fx.GraphModule) -> dict[str, torch.Tensor]:
    """Return a traced network's state under the names that its module has for it, each tensor in
    memory of its own.
    """
    state = network.state_dict()
    for whole, parts in network.meta.get(_KEY, {}).items():
        if state.keys() >= set(parts):
            state[whole] = torch.cat([state[part] for part in parts])
            for part in parts:
                del state[part]
    return {name: tensor.contiguous().clone() for name, tensor in state.items()}
