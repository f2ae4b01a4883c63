"""Stochastic gradient descent of one device, the same in a simulation and on the device itself."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from handheld.federated.algorithms import ServerState
from handheld.federated.learning.learner import ClientTask, Floats, Learned, Subspace
from handheld.federated.learning.trainable import TrainableModule, batch_of
from handheld.federated.learning.users import Examples

# Use of a device's random numbers for what layers draw; 0 is the order of its examples.
_DRAWS = 1
# Layers that normalise by a batch's own means while they learn.
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def _always() -> bool:
    return True


class Descent:
    """A device that goes step by step along its gradients.

    Args:
        model: whose weights and statistics are changed in place.
        task: what the device is asked.
        user: its number.
        state: (n,) the device's, where the algorithm keeps one.
    """

    def __init__(
        self, model: TrainableModule, task: ClientTask, user: int, state: Floats | None = None
    ):
        self._model = model
        self._task = task
        self._user = user
        self._server = as_tensors(task.state)
        self._state: torch.Tensor | None = None
        if state is not None:
            self._state = torch.from_numpy(state)
        self._subspaces = task.subspaces([user], model.layout.weights.arrays)
        self._weights, self._gradient = model.begin_training(
            task.state.weights, task.state.statistics
        )
        self._loss = 0.0
        self._seen = 0
        self._steps = 0

    def learn(
        self,
        examples: Examples,
        rows: NDArray[np.int64],
        goes_on: Callable[[], bool] = _always,
    ) -> Learned:
        """Learn from some examples.

        The caller's random numbers of torch stay as they were.

        Args:
            examples: of which the device has some.
            rows: (k,) which.
            goes_on: asked before each step; what was learned until then is returned, and weighs as
                much less.

        Raises:
            InputError: a loss that is not one number for each example.
        """
        task = self._task
        with torch.random.fork_rng(devices=[]), _single_numbers_by_kept_means(self._model.module):
            # Layers that draw, such as dropout, draw the same for this device and round wherever
            # it learns.
            draws = task.random(self._user, _DRAWS)
            torch.default_generator.manual_seed(int(draws.integers(1 << 62)))
            for batch in task.work.batches(len(rows), task.random(self._user)):
                if not goes_on():
                    break
                self._step(*batch_of(examples, rows[batch]))
        return self._learned(len(rows))

    def _step(self, inputs: torch.Tensor, targets: torch.Tensor) -> None:
        """Go one step along the mean loss of a batch."""
        task = self._task
        self._gradient.zero_()
        losses = self._model.losses(self._model.module(inputs), targets)
        losses.mean().backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        with torch.no_grad():
            adjusted = task.algorithm.adjust(
                self._gradient, self._weights, self._server, self._state
            )
            # Within the subspace, so that what is sent tells all that was learned.
            self._weights -= task.rate * within(self._subspaces, adjusted[None])[0]
        self._loss += float(losses.detach().sum())
        self._seen += len(losses)
        self._steps += 1

    def _learned(self, examples: int) -> Learned:
        """Return what came of it, of a device with so many examples."""
        task = self._task
        return Learned(
            self._weights.numpy() - task.state.weights,
            weight=examples * self._steps / max(1, task.work.steps_of(examples)),
            distance=self._steps * task.rate,
            loss=self._loss / max(1, self._seen),
            statistics=self._model.layout.statistics.of(self._model.module),
        )


def single_norms(module: nn.Module, inputs: torch.Tensor) -> list[str]:
    """Return which normalising layers that learn are given one number a channel, by name.

    Inputs are (1, ...).
    """
    names = {layer: name for name, layer in module.named_modules()}
    single: list[str] = []

    def look(layer: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if _is_single(inputs[0]):
            single.append(f"{names[layer]} ({type(layer).__name__})".strip())

    norms = _learning_norms(module)
    with torch.random.fork_rng(devices=[]), torch.no_grad(), _before_each(norms, look):
        module.eval()(inputs)
    return single


@contextmanager
def _single_numbers_by_kept_means(module: nn.Module) -> Iterator[None]:
    """Let layers that are given one number a channel normalise it by the means that they keep.

    One number has no variance, and torch raises. A picture has: of its channels statistics are
    learned, as torch does.
    """

    def choose(layer: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        layer.train(not _is_single(inputs[0]))

    norms = _learning_norms(module)
    try:
        with _before_each(norms, choose):
            yield
    finally:
        for norm in norms:
            # As it was found: what follows may be another device's training.
            norm.train()


@contextmanager
def _before_each(norms: Sequence[nn.Module], look: Callable[..., None]) -> Iterator[None]:
    handles = [norm.register_forward_pre_hook(look) for norm in norms]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _learning_norms(module: nn.Module) -> list[nn.Module]:
    """Return layers that learn statistics of batches."""
    return [layer for layer in module.modules() if isinstance(layer, _NORMS) and layer.training]


def _is_single(values: torch.Tensor) -> bool:
    """Whether (batch, channels, ...) hold one number a channel."""
    return values.numel() == values.shape[1]


def as_tensors(state: ServerState) -> ServerState:
    """Return a state whose arrays are tensors, for the algorithm's arithmetic on devices."""
    kept = {name: torch.from_numpy(array) for name, array in state.kept.items()}
    weights = torch.from_numpy(state.weights)
    # The algorithm's formulas are the same for both: ``Algorithm.adjust`` says so.
    return replace(state, weights=weights, kept=kept)  # type: ignore[arg-type]  # tensors instead


def within(subspaces: Sequence[Subspace], steps: torch.Tensor) -> torch.Tensor:
    """Return (devices, n) steps, each as far as it lies in its subspace.

    As they are if there are none.
    """
    if not subspaces:
        return steps
    pairs = zip(subspaces, steps.detach().numpy(), strict=True)
    projected = [subspace.expand(subspace.coordinates(step)) for subspace, step in pairs]
    return torch.from_numpy(np.stack(projected))
