"""Federated averaging without drift (Karimireddy et al., "SCAFFOLD", arXiv 1910.06378)."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from handheld.errors import InputError
from handheld.federated.algorithms.algorithm import Floats, State
from handheld.federated.algorithms.fedavg import FedAvg
from handheld.federated.algorithms.total import Total


@dataclass(frozen=True)
class Scaffold(FedAvg):
    """Devices correct their gradients by how their data differs from everybody's, which they learn round by round (option II).

    Devices keep as many numbers as the model has, and send as many besides.

    Attributes:
        population: devices in all, of which a round asks some; how far the server's correction follows a round's.

    Raises:
        InputError: no devices.
    """

    population: int = 1
    corrects = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.population < 1:
            raise InputError(f"expected a population of 1 or more, got {self.population}")

    def init(self, weights: Floats) -> State:
        """Return the state before the first round."""
        return State(weights, kept={"correction": np.zeros_like(weights)})

    def adjust(self, gradient: Any, here: Any, state: Any, own: Any) -> Any:
        """Return the corrected gradient."""
        return gradient - own + state.kept["correction"]

    def keep(self, change: Floats, distance: float, state: State, own: Floats) -> Floats:
        """Return the device's correction after a round: the mean gradient of its way."""
        return np.asarray(own - state.kept["correction"] - change / np.float32(distance), np.float32)

    def apply(self, state: State, total: Total) -> State:
        """Return the state after a round."""
        if total.extra is None:
            raise InputError("expected how devices' corrections changed, got none")
        weights = (state.weights + self.rate * total.mean).astype(np.float32)
        change = total.extra / total.weight * (total.clients / self.population)
        return state.after(weights, correction=(state.kept["correction"] + change).astype(np.float32))
