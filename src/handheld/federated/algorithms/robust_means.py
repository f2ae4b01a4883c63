"""Means that broken devices cannot move far.

They see each device's change, so a round's changes are all held at once.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from handheld.errors import InputError
from handheld.federated.algorithms.algorithm import Floats
from handheld.federated.algorithms.total import Total
from handheld.federated.updates import _kernels
from handheld.ranges import in_range, whole_in_range


class RobustMean(Protocol):
    """Another mean than that by weight.

    How many examples a device claims to have counts nothing.
    """

    def mean(self, changes: Floats) -> Total:
        """Return what stands for (clients, n) changes.

        Raises :class:`InputError` for too few clients.
        """


@dataclass(frozen=True)
class TrimmedMean:
    """The mean of each weight's changes without the largest and smallest.

    Yin et al., arXiv 1803.01498.

    Attributes:
        beta: share of the clients that is left out at either end, in [0, 0.5): broken ones up to it
            do little harm.

    Raises:
        InputError: another beta.
    """

    beta: float = 0.1

    def __post_init__(self) -> None:
        in_range("beta", self.beta, low=0, high=0.5, high_open=True)

    def mean(self, changes: Floats) -> Total:
        """Return the mean of what is left."""
        clients = len(_several(changes, 1))
        # Rounded before: 0.07 * 100 is a little more than 7 in binary.
        out = math.ceil(round(self.beta * clients, 9))
        if 2 * out >= clients:
            raise InputError(f"leaving out {out} at either end leaves none of {clients} clients")
        # Partitioned, not sorted: what is left needs no order.
        ordered = np.partition(changes, (out, clients - out - 1), axis=0)
        kept = ordered[out : clients - out]
        return Total(kept.mean(axis=0, dtype=np.float64), 1.0, clients)


@dataclass(frozen=True)
class Median:
    """The median of each weight's changes (Yin et al., arXiv 1803.01498)."""

    def mean(self, changes: Floats) -> Total:
        """Return the medians."""
        medians = np.median(_several(changes, 1), axis=0)
        return Total(medians.astype(np.float64), 1.0, len(changes))


@dataclass(frozen=True)
class Krum:
    """The mean of the changes that lie nearest to others.

    Blanchard et al., NeurIPS 2017, arXiv 1703.02757.

    Attributes:
        byzantine: clients of a round that may send anything (f), 0 or more; there must be 2 *
            byzantine + 3 in all.
        kept: changes whose mean is taken; 1 in the paper, more in its Multi-Krum.

    Raises:
        InputError: values outside of these.
    """

    byzantine: int
    kept: int = 1

    def __post_init__(self) -> None:
        whole_in_range("byzantine", self.byzantine, low=0)
        whole_in_range("kept", self.kept, low=1)

    def mean(self, changes: Floats) -> Total:
        """Return the mean of those that are kept."""
        clients = len(_several(changes, 2 * self.byzantine + 3))
        honest = clients - self.byzantine
        if self.kept > honest:
            raise InputError(
                f"of {clients} clients with {self.byzantine} byzantine at most {honest} can be kept"
            )
        # Products of changes would lose what they differ by where all have a large part in common.
        distances = _kernels.distances(np.ascontiguousarray(changes))
        # Nobody is a neighbour of itself.
        np.fill_diagonal(distances, np.inf)
        neighbours = np.sort(distances, axis=1)[:, : honest - 2]
        scores = neighbours.sum(axis=1)
        # Stable: of equal scores, which broken machines may send, the same are first everywhere.
        chosen = np.argsort(scores, kind="stable")[: self.kept]
        mean = changes[chosen].mean(axis=0, dtype=np.float64)
        return Total(mean, 1.0, clients)


def _several(changes: Floats, minimum: int) -> Floats:
    if changes.ndim != 2 or len(changes) < minimum:
        raise InputError(
            f"expected changes (clients, n) of {minimum} clients or more, got {list(changes.shape)}"
        )
    return changes
