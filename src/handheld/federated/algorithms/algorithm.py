"""What a server does with a round, and what it tells devices to do differently.

This is the seam of all algorithms.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from handheld.federated.algorithms.total import Total

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ServerState:
    """What a server holds between rounds; a value.

    Attributes:
        weights: (n,) float32, what is trained of the model.
        round: how many rounds made it.
        kept: (n,) float32 arrays of the algorithm's own, by name.
        statistics: (m,) float64 of the model, such as running means: averaged apart, no algorithm
            sees them.
    """

    weights: Floats
    round: int = 0
    kept: Mapping[str, Floats] = field(default_factory=dict)
    statistics: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def after(self, weights: Floats, **kept: Floats) -> "ServerState":
        """Return the state after one more round."""
        return replace(self, weights=weights, round=self.round + 1, kept=kept)


class Algorithm(Protocol):
    """Averaging, in one of its forms.

    What a device does is said for arrays with any number of dimensions before the last, so that
    many devices go at once; where they learn with torch, these are tensors.
    """

    @property
    def corrects(self) -> bool:
        """Whether devices keep a state of their own, (n,) zeros at first, and send ``extra``."""

    def init(self, weights: Floats) -> ServerState:
        """Return the state before the first round."""

    def adjust(self, gradient: Any, here: Any, state: Any, device_state: Any) -> Any:
        """Return the gradient by which a device goes its next step.

        Args:
            gradient: (..., n) of its loss.
            here: (..., n) its weights now.
            state: the server's, its arrays as the device has them.
            device_state: (..., n) the device's own state, None where there is none.
        """

    def keep(
        self, change: Floats, distance: float, state: ServerState, device_state: Floats
    ) -> Floats:
        """Return a device's own state after a round; how it changed is what it sends besides.

        Args:
            change: (n,) of its weights.
            distance: its steps times their rate.
            state: the server's, before the round.
            device_state: (n,) the device's before.
        """

    def apply(self, state: ServerState, total: Total) -> ServerState:
        """Return the state after a round."""
