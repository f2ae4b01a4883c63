"""A learned projection: each feature of a text falls on a row of a small table; rows are added up.

It runs in numpy alone. ``projection.training.table`` trains such tables, in four bits (Jacob et
al., arXiv 1712.05877).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.projection.hashing import Floats, Levels, Numbers
from handheld.projection.inputs import Rows
from handheld.projection.words import Texts
from handheld.ranges import in_range

LEVELS: Mapping[int, int] = {4: 7, 8: 127}
"""To each side of zero, by bits of a number."""

_EPSILON = np.float32(1e-5)  # torch.nn.LayerNorm's, by which tables learn


@dataclass(frozen=True, eq=False)
class LearnedTable:
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
    table: Levels
    step: float
    bits: int = 4

    def __post_init__(self) -> None:
        in_range("step", self.step, low=0, low_open=True)
        table = self.table
        highest = LEVELS.get(self.bits, 0)
        has_rows = table.ndim == 2 and len(table) == self.reader.rows
        is_on_grid = (
            # With an initial 0, since a table without a number has no largest one.
            table.dtype == np.int8
            and -highest <= table.min(initial=0)
            and table.max(initial=0) <= highest
        )
        if not (has_rows and is_on_grid):
            raise InputError(
                f"expected a table ({self.reader.rows}, width) of int8 from -{highest} to "
                f"{highest} in 4 or 8 bits, got {table.dtype} "
                f"{list(table.shape)} in {self.bits} bits"
            )

    @property
    def width(self) -> int:
        """Numbers of a text."""
        return int(self.table.shape[1])

    def of(self, texts: Texts) -> Floats:
        """Return (texts, width): the sum of a text's rows over the root of their number.

        A text without features has zeros.
        """
        return self.sums(*self.reader.flat(texts))

    def sums(self, numbers: Numbers, offsets: Numbers) -> Floats:
        """Return :meth:`of` texts whose rows are known, as ``Rows.flat`` gives them."""
        sums = np.zeros((len(offsets) - 1, self.width), np.float32)
        for text, (start, end) in enumerate(pairwise(offsets.tolist())):
            if start < end:
                rows = self.table.take(numbers[start:end], axis=0)
                scale = self.step / np.sqrt(end - start)
                # Whole numbers below 2^24, whose sum is exact in any order.
                sums[text] = rows.sum(axis=0, dtype=np.float32) * scale
        return sums

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what a file keeps: of four bits two numbers in a byte."""
        return {
            "table": self._kept_table(),
            "step": np.array(self.step, np.float32),
            "width": np.array(self.width, np.int32),
        }

    def _kept_table(self) -> NDArray[Any]:
        if self.bits == 4:
            return packed(self.table)
        return self.table

    @classmethod
    def of_arrays(cls, reader: Rows, arrays: Mapping[str, NDArray[Any]]) -> "LearnedTable":
        """Return what :meth:`arrays` kept. Raises :class:`InputError` for what does not fit."""
        table = arrays["table"]
        step = float(arrays["step"])
        if table.dtype == np.int8:  # a byte a number
            return cls(reader, table, step, 8)
        width = int(arrays["width"])
        packed_size = -(-reader.rows * width // 2)
        if table.dtype != np.uint8 or width < 1 or table.shape != (packed_size,):
            raise InputError(
                f"expected a table of {reader.rows} rows in four bits, "
                f"got {table.dtype} {list(table.shape)}"
            )
        return cls(reader, unpacked(table, (reader.rows, width)), step)


def coarsened(table: LearnedTable, factor: float) -> LearnedTable:
    """Return a table on a coarser grid, which takes less in a compressed file.

    Args:
        table: that was learned.
        factor: distance of two of its levels, in levels of the table, 1 or more. The step that is
            kept is the one that brings the new numbers nearest to the old ones.

    Raises:
        InputError: a factor below 1.
    """
    in_range("factor", factor, low=1)
    fine = table.table.astype(np.float64)
    # halves away from zero, on both sides alike
    coarse = np.sign(fine) * np.floor(np.abs(fine) / factor + 0.5)
    squares = float((coarse * coarse).sum())
    step = float((fine * coarse).sum()) / squares if squares else 1.0
    return replace(table, table=coarse.astype(np.int8), step=table.step * step)


def packed(table: Levels) -> NDArray[np.uint8]:
    """Return levels of four bits, -7 to 7, two in a byte, the first in its lower half."""
    levels = (table + LEVELS[4]).astype(np.uint8).ravel()
    padding = np.zeros(len(levels) % 2, np.uint8)
    levels = np.append(levels, padding)
    return np.asarray(levels[::2] | levels[1::2] << 4, np.uint8)


def unpacked(pairs: NDArray[np.uint8], shape: tuple[int, int]) -> Levels:
    """Return the levels that :func:`packed` kept in bytes, as a table of some shape."""
    levels = np.empty(2 * len(pairs), np.int8)
    levels[::2] = pairs & 15
    levels[1::2] = pairs >> 4
    count = shape[0] * shape[1]
    table: Levels = levels[:count] - np.int8(LEVELS[4])
    return table.reshape(shape)


def normalised(sums: Floats, scale: Floats, shift: Floats) -> Floats:
    """Return (texts, width) sums with the mean and the deviation taken out of each row.

    As a layer normalisation does it (Ba et al., arXiv 1607.06450).
    """
    width = np.float32(sums.shape[1])
    centred = sums - np.add.reduce(sums, axis=1, keepdims=True) / width
    variance = np.add.reduce(centred * centred, axis=1, keepdims=True) / width
    deviation = np.sqrt(variance + _EPSILON)
    return np.asarray(centred / deviation * scale + shift, np.float32)
