"""Devices that train a torch module: one after another, or many in one go where the module is small."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.func import functional_call, grad_and_value, vmap
from torch.nn import functional

from handheld.errors import InputError
from handheld.federated.algorithms import State
from handheld.federated.learning.learner import Floats, Learned, Shape, Subspace, Task
from handheld.federated.learning.users import Examples, Users
from handheld.federated.learning.vectors import Vector

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Takes what a module says and what it should, (batch, ...) both; returns (batch,) losses."""

_LARGEST, _AT_ONCE, _JUDGED, _DRAWS = 50_000, 64, 500, 1
_SMALL = (nn.Linear, nn.Embedding, nn.EmbeddingBag, nn.LayerNorm)  # what gains from going side by side


def cross_entropy(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return (batch,) losses of logits (batch, classes) or (batch, length, classes); a target of -1 asks for nothing."""
    lost = functional.cross_entropy(outputs.flatten(0, -2), targets.flatten(), reduction="none", ignore_index=-1)
    if targets.dim() == 1:
        return lost
    asked = (targets >= 0).sum(dim=tuple(range(1, targets.dim()))).clamp(min=1)
    return lost.view(targets.shape).flatten(1).sum(dim=1) / asked


class ModuleLearner:
    """Devices with a torch module.

    The module's weights are float32; means that its layers keep, such as those of batch normalisation, are averaged as weights
    are. Small modules of linear layers and embeddings learn side by side (``torch.func.vmap``), others one by one.

    Args:
        module: takes (batch, ...) inputs; a copy of it is trained.
        users: devices and their examples.
        test: examples to judge by; None judges by nothing.
        loss: of what it says.
        at_once: devices that learn side by side; found by the module's size and kind if left out.

    Raises:
        InputError: a module without weights, or ``at_once`` below 1.
    """

    def __init__(
        self, module: nn.Module, users: Users, test: Examples | None = None, *, loss: Loss = cross_entropy, at_once: int = 0
    ):
        self.module, self.users, self.test, self.loss = deepcopy(module), users, test, loss
        self.vector = Vector(self.module)
        if at_once < 0:
            raise InputError(f"expected 1 device or more at once, got {at_once}")
        self.at_once = at_once or _side_by_side(self.module, len(self.vector))
        self.first = self.vector.of(self.module)

    @property
    def examples(self) -> NDArray[np.int64]:
        """(users,) how many examples each device has."""
        return self.users.partition.sizes

    @property
    def shapes(self) -> Sequence[Shape]:
        """Shapes of the module's weights, as they lie in the vector."""
        return tuple(map(tuple, self.vector.shapes.values()))

    def start(self) -> Floats:
        """Return (n,) the module's weights as they were given."""
        return self.first.copy()

    def learn(self, task: Task, users: Sequence[int], own: Sequence[Floats | None]) -> list[Learned]:
        """Let devices learn."""
        state = _as_tensors(task.state)
        if self.at_once > 1:
            return self._together(task, state, users, own)
        return [self._alone(task, state, user, kept) for user, kept in zip(users, own, strict=True)]

    def judge(self, weights: Floats) -> dict[str, float]:
        """Return the ``loss`` and, for classes, the ``accuracy`` on the examples to judge by."""
        if self.test is None:
            return {}
        return judged(self.module, self.vector, weights, self.test, self.loss)

    def _alone(self, task: Task, state: State, user: int, own: Floats | None) -> Learned:
        here, slope = torch.from_numpy(task.state.weights.copy()), torch.zeros(len(self.vector))
        kept = None if own is None else torch.from_numpy(own)
        self.vector.bind(self.module.train(), here, slope)
        places, rng = self.users.partition.of(user), task.random(user)
        torch.manual_seed(int(task.random(user, _DRAWS).integers(1 << 62)))  # of layers that draw, such as dropout
        trained, lost, seen, steps = self.vector.trained, 0.0, 0, 0
        subspaces = self._subspaces(task, [user])
        for rows in task.work.batches(len(places), rng):
            slope.zero_()
            inputs, targets = self._batch(places[rows])
            losses = self.loss(self.module(inputs), targets)
            losses.mean().backward()  # type: ignore[no-untyped-call]
            with torch.no_grad():
                step = _within(subspaces, task.algorithm.adjust(slope, here, state, kept)[None])[0]
                here[:trained] -= task.rate * step[:trained]
            lost, seen, steps = lost + float(losses.detach().sum()), seen + len(rows), steps + 1
        change = here.numpy() - task.state.weights
        return Learned(change, float(len(places)), steps * task.rate, lost / max(1, seen))

    def _together(self, task: Task, state: State, users: Sequence[int], own: Sequence[Floats | None]) -> list[Learned]:
        rows, counted = self._padded(task, users)
        kept = None if own[0] is None else torch.from_numpy(np.stack([each for each in own if each is not None]))
        here = torch.from_numpy(np.repeat(task.state.weights[None], len(users), axis=0))
        lost, subspaces = torch.zeros(len(users)), self._subspaces(task, users)
        self.module.train()
        for step in range(rows.shape[1]):
            inputs, targets = self._batch(rows[:, step].ravel())
            shape = rows[:, step].shape
            slopes, losses = self._slopes(
                here, inputs.view(*shape, *inputs.shape[1:]), targets.view(*shape, *targets.shape[1:]), counted[:, step]
            )
            active = counted[:, step].any(dim=1, keepdim=True)
            here -= task.rate * active * _within(subspaces, task.algorithm.adjust(slopes, here, state, kept))
            lost += losses * counted[:, step].sum(dim=1)
        changes = here.numpy() - task.state.weights
        seen, steps = counted.sum(dim=(1, 2)).clamp(min=1), counted.any(dim=2).sum(dim=1)
        return [
            Learned(change, float(self.examples[user]), int(went) * task.rate, float(loss))
            for change, user, went, loss in zip(changes, users, steps, lost / seen, strict=True)
        ]

    def _subspaces(self, task: Task, users: Sequence[int]) -> list[Subspace]:
        """Return where each device learns, nothing if they learn anywhere."""
        structure = task.structure
        return [structure.subspace(self.shapes, task.subspace_seed(user)) for user in users] if structure else []

    def _padded(self, task: Task, users: Sequence[int]) -> tuple[NDArray[np.int64], torch.Tensor]:
        """Return (devices, steps, batch) numbers of examples, and which of them count: devices have not all as many."""
        chosen = [
            [self.users.partition.of(user)[rows] for rows in task.work.batches(int(self.examples[user]), task.random(user))]
            for user in users
        ]
        steps, batch = max(map(len, chosen)), max((len(rows) for each in chosen for rows in each), default=0)
        found, counted = np.zeros((len(users), steps, batch), np.int64), torch.zeros(len(users), steps, batch)
        for number, each in enumerate(chosen):
            for step, rows in enumerate(each):
                found[number, step, : len(rows)] = rows
                counted[number, step, : len(rows)] = 1
        return found, counted

    def _slopes(
        self, here: torch.Tensor, inputs: torch.Tensor, targets: torch.Tensor, counted: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (devices, n) gradients of each device's mean loss, and (devices,) those losses."""

        def of_one(vector: torch.Tensor, x: torch.Tensor, y: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
            losses = self.loss(functional_call(self.module, self.vector.views(vector), (x,)), y)
            return (losses * counts).sum() / counts.sum().clamp(min=1)

        slopes, losses = vmap(grad_and_value(of_one))(here, inputs, targets, counted)
        return slopes, losses

    def _batch(self, places: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        examples = self.users.examples
        return _inputs(examples.inputs[places]), torch.from_numpy(examples.targets[places])

    def __getstate__(self) -> dict[str, object]:
        """Leave the module's own weights out: what they are now depends on who learned last."""
        fresh = deepcopy(self.module)
        Vector(fresh).bind(fresh, torch.from_numpy(self.first.copy()), torch.zeros(len(self.vector)))
        fresh.zero_grad()
        return {**self.__dict__, "module": fresh}


def judged(module: nn.Module, vector: Vector, weights: Floats, examples: Examples, loss: Loss) -> dict[str, float]:
    """Return a module's mean ``loss`` on examples with given weights, and its ``accuracy`` where targets are classes."""
    vector.bind(module.eval(), torch.from_numpy(weights.copy()), torch.zeros(len(vector)))
    lost, right, asked = 0.0, 0, 0
    with torch.no_grad():
        for start in range(0, len(examples), _JUDGED):
            targets = torch.from_numpy(examples.targets[start : start + _JUDGED])
            outputs = module(_inputs(examples.inputs[start : start + _JUDGED]))
            lost += float(loss(outputs, targets).sum(dtype=torch.float64))
            if not targets.is_floating_point():
                right += int((outputs.argmax(dim=-1) == targets).sum())
                asked += int((targets >= 0).sum())
    found = {"loss": lost / max(1, len(examples))}
    return {**found, "accuracy": right / asked} if asked else found


def _inputs(array: NDArray[np.generic]) -> torch.Tensor:
    """Return inputs as modules take them: bytes, of pictures, as 0 to 1."""
    found = torch.from_numpy(np.ascontiguousarray(array))
    return found.float() / 255 if found.dtype == torch.uint8 else found


def _as_tensors(state: State) -> State:
    """Return a state whose arrays are tensors, for the algorithm's arithmetic on devices."""
    kept: Mapping[str, object] = {name: torch.from_numpy(array) for name, array in state.kept.items()}
    return replace(state, weights=torch.from_numpy(state.weights), kept=kept)  # type: ignore[arg-type]


def _within(subspaces: Sequence[Subspace], steps: torch.Tensor) -> torch.Tensor:
    """Return (devices, n) steps, each as far as it lies in its subspace."""
    if not subspaces:
        return steps
    flat = [each.expand(each.coordinates(step)) for each, step in zip(subspaces, steps.detach().numpy(), strict=True)]
    return torch.from_numpy(np.stack(flat))


def _side_by_side(module: nn.Module, size: int) -> int:
    leaves = [each for each in module.modules() if any(True for _ in each.parameters(recurse=False))]
    draws = any(isinstance(each, nn.Dropout | nn.AlphaDropout) for each in module.modules())
    if draws or any(True for _ in module.buffers()) or not all(isinstance(each, _SMALL) for each in leaves):
        return 1
    return _AT_ONCE if size <= _LARGEST else 1
