"""Federated averaging that pulls devices back.

Li et al., "Federated Optimization in Heterogeneous Networks" (MLSys 2020, arXiv 1812.06127).
"""

from dataclasses import dataclass
from typing import Any

from handheld.federated.algorithms.fedavg import FedAvg
from handheld.ranges import in_range


@dataclass(frozen=True)
class FedProx(FedAvg):
    """To a device's loss is added ``mu`` / 2 times its squared distance from the server's model.

    Attributes:
        mu: how strong that pull is, 0 or more; 0 is federated averaging.

    Raises:
        InputError: a mu below 0.
    """

    mu: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        in_range("mu", self.mu, low=0)

    def adjust(self, gradient: Any, here: Any, state: Any, device_state: Any) -> Any:
        """Return the gradient of the loss and the pull."""
        # The gradient of mu / 2 times the squared distance.
        return gradient + self.mu * (here - state.weights)
