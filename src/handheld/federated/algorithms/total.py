"""What the devices of a round send, added up."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from handheld.federated.updates import _kernels
from handheld.ranges import in_range

# Sums of many float32 updates lose their last digits in float32.
Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Total:
    """What the devices of a round send, added up; nothing else of a device is known here.

    Attributes:
        change: (n,) float64 sum of weight times change, a change being a device's weights after
            less those before; uint32, of whole numbers that are added modulo 2^32, where a stage
            made it so.
        weight: by which the sum is divided: that of the weights, or where noise is promised a
            number that was fixed before.
        clients: how many answered.
        extra: (n,) float64 sum of weight times what an algorithm wants besides; None for most.
        population: devices in all, of which a round asks some; None where nobody said.
    """

    change: NDArray[Any]
    weight: float
    clients: int
    extra: Doubles | None = None
    population: int | None = None

    @classmethod
    def of(
        cls, change: NDArray[Any], weight: float = 1.0, extra: NDArray[np.float32] | None = None
    ) -> Self:
        """Return what one device sends. Raises :class:`InputError` for a weight that is none."""
        in_range("weight", weight, low=0, low_open=True)
        # What is added modulo 2^32 counts once.
        if change.dtype == np.uint32:
            return cls(change.copy(), weight, 1)
        # In 64 bits: sums of thousands of updates would lose their last digits in 32.
        factor = np.float64(weight)
        if extra is None:
            return cls(change * factor, weight, 1)
        return cls(change * factor, weight, 1, extra * factor)

    def __add__(self, other: "Total") -> "Total":
        extra = None
        if self.extra is not None and other.extra is not None:
            extra = self.extra + other.extra
        return Total(
            self.change + other.change,
            self.weight + other.weight,
            self.clients + other.clients,
            extra,
        )

    @property
    def mean(self) -> Doubles:
        """(n,) float64 mean change, by weight."""
        return np.asarray(self.change / self.weight)


class Adder:
    """A running sum: it takes the memory of one update, however many are added.

    The order of additions is that of the calls.
    """

    def __init__(self) -> None:
        self.total: Total | None = None

    def add(
        self, change: NDArray[Any], weight: float = 1.0, extra: NDArray[np.float32] | None = None
    ) -> None:
        """Add what one device sends. Raises :class:`InputError` for a weight that is none."""
        before = self.total
        if before is None:
            self.total = Total.of(change, weight, extra)
            return
        in_range("weight", weight, low=0, low_open=True)
        # In place: a sum of large models would be copied for each device otherwise.
        if change.dtype == np.uint32:
            before.change[:] += change
        else:
            _kernels.add_weighted(change, weight, before.change)
        if before.extra is not None and extra is not None:
            _kernels.add_weighted(extra, weight, before.extra)
        self._counts(weight, 1)

    def add_total(self, total: Total) -> None:
        """Add a sum, whose arrays are this one's from now on."""
        before = self.total
        if before is None:
            self.total = total
            return
        # What comes from a cluster's memory cannot be written.
        if not before.change.flags.writeable:
            self.total = before + total
            return
        before.change[:] += total.change
        if before.extra is not None and total.extra is not None:
            before.extra[:] += total.extra
        self._counts(total.weight, total.clients)

    def _counts(self, weight: float, clients: int) -> None:
        assert self.total is not None
        total = self.total
        self.total = replace(total, weight=total.weight + weight, clients=total.clients + clients)
