"""How good a module is on examples, one by one and on average."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from handheld.data.users.partitions import Partition
from handheld.errors import InputError
from handheld.federated.learning.learner import Floats
from handheld.federated.learning.trainable import Loss, TrainableModule, batch_of, of_each
from handheld.federated.learning.users import Examples
from handheld.federated.learning.vectors import Doubles

_AT_ONCE = 500  # examples: memory does not grow with how many there are

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
    def join(scores: Sequence["ExampleScores"]) -> "ExampleScores":
        """Return all of them as one."""
        others = {}
        for name in scores[0].others:
            others[name] = np.concatenate([one.others[name] for one in scores])
        return ExampleScores(
            np.concatenate([one.losses for one in scores]),
            np.concatenate([one.right for one in scores]),
            np.concatenate([one.asked for one in scores]),
            others,
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


def evaluate_examples(
    model: TrainableModule,
    weights: Floats,
    examples: Examples,
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
    # Once: no batch changes them.
    model.begin_evaluation(weights, statistics)
    scores = []
    with torch.no_grad():
        for start in range(0, len(examples), _AT_ONCE):
            batch = batch_of(examples, slice(start, start + _AT_ONCE))
            scores.append(_scores(model, *batch, metrics or {}))
    return ExampleScores.join(scores)


def _scores(
    model: TrainableModule, inputs: torch.Tensor, targets: torch.Tensor, metrics: Metrics
) -> ExampleScores:
    """Return how good a module is on a batch."""
    count = len(targets)
    outputs = model.module(inputs)
    losses = _as_doubles(model.losses(outputs, targets))
    others = {}
    for name, metric in metrics.items():
        others[name] = _as_doubles(of_each(metric(outputs, targets), count, metric, "metric"))
    right = np.zeros(count, np.int64)
    asked = np.zeros(count, np.int64)
    # Classes, as many as outputs say: numbers are not right or wrong.
    if not targets.is_floating_point() and outputs.shape[:-1] == targets.shape:
        hits = outputs.argmax(dim=-1) == targets
        right = hits.view(count, -1).sum(dim=1).numpy()
        asked = (targets >= 0).view(count, -1).sum(dim=1).numpy()
    return ExampleScores(losses, right, asked, others)


def _as_doubles(values: torch.Tensor) -> Doubles:
    return values.numpy().astype(np.float64)


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
        # Percentiles: a mean over devices hides those that a model serves badly.
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
    # Devices without examples have no figures, and would make means of nothing.
    users = np.flatnonzero(partition.sizes)
    if not len(users):
        raise InputError("no device has examples to evaluate on")
    rows = []
    names: dict[str, None] = {}  # in the order of the figures
    for user in users.tolist():
        row = evaluated.of(partition.of(user)).figures
        names.update(dict.fromkeys(row))
        rows.append(row)
    figures = {}
    for name in names:
        # Not every device has every figure: of one without classes there is no accuracy.
        figures[name] = np.array([row.get(name, np.nan) for row in rows])
    return PerUser(users, figures)
