"""A narrower copy of a network, and where each of its numbers comes from."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import fx, nn

from handheld.errors import InputError
from handheld.networks.structure.channels import Channels, tensors_of
from handheld.networks.structure.layers import resize
from handheld.networks.structure.lengths import lengths_after, set_lengths
from handheld.networks.structure.trace import example_of, with_shapes
from handheld.networks.structure.variables import Axes, Ids

Places = tuple[torch.Tensor | None, ...]


@dataclass(frozen=True, eq=False)
class Slim:
    """A smaller network cut from a larger one.

    Attributes:
        network: with weights of its own; its nodes know their shapes.
        taken: for each of its parameters and buffers that is smaller, the places along each axis of
            the larger one's, ascending (None: all of them).
    """

    network: fx.GraphModule
    taken: Mapping[str, Places]


def slim(network: fx.GraphModule, channels: Channels, kept: Ids) -> Slim:
    """Cut a network to some of its units.

    What it computes is what the network computes if nobody reads the channels that are gone.

    Args:
        network: not changed.
        channels: of that network.
        kept: ids of the units that stay; those of pinned groups stay in any case.

    Raises:
        InputError: a layer would lose all of its channels.
    """
    free = np.concatenate([np.empty(0, np.int64), *(group.units for group in channels.free)])
    gone = np.setdiff1d(free, kept)
    for name, units in needed(channels):
        if np.isin(units, gone).all():
            raise InputError(
                f"{name} would lose all of its {len(units)} channels; "
                "keep one of its units at least"
            )
    small = deepcopy(network)
    places = {name: _places(axes, gone) for name, axes in channels.axes.items()}
    taken = {
        name: chosen for name, chosen in places.items() if any(axis is not None for axis in chosen)
    }
    _cut(small, taken)
    set_lengths(small, lengths_after(channels, gone))
    return Slim(with_shapes(small, example_of(network)), taken)


def needed(channels: Channels) -> Iterator[tuple[str, Ids]]:
    """Yield units of which one has to stay: those that a layer makes, and those that an axis of a
    parameter is of, named.
    """
    for layer, units in channels.made.items():
        yield f"layer {layer!r}", units
    for parameter, axes in channels.axes.items():
        for held in axes:
            if held is not None and len(held):
                yield f"{parameter!r}", held


def take(tensor: torch.Tensor, places: Places) -> torch.Tensor:
    """Return the chosen places of a tensor along its first axes; gradients reach the tensor."""
    for axis, chosen in enumerate(places):
        if chosen is None:
            continue
        # A view where one will do: a member of a family then shares the memory of the largest.
        is_prefix = len(chosen) > 0 and int(chosen[-1]) == len(chosen) - 1
        if is_prefix:
            tensor = tensor.narrow(axis, 0, len(chosen))
            continue
        tensor = tensor.index_select(axis, chosen.to(tensor.device))
    return tensor


def _places(axes: Axes, gone: Ids) -> Places:
    return tuple(_chosen(ids, gone) for ids in axes)


def _chosen(ids: Ids | None, gone: Ids) -> torch.Tensor | None:
    """Return the places of an axis that stay; None for all of them."""
    if ids is None:
        return None
    stays = ~np.isin(ids, gone)
    return None if stays.all() else torch.from_numpy(np.flatnonzero(stays))


def _cut(network: nn.Module, taken: Mapping[str, Places]) -> None:
    """Replace tensors by their chosen places.

    Those that were one tensor under several names stay one.
    """
    old = tensors_of(network)
    layers = dict(network.named_modules(remove_duplicate=False))
    new: dict[int, torch.Tensor] = {}
    changed: dict[int, nn.Module] = {}
    for name, places in taken.items():
        tensor = old[name]
        if id(tensor) not in new:
            new[id(tensor)] = _like(tensor, take(tensor.detach(), places).clone())
        owner, _, attribute = name.rpartition(".")
        layer = layers[owner]
        setattr(layer, attribute, new[id(tensor)])
        changed[id(layer)] = layer
    for layer in changed.values():
        resize(layer)


def _like(old: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    return nn.Parameter(new, old.requires_grad) if isinstance(old, nn.Parameter) else new
