"""Federated averaging.

McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data" (AISTATS
2017, arXiv 1602.05629).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from handheld.errors import InputError
from handheld.federated.algorithms.algorithm import Floats, ServerState
from handheld.federated.algorithms.total import Total


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
    corrects = False

    def __post_init__(self) -> None:
        if not 0 < self.rate < np.inf:
            raise InputError(f"expected a rate above 0, got {self.rate}")

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
        return state.after((state.weights + self.rate * total.mean).astype(np.float32))
