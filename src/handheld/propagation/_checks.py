"""Numbers that a caller gives, looked at before anything is computed from them."""

import math
from typing import Any

import numpy as np

from handheld.errors import InputError

_MOST_NUMBERS = (
    1 << 31
)  # 8 GiB of float32: beyond, labels are mostly numbers that something else gave


def whole(name: str, value: Any, least: int = 1) -> int:
    """Return a whole number of ``least`` or more as ``int``. Raises :class:`InputError`."""
    # a bool is an int to Python, and hardly what was meant by a number of sweeps
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise InputError(f"{name} is {value!r}; expected a whole number of {least} or more")
    return int(value)


def small_enough(what: str, rows: int, columns: int, instead: str) -> None:
    """Raise :class:`InputError` for an array of more numbers than ``_MOST_NUMBERS``."""
    if rows * columns > _MOST_NUMBERS:
        size = 4 * rows * columns / 2**30
        raise InputError(
            f"{what} of {rows:,} x {columns:,} numbers would take {size:,.0f} GiB: {instead}"
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
