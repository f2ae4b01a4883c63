"""The weights of a pack's file, for a training that goes on from there.

A compiled convolution has swallowed the normalisation behind it, without which it learns badly. It
is given back: the network answers as its file does, and each convolution's outputs are measured on
a batch and normalised again.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from handheld.engine import Model
from handheld.errors import InputError

# What a deployed network calls the one that was trained.
_PREFIX = "network."

# How the compiler calls the larger of a layer's two constants; the bias has the layer's name alone.
_WEIGHT = ":1"


def shape_of_file(file: Path) -> dict[str, Any]:
    """Return the shape of the network that a file was compiled from, as its card has it.

    Raises:
        ModelError: no model file.
        InputError: not of a training of hands.
    """
    with Model.open(file) as model:
        plan = model.card.get("plan")
    shape = plan.get("network") if isinstance(plan, dict) else None
    if not isinstance(shape, dict):
        raise InputError(f"{file}: says nothing of a training: expected a file of a pack of ours")
    return shape


def fill_from_file(network: nn.Module, file: Path) -> None:
    """Give a network the weights of its compiled file; its normalisations do nothing then.

    Args:
        network: of the file's shape; changed.
        file: of float32 or float16.

    Raises:
        ModelError: no model file, or not of this network.
        InputError: of another shape, or its weights are rounded to eight bits.
    """
    with Model.open(file) as model:
        for name, layer in network.named_modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                weight = _constant(model, _weight_name(model, name), layer.weight)
                _set(layer.weight, weight)
                if layer.bias is not None:
                    _set(layer.bias, _bias(model, name, layer.bias))
        for name, norm in _normalised(network):
            _pass_through(norm, _bias(model, name, norm.bias))


def normalise(network: nn.Module, look: Callable[[nn.Module], object]) -> None:
    """Give a network that was filled from a file its normalisations back; its answers stay.

    Args:
        network: changed.
        look: runs the network on a batch of its training.
    """
    network.eval()
    with _measured(norm for _, norm in _normalised(network)), torch.no_grad():
        look(network)


def _weight_name(model: Model, name: str) -> str:
    """Return how a file calls a layer's weights."""
    weight = f"{_PREFIX}{name}{_WEIGHT}"
    # A bias that others share, as of layers that have not learned yet, has no layer's name: the
    # weights have it then.
    return weight if model.has_constant(weight) else f"{_PREFIX}{name}"


def _bias(model: Model, name: str, parameter: Tensor) -> NDArray[np.floating[Any]]:
    """Return a layer's bias, by the operator that reads its weights."""
    beside = model.constants_beside(_weight_name(model, name))
    if not beside:
        return np.zeros(parameter.shape, np.float32)
    return _constant(model, beside[0], parameter)


def _constant(model: Model, name: str, parameter: Tensor) -> NDArray[np.floating[Any]]:
    """Return a constant in the place of a parameter, in torch's order of axes."""
    values = model.constant(name)
    if not np.issubdtype(values.dtype, np.floating):
        raise InputError(
            f"{model.path}: its weights are {values.dtype}: "
            "start from a file of float32 or float16, which still has them all"
        )
    # A runtime's convolutions have their input channels last.
    ordered = values.transpose(0, 3, 1, 2) if values.ndim == 4 else values
    if ordered.shape != parameter.shape:
        raise InputError(
            f"{model.path}: {name} is of {ordered.shape}, this network's of "
            f"{tuple(parameter.shape)}: not the file of this network"
        )
    return ordered


def _set(parameter: Tensor, values: NDArray[np.floating[Any]]) -> None:
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(values.astype(np.float32)))


def _normalised(network: nn.Module) -> Iterator[tuple[str, nn.BatchNorm2d]]:
    """Give each normalisation, by the name of the convolution before it."""
    for (name, layer), (_, following) in pairwise(network.named_modules()):
        if isinstance(layer, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
            yield name, following


def _pass_through(norm: nn.BatchNorm2d, bias: NDArray[np.floating[Any]]) -> None:
    """Let a normalisation do nothing but add a bias."""
    _set(cast(Tensor, norm.running_mean), np.zeros_like(bias))
    # It divides by the root of this and of epsilon.
    _set(cast(Tensor, norm.running_var), np.full_like(bias, 1 - norm.eps, np.float32))
    _set(norm.weight, np.ones_like(bias))
    _set(norm.bias, bias)


@contextlib.contextmanager
def _measured(norms: Iterable[nn.BatchNorm2d]) -> Iterator[None]:
    """Let normalisations measure what they are given inside of the block, and normalise by that
    from then on, with answers that stay as they are.
    """
    handles = [norm.register_forward_pre_hook(_measure) for norm in norms]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _measure(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """Normalise by these inputs, and take it back by scale and bias."""
    assert isinstance(norm, nn.BatchNorm2d)
    variance, mean = torch.var_mean(inputs[0], dim=(0, 2, 3), correction=0)
    cast(Tensor, norm.running_mean).copy_(mean)
    cast(Tensor, norm.running_var).copy_(variance)
    norm.weight.copy_((variance + norm.eps).sqrt())
    norm.bias.add_(mean)
