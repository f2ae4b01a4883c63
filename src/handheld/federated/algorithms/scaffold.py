"""Federated averaging without drift (Karimireddy et al., "SCAFFOLD", arXiv 1910.06378)."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from handheld.errors import InputError
from handheld.federated.algorithms.algorithm import Floats, ServerState
from handheld.federated.algorithms.fedavg import FedAvg
from handheld.federated.algorithms.total import Total
from handheld.ranges import whole_in_range


@dataclass(frozen=True)
class Scaffold(FedAvg):
    """Devices correct their gradients by how their data differs from everybody's.

    They learn that round by round (option II of the paper).

    Devices keep as many numbers as the model has, and send as many besides. As in the paper, all
    devices count alike, however many examples they have: simulations see to that.

    Attributes:
        population: devices in all (N in the paper), of which a round asks some: the server's
            correction moves by that share of the round's mean. Left out, it is what the total says,
            which simulations take from the learner.

    Raises:
        InputError: no devices.
    """

    population: int | None = None
    corrects = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.population is not None:
            whole_in_range("population", self.population, low=1)

    def init(self, weights: Floats) -> ServerState:
        """Return the state before the first round."""
        # Of zeros the first round is one of federated averaging, as in the paper.
        return ServerState(weights, kept={"correction": np.zeros_like(weights)})

    def adjust(self, gradient: Any, here: Any, state: Any, device_state: Any) -> Any:
        """Return the corrected gradient."""
        return gradient - device_state + state.kept["correction"]

    def keep(
        self, change: Floats, distance: float, state: ServerState, device_state: Floats
    ) -> Floats:
        """Return the device's correction after a round: the mean gradient of its way."""
        return np.asarray(
            device_state - state.kept["correction"] - change / np.float32(distance), np.float32
        )

    def apply(self, state: ServerState, total: Total) -> ServerState:
        """Return the state after a round."""
        if total.extra is None:
            raise InputError("expected how devices' corrections changed, got none")
        weights = (state.weights + self.rate * total.mean).astype(np.float32)
        # A round asks a sample: the mean of its devices' changes stands for their share of all.
        share = total.clients / self._devices(total)
        change = total.extra / total.weight * share
        return state.after(
            weights, correction=(state.kept["correction"] + change).astype(np.float32)
        )

    def _devices(self, total: Total) -> int:
        """Return how many devices there are.

        Raises:
            InputError: nobody said, or both say otherwise.
        """
        if self.population is None and total.population is None:
            raise InputError(
                "Scaffold: expected a population, got none: name the number of devices"
            )
        if None not in (self.population, total.population) and self.population != total.population:
            raise InputError(
                f"Scaffold: population is {self.population}, but there are {total.population}"
                " devices: leave it out, or name their number"
            )
        return int(self.population or total.population or 0)
