"""A narrower copy of a network, and where each of its numbers comes from."""

from collections.abc import Iterable, Iterator, Mapping
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
from handheld.networks.structure.variables import Ids

AxisIndices = tuple[torch.Tensor | None, ...]
"""The places that stay along the first axes of a tensor; None: all of them."""


@dataclass(frozen=True, eq=False)
class Slim:
    """A smaller network cut from a larger one.

    Attributes:
        network: with weights of its own; its nodes know their shapes.
        taken: for each of its parameters and buffers that is smaller, the places along each axis of
            the larger one's, ascending (None: all of them).
    """

    network: fx.GraphModule
    taken: Mapping[str, AxisIndices]


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
    gone = _gone(channels, kept)
    _check_layers_stay(channels, gone)
    taken = _taken(channels, gone)
    # The caller goes on with the large one: others are cut from it.
    small = deepcopy(network)
    replace_tensors(small, _cut(small, taken))
    # Before the shapes: with the old lengths a reshape would fail.
    set_lengths(small, lengths_after(channels, gone))
    shaped = with_shapes(small, example_of(network))
    return Slim(shaped, taken)


def _gone(channels: Channels, kept: Ids) -> Ids:
    """Return the free units that are not among those that stay."""
    # Ids that are no units of this network, or are pinned, change nothing.
    units = [group.units for group in channels.free]
    # numpy joins nothing to nothing only with an array to begin with.
    free = np.concatenate([np.empty(0, np.int64), *units])
    return np.setdiff1d(free, kept)


def _check_layers_stay(channels: Channels, gone: Ids) -> None:
    for name, units in needed(channels):
        if np.isin(units, gone).all():
            raise InputError(
                f"{name} would lose all of its {len(units)} channels; "
                "keep one of its units at least"
            )


def needed(channels: Channels) -> Iterator[tuple[str, Ids]]:
    """Yield units of which one has to stay: those that a layer makes, and those that an axis of a
    parameter is of, named.
    """
    # A layer of no channels is a tensor of no numbers, which few operators take.
    for layer, units in channels.made.items():
        yield f"layer {layer!r}", units
    for parameter, axes in channels.axes.items():
        for ids in axes:
            if ids is not None and len(ids):
                yield f"{parameter!r}", ids


def take(tensor: torch.Tensor, indices: AxisIndices) -> torch.Tensor:
    """Return the chosen places of a tensor along its first axes; gradients reach the tensor."""
    for axis, chosen in enumerate(indices):
        if chosen is not None:
            tensor = _take_along(tensor, axis, chosen)
    return tensor


def _take_along(tensor: torch.Tensor, axis: int, chosen: torch.Tensor) -> torch.Tensor:
    is_prefix = len(chosen) > 0 and int(chosen[-1]) == len(chosen) - 1
    if is_prefix:
        # A view where one will do: a member of a family then shares the memory of the largest.
        return tensor.narrow(axis, 0, len(chosen))
    return tensor.index_select(axis, chosen.to(tensor.device))


def _taken(channels: Channels, gone: Ids) -> dict[str, AxisIndices]:
    """Return the places that stay, of each parameter and buffer that gets smaller."""
    taken: dict[str, AxisIndices] = {}
    for name, axes in channels.axes.items():
        indices = tuple(_chosen(ids, gone) for ids in axes)
        if any(axis is not None for axis in indices):
            taken[name] = indices
    return taken


def _chosen(ids: Ids | None, gone: Ids) -> torch.Tensor | None:
    """Return the places of an axis that stay; None for all of them."""
    if ids is None:
        return None
    stays = ~np.isin(ids, gone)
    if stays.all():
        return None
    return torch.from_numpy(np.flatnonzero(stays))


def _cut(
    network: nn.Module, taken: Mapping[str, AxisIndices]
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the chosen places of tensors, in memory of their own."""
    tensors = tensors_of(network)
    for name, indices in taken.items():
        yield name, take(tensors[name].detach(), indices).clone()


def replace_tensors(network: nn.Module, tensors: Iterable[tuple[str, torch.Tensor]]) -> None:
    """Replace parameters and buffers, which may have other shapes, and tell their layers.

    What was one tensor under several names stays one, and what was frozen stays frozen.

    Args:
        network: changed in place.
        tensors: names and new values; of one with several names, the first is taken.
    """
    old = tensors_of(network)
    layers = dict(network.named_modules(remove_duplicate=False))
    new: dict[int, torch.Tensor] = {}
    changed: dict[int, nn.Module] = {}
    for name, tensor in tensors:
        # By what it is, not by its name: shared weights have several.
        replacement = new.setdefault(id(old[name]), _in_place_of(old[name], tensor))
        owner, _, attribute = name.rpartition(".")
        layer = layers[owner]
        setattr(layer, attribute, replacement)
        changed[id(layer)] = layer
    # Once each, and last: a depthwise layer's new groups depend on its old ones.
    for layer in changed.values():
        resize(layer)


def _in_place_of(old: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    """Return a tensor as a parameter if the one before it was one."""
    if isinstance(old, nn.Parameter):
        return nn.Parameter(new, old.requires_grad)
    return new
