"""Numbers as people read them."""

import math
import re
from collections.abc import Callable

NONE = "–"  # noqa: RUF001 - a dash where there is no number, NaN and infinity among them


def ratio(value: float, unit: float) -> float | None:
    """Return how many times a unit goes into a value; None where that is no number."""
    if unit > 0 and math.isfinite(value / unit):
        return value / unit
    return None


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
    if not math.isfinite(seconds):
        return NONE
    if seconds < 60:
        return _scaled(seconds, ((1, "s"), (1e-3, "ms"), (1e-6, "µs")))
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


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
    if share is None or not math.isfinite(share):
        return NONE
    return f"{share * 100:.{digits}f} %"


def times(factor: float | None) -> str:
    """Write a factor with two digits or more.

    >>> times(94.2), times(1.073), times(None)
    ('94x', '1.1x', '–')
    """
    if factor is None or not math.isfinite(factor):
        return NONE
    # Bounds are where rounding reaches the next form: 9.96 would be written as 10.0.
    if factor >= 9.95:
        return f"{factor:,.0f}x"
    if factor >= 0.95:
        return f"{factor:.1f}x"
    return f"{factor:.2g}x"


def _scaled(value: float, units: tuple[tuple[float, str], ...]) -> str:
    if not math.isfinite(value):
        return NONE
    smallest = units[-1][0]
    for unit, name in units:
        # 999.6 of a unit would be written as 1000: it is 1.00 of the next.
        if abs(value) >= 0.9995 * unit or unit == smallest:
            scaled = value / unit
            digits = _digits(abs(scaled))
            if unit == 1 and scaled == int(scaled):
                # 5 of a thing are not 5.00
                digits = 0
            return f"{scaled:.{digits}f} {name}"
    raise AssertionError("there is a last unit")


def _digits(value: float) -> int:
    """Return how many digits behind the point make three in all, once they are rounded."""
    if value >= 99.95:
        return 0
    if value >= 9.995:
        return 1
    return 2
