"""Values that a person gives, held to a range: an error names the one that is wrong."""

import math
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Any

from handheld.errors import InputError

MOST_SEED = 2**63 - 1
"""The largest seed: torch takes no larger one."""


def in_range(
    name: str,
    value: object,
    *,
    low: float | None = None,
    high: float | None = None,
    low_open: bool = False,
    high_open: bool = False,
) -> None:
    """Refuse what is no number of an interval; NaN lies in none, and True is no number.

    >>> in_range("clip", 5.0, low=0)
    >>> in_range("rise", 1.0, low=0, high=1, high_open=True)
    Traceback (most recent call last):
    handheld.errors.InputError: rise: expected a number in [0, 1), got 1.0

    Args:
        name: of the value, as the person knows it, such as ``learn.clip`` or ``--port``.
        value: a number of Python or numpy.
        low: the smallest; None: any finite number.
        high: the largest; None: any finite number.
        low_open: ``low`` itself is refused.
        high_open: ``high`` itself is refused.

    Raises:
        InputError: names the value, the interval, and what came.
    """
    bottom, top = _ends(low, high)
    # An end that nobody names is infinity, which is outside.
    low_open = low_open or low is None
    high_open = high_open or high is None
    if _is_real(value) and _is_above(value, bottom, low_open) and _is_below(value, top, high_open):
        return
    before = "(" if low_open else "["
    after = ")" if high_open else "]"
    interval = f"{before}{bottom}, {top}{after}"
    raise InputError(f"{name}: expected a number in {interval}, got {value!r}")


def whole_in_range(
    name: str, value: object, *, low: int | None = None, high: int | None = None
) -> None:
    """Refuse what is no whole number from ``low`` to ``high``, both included.

    >>> whole_in_range("batch", 0, low=1)
    Traceback (most recent call last):
    handheld.errors.InputError: batch: expected a whole number of 1 or more, got 0

    Args:
        name: of the value, as the person knows it.
        value: an integer of Python or numpy; True is none, and neither is 2.0.
        low: the smallest; None: any.
        high: the largest; None: any.

    Raises:
        InputError: names the value, the range, and what came.
    """
    bottom, top = _ends(low, high)
    is_whole = isinstance(value, Integral) and _is_real(value)
    if is_whole and _is_above(value, bottom) and _is_below(value, top):
        return
    raise InputError(f"{name}: expected a whole number{_span(low, high)}, got {value!r}")


def _ends(low: float | None, high: float | None) -> tuple[float, float]:
    """Return the ends of a range; infinity for one that nobody names."""
    bottom = -math.inf if low is None else low
    top = math.inf if high is None else high
    return bottom, top


def _is_real(value: object) -> bool:
    # A bool is an integer to Python, and hardly what was meant by a number of steps.
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_above(value: Any, bottom: float, is_open: bool = False) -> bool:
    """Whether a number is above another, or, where that one counts too, it; NaN never is."""
    if is_open:
        return bool(value > bottom)
    return bool(value >= bottom)


def _is_below(value: Any, top: float, is_open: bool = False) -> bool:
    if is_open:
        return bool(value < top)
    return bool(value <= top)


def _span(low: int | None, high: int | None) -> str:
    if low is not None and high is not None:
        return f" in [{low}, {high}]"
    if low is not None:
        return f" of {low} or more"
    if high is not None:
        return f" of {high} or less"
    return ""


def flag(name: str, value: object) -> None:
    """Refuse what is neither True nor False. Raises :class:`InputError`."""
    if not isinstance(value, bool):
        raise InputError(f"{name}: expected True or False, got {value!r}")


def height_and_width(name: str, size: object) -> None:
    """Refuse what is no pair of numbers above 0."""
    sides = tuple(size) if isinstance(size, Iterable) else ()
    if len(sides) != 2:
        raise InputError(f"{name}: expected height and width, got {size!r:.80}")
    for side in sides:
        in_range(name, side, low=0, low_open=True)


def one_of(name: str, value: object, values: Sequence[str]) -> None:
    """Refuse what is none of some words. Raises :class:`InputError`."""
    if value not in values:
        raise InputError(f"{name}: expected {' or '.join(values)}, got {value!r}")
