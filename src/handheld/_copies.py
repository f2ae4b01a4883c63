"""Copies of torch modules, those too that compute weights in hooks."""

from copy import deepcopy

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from handheld.errors import InputError

_LONGEST = 200  # characters: torch's errors go on for pages


def copied(module: nn.Module) -> nn.Module:
    """Return a copy of a module that shares nothing with it.

    What hooks compute from weights before each forward pass (``torch.nn.utils.weight_norm``,
    ``spectral_norm``, ``prune``) is copied without its history, which torch cannot copy: the copy's
    own hooks compute it anew.

    Raises:
        InputError: it is no module, or one that cannot be copied; it says why.
    """
    if not isinstance(module, nn.Module):
        raise InputError(f"expected a torch module, got {type(module).__name__}")
    require_shapes(module)
    computed: dict[int, torch.Tensor] = {}
    for layer in module.modules():
        if layer._forward_pre_hooks:
            computed |= _computed(layer)
    try:
        # A memo of deepcopy's: what is in it is taken as copied.
        return deepcopy(module, computed)
    except MemoryError:
        raise
    except Exception as error:  # of torch, or of whatever a person's module keeps
        reason = f"{type(error).__name__}: {error}".partition("\n")[0][:_LONGEST]
        raise InputError(
            f"the module cannot be copied ({reason}): compute tensors that come of its weights"
            " in forward, and keep nothing in it that deepcopy refuses, such as locks and files"
        ) from error


def require_shapes(module: nn.Module) -> None:
    """Refuse lazy layers that were never run. Raises :class:`InputError`."""
    # Buffers too: statistics are as wide as the channels that are not known yet.
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if is_lazy(tensor):
            raise InputError(f"{name} has no shape yet: run the module on a batch before")


def _computed(layer: nn.Module) -> dict[int, torch.Tensor]:
    """Return copies of what a layer's hooks computed, by the identity of each."""
    # Hooks write plain attributes, beside the parameters they come of.
    tensors = [value for value in vars(layer).values() if isinstance(value, torch.Tensor)]
    return {id(value): value.detach().clone() for value in tensors if not value.is_leaf}
