"""How good a module is on examples, one by one and on average."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from handheld.data.users.partitions import Partition
from handheld.errors import InputError
from handheld.federated.learning.descent import Loss, batch_of, of_each
from handheld.federated.learning.learner import Floats
from handheld.federated.learning.users import Examples
from handheld.federated.learning.vectors import Doubles, ModuleLayout

_AT_ONCE = 500

Metrics = Mapping[str, Loss]
"""Figures by name: each takes (batch, ...) outputs and targets, and returns (batch,) numbers.

The figure is their mean.
"""


@dataclass(frozen=True, eq=False)
class ExampleScores:
    """How good a module is on each of some examples.

    Attributes:
        losses: (n,) float64.
        right: (n,) how many classes of each it found; zeros where targets are no classes.
        asked: (n,) of how many.
        others: (n,) float64 of each further metric.
    """

    losses: NDArray[np.float64]
    right: NDArray[np.int64]
    asked: NDArray[np.int64]
    others: Mapping[str, Doubles] = field(default_factory=dict)

    @staticmethod
    def join(parts: Sequence["ExampleScores"]) -> "ExampleScores":
        """Return all of them as one."""
        names = parts[0].others
        return ExampleScores(
            np.concatenate([part.losses for part in parts]),
            np.concatenate([part.right for part in parts]),
            np.concatenate([part.asked for part in parts]),
            {name: np.concatenate([part.others[name] for part in parts]) for name in names},
        )

    def of(self, rows: NDArray[np.int64]) -> "ExampleScores":
        """Return some of them."""
        others = {name: values[rows] for name, values in self.others.items()}
        return ExampleScores(self.losses[rows], self.right[rows], self.asked[rows], others)

    @property
    def figures(self) -> dict[str, float]:
        """Mean ``loss``, ``accuracy`` where targets are classes, and the mean of each metric."""
        figures = {"loss": float(self.losses.mean())}
        if self.asked.any():
            figures["accuracy"] = float(self.right.sum() / self.asked.sum())
        return figures | {name: float(values.mean()) for name, values in self.others.items()}


def answers(
    module: nn.Module,
    layout: ModuleLayout,
    weights: Floats,
    examples: Examples,
    loss: Loss,
    *,
    statistics: Doubles | None = None,
    metrics: Metrics | None = None,
) -> ExampleScores:
    """Evaluate a module with weights (n,) and statistics (m,); it holds them afterwards.

    Without statistics the module's are used as they are.

    Raises:
        InputError: no examples, or a loss or metric that is not one number for each example.
    """
    if not len(examples):
        raise InputError("expected an example or more to evaluate on, got none")
    values = layout.statistics.of(module) if statistics is None else statistics
    zeros = torch.zeros(len(layout.weights))
    layout.bind(module.eval(), torch.from_numpy(weights.copy()), zeros, values)
    losses = np.zeros(len(examples))
    right = np.zeros(len(examples), np.int64)
    asked = np.zeros(len(examples), np.int64)
    others = {name: np.zeros(len(examples)) for name in metrics or {}}
    with torch.no_grad():
        for start in range(0, len(examples), _AT_ONCE):
            rows = slice(start, start + _AT_ONCE)
            inputs, targets = batch_of(examples, rows)
            outputs = module(inputs)
            losses[rows] = of_each(loss(outputs, targets), len(targets), loss).numpy()
            for name, metric in (metrics or {}).items():
                others[name][rows] = of_each(
                    metric(outputs, targets), len(targets), metric, "metric"
                ).numpy()
            if not targets.is_floating_point() and outputs.shape[:-1] == targets.shape:
                hits = outputs.argmax(dim=-1) == targets
                right[rows] = hits.view(len(targets), -1).sum(dim=1).numpy()
                asked[rows] = (targets >= 0).view(len(targets), -1).sum(dim=1).numpy()
    return ExampleScores(losses, right, asked, others)


@dataclass(frozen=True, eq=False)
class PerUser:
    """How good a model is for each device, on its own examples (federated evaluation).

    Attributes:
        users: (k,) numbers of the devices that have examples.
        figures: (k,) float64 of each device, by name: ``loss``, ``accuracy`` of classes, and
            further metrics.
    """

    users: NDArray[np.int64]
    figures: Mapping[str, Doubles]

    def spread(self, name: str) -> dict[str, float]:
        """Return a figure's ``mean``, ``std``, ``p10``, ``median`` and ``p90`` over devices."""
        values = self.figures[name]
        low, median, high = np.percentile(values, [10, 50, 90])
        return {
            "mean": float(values.mean()),
            "std": float(values.std()),
            "p10": float(low),
            "median": float(median),
            "p90": float(high),
        }


def per_user(evaluated: ExampleScores, partition: Partition) -> PerUser:
    """Return figures of each device from those of all examples.

    Raises :class:`InputError` where no device has any.
    """
    users = np.flatnonzero(partition.sizes)
    if not len(users):
        raise InputError("no device has examples to evaluate on")
    rows = [evaluated.of(partition.of(int(user))).figures for user in users]
    names = dict.fromkeys(name for row in rows for name in row)
    figures = {name: np.array([row.get(name, np.nan) for row in rows]) for name in names}
    return PerUser(users, figures)
