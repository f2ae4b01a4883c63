"""Federated averaging of sparse convex models.

Only weights of features that a device holds travel, either way.
"""

import math
from dataclasses import dataclass

import numpy as np

from handheld.federated.convex import _steps
from handheld.federated.convex.logistic import Doubles, Logistic, SparseDevice, Traffic, examples_of
from handheld.ranges import in_range, whole_in_range


@dataclass(frozen=True)
class SparseFedAvg:
    """A weight becomes the mean over the devices that hold its feature, by their examples.

    Two things keep the best weights where one machine would find them: all devices go as many
    steps, so that none counts for more than its examples do (Wang et al., "FedNova", arXiv
    2007.07481); and a weight that few hold is drawn to zero by each of them as strongly as all
    devices together would.

    Attributes:
        rate: of the first round's steps, above 0.
        steps: of a device in a round, 1 or more; one with fewer examples goes through them again.
        fade: rounds after which the rate is half of the first; it falls like fade / (fade + round).

    Raises:
        InputError: values outside of these.
    """

    rate: float = 0.1
    steps: int = 50
    fade: float = 10.0

    def __post_init__(self) -> None:
        in_range("rate", self.rate, low=0, low_open=True)
        whole_in_range("steps", self.steps, low=1)
        in_range("fade", self.fade, low=0, high=math.inf, low_open=True)

    def round(self, problem: Logistic, weights: Doubles, seed: int) -> tuple[Doubles, Traffic]:
        """Return (features,) the weights after a round, and what travelled.

        Args:
            problem: whose loss falls.
            weights: (features,) before.
            seed: number of the round, from 0: sets its rate, and in which order devices go through
                their examples.
        """
        change = np.zeros_like(weights)
        for number, device in enumerate(problem.devices):
            # By round and device: no other device changes its order.
            rng = np.random.default_rng((seed, number))
            count = len(device.rows)
            change[device.touched] += count * self._descended(problem, device, weights, seed, rng)
        sent = sum(len(device.touched) for device in problem.devices)
        traffic = Traffic(sent, sent, len(weights) * len(problem.devices))
        # At least 1: where nobody holds a feature, nothing has changed either.
        return weights + change / np.maximum(problem.held, 1), traffic

    def _descended(
        self,
        problem: Logistic,
        device: SparseDevice,
        weights: Doubles,
        number: int,
        rng: np.random.Generator,
    ) -> Doubles:
        """Return (t,) how a device's steps of a round change the weights that it touches."""
        touched = device.touched
        count = len(device.rows)
        rate = self.rate * self.fade / (self.fade + number)
        # Rounded up, and cut to the steps below.
        passes = -(-self.steps // count)
        order = np.concatenate([rng.permutation(count) for _ in range(passes)])
        # A weight is drawn to zero as strongly as all devices that hold it would: see the class.
        shrink = 1 / (1 + rate * problem.l2 * len(problem.data) / problem.held[touched])
        change = np.empty(len(touched))
        _steps.descend(
            *examples_of(device.rows),
            order[: self.steps],
            weights[touched],
            (1 - shrink) * weights[touched],
            np.ones(len(touched)),
            shrink,
            rate,
            False,
            change,
        )
        return change
