"""Numbers that a caller gives, looked at before anything is computed from them."""

import math
from typing import Any

import numpy as np

from handheld.errors import InputError

# 8 GiB of float32: beyond, labels are mostly numbers that something else gave.
_MOST_NUMBERS = 1 << 31


def whole(name: str, value: Any, minimum: int = 1) -> int:
    """Return a whole number of ``minimum`` or more as ``int``. Raises :class:`InputError`."""
    # a bool is an int to Python, and hardly what was meant by a number of sweeps
    is_whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not is_whole or value < minimum:
        raise InputError(f"{name} is {value!r}; expected a whole number of {minimum} or more")
    return int(value)


def small_enough(name: str, rows: int, columns: int, instead: str) -> None:
    """Raise :class:`InputError` for an array of more numbers than a machine should hold.

    Args:
        name: of the array.
        rows, columns: its shape.
        instead: what to do.
    """
    if rows * columns > _MOST_NUMBERS:
        size = 4 * rows * columns / 2**30
        raise InputError(
            f"{name} of {rows:,} x {columns:,} numbers would take {size:,.0f} GiB: {instead}"
        )


def positive(name: str, value: Any, *, zero: bool = False) -> float:
    """Return a finite number above 0, or of 0 or more, as ``float``. Raises :class:`InputError`."""
    expected = "0 or more" if zero else "above 0"
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} is {value!r}; expected a finite number {expected}") from error
    if not math.isfinite(number) or number < 0 or (number == 0 and not zero):
        raise InputError(f"{name} is {value!r}; expected a finite number {expected}")
    return number
