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
    for name, held in needed(channels):
        if np.isin(held, gone).all():
            raise InputError(
                f"{name} would lose all of its {len(held)} channels; keep one of its units at least"
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
        if chosen is not None:
            # A view where one will do: a member of a family then shares the memory of the largest.
            prefix = len(chosen) > 0 and int(chosen[-1]) == len(chosen) - 1
            tensor = (
                tensor.narrow(axis, 0, len(chosen))
                if prefix
                else tensor.index_select(axis, chosen.to(tensor.device))
            )
    return tensor


def _places(axes: Axes, gone: Ids) -> Places:
    found: list[torch.Tensor | None] = []
    for ids in axes:
        stays = None if ids is None else ~np.isin(ids, gone)
        found.append(
            None if stays is None or stays.all() else torch.from_numpy(np.flatnonzero(stays))
        )
    return tuple(found)


def _cut(network: nn.Module, taken: Mapping[str, Places]) -> None:
    """Replace tensors by their chosen places; those that were one tensor under several names stay
    one.
    """
    old, made, layers = (
        tensors_of(network),
        dict[int, torch.Tensor](),
        dict(network.named_modules(remove_duplicate=False)),
    )
    for name, places in taken.items():
        tensor = old[name]
        if id(tensor) not in made:
            made[id(tensor)] = _like(tensor, take(tensor.detach(), places).clone())
        owner, _, attribute = name.rpartition(".")
        setattr(layers[owner], attribute, made[id(tensor)])
    for layer in {
        id(layers[name.rpartition(".")[0]]): layers[name.rpartition(".")[0]] for name in taken
    }.values():
        resize(layer)


def _like(old: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    return nn.Parameter(new, old.requires_grad) if isinstance(old, nn.Parameter) else new
