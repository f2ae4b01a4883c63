"""Federated stochastic variance-reduced gradient: for sparse convex models on many uneven devices.

Konečný et al., "Federated Optimization: Distributed Machine Learning for On-Device Intelligence",
arXiv 1610.02527, algorithm 4.
"""

from dataclasses import dataclass

import numpy as np

from handheld.errors import InputError
from handheld.federated.convex import _steps
from handheld.federated.convex.logistic import Doubles, Logistic, Traffic, examples_of


@dataclass(frozen=True)
class FSVRG:
    """Devices go down a gradient whose noise the gradient over all of them takes away.

    In a round the gradient over all devices, then each goes through its examples by steps of ``rate`` over
    their number.

    An example's slope counts less on features that are commoner on the device than elsewhere, and
    what devices found is scaled up where few of them hold a feature. What happens to a feature that
    a device does not hold, the server knows without it.

    Attributes:
        rate: h in the paper, above 0.

    Raises:
        InputError: another rate.
    """

    rate: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.rate < np.inf:
            raise InputError(f"expected a rate above 0, got {self.rate}")

    def round(self, problem: Logistic, weights: Doubles, seed: int) -> tuple[Doubles, Traffic]:
        """Return (features,) the weights after a round, and what travelled.

        Args:
            problem: whose loss falls.
            weights: (features,) before.
            seed: of the round: in which order devices go through their examples.
        """
        slopes, _ = problem.gradient(weights)
        change, known, everywhere = np.zeros_like(weights), np.zeros_like(weights), 0.0
        for number, device in enumerate(problem.devices):
            count = len(device.rows)
            own, rate = device.touched, self.rate / count
            shrink, share = 1 - rate * problem.l2, count / len(problem.data)
            found = np.empty(len(own))
            order = np.random.default_rng((seed, number)).permutation(count)
            shrinks = np.full(len(own), shrink)
            scale = problem.shares[own] * count / device.occurrences
            _steps.descend(
                *examples_of(device.rows), order, weights[own], rate * slopes[own], scale, shrinks, rate, True, found
            )  # fmt: skip
            change[own] += share * found
            alone = share * rate * (count if shrink == 1 else (1 - shrink**count) / (1 - shrink))
            known[own] += alone
            everywhere += alone
        change -= slopes * (everywhere - known)
        sent = sum(len(device.touched) for device in problem.devices)
        traffic = Traffic(2 * sent, 2 * sent, 2 * len(weights) * len(problem.devices))
        return weights + change * len(problem.devices) / np.maximum(problem.holders, 1), traffic
