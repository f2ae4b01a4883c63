"""What a network is, without its code: its modules, their options, and what it answers."""

from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from handheld._copies import copied
from handheld.errors import InputError
from handheld.training.runs import ABOUT, Plain, array_digest, canonical, name_of

_ANSWERS = 16  # outputs that tell two functions apart


def structure(module: nn.Module) -> Plain:
    """Return a network's modules: their classes and options, and which weights are trained."""
    modules = {name or "network": _module(one) for name, one in module.named_modules()}
    trained = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
    return {"modules": modules, "trained": trained}


def contents(module: nn.Module, inputs: torch.Tensor | None) -> Plain:
    """Return what a network holds and answers.

    Two ``forward`` methods that differ in a function alone (``relu``, ``tanh``) have the same
    modules: what the network answers to an input tells them apart.

    Args:
        module: with its first weights.
        inputs: (batch, ...) to answer; None: there are none.
    """
    # By content: another file with the same weights is the same network.
    held = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    tensors = {name: array_digest(_array(value)) for name, value in held.items()}
    return {"tensors": tensors, "answers": {ABOUT: _answers(module, inputs)}}


def _module(module: nn.Module) -> Plain:
    options: dict[str, Any] = {"class": name_of(type(module)), "made": module.extra_repr()}
    for name, value in sorted(vars(module).items()):
        # What torch keeps begins with an underscore; "training" depends on who ran the module last.
        if name.startswith("_") or name == "training":
            continue
        try:
            options[name] = canonical(value, name)
        except InputError:
            options[name] = name_of(type(value))
    return options


def _answers(module: nn.Module, inputs: torch.Tensor | None) -> list[float]:
    if inputs is None:
        return []
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            # Any seed, the same each time, for modules that draw.
            torch.default_generator.manual_seed(0)
            outputs = copied(module).eval()(inputs)
    except Exception:  # whatever a user's module raises: learning says so
        return []
    if isinstance(outputs, torch.Tensor):
        return _numbers(outputs)
    return []


def _numbers(outputs: torch.Tensor) -> list[float]:
    return cast(list[float], outputs.double().flatten()[:_ANSWERS].tolist())


def _array(value: torch.Tensor) -> NDArray[Any]:
    """Return a tensor's bytes as numbers: numpy has no type for some."""
    flat = value.detach().contiguous().flatten()
    if flat.numel():
        return flat.view(torch.uint8).numpy()
    return np.empty(0, np.uint8)
