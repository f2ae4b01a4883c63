"""A torch module's weights as one vector, and back."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from handheld.errors import InputError


class Vector:
    """Where a module's weights lie in one vector: parameters first, then what layers keep of their own, such as means.

    Args:
        module: whose; its weights stay where they are.

    Raises:
        InputError: it has no parameters, or some that are not float32.
    """

    def __init__(self, module: nn.Module):
        parameters = dict(module.named_parameters())
        kept = {name: buffer for name, buffer in module.named_buffers() if buffer.is_floating_point()}
        if not parameters:
            raise InputError("expected a module with parameters, got none")
        for name, one in {**parameters, **kept}.items():
            if one.dtype != torch.float32:
                raise InputError(f"expected float32 weights, {name} holds {str(one.dtype).removeprefix('torch.')}")
        self.shapes = {name: one.shape for name, one in {**parameters, **kept}.items()}
        self.trained = sum(one.numel() for one in parameters.values())
        self.names = tuple(parameters)

    def __len__(self) -> int:
        """Return the number of weights."""
        return sum(shape.numel() for shape in self.shapes.values())

    @property
    def arrays(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the arrays that lie one after another."""
        return tuple(map(tuple, self.shapes.values()))

    def of(self, module: nn.Module) -> NDArray[np.float32]:
        """Return a module's weights, (n,)."""
        state = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        return np.concatenate([state[name].detach().numpy().ravel() for name in self.shapes])

    def views(self, vector: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the weights that lie in a vector (n,), by name, without a copy."""
        found, start = {}, 0
        for name, shape in self.shapes.items():
            found[name] = vector[start : start + shape.numel()].view(shape)
            start += shape.numel()
        return found

    def bind(self, module: nn.Module, weights: torch.Tensor, gradients: torch.Tensor) -> None:
        """Let a module's weights and gradients lie in two vectors (n,) from now on."""
        where, slopes = self.views(weights), self.views(gradients)
        for name, parameter in module.named_parameters():
            parameter.data, parameter.grad = where[name], slopes[name]
        for name, buffer in module.named_buffers():
            if name in where:
                buffer.data = where[name]


def load(module: nn.Module, weights: NDArray[np.float32]) -> None:
    """Give a module the weights of a vector. Raises :class:`InputError` for another length."""
    vector = Vector(module)
    if weights.shape != (len(vector),):
        raise InputError(f"expected ({len(vector)},) weights, got {list(weights.shape)}")
    found: Mapping[str, torch.Tensor] = vector.views(torch.from_numpy(np.array(weights, np.float32)))
    module.load_state_dict(found, strict=False)
