"""Stochastic gradient descent of one device, the same in a simulation and on the device itself."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from handheld.errors import InputError
from handheld.federated.algorithms import ServerState
from handheld.federated.learning.learner import ClientTask, Floats, Learned, Subspace
from handheld.federated.learning.users import Examples
from handheld.federated.learning.vectors import ModuleLayout

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Takes (batch, ...) outputs and targets; returns (batch,) losses, one of each example."""

_DRAWS = 1
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def cross_entropy(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return (batch,) losses of logits (batch, classes) or (batch, length, classes).

    A target of -1 asks for nothing.
    """
    lost = functional.cross_entropy(
        outputs.flatten(0, -2), targets.flatten(), reduction="none", ignore_index=-1
    )
    if targets.dim() == 1:
        return lost
    asked = (targets >= 0).sum(dim=tuple(range(1, targets.dim()))).clamp(min=1)
    return lost.view(targets.shape).flatten(1).sum(dim=1) / asked


def descend(
    module: nn.Module,
    layout: ModuleLayout,
    examples: Examples,
    places: NDArray[np.int64],
    task: ClientTask,
    user: int,
    own: Floats | None = None,
    loss: Loss = cross_entropy,
    goes_on: Callable[[], bool] = lambda: True,
) -> Learned:
    """Let a device learn.

    The caller's random numbers of torch stay as they were.

    Args:
        module: whose weights and statistics are changed in place.
        layout: how they lie in the task's.
        examples: of which the device has some.
        places: (k,) which.
        task: what it is asked.
        user: its number.
        own: (n,) its state, where the algorithm keeps one.
        loss: of what the module says.
        goes_on: asked before each step; what was learned until then is returned, and weighs as much
            less.

    Raises:
        InputError: a loss that is not one number for each example.
    """
    state = as_tensors(task.state)
    kept = None if own is None else torch.from_numpy(own)
    here = torch.from_numpy(task.state.weights.copy())
    slope = torch.zeros(len(layout.weights))
    layout.bind(layout.train(module), here, slope, task.state.statistics)
    subspaces = task.subspaces([user], layout.weights.arrays)
    lost, seen, steps = 0.0, 0, 0
    with torch.random.fork_rng(devices=[]), _single_numbers_by_kept_means(module):
        # Layers that draw, such as dropout, draw the same for this device and round wherever it
        # learns.
        torch.default_generator.manual_seed(int(task.random(user, _DRAWS).integers(1 << 62)))
        for rows in task.work.batches(len(places), task.random(user)):
            if not goes_on():
                break
            slope.zero_()
            inputs, targets = batch_of(examples, places[rows])
            losses = of_each(loss(module(inputs), targets), len(rows), loss)
            losses.mean().backward()  # type: ignore[no-untyped-call]
            with torch.no_grad():
                adjusted = task.algorithm.adjust(slope, here, state, kept)
                here -= task.rate * within(subspaces, adjusted[None])[0]
            lost += float(losses.detach().sum())
            seen += len(rows)
            steps += 1
    wanted = task.work.steps_of(len(places))
    return Learned(
        here.numpy() - task.state.weights,
        weight=len(places) * steps / max(1, wanted),
        distance=steps * task.rate,
        loss=lost / max(1, seen),
        statistics=layout.statistics.of(module),
    )


def single_norms(module: nn.Module, inputs: torch.Tensor) -> list[str]:
    """Return which normalising layers that learn are given one number a channel, by name.

    Inputs are (1, ...).
    """
    names = {layer: name for name, layer in module.named_modules()}
    single: list[str] = []

    def look(layer: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        if _is_single(given[0]):
            single.append(f"{names[layer]} ({type(layer).__name__})".strip())

    norms = _learning_norms(module)
    with torch.random.fork_rng(devices=[]), torch.no_grad(), _before_each(norms, look):
        module.eval()(inputs)
    return single


def of_each(losses: torch.Tensor, count: int, loss: Loss, use: str = "loss") -> torch.Tensor:
    """Return losses as they are.

    Raises :class:`InputError` unless there is one for each example.
    """
    if losses.shape == (count,):
        return losses
    name = name_of(loss)
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


@contextmanager
def _single_numbers_by_kept_means(module: nn.Module) -> Iterator[None]:
    """Let layers that are given one number a channel normalise it by the means that they keep.

    One number has no variance, and torch raises. A picture has: of its channels statistics are
    learned, as torch does.
    """

    def choose(layer: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        layer.train(not _is_single(given[0]))

    norms = _learning_norms(module)
    try:
        with _before_each(norms, choose):
            yield
    finally:
        for norm in norms:
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
    inputs = np.ascontiguousarray(examples.inputs[rows])
    if inputs.dtype == np.uint8:
        return torch.from_numpy(inputs).float() / 255, _tensor(examples.targets[rows])
    if inputs.dtype == np.bool_:
        inputs = inputs.astype(np.float32)
    return _tensor(inputs), _tensor(examples.targets[rows])


def _tensor(values: NDArray[np.generic]) -> torch.Tensor:
    wanted = np.float32 if values.dtype.kind == "f" else np.int64
    return torch.from_numpy(np.ascontiguousarray(values, wanted))


def as_tensors(state: ServerState) -> ServerState:
    """Return a state whose arrays are tensors, for the algorithm's arithmetic on devices."""
    kept: Mapping[str, object] = {
        name: torch.from_numpy(array) for name, array in state.kept.items()
    }
    return replace(state, weights=torch.from_numpy(state.weights), kept=kept)  # type: ignore[arg-type]


def within(subspaces: Sequence[Subspace], steps: torch.Tensor) -> torch.Tensor:
    """Return (devices, n) steps, each as far as it lies in its subspace.

    As they are if there are none.
    """
    if not subspaces:
        return steps
    pairs = zip(subspaces, steps.detach().numpy(), strict=True)
    flat = [subspace.expand(subspace.coordinates(step)) for subspace, step in pairs]
    return torch.from_numpy(np.stack(flat))
