"""Rounds of sparse convex models, one after another."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from handheld.errors import InputError, TrainingError
from handheld.federated.convex.logistic import Doubles, Logistic, Traffic


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
    if not 0 <= momentum < 1:
        raise InputError(f"expected a momentum in [0, 1), got {momentum}")
    weights = moved = np.zeros(problem.data.features)
    number = 0
    while True:
        after, traffic = algorithm.round(problem, weights, number)
        moved = momentum * moved + (after - weights)
        weights = weights + moved
        number += 1
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
