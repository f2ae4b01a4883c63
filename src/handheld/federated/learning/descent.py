"""Stochastic gradient descent of one device, the same in a simulation and on the device itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from handheld.federated.algorithms import State
from handheld.federated.learning.learner import Floats, Learned, Subspace, Task
from handheld.federated.learning.users import Examples
from handheld.federated.learning.vectors import Vector

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Takes what a module says and what it should, (batch, ...) both; returns (batch,) losses."""

_DRAWS = 1
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def cross_entropy(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return (batch,) losses of logits (batch, classes) or (batch, length, classes); a target of -1 asks for nothing."""
    lost = functional.cross_entropy(outputs.flatten(0, -2), targets.flatten(), reduction="none", ignore_index=-1)
    if targets.dim() == 1:
        return lost
    asked = (targets >= 0).sum(dim=tuple(range(1, targets.dim()))).clamp(min=1)
    return lost.view(targets.shape).flatten(1).sum(dim=1) / asked


def descend(
    module: nn.Module,
    vector: Vector,
    examples: Examples,
    places: NDArray[np.int64],
    task: Task,
    user: int,
    own: Floats | None = None,
    loss: Loss = cross_entropy,
    goes_on: Callable[[], bool] = lambda: True,
) -> Learned:
    """Let a device learn.

    Args:
        module: whose weights are changed in place.
        vector: how they lie in the task's.
        examples: of which the device has some.
        places: (k,) which.
        task: what it is asked.
        user: its number.
        own: (n,) its state, where the algorithm keeps one.
        loss: of what the module says.
        goes_on: asked before each step; what was learned until then is returned, and weighs as much less.
    """
    state, kept = as_tensors(task.state), None if own is None else torch.from_numpy(own)
    here, slope = torch.from_numpy(task.state.weights.copy()), torch.zeros(len(vector))
    vector.bind(module.train(), here, slope)
    torch.default_generator.manual_seed(int(task.random(user, _DRAWS).integers(1 << 62)))  # of layers that draw
    subspaces = task.subspaces([user], vector.arrays)
    norms = [each for each in module.modules() if isinstance(each, _NORMS)]
    lost, seen, steps, wanted = 0.0, 0, 0, task.work.steps_of(len(places))
    for rows in task.work.batches(len(places), task.random(user)):
        if not goes_on():
            break
        slope.zero_()
        inputs, targets = batch_of(examples, places[rows])
        for norm in norms:
            norm.train(len(rows) > 1)  # a single example has no spread: it is normalised by the means that the layer keeps
        losses = loss(module(inputs), targets)
        losses.mean().backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            step = within(subspaces, task.algorithm.adjust(slope, here, state, kept)[None])[0]
            here[: vector.trained] -= task.rate * step[: vector.trained]
        lost, seen, steps = lost + float(losses.detach().sum()), seen + len(rows), steps + 1
    weight = len(places) * steps / max(1, wanted)
    return Learned(here.numpy() - task.state.weights, weight, steps * task.rate, lost / max(1, seen))


def batch_of(examples: Examples, rows: NDArray[np.int64] | slice) -> tuple[torch.Tensor, torch.Tensor]:
    """Return some examples as modules take them: bytes, of pictures, as 0 to 1."""
    inputs = torch.from_numpy(np.ascontiguousarray(examples.inputs[rows]))
    return inputs.float() / 255 if inputs.dtype == torch.uint8 else inputs, torch.from_numpy(examples.targets[rows])


def as_tensors(state: State) -> State:
    """Return a state whose arrays are tensors, for the algorithm's arithmetic on devices."""
    kept: Mapping[str, object] = {name: torch.from_numpy(array) for name, array in state.kept.items()}
    return replace(state, weights=torch.from_numpy(state.weights), kept=kept)  # type: ignore[arg-type]


def within(subspaces: Sequence[Subspace], steps: torch.Tensor) -> torch.Tensor:
    """Return (devices, n) steps, each as far as it lies in its subspace; as they are if there are none."""
    if not subspaces:
        return steps
    flat = [each.expand(each.coordinates(step)) for each, step in zip(subspaces, steps.detach().numpy(), strict=True)]
    return torch.from_numpy(np.stack(flat))
