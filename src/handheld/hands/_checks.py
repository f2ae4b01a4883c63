"""Checks of options, which name the one that is wrong."""

from math import isfinite
from numbers import Integral, Real

from handheld.errors import InputError


def require_whole(name: str, value: object, *, minimum: int = 1) -> None:
    """Raise :class:`InputError` unless an option is a whole number of ``minimum`` or more."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < minimum:
        raise InputError(f"{name}: expected a whole number of {minimum} or more, got {value!r}")


def require_flag(name: str, value: object) -> None:
    """Raise :class:`InputError` unless an option is True or False."""
    if not isinstance(value, bool):
        raise InputError(f"{name}: expected True or False, got {value!r}")


def require_real(name: str, value: float, *, zero: bool = False) -> None:
    """Raise :class:`InputError` unless an option is finite and above 0, or 0 where ``zero``."""
    if _is_number(value) and isfinite(value) and (value > 0 or (zero and value == 0)):
        return
    expected = "of 0 or more" if zero else "above 0"
    raise InputError(f"{name}: expected a number {expected}, got {value!r}")


def require_score(name: str, value: float, *, ends: bool) -> None:
    """Raise :class:`InputError` unless a score is between 0 and 1, with or without these two."""
    if _is_number(value) and (0 < value < 1 or (ends and value in (0, 1))):
        return
    expected = "[0, 1]" if ends else "(0, 1)"
    raise InputError(f"{name}: expected a number in {expected}, got {value!r}")


def _is_number(value: object) -> bool:
    # Python counts True as 1.
    return isinstance(value, Real) and not isinstance(value, bool)
