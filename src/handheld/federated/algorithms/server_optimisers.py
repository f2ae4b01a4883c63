"""Federated averaging whose server keeps momentum, or a rate for each weight.

Hsu, Qi and Brown, arXiv 1909.06335 (FedAvgM); Reddi et al., "Adaptive Federated Optimization",
arXiv 2003.00295 (the others).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handheld.federated.algorithms.algorithm import ServerState
from handheld.federated.algorithms.fedavg import FedAvg
from handheld.federated.algorithms.total import Total
from handheld.ranges import in_range

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class FedAvgM(FedAvg):
    """The server goes along a decaying sum of mean changes.

    Attributes:
        momentum: share of the sum that stays, in [0, 1).

    Raises:
        InputError: another momentum.
    """

    momentum: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        in_range("momentum", self.momentum, low=0, high=1, high_open=True)

    def apply(self, state: ServerState, total: Total) -> ServerState:
        """Return the state after a round."""
        before = state.kept.get("moved", np.float32(0))
        moved = total.mean + self.momentum * before
        weights = state.weights + self.rate * moved
        return state.after(_narrow(weights), moved=_narrow(moved))


@dataclass(frozen=True)
class FedAdam(FedAvg):
    """The server divides the mean change by a decaying mean of its size, weight by weight.

    Attributes:
        rate: 0.01 and below in the paper, but for sparse gradients.
        beta1, beta2: shares that stay of the mean change and of its squares, in [0, 1).
        tau: added to the root of the squares: how little a weight must move for its rate to stop
            rising.

    Raises:
        InputError: values outside of these.
    """

    # beta1 and beta2 are those of the paper's experiments.
    rate: float = 0.01
    beta1: float = 0.9
    beta2: float = 0.99
    tau: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("beta1", "beta2"):
            in_range(name, getattr(self, name), low=0, high=1, high_open=True)
        in_range("tau", self.tau, low=0, low_open=True)

    def squares(self, before: Doubles, mean: Doubles) -> Doubles:
        """Return the decaying mean of squares after one more."""
        return self.beta2 * before + (1 - self.beta2) * mean**2

    def apply(self, state: ServerState, total: Total) -> ServerState:
        """Return the state after a round."""
        mean = total.mean
        moved_before = state.kept.get("moved", np.float32(0))
        moved = self.beta1 * moved_before + (1 - self.beta1) * mean
        # The paper's squares begin with those of tau.
        first_squares = np.full(len(mean), self.tau**2, np.float32)
        squares_before = state.kept.get("squares", first_squares).astype(np.float64)
        squares = self.squares(squares_before, mean)
        sizes = np.sqrt(squares) + self.tau
        weights = state.weights + self.rate * moved / sizes
        return state.after(_narrow(weights), moved=_narrow(moved), squares=_narrow(squares))


@dataclass(frozen=True)
class FedYogi(FedAdam):
    """As :class:`FedAdam`, but squares go towards the new ones by as much as those weigh.

    Rates rise slowly so.
    """

    def squares(self, before: Doubles, mean: Doubles) -> Doubles:
        """Return the mean of squares after one more."""
        new = mean**2
        return before - (1 - self.beta2) * new * np.sign(before - new)


# What is kept is float32, as weights are: half of the memory, and of checkpoints.
def _narrow(x: Doubles) -> NDArray[np.float32]:
    return x.astype(np.float32)
