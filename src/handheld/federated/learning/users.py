"""Examples of a population: arrays that all devices share in a simulation, and whose is which."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.data.partitions import Partition
from handheld.errors import InputError


@dataclass(frozen=True, eq=False)
class Examples:
    """What a model is given and what it should say.

    Attributes:
        inputs: (n, ...) numbers, as the model takes them.
        targets: (n,) classes, (n, length) classes with -1 where nothing is asked, or (n, ...) numbers.

    Raises:
        InputError: they are not as many, or not finite.
    """

    inputs: NDArray[Any]
    targets: NDArray[Any]

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.targets):
            raise InputError(f"{len(self.inputs)} inputs, but {len(self.targets)} targets: each example needs both")
        for name, array in (("inputs", self.inputs), ("targets", self.targets)):
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise InputError(f"{name} hold values that are not finite")

    def __len__(self) -> int:
        return len(self.inputs)

    def of(self, places: NDArray[np.int64]) -> "Examples":
        """Return some of them."""
        return Examples(self.inputs[places], self.targets[places])


@dataclass(frozen=True, eq=False)
class Users:
    """Devices and their examples.

    Attributes:
        examples: of all of them.
        partition: which are whose.

    Raises:
        InputError: the partition names examples that are not there.
    """

    examples: Examples
    partition: Partition

    def __post_init__(self) -> None:
        if self.partition.places.max(initial=-1) >= len(self.examples):
            raise InputError(f"{len(self.examples)} examples, but one has number {self.partition.places.max()}")

    def __len__(self) -> int:
        """Return the number of users."""
        return len(self.partition)
