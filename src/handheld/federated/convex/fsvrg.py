"""Federated stochastic variance-reduced gradient: for sparse convex models on many uneven devices.

Konečný et al., "Federated Optimization: Distributed Machine Learning for On-Device Intelligence",
arXiv 1610.02527, algorithm 4.
"""

from dataclasses import dataclass

import numpy as np

from handheld.federated.convex import _steps
from handheld.federated.convex.logistic import Doubles, Logistic, SparseDevice, Traffic, examples_of
from handheld.ranges import in_range


@dataclass(frozen=True)
class FSVRG:
    """Devices go down a gradient whose noise the gradient over all of them takes away.

    In a round the server takes the gradient over all devices; then each goes through its examples
    by steps of ``rate`` over their number.

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
        in_range("rate", self.rate, low=0, low_open=True)

    def round(self, problem: Logistic, weights: Doubles, seed: int) -> tuple[Doubles, Traffic]:
        """Return (features,) the weights after a round, and what travelled.

        Args:
            problem: whose loss falls.
            weights: (features,) before.
            seed: of the round: in which order devices go through their examples.
        """
        gradient, _ = problem.gradient(weights)
        change = np.zeros_like(weights)
        # How far a weight goes along the whole gradient: by devices that hold it, and by all.
        held = np.zeros_like(weights)
        everywhere = 0.0
        for number, device in enumerate(problem.devices):
            count = len(device.rows)
            touched = device.touched
            rate = self.rate / count
            share = count / len(problem.data)
            steps = self._descended(problem, device, weights, gradient, (seed, number))
            change[touched] += share * steps
            # A weight that no example of a device touches goes along the whole gradient alone.
            alone = share * rate * _geometric_sum(1 - rate * problem.l2, count)
            held[touched] += alone
            everywhere += alone
        change -= gradient * (everywhere - held)
        devices = len(problem.devices)
        sent = sum(len(device.touched) for device in problem.devices)
        # Gradients travel before weights do: two numbers each way.
        traffic = Traffic(2 * sent, 2 * sent, 2 * len(weights) * devices)
        return weights + change * devices / np.maximum(problem.holders, 1), traffic

    def _descended(
        self,
        problem: Logistic,
        device: SparseDevice,
        weights: Doubles,
        gradient: Doubles,
        seed: tuple[int, int],
    ) -> Doubles:
        """Return (t,) how a device's steps change the weights that it touches."""
        touched = device.touched
        count = len(device.rows)
        rate = self.rate / count
        change = np.empty(len(touched))
        _steps.descend(
            *examples_of(device.rows),
            np.random.default_rng(seed).permutation(count),
            weights[touched],
            rate * gradient[touched],
            problem.shares[touched] * count / device.occurrences,
            np.full(len(touched), 1 - rate * problem.l2),
            rate,
            True,
            change,
        )
        return change


def _geometric_sum(factor: float, count: int) -> float:
    """Return 1 + factor + ... + factor^(count - 1)."""
    if factor == 1:
        return count
    return (1 - factor**count) / (1 - factor)
