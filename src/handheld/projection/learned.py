"""A learned projection: each feature of a text falls on a row of a small table, whose rows are added up.

It runs in numpy alone. ``projection.training.table`` trains such tables, in four bits (Jacob et al., arXiv 1712.05877).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.projection.hashing import Numbers
from handheld.projection.inputs import Rows
from handheld.projection.words import Texts

LEVELS: Mapping[int, int] = {4: 7, 8: 127}
"""To each side of zero, by bits of a number."""

_SMALL = np.float32(1e-5)


@dataclass(frozen=True, eq=False)
class Learned:
    """A table whose numbers are whole multiples of one step.

    Attributes:
        reader: which rows a text's features fall on.
        table: (rows, width) int8, -7 to 7 for four bits, -127 to 127 for eight.
        step: distance of two levels, above 0.
        bits: in which a file keeps a number, 4 or 8.

    Raises:
        InputError: a table that does not fit its reader.
    """

    reader: Rows
    table: NDArray[np.int8]
    step: float
    bits: int = 4

    def __post_init__(self) -> None:
        fits = self.table.ndim == 2 and self.table.dtype == np.int8 and len(self.table) == self.reader.rows
        most = LEVELS.get(self.bits, 0)
        if not (fits and self.step > 0 and -most <= self.table.min(initial=0) and self.table.max(initial=0) <= most):
            raise InputError(
                f"expected a table ({self.reader.rows}, width) of int8 from -{most} to {most} in 4 or 8 bits, a step above 0, "
                f"got {self.table.dtype} {list(self.table.shape)} and {self.step} in {self.bits} bits"
            )

    @property
    def width(self) -> int:
        """Numbers of a text."""
        return int(self.table.shape[1])

    def of(self, texts: Texts) -> NDArray[np.float32]:
        """Return (texts, width): the sum of a text's rows over the root of their number; zeros for a text without features."""
        return self.sums(*self.reader.flat(texts))

    def sums(self, numbers: Numbers, offsets: Numbers) -> NDArray[np.float32]:
        """Return :meth:`of` texts whose rows are known, as ``Rows.flat`` gives them."""
        found = np.zeros((len(offsets) - 1, self.width), np.float32)
        for text, (start, end) in enumerate(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)):
            if start < end:
                rows = self.table.take(numbers[start:end], axis=0)
                found[text] = rows.sum(axis=0, dtype=np.float32) * (self.step / np.sqrt(end - start))
        return found

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what a file keeps: of four bits two numbers in a byte."""
        return {
            "table": _packed(self.table) if self.bits == 4 else self.table,
            "step": np.array(self.step, np.float32),
            "width": np.array(self.width, np.int32),
        }

    @classmethod
    def of_arrays(cls, reader: Rows, arrays: Mapping[str, NDArray[Any]]) -> "Learned":
        """Return what :meth:`arrays` kept. Raises :class:`InputError` for what does not fit."""
        packed, width = arrays["table"], int(arrays["width"])
        if packed.dtype == np.int8:
            return cls(reader, packed, float(arrays["step"]), 8)
        if packed.dtype != np.uint8 or width < 1 or packed.shape != (-(-reader.rows * width // 2),):
            raise InputError(f"expected a table of {reader.rows} rows in four bits, got {packed.dtype} {list(packed.shape)}")
        levels = np.empty(2 * len(packed), np.int8)
        levels[::2], levels[1::2] = packed & 15, packed >> 4
        return cls(reader, (levels[: reader.rows * width] - LEVELS[4]).reshape(reader.rows, width), float(arrays["step"]))


def _packed(table: NDArray[np.int8]) -> NDArray[np.uint8]:
    levels = (table + LEVELS[4]).astype(np.uint8).ravel()
    levels = np.append(levels, np.zeros(len(levels) % 2, np.uint8))
    return np.asarray(levels[::2] | levels[1::2] << 4, np.uint8)


def normalised(sums: NDArray[np.float32], scale: NDArray[np.float32], shift: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (texts, width) sums with the mean and the deviation taken out of each row (Ba et al., arXiv 1607.06450)."""
    width = np.float32(sums.shape[1])
    centred = sums - np.add.reduce(sums, axis=1, keepdims=True) / width
    deviation = np.sqrt(np.add.reduce(centred * centred, axis=1, keepdims=True) / width + _SMALL)
    return np.asarray(centred / deviation * scale + shift, np.float32)
