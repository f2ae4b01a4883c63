"""Devices that train a torch module: one after another, or many in one go where the module is small."""

from collections.abc import Sequence
from copy import deepcopy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.func import functional_call, grad_and_value, vmap

from handheld.errors import InputError
from handheld.federated.learning.descent import Loss, as_tensors, batch_of, cross_entropy, descend, within
from handheld.federated.learning.judging import answers
from handheld.federated.learning.learner import Floats, Learned, Shape, Task
from handheld.federated.learning.users import Examples, Users
from handheld.federated.learning.vectors import Vector

_LARGEST, _AT_ONCE = 50_000, 64
_SMALL = (nn.Linear, nn.Embedding, nn.EmbeddingBag, nn.LayerNorm)  # what gains from going side by side


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
        return self.vector.arrays

    def start(self) -> Floats:
        """Return (n,) the module's weights as they were given."""
        return self.first.copy()

    def learn(self, task: Task, users: Sequence[int], own: Sequence[Floats | None]) -> list[Learned]:
        """Let devices learn."""
        if self.at_once > 1:
            return self._together(task, users, own)
        return [self._alone(task, user, kept) for user, kept in zip(users, own, strict=True)]

    def judge(self, weights: Floats) -> dict[str, float]:
        """Return the ``loss`` and, for classes, the ``accuracy`` on the examples to judge by."""
        if self.test is None:
            return {}
        return answers(self.module, self.vector, weights, self.test, self.loss).figures

    def _alone(self, task: Task, user: int, own: Floats | None) -> Learned:
        examples, places = self.users.examples, self.users.partition.of(user)
        return descend(self.module, self.vector, examples, places, task, user, own, self.loss)

    def _together(self, task: Task, users: Sequence[int], own: Sequence[Floats | None]) -> list[Learned]:
        state = as_tensors(task.state)
        rows, counted = self._padded(task, users)
        kept = None if own[0] is None else torch.from_numpy(np.stack([each for each in own if each is not None]))
        here = torch.from_numpy(np.repeat(task.state.weights[None], len(users), axis=0))
        lost, subspaces = torch.zeros(len(users)), task.subspaces(users, self.shapes)
        self.module.train()
        for step in range(rows.shape[1]):
            inputs, targets = batch_of(self.users.examples, rows[:, step].ravel())
            shape = rows[:, step].shape
            slopes, losses = self._slopes(
                here, inputs.view(*shape, *inputs.shape[1:]), targets.view(*shape, *targets.shape[1:]), counted[:, step]
            )
            active = counted[:, step].any(dim=1, keepdim=True)
            here -= task.rate * active * within(subspaces, task.algorithm.adjust(slopes, here, state, kept))
            lost += losses * counted[:, step].sum(dim=1)
        changes = here.numpy() - task.state.weights
        seen, steps = counted.sum(dim=(1, 2)).clamp(min=1), counted.any(dim=2).sum(dim=1)
        return [
            Learned(change, float(self.examples[user]), int(went) * task.rate, float(loss))
            for change, user, went, loss in zip(changes, users, steps, lost / seen, strict=True)
        ]

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

    def __getstate__(self) -> dict[str, object]:
        """Leave the module's own weights out: what they are now depends on who learned last."""
        fresh = deepcopy(self.module)
        Vector(fresh).bind(fresh, torch.from_numpy(self.first.copy()), torch.zeros(len(self.vector)))
        fresh.zero_grad()
        return {**self.__dict__, "module": fresh}


def _side_by_side(module: nn.Module, size: int) -> int:
    leaves = [each for each in module.modules() if any(True for _ in each.parameters(recurse=False))]
    draws = any(isinstance(each, nn.Dropout | nn.AlphaDropout) for each in module.modules())
    if draws or any(True for _ in module.buffers()) or not all(isinstance(each, _SMALL) for each in leaves):
        return 1
    return _AT_ONCE if size <= _LARGEST else 1
