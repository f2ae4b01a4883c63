"""Logistic regression whose examples have few of very many features, and lie on many devices."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from handheld.data.users.partitions import Partition
from handheld.data.users.sparse import Sparse
from handheld.errors import InputError, MissingDependencyError
from handheld.federated.convex import _steps
from handheld.ranges import in_range

Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SparseDevice:
    """What one device holds: examples whose features have numbers of its own.

    Attributes:
        touched: (t,) int64 features that occur on it, rising; only these travel.
        rows: its examples; column c is feature ``touched[c]``.
    """

    touched: NDArray[np.int64]
    rows: Sparse

    @cached_property
    def occurrences(self) -> Doubles:
        """(t,) in how many of its examples each feature occurs."""
        return np.bincount(self.rows.columns, minlength=len(self.touched)).astype(np.float64)


@dataclass(frozen=True, eq=False)
class Logistic:
    """The mean logistic loss over all examples, plus ``l2`` / 2 times the weights' squared length.

    Attributes:
        data: all examples.
        partition: which of them each device holds; devices without any take no part.
        l2: 0 or more.

    Raises:
        InputError: no examples, or an l2 below 0.
    """

    data: Sparse
    partition: Partition
    l2: float = 0.0

    def __post_init__(self) -> None:
        if not len(self.data):
            raise InputError("expected an example or more, got none")
        in_range("l2", self.l2, low=0)

    @cached_property
    def devices(self) -> tuple[SparseDevice, ...]:
        """What each device holds."""
        users = range(len(self.partition))
        # One without examples would divide by zero.
        rows_of_users = (self.data.subset(self.partition.of(user)) for user in users)
        return tuple(_device(rows) for rows in rows_of_users if len(rows))

    @cached_property
    def holders(self) -> NDArray[np.int64]:
        """(features,) on how many devices each occurs."""
        # Counted once: the partition does not change.
        holders = np.zeros(self.data.features, np.int64)
        for device in self.devices:
            holders[device.touched] += 1
        return holders

    @cached_property
    def held(self) -> Doubles:
        """(features,) how many examples the devices have on which each occurs."""
        held = np.zeros(self.data.features)
        for device in self.devices:
            held[device.touched] += len(device.rows)
        return held

    @cached_property
    def shares(self) -> Doubles:
        """(features,) of the examples, in which each occurs."""
        return np.bincount(self.data.columns, minlength=self.data.features) / len(self.data)

    def loss(self, weights: Doubles) -> float:
        """Return the loss of (features,) weights."""
        return self.gradient(weights)[1]

    def gradient(self, weights: Doubles) -> tuple[Doubles, float]:
        """Return (features,) the gradient, and the loss.

        Both are sums to which each device adds what it touches.
        """
        count = len(self.data)
        total = np.zeros(self.data.features)
        losses = float(_steps.gradient(*examples_of(self.data), weights, total))
        penalty = self.l2 / 2 * float(weights @ weights)
        return total / count + self.l2 * weights, losses / count + penalty

    def central(self, *, rounds: int = 1000) -> tuple[Doubles, float]:
        """Return the best weights and their loss, as one machine with all examples finds them.

        It goes by L-BFGS.

        Raises:
            MissingDependencyError: the extra ``train`` is not installed.
        """
        try:
            # Imported here: only comparisons need it.
            from scipy.optimize import minimize
        except ImportError as error:
            raise MissingDependencyError(
                "scipy", "graphs", "central logistic regression"
            ) from error
        result = minimize(
            lambda weights: self.gradient(weights)[::-1],
            np.zeros(self.data.features),
            jac=True,
            method="L-BFGS-B",
            # Far below what a federated run comes to, which is measured against this.
            options={"maxiter": rounds, "ftol": 1e-12, "gtol": 1e-9},
        )
        return np.asarray(result.x), float(result.fun)


@dataclass(frozen=True)
class Traffic:
    """What a round sends, over all devices together.

    Attributes:
        up, down: numbers of 32 bits.
        dense: numbers that devices would send if all weights travelled.
    """

    up: int
    down: int
    dense: int


def examples_of(
    rows: Sparse,
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]:
    """Return examples as the compiled steps take them."""
    return rows.offsets, rows.columns, rows.values, rows.labels


def _device(rows: Sparse) -> SparseDevice:
    # Numbered anew, so that a device's arrays are as long as what it touches.
    touched, columns = np.unique(rows.columns, return_inverse=True)
    local_columns = columns.astype(np.int32)
    local_rows = Sparse(rows.offsets, local_columns, rows.values, rows.labels, len(touched))
    return SparseDevice(touched.astype(np.int64), local_rows)
