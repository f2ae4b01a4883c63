"""How good a module is on examples, one by one and on average."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from handheld.errors import InputError
from handheld.federated.learning.descent import Loss, batch_of
from handheld.federated.learning.learner import Floats
from handheld.federated.learning.users import Examples
from handheld.federated.learning.vectors import Vector

_AT_ONCE = 500


@dataclass(frozen=True, eq=False)
class Answers:
    """How good a module is on each of some examples.

    Attributes:
        losses: (n,) float64.
        right: (n,) how many classes of each it found; zeros where targets are no classes.
        asked: (n,) of how many.
    """

    losses: NDArray[np.float64]
    right: NDArray[np.int64]
    asked: NDArray[np.int64]

    @staticmethod
    def join(parts: Sequence["Answers"]) -> "Answers":
        """Return all of them as one."""
        return Answers(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("losses", "right", "asked")))

    @property
    def figures(self) -> dict[str, float]:
        """Mean ``loss`` and, where targets are classes, ``accuracy``."""
        found = {"loss": float(self.losses.mean())}
        return {**found, "accuracy": float(self.right.sum() / self.asked.sum())} if self.asked.any() else found


def answers(module: nn.Module, vector: Vector, weights: Floats, examples: Examples, loss: Loss) -> Answers:
    """Judge a module with given weights (n,); its own are those afterwards.

    Raises:
        InputError: no examples.
    """
    if not len(examples):
        raise InputError("expected an example or more to judge by, got none: leave them out to judge by nothing")
    vector.bind(module.eval(), torch.from_numpy(weights.copy()), torch.zeros(len(vector)))
    losses, right, asked = np.zeros(len(examples)), np.zeros(len(examples), np.int64), np.zeros(len(examples), np.int64)
    with torch.no_grad():
        for start in range(0, len(examples), _AT_ONCE):
            here = slice(start, start + _AT_ONCE)
            inputs, targets = batch_of(examples, here)
            outputs = module(inputs)
            losses[here] = loss(outputs, targets).numpy()
            if not targets.is_floating_point():
                found, known = outputs.argmax(dim=-1) == targets, targets >= 0
                right[here], asked[here] = (each.view(len(targets), -1).sum(dim=1).numpy() for each in (found, known))
    return Answers(losses, right, asked)
