"""One operator at work, as the shape rules see it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from handheld.engine._verify.flatbuffer import Table

Shape = tuple[int, ...]
_MOST = 4096  # numbers in a list of sides, axes or sizes; no real one has more than some dozens


@dataclass(frozen=True)
class Call:
    """One operator at work.

    Args:
        shapes: of its inputs; None: absent.
        values: of its inputs, where they are integers known before a run; None: not known.
        options: its builtin options.
        outputs: shapes that its outputs declare.
        unknown: positions of inputs whose shape only a run can tell.
    """

    shapes: Sequence[Shape | None]
    values: Sequence[np.ndarray | None]
    options: Table
    outputs: Sequence[Shape]
    unknown: Collection[int] = ()

    def shape(self, position: int, sides: int | None = None) -> Shape:
        """Shape of an input that must be there (with as many ``sides``)."""
        if position in self.unknown:
            raise LookupError
        shape = self.shapes[position] if position < len(self.shapes) else None
        if shape is None or (sides is not None and len(shape) != sides):
            expected = "" if sides is None else f", expected {sides} sides"
            raise ValueError(f"input {position} has shape {shape}{expected}")
        return shape

    def present(self, position: int) -> bool:
        """Whether an optional input is there."""
        return position < len(self.shapes) and self.shapes[position] is not None

    def ints(self, position: int) -> list[int]:
        """Value of an operand; ``LookupError`` where it is known only at run time."""
        value = self.values[position] if position < len(self.values) else None
        if value is None:
            raise LookupError
        if value.dtype.kind != "i" or value.size > _MOST:
            raise ValueError(f"operand {position} is no list of int32 or int64")
        return [int(v) for v in value.flat]

    def int_(self, position: int) -> int:
        """Value of an operand that must be one number."""
        numbers = self.ints(position)
        if len(numbers) != 1:
            raise ValueError(f"operand {position} has {len(numbers)} numbers, expected 1")
        return numbers[0]

    def option(self, name: str, default: Any = 0) -> Any:
        """One option."""
        return self.options.get(name, default)


def axis_of(axis: int, sides: int) -> int:
    """The axis from the front that ``axis``, which may be negative, stands for."""
    if not -sides <= axis < sides:
        raise ValueError(f"axis {axis} of {sides} sides")
    return axis % sides
