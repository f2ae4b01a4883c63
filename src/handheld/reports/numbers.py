"""Numbers as people read them."""

import math
import re
from collections.abc import Callable

NONE = "–"  # noqa: RUF001 - a dash where there is no number


def ratio(whole: float, part: float) -> float | None:
    """Return how many times a part goes into a whole; None where that is no number."""
    return whole / part if part > 0 and math.isfinite(whole / part) else None


def size_text(size: float) -> str:
    """Write bytes in units of 1000, with three digits.

    >>> size_text(68_120), size_text(6_603_412), size_text(900)
    ('68.1 kB', '6.60 MB', '900 B')
    """
    return _scaled(size, ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B")))


def count_text(count: float) -> str:
    """Write a count with three digits.

    >>> count_text(164_000_000), count_text(12)
    ('164 M', '12')
    """
    return _scaled(count, ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""))).strip()


def seconds_text(seconds: float) -> str:
    """Write a duration with three digits.

    >>> seconds_text(0.000171), seconds_text(0.00612), seconds_text(3120)
    ('171 µs', '6.12 ms', '52 min')
    """
    if seconds >= 60:
        minutes = round(seconds / 60)
        return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
    return _scaled(seconds, ((1, "s"), (1e-3, "ms"), (1e-6, "µs")))


def tick_text(write: Callable[[float], str]) -> Callable[[float], str]:
    """Return a way to write round numbers: without zeros at the end.

    >>> tick_text(size_text)(30_000), tick_text(size_text)(2_500_000)
    ('30 kB', '2.5 MB')
    """
    return lambda value: re.sub(r"\.0+(?= |$)|(\.\d*?)0+(?= |$)", r"\1", write(value))


def percent(share: float | None, digits: int = 2) -> str:
    """Write a share of one.

    >>> percent(0.9412), percent(None)
    ('94.12 %', '–')
    """
    return NONE if share is None else f"{share * 100:.{digits}f} %"


def times(factor: float | None) -> str:
    """Write a factor with two digits or more.

    >>> times(94.2), times(1.073), times(None)
    ('94x', '1.1x', '–')
    """
    if factor is None:
        return NONE
    return (
        f"{factor:,.0f}x"
        if factor >= 9.95
        else f"{factor:.1f}x"
        if factor >= 0.95
        else f"{factor:.2g}x"
    )


def _scaled(value: float, units: tuple[tuple[float, str], ...]) -> str:
    for unit, name in units:
        # 999.6 of a unit would be written as 1000: it is 1.00 of the next
        if abs(value) >= 0.9995 * unit or unit == units[-1][0]:
            scaled = value / unit
            whole = abs(scaled) >= 99.95 or (unit == 1 and scaled == int(scaled))
            digits = 0 if whole else 1 if abs(scaled) >= 9.995 else 2
            return f"{scaled:.{digits}f} {name}"
    raise AssertionError("there is a last unit")
