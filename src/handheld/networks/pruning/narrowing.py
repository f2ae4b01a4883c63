"""The weights of a narrow network, taken from a wide one of the same kind."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import fx, nn

from handheld.errors import InputError
from handheld.networks.pruning.importance import Method, Scores, scores
from handheld.networks.structure import Channels, Group, channels_of, slim, take, trace
from handheld.networks.structure.variables import Ids


def narrowed_state(
    wide: nn.Module, narrow: nn.Module, example: torch.Tensor, *, method: Method = "l2"
) -> dict[str, torch.Tensor]:
    """Return weights for a network that has fewer channels: those that the wide one needs most.

    It may have fewer layers too, where the wide one does without: residual blocks, of which the
    last of each stage are left out.

    Args:
        wide: trained; not changed.
        narrow: of the same class and names, as wide at most in each layer; not changed.
        example: (batch, ...) an input of both.
        method: how channels are judged, see
            :func:`~handheld.networks.pruning.importance.scores`; one that needs no batches.

    Returns:
        The state of ``narrow``.

    Raises:
        InputError: ``narrow`` has layers that ``wide`` does not have, or wider ones.
        CompileError: ``wide`` cannot be traced.
    """
    network = trace(wide, example)
    channels = channels_of(network)
    kept = _kept(channels, scores(network, channels, method), _widths(network, narrow))
    taken = slim(network, channels, kept).taken
    state = wide.state_dict()
    target = narrow.state_dict()
    result: dict[str, torch.Tensor] = {}
    for name, tensor in target.items():
        if name not in state:
            raise InputError(f"{name!r} is not in the wide network: it has other layers")
        result[name] = take(state[name], taken.get(name, ())).clone()
        if result[name].shape != tensor.shape:
            raise InputError(
                f"{name!r} of {tuple(tensor.shape)} cannot be cut from "
                f"{tuple(state[name].shape)}: the wide network has other layers"
            )
    return result


def _widths(network: fx.GraphModule, narrow: nn.Module) -> Mapping[str, int]:
    """Return layer -> channels that it makes, of the layers that the narrow network has."""
    state = narrow.state_dict()
    widths: dict[str, int] = {}
    for name, _ in network.named_modules():
        weight = state.get(f"{name}.weight")
        if weight is not None:
            widths[name] = len(weight)
    return widths


def _kept(channels: Channels, importance: Scores, widths: Mapping[str, int]) -> Ids:
    """Return the units that stay: of each group as many as the narrow network has."""
    chosen = [_most_important(group, importance, _width(group, widths)) for group in channels.free]
    # numpy joins nothing only where there is an array to begin with.
    return np.concatenate([np.empty(0, np.int64), *chosen])


def _width(group: Group, widths: Mapping[str, int]) -> int:
    sizes = {widths[layer] for layer in group.layers if layer in widths}
    # A layer that the narrow network does without keeps what it has: nobody asks for it.
    return max(sizes, default=len(group.units))


def _most_important(group: Group, importance: Scores, count: int) -> Ids:
    if count > len(group.units):
        raise InputError(
            f"layer {group.layers[0]!r} has {len(group.units)} channels, {count} were asked for"
        )
    order = np.argsort(-importance[group.units], kind="stable")
    chosen: Ids = group.units[order[:count]]
    return chosen
