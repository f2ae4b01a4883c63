"""Federated averaging.

McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data" (AISTATS
2017, arXiv 1602.05629).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from handheld.federated.algorithms.algorithm import Floats, ServerState
from handheld.federated.algorithms.total import Total
from handheld.ranges import in_range


@dataclass(frozen=True)
class FedAvg:
    """Devices learn for a while, the server takes the mean of what they learned.

    With devices that take one step of rate 1 on all of their data it is federated stochastic
    gradient descent: see :class:`~handheld.federated.algorithms.FedSGD`.

    Attributes:
        rate: by which the mean change is taken on; 1 in the paper.

    Raises:
        InputError: a rate that is not above 0.
    """

    rate: float = 1.0
    # Devices of federated averaging keep nothing between rounds.
    corrects = False

    def __post_init__(self) -> None:
        in_range("rate", self.rate, low=0, low_open=True)

    def init(self, weights: Floats) -> ServerState:
        """Return the state before the first round."""
        return ServerState(weights)

    def adjust(self, gradient: Any, here: Any, state: Any, device_state: Any) -> Any:
        """Return the gradient as it is."""
        return gradient

    def keep(
        self, change: Floats, distance: float, state: ServerState, device_state: Floats
    ) -> Floats:
        """Return the device's state as it was."""
        return device_state

    def apply(self, state: ServerState, total: Total) -> ServerState:
        """Return the state after a round."""
        # In float64 until it is done: the total is.
        weights = state.weights + self.rate * total.mean
        return state.after(weights.astype(np.float32))
