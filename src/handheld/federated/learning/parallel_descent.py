"""Descent of many devices in one go (``torch.func.vmap``), where that changes nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch.func import functional_call, grad_and_value, vmap

from handheld.federated.learning.descent import as_tensors, within
from handheld.federated.learning.learner import ClientTask, Floats, Learned
from handheld.federated.learning.trainable import TrainableModule, batch_of
from handheld.federated.learning.users import Examples, Users

_TOLERANCE = 1e-3  # of the largest gradient: far above rounding, far below what a mixed batch does
_SMALLEST = 1e-7  # of a gradient whose difference means something: float32's rounding of 1


@dataclass(frozen=True, eq=False)
class PaddedBatches:
    """Which examples devices learn from, step by step; devices have not all as many.

    Attributes:
        rows: (devices, steps, batch) numbers of examples.
        counted: (devices, steps, batch) 1 where an example counts, 0 where it is padding.
    """

    rows: NDArray[np.int64]
    counted: torch.Tensor

    @classmethod
    def of(cls, task: ClientTask, users: Sequence[int], population: Users) -> "PaddedBatches":
        """Return the batches of some devices in a round."""
        batches = [_batches_of(task, user, population) for user in users]
        # As many as the device that goes most; the others stand still.
        steps = max(map(len, batches))
        sizes = [len(rows) for rows in chain.from_iterable(batches)]
        batch = max(sizes, default=0)
        padded = cls(
            np.zeros((len(users), steps, batch), np.int64), torch.zeros(len(users), steps, batch)
        )
        for device, steps_of_device in enumerate(batches):
            padded._fill(device, steps_of_device)
        return padded

    def _fill(self, device: int, batches: Sequence[NDArray[np.int64]]) -> None:
        if batches:
            # Padding counts nothing, but the module sees it: another device's example could raise.
            self.rows[device] = batches[0][0]
        for step, rows in enumerate(batches):
            self.rows[device, step, : len(rows)] = rows
            self.counted[device, step, : len(rows)] = 1


def _batches_of(task: ClientTask, user: int, population: Users) -> list[NDArray[np.int64]]:
    rows = population.partition.of(user)
    return [rows[batch] for batch in task.work.batches(len(rows), task.random(user))]


def learn_in_parallel(
    model: TrainableModule,
    population: Users,
    task: ClientTask,
    users: Sequence[int],
    states: Sequence[Floats | None],
) -> list[Learned]:
    """Let devices learn side by side.

    Args:
        model: whose weights stay as they are; it keeps no statistics.
        population: devices and their examples.
        task: of the round.
        users: numbers of the devices that learn.
        states: each one's, as the algorithm keeps it; None where it keeps none.
    """
    shapes = model.layout.weights.arrays
    batches = PaddedBatches.of(task, users, population)
    server = as_tensors(task.state)
    kept = [state for state in states if state is not None]
    devices = torch.from_numpy(np.stack(kept)) if kept else None
    weights = torch.from_numpy(np.repeat(task.state.weights[None], len(users), axis=0))
    losses = torch.zeros(len(users))
    subspaces = task.subspaces(users, shapes)
    model.layout.train(model.module)
    # Weights come as arguments; only buffers are the module's own.
    model.layout.constants.restore(model.module)
    for step in range(batches.rows.shape[1]):
        counted = batches.counted[:, step]
        gradients, means = gradients_of(
            model, population.examples, weights, batches.rows[:, step], counted
        )
        adjusted = task.algorithm.adjust(gradients, weights, server, devices)
        # A device that has gone all of its steps stands still.
        is_active = counted.any(dim=1, keepdim=True)
        weights -= task.rate * is_active * within(subspaces, adjusted)
        losses += means * counted.sum(dim=1)
    changes = weights.numpy() - task.state.weights
    seen = batches.counted.sum(dim=(1, 2)).clamp(min=1)
    steps = batches.counted.any(dim=2).sum(dim=1)
    answers = zip(changes, users, steps, losses / seen, strict=True)
    return [
        Learned(
            change,
            weight=float(population.partition.sizes[user]),
            distance=int(went) * task.rate,
            loss=float(loss),
        )
        for change, user, went, loss in answers
    ]


def gradients_of(
    model: TrainableModule,
    examples: Examples,
    weights: torch.Tensor,
    rows: NDArray[np.int64],
    counted: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return gradients of many devices' mean losses.

    Args:
        model: whose module is called.
        examples: of all devices.
        weights: (devices, n) at which.
        rows: (devices, batch) numbers of examples.
        counted: (devices, batch) 1 where an example counts, 0 where it is padding.

    Returns:
        (devices, n) gradients, and (devices,) the losses.
    """

    def mean_loss(
        vector: torch.Tensor, inputs: torch.Tensor, targets: torch.Tensor, counts: torch.Tensor
    ) -> torch.Tensor:
        views = model.layout.weights.layer_views(model.module, vector)
        # Torch's own way of tied weights changes a layer that is used twice twice, and then leaves
        # the tensors of vmap in it.
        outputs = functional_call(model.module, views, (inputs,), tie_weights=False)
        losses = model.losses(outputs, targets)
        return (losses * counts).sum() / counts.sum().clamp(min=1)

    inputs, targets = batch_of(examples, rows.ravel())
    gradients, losses = vmap(grad_and_value(mean_loss))(
        weights,
        inputs.view(*rows.shape, *inputs.shape[1:]),
        targets.view(*rows.shape, *targets.shape[1:]),
        counted,
    )
    return gradients, losses


def difference(
    one_by_one: TrainableModule,
    side_by_side: TrainableModule,
    examples: Examples,
    rows: NDArray[np.int64],
    counted: torch.Tensor,
) -> str:
    """Return how gradients side by side differ from those one by one; nothing if they do not.

    Args:
        one_by_one: a module for these.
        side_by_side: another copy of it.
        examples: of all devices.
        rows: (devices, batch) numbers of examples.
        counted: (devices, batch) 1 where an example counts, 0 where it is padding.
    """
    # Without padding: what comes of it is what side by side has to be.
    alone = []
    for numbers, counts in zip(rows, counted.bool().numpy(), strict=True):
        alone.append(_gradient(one_by_one, examples, numbers[counts]))
    expected = torch.stack(alone)
    first = side_by_side.layout.weights.of(side_by_side.module)
    weights = torch.from_numpy(np.repeat(first[None], len(rows), axis=0))
    beside, _ = gradients_of(side_by_side, examples, weights, rows, counted)
    # Raises where vmap's tensors stayed in the module, which could not be evaluated then.
    after = side_by_side.layout.weights.of(side_by_side.module)
    if not np.array_equal(after, first, equal_nan=True):
        return "its own weights are others afterwards"
    distance = float((beside - expected).abs().max())
    if distance <= _TOLERANCE * float(expected.abs().max()) + _SMALLEST:
        return ""
    return f"gradients differ by {distance:.3g} from those of each alone"


def _gradient(model: TrainableModule, examples: Examples, rows: NDArray[np.int64]) -> torch.Tensor:
    """Return (n,) the gradient of some examples' mean loss."""
    inputs, targets = batch_of(examples, rows)
    model.module.zero_grad()
    losses = model.losses(model.module(inputs), targets)
    losses.mean().backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    parameters = dict(model.module.named_parameters())
    flat = []
    for name, shape in model.layout.weights.shapes.items():
        gradient = parameters[name].grad
        # Of a weight that the loss does not depend on there is none.
        if gradient is None:
            gradient = torch.zeros(shape)
        flat.append(gradient.flatten())
    return torch.cat(flat)
