"""One operator at work, as the shape rules see it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from handheld.engine._verify.axes import Shape
from handheld.engine._verify.flatbuffer import Table

# Numbers in a list of sides, axes or sizes. No real one has more than some dozens, and a hostile
# file must not make the rules work.
_MOST_NUMBERS = 4096


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

    def shape(self, position: int, rank: int | None = None) -> Shape:
        """Shape of an input that must be there (with as many sides as ``rank``)."""
        if position in self.unknown:
            raise LookupError
        shape = None
        if position < len(self.shapes):
            shape = self.shapes[position]
        if shape is None or rank not in (None, len(shape)):
            problem = f"input {position} has shape {shape}"
            if rank is not None:
                problem += f", expected {rank} sides"
            raise ValueError(problem)
        return shape

    def all_shapes(self) -> list[Shape]:
        """Shapes of all inputs, none of which may be absent."""
        return list(map(self.shape, range(len(self.shapes))))

    def present(self, position: int) -> bool:
        """Whether an optional input is there."""
        return position < len(self.shapes) and self.shapes[position] is not None

    def ints(self, position: int) -> list[int]:
        """Value of an operand; ``LookupError`` where it is known only at run time."""
        value = None
        if position < len(self.values):
            value = self.values[position]
        if value is None:
            raise LookupError
        if value.dtype.kind != "i" or value.size > _MOST_NUMBERS:
            raise ValueError(f"operand {position} is no list of int32 or int64")
        # Python's integers, as sums and products of numpy's would wrap.
        return list(map(int, value.flat))

    def int_(self, position: int) -> int:
        """Value of an operand that must be one number."""
        numbers = self.ints(position)
        if len(numbers) != 1:
            raise ValueError(f"operand {position} has {len(numbers)} numbers, expected 1")
        return numbers[0]

    def option(self, name: str, default: Any = 0) -> Any:
        """One option."""
        return self.options.get(name, default)
