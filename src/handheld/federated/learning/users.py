"""Examples of a population: arrays that all devices share in a simulation, and whose is which."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.data.users.partitions import Partition
from handheld.errors import InputError


@dataclass(frozen=True, eq=False)
class Examples:
    """What a model is given and what it should say.

    Attributes:
        inputs: (n, ...) numbers, as the model takes them. A module gets uint8, as pictures, divided
            by 255; float64, float16 and bool as float32; other whole numbers as int64, as
            embeddings want them.
        targets: (n,) classes of any whole type, (n, length) classes with -1 where nothing is asked,
            or (n, ...) numbers, which a loss gets as float32.

    Raises:
        InputError: they are not as many, no numbers, not finite, or larger than float32 holds.
    """

    inputs: NDArray[Any]
    targets: NDArray[Any]

    def __post_init__(self) -> None:
        # Numbers that do not fit would be an error of torch's, of one device in some round.
        for name, array in (("inputs", self.inputs), ("targets", self.targets)):
            _require_array(name, array)
        if len(self.inputs) != len(self.targets):
            raise InputError(
                f"{len(self.inputs)} inputs, but {len(self.targets)} targets:"
                " each example needs both"
            )
        for name, array in (("inputs", self.inputs), ("targets", self.targets)):
            _require_numbers(name, array)

    def __len__(self) -> int:
        return len(self.inputs)

    def of(self, rows: NDArray[np.int64]) -> "Examples":
        """Return some of them."""
        return Examples(self.inputs[rows], self.targets[rows])


def _require_array(name: str, array: object) -> None:
    """Raise :class:`InputError` unless something is an array with a first dimension."""
    # Of a masked array the numbers behind the mask would be learned from.
    if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):
        raise InputError(
            f"{name}: expected an array of numpy, got {type(array).__name__}: np.asarray makes one"
        )
    if not array.ndim:
        raise InputError(f"{name}: expected an array (n, ...), got a single {array.dtype}")


def _require_numbers(name: str, array: NDArray[Any]) -> None:
    # Yes or no, whole, without a sign, with a point: numpy's letters.
    if array.dtype.kind not in "biuf":
        raise InputError(f"{name} hold {array.dtype}, expected numbers")
    if array.dtype.kind == "u" and array.max(initial=0) > np.iinfo(np.int64).max:
        raise InputError(
            f"{name} hold {array.max()}, more than int64 does, which modules are given:"
            " number them from 0"
        )
    if array.dtype.kind == "f":
        _require_finite(name, array)


def _require_finite(name: str, array: NDArray[Any]) -> None:
    is_finite = np.isfinite(array)
    if not is_finite.all():
        rows = np.flatnonzero(~is_finite.reshape(len(array), -1).all(axis=1))
        raise InputError(
            f"{name} hold values that are not finite, in {len(rows):,} of {len(array):,} examples,"
            f" first {rows[0]}"
        )
    # Float64 is narrowed for modules.
    largest = float(max(array.max(initial=0), -array.min(initial=0)))
    if largest > float(np.finfo(np.float32).max):
        raise InputError(f"{name} hold {largest:g}, more than float32 does: scale them")


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
        if self.partition.indices.max(initial=-1) >= len(self.examples):
            raise InputError(
                f"{len(self.examples)} examples, but one has number {self.partition.indices.max()}"
            )

    def __len__(self) -> int:
        """Return the number of users."""
        return len(self.partition)
