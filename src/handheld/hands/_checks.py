"""Checks of options, which name the one that is wrong."""

from math import isfinite
from numbers import Integral, Real

from handheld.errors import InputError


def require_whole(name: str, value: object, *, least: int = 1) -> None:
    """Raise :class:`InputError` unless an option is a whole number of ``least`` or more."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise InputError(f"{name}: expected a whole number of {least} or more, got {value!r}")


def require_flag(name: str, value: object) -> None:
    """Raise :class:`InputError` unless an option is True or False."""
    if not isinstance(value, bool):
        raise InputError(f"{name}: expected True or False, got {value!r}")


def require_real(name: str, value: float, *, zero: bool = False) -> None:
    """Raise :class:`InputError` unless an option is a finite number above 0, or 0 where that is meant too."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not isfinite(value) or value < 0 or (value == 0 and not zero):
        raise InputError(
            f"{name}: expected a number {'of 0 or more' if zero else 'above 0'}, got {value!r}"
        )


def require_score(name: str, value: float, *, ends: bool) -> None:
    """Raise :class:`InputError` unless a score is between 0 and 1, with or without these two."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not (0 <= value <= 1 if ends else 0 < value < 1):
        raise InputError(
            f"{name}: expected a number in {'[0, 1]' if ends else '(0, 1)'}, got {value!r}"
        )
