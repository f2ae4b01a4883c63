"""Federated averaging that pulls devices back.

Li et al., "Federated Optimization in Heterogeneous Networks" (MLSys 2020, arXiv 1812.06127).
"""

from dataclasses import dataclass
from typing import Any

from handheld.errors import InputError
from handheld.federated.algorithms.fedavg import FedAvg


@dataclass(frozen=True)
class FedProx(FedAvg):
    """To a device's loss is added ``pull`` / 2 times its squared distance from the server's model.

    Attributes:
        pull: mu in the paper, 0 or more; 0 is federated averaging.

    Raises:
        InputError: a pull below 0.
    """

    pull: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.pull < float("inf"):
            raise InputError(f"expected a pull of 0 or more, got {self.pull}")

    def adjust(self, gradient: Any, here: Any, state: Any, own: Any) -> Any:
        """Return the gradient of the loss and the pull."""
        return gradient + self.pull * (here - state.weights)
