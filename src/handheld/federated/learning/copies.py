"""Copies of modules, those too that compute weights in hooks."""

from copy import deepcopy

import torch
from torch import nn

from handheld.errors import InputError
from handheld.federated.user_code import said


def copied(module: nn.Module) -> nn.Module:
    """Return a copy of a module that shares nothing with it.

    What hooks compute from weights before each forward pass (``torch.nn.utils.weight_norm``,
    ``spectral_norm``, pruning) is copied without its history, which torch cannot copy: the copy's
    own hooks compute it anew.

    Raises:
        InputError: a module that cannot be copied; it says why.
    """
    computed = {
        id(value): value.detach().clone()
        for layer in module.modules()
        if layer._forward_pre_hooks
        for value in vars(layer).values()
        if isinstance(value, torch.Tensor) and not value.is_leaf
    }
    try:
        return deepcopy(module, computed)
    except MemoryError:
        raise
    except Exception as error:  # of torch, or of whatever a user's module keeps
        raise InputError(
            f"the module cannot be copied ({said(error)}): compute tensors that come of its weights in forward,"
            " and keep nothing in it that deepcopy refuses, such as locks and files"
        ) from error
