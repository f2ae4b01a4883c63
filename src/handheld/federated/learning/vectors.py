"""What a torch module holds, as four things: weights, frozen weights, statistics and constants.

Weights are what training moves along gradients; they alone are clipped, compressed and noised.
Statistics are what a forward pass in training moves, such as the running means of batch
normalisation: they are averaged apart. Frozen weights and constant buffers never move, so they
never travel after the start.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from handheld._copies import copied, require_shapes
from handheld.errors import InputError

Doubles = NDArray[np.float64]


class Vector:
    """Where a module's trainable weights lie in one vector (n,), one array after another.

    Weights that share memory are there once; those with ``requires_grad=False`` are not there.

    Args:
        module: whose; its weights stay where they are.

    Raises:
        InputError: it has nothing to train, or weights that are not float32.
    """

    def __init__(self, module: nn.Module):
        require_shapes(module)
        self.shapes: dict[str, torch.Size] = {}
        for name, parameter in module.named_parameters():
            # Frozen: all devices have it, and it never travels.
            if not parameter.requires_grad:
                continue
            if parameter.dtype != torch.float32:
                dtype = str(parameter.dtype).removeprefix("torch.")
                raise InputError(f"expected float32 weights, {name} holds {dtype}")
            self.shapes[name] = parameter.shape
        if not self.shapes:
            raise InputError("expected a module with parameters that may be trained, got none")
        self.names = tuple(self.shapes)
        self._size = sum(shape.numel() for shape in self.shapes.values())

    def __len__(self) -> int:
        """Return the number of weights."""
        return self._size

    @property
    def arrays(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the arrays that lie one after another."""
        return tuple(map(tuple, self.shapes.values()))

    def of(self, module: nn.Module) -> NDArray[np.float32]:
        """Return a module's weights, (n,)."""
        parameters = dict(module.named_parameters())
        tensors = map(parameters.__getitem__, self.shapes)
        return np.concatenate([tensor.detach().numpy().ravel() for tensor in tensors])

    def views(self, vector: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the weights that lie in a vector (n,), by name, without a copy."""
        # In the order of named_parameters, which is that of the module's code.
        views: dict[str, torch.Tensor] = {}
        start = 0
        for name, shape in self.shapes.items():
            views[name] = vector[start : start + shape.numel()].view(shape)
            start += shape.numel()
        return views

    def layer_views(self, module: nn.Module, vector: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the weights that lie in a vector (n,), by each place of a module that holds them.

        Weights that several layers share are there once for each layer; those of one layer that is
        used several times are there once.
        """
        views = self.views(vector)
        # A weight's first name is the one by which it lies in the vector.
        first_names: dict[int, str] = {}
        of_layers = {}
        for prefix, layer in module.named_modules():
            for name, parameter in layer.named_parameters(prefix, False, remove_duplicate=False):
                first_name = first_names.setdefault(id(parameter), name)
                if first_name in views:
                    of_layers[name] = views[first_name]
        return of_layers

    def bind(self, module: nn.Module, weights: torch.Tensor, gradients: torch.Tensor) -> None:
        """Let a module's weights and gradients lie in two vectors (n,) from now on."""
        weight_views = self.views(weights)
        gradient_views = self.views(gradients)
        for name, parameter in module.named_parameters():
            if name in weight_views:
                # Views: a step along the vector is a step of all arrays at once, without copies.
                parameter.data = weight_views[name]
                parameter.grad = gradient_views[name]


class Statistics:
    """Where the numbers that training moves without gradients lie in one vector (m,) of float64.

    Float64 holds float32 means and whole counters below 2^53 exactly, so that a mean over devices
    is rounded once, when it goes back into the module.

    Args:
        module: whose.
        names: of its buffers that are statistics.
    """

    def __init__(self, module: nn.Module, names: Collection[str]):
        self.shapes = {
            name: buffer.shape for name, buffer in module.named_buffers() if name in names
        }
        self._size = sum(shape.numel() for shape in self.shapes.values())

    def __len__(self) -> int:
        """Return how many numbers there are."""
        return self._size

    def of(self, module: nn.Module) -> Doubles:
        """Return a module's statistics, (m,)."""
        if not self.shapes:
            return np.empty(0)
        buffers = dict(module.named_buffers())
        tensors = [buffers[name].detach().to(torch.float64) for name in self.shapes]
        return np.concatenate([tensor.numpy().ravel() for tensor in tensors])

    def put(self, module: nn.Module, values: Doubles) -> None:
        """Give a module statistics (m,). Raises :class:`InputError` for another number of them."""
        if values.shape != (len(self),):
            raise InputError(f"expected {len(self)} statistics, got {list(values.shape)}")
        if not self.shapes:
            return
        # By name: a module may have replaced a buffer by another tensor.
        buffers = dict(module.named_buffers())
        start = 0
        for name, shape in self.shapes.items():
            array = torch.from_numpy(values[start : start + shape.numel()].reshape(shape))
            buffers[name].copy_(_rounded(array, buffers[name].dtype))
            start += shape.numel()


class Constants:
    """A module's buffers that no training is to move; those that a forward pass moved are put back.

    Args:
        module: whose.
        statistics: names of the buffers that may move.
    """

    def __init__(self, module: nn.Module, statistics: Collection[str]):
        kept = {name: buffer for name, buffer in module.named_buffers() if name not in statistics}
        self._first = {name: buffer.detach().clone() for name, buffer in kept.items()}
        self._seen: dict[str, tuple[torch.Tensor, int]] = {}

    def restore(self, module: nn.Module) -> None:
        """Give a module its first buffers again; those that nobody wrote to are not copied."""
        if not self._first:
            return
        for name, buffer in module.named_buffers():
            first = self._first.get(name)
            # A cache that grows with its inputs is no constant.
            if first is None or first.shape != buffer.shape:
                continue
            seen, version = self._seen.get(name, (None, 0))
            # A tensor counts its writes: cheaper than to compare large masks for each device.
            if seen is not buffer or version != buffer._version:
                with torch.no_grad():
                    buffer.copy_(first)
                self._seen[name] = (buffer, buffer._version)

    def __getstate__(self) -> dict[str, object]:
        """Leave out what was seen: it tells tensors of this process apart."""
        return {**self.__dict__, "_seen": {}}


@dataclass(frozen=True, eq=False)
class ModuleLayout:
    """The four things that a module holds; frozen weights are the parameters in none of these.

    Attributes:
        weights: what is trained.
        statistics: what is averaged apart.
        constants: what never moves.
        fixed: whether normalising layers use the statistics that they have, and never change them.
    """

    weights: Vector
    statistics: Statistics
    constants: Constants
    fixed: bool = False

    @classmethod
    def of(
        cls,
        module: nn.Module,
        forward: Callable[[nn.Module], object] | None = None,
        *,
        fixed: bool = False,
    ) -> Self:
        """Return how a module's parts lie.

        Args:
            module: whose; it stays as it is.
            forward: calls a copy of it on examples, to find statistics of layers that are not
                torch's; one that raises tells nothing.
            fixed: whether to freeze the statistics of normalising layers.

        Raises:
            InputError: nothing to train, or weights that are not float32.
        """
        weights = Vector(module)
        names = _statistics_of(module, forward, fixed)
        return cls(weights, Statistics(module, names), Constants(module, names), fixed)

    def bind(
        self, module: nn.Module, weights: torch.Tensor, gradients: torch.Tensor, statistics: Doubles
    ) -> None:
        """Let weights and gradients lie in two vectors (n,), and give a module statistics (m,)."""
        self.weights.bind(module, weights, gradients)
        self.statistics.put(module, statistics)
        self.constants.restore(module)

    def train(self, module: nn.Module) -> nn.Module:
        """Return a module in training mode, but for layers whose statistics are fixed."""
        module.train()
        if self.fixed:
            for layer in _norms(module):
                layer.eval()
        return module

    def load(
        self, module: nn.Module, weights: NDArray[np.float32], statistics: Doubles | None = None
    ) -> None:
        """Copy weights (n,) and statistics (m,) into a module; without statistics it keeps its own.

        Raises:
            InputError: another number of either.
        """
        load(module, weights, self.weights)
        if statistics is not None:
            self.statistics.put(module, statistics)


def load(module: nn.Module, weights: NDArray[np.float32], vector: Vector | None = None) -> None:
    """Give a module the weights of a vector. Raises :class:`InputError` for another length."""
    if vector is None:
        vector = Vector(module)
    if weights.shape != (len(vector),):
        raise InputError(f"expected ({len(vector)},) weights, got {list(weights.shape)}")
    values = vector.views(torch.from_numpy(np.array(weights, np.float32)))
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name in values:
                parameter.copy_(values[name])


def _statistics_of(
    module: nn.Module, forward: Callable[[nn.Module], object] | None, fixed: bool
) -> set[str]:
    """Return names of the buffers that training moves."""
    buffers = [name for name, _ in module.named_buffers()]
    if not buffers:
        return set()
    copy = copied(module).train()
    of_norms: set[str] = set()
    moving: set[str] = set()
    for prefix, layer in copy.named_modules():
        if isinstance(layer, _NormBase):
            names = {f"{prefix}.{name}".lstrip(".") for name, _ in layer.named_buffers()}
            of_norms |= names
            if _learns_means(layer) and not fixed:
                moving |= names
    if forward is not None and not of_norms.issuperset(buffers):
        # Of layers that are not torch's only a forward pass tells.
        moving |= _moved(copy, forward) - of_norms
    return moving.intersection(buffers)


def _learns_means(layer: _NormBase) -> bool:
    # One that its owner keeps in evaluation mode, or whose momentum is 0, never moves its means.
    return layer.training and layer.momentum != 0


def _moved(module: nn.Module, forward: Callable[[nn.Module], object]) -> set[str]:
    before = {name: buffer.detach().clone() for name, buffer in module.named_buffers()}
    try:
        forward(module)
    except Exception:  # whatever a user's module raises: learning says so, with the device's name
        return set()
    after = dict(module.named_buffers())
    return {name for name, buffer in before.items() if _differ(buffer, after.get(name))}


def _differ(before: torch.Tensor, after: torch.Tensor | None) -> bool:
    """Whether a buffer moved; one of another shape is a cache of the module's."""
    if after is None or before.shape != after.shape:
        return False
    # What is no number differs from itself, and did not move for that.
    both_nan = (before != before) & (after != after)
    return not bool(((before == after) | both_nan).all())


def _norms(module: nn.Module) -> list[_NormBase]:
    return [layer for layer in module.modules() if isinstance(layer, _NormBase)]


def _rounded(values: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    if dtype.is_floating_point:
        return values.to(dtype)
    # A mean of counters; ties go to the even one, everywhere alike.
    return values.round().to(dtype)
