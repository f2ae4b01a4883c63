"""A torch module that devices train: with how its weights lie, and by which loss it learns."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from handheld.errors import InputError
from handheld.federated.learning.learner import Doubles, Floats
from handheld.federated.learning.users import Examples
from handheld.federated.learning.vectors import ModuleLayout

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Takes (batch, ...) outputs and targets; returns (batch,) losses, one of each example."""


@dataclass(frozen=True, eq=False)
class TrainableModule:
    """A module, how its weights lie in a vector, and its loss.

    Attributes:
        module: whose weights and statistics are changed in place.
        layout: how they lie in a server's.
        loss: of what the module says.
    """

    module: nn.Module
    layout: ModuleLayout
    loss: Loss

    def losses(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return (batch,) losses. Raises :class:`InputError` unless there is one an example."""
        return of_each(self.loss(outputs, targets), len(targets), self.loss)

    def begin_training(
        self, weights: Floats, statistics: Doubles
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Give the module weights (n,) and statistics (m,), in training mode.

        Returns:
            (n,) its weights, (n,) its gradients: the module's own lie in these from now on.
        """
        here = torch.from_numpy(weights.copy())
        gradient = torch.zeros(len(self.layout.weights))
        self.layout.bind(self.layout.train(self.module), here, gradient, statistics)
        return here, gradient

    def begin_evaluation(self, weights: Floats, statistics: Doubles | None) -> None:
        """Give the module weights (n,) and statistics (m,), in evaluation mode.

        Without statistics its own are used as they are.
        """
        values = statistics
        if values is None:
            values = self.layout.statistics.of(self.module)
        # Gradients are bound too: those of an earlier device must not be left in the module.
        gradients = torch.zeros(len(self.layout.weights))
        copied_weights = torch.from_numpy(weights.copy())
        self.layout.bind(self.module.eval(), copied_weights, gradients, values)


def cross_entropy(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return (batch,) losses of logits (batch, classes) or (batch, length, classes).

    A target of -1 asks for nothing.
    """
    lost = functional.cross_entropy(
        outputs.flatten(0, -2), targets.flatten(), reduction="none", ignore_index=-1
    )
    if targets.dim() == 1:
        return lost
    # An example counts as one, however many of its letters are asked for.
    inner_axes = tuple(range(1, targets.dim()))
    # One at least: a row that asks for nothing has a loss of 0, and not of 0 / 0.
    asked = (targets >= 0).sum(dim=inner_axes).clamp(min=1)
    return lost.view(targets.shape).flatten(1).sum(dim=1) / asked


def of_each(losses: torch.Tensor, count: int, loss: Loss, use: str = "loss") -> torch.Tensor:
    """Return losses as they are.

    Raises :class:`InputError` unless there is one for each example.
    """
    if losses.shape == (count,):
        return losses
    name = name_of(loss)
    # A mean over the batch is what torch's losses give unless they are asked for more.
    if losses.dim() == 0:
        raise InputError(
            f"{use} {name} gives one number for {count} examples, expected one for each: "
            f"a mean would count other devices' examples; give reduction='none', such as "
            f"functools.partial(F.cross_entropy, reduction='none')"
        )
    raise InputError(
        f"{use} {name} gives {list(losses.shape)} for {count} examples, expected [{count}], "
        "one for each: take its mean over all but the first dimension"
    )


def name_of(function: object) -> str:
    """Return what a function is called, or what it is an instance of."""
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def batch_of(
    examples: Examples, rows: NDArray[np.int64] | slice
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return some examples as modules take them.

    Returns:
        Inputs: bytes, of pictures, as 0 to 1; numbers with a point, and yes or no, as float32;
            whole ones as int64, as embeddings take them. Targets: classes as int64, numbers as
            float32.
    """
    # Rows of a memory map or a transposed array have no order that torch can take.
    inputs = np.ascontiguousarray(examples.inputs[rows])
    if inputs.dtype == np.uint8:
        return torch.from_numpy(inputs).float() / 255, _tensor(examples.targets[rows])
    if inputs.dtype == np.bool_:
        inputs = inputs.astype(np.float32)
    return _tensor(inputs), _tensor(examples.targets[rows])


def _tensor(values: NDArray[np.generic]) -> torch.Tensor:
    # Torch's layers take floats of 32 bits, its losses and embeddings whole numbers of 64.
    dtype: type[np.generic] = np.int64
    if values.dtype.kind == "f":
        dtype = np.float32
    return torch.from_numpy(np.ascontiguousarray(values, dtype))
