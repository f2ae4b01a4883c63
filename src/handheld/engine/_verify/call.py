"""One operator at work, as the shape rules see it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from handheld.engine._verify.flatbuffer import Table

Shape = tuple[int, ...]
_MOST = 4096


@dataclass(frozen=True)
class Call:
    """One operator at work: shapes of its inputs (None: absent), values of its constants (None: not constant)."""

    shapes: Sequence[Shape | None]
    values: Sequence[np.ndarray | None]
    options: Table
    outputs: Sequence[Shape]

    def shape(self, position: int, sides: int | None = None) -> Shape:
        """Shape of an input that must be there (with as many ``sides``)."""
        shape = self.shapes[position] if position < len(self.shapes) else None
        if shape is None or (sides is not None and len(shape) != sides):
            raise ValueError(f"input {position} has shape {shape}" + (f", expected {sides} sides" if sides else ""))
        return shape

    def ints(self, position: int) -> list[int]:
        """Value of a constant operand; ``LookupError`` where it is known only at run time."""
        value = self.values[position] if position < len(self.values) else None
        if value is None:
            raise LookupError
        if value.dtype.kind != "i" or value.size > _MOST:
            raise ValueError(f"operand {position} is no list of int32 or int64")
        return [int(v) for v in value]

    def option(self, name: str, default: Any = 0) -> Any:
        """One option."""
        return self.options.get(name, default)


def axis_of(axis: int, sides: int) -> int:
    if not -sides <= axis < sides:
        raise ValueError(f"axis {axis} of {sides} sides")
    return axis % sides
