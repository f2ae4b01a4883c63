"""Rounds of sparse convex models, one after another."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from handheld.errors import TrainingError
from handheld.federated.convex.logistic import Doubles, Logistic, Traffic
from handheld.ranges import in_range


class SparseAlgorithm(Protocol):
    """FSVRG, or federated averaging of sparse models."""

    def round(self, problem: Logistic, weights: Doubles, seed: int) -> tuple[Doubles, Traffic]:
        """Return (features,) the weights after a round, and what travelled."""


@dataclass(frozen=True, eq=False)
class SparseRound:
    """A round.

    Attributes:
        number: from 1.
        weights: (features,) after it.
        traffic: what travelled in it.
    """

    number: int
    weights: Doubles
    traffic: Traffic


def rounds(
    problem: Logistic, algorithm: SparseAlgorithm, *, momentum: float = 0.0
) -> Iterator[SparseRound]:
    """Yield round after round, without end.

    Args:
        problem: whose loss falls.
        algorithm: what a round is.
        momentum: share of the last change that the server goes on by, in [0, 1); devices
            know nothing of it.

    Raises:
        InputError: another momentum.
        TrainingError: weights that are not finite.
    """
    in_range("momentum", momentum, low=0, high=1, high_open=True)
    weights = moved = np.zeros(problem.data.features)
    number = 0
    while True:
        after, traffic = algorithm.round(problem, weights, number)
        moved = momentum * moved + (after - weights)
        weights = weights + moved
        number += 1
        # Not a step later: what follows would be no numbers either.
        if not np.isfinite(weights).all():
            raise TrainingError(
                f"after round {number} weights are not finite: take a lower rate or less momentum"
            )
        yield SparseRound(number, weights, traffic)


def until(
    steps: Iterator[SparseRound], enough: Callable[[Doubles], bool], *, max_rounds: int
) -> SparseRound | None:
    """Return the first round after which it is enough; None if ``max_rounds`` are too few."""
    for step in steps:
        if enough(step.weights):
            return step
        if step.number >= max_rounds:
            return None
    return None
