"""Axes of a chart: from values to pixels, and where the ticks go."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

_LEAST_MARGIN = 46.0
_TICK_LETTER = 6.3  # pixels of a digit of 11 pixels, as Chromium and Firefox set it
_TICK_GAP = 10.0


@dataclass(frozen=True)
class Axis:
    """A range of values and the pixels where it begins and ends.

    Attributes:
        low, high: values at the ends; ``low`` is below ``high``, and above 0 if ``log``.
        start, end: pixels at the ends.
        log: whether equal distances are equal ratios.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    @classmethod
    def around(
        cls,
        values: Iterable[float],
        start: float,
        end: float,
        *,
        log: bool = False,
        room: float = 0.08,
    ) -> "Axis":
        """Return an axis that holds all values, with room at both ends (a share of the range)."""
        known = [value for value in values if math.isfinite(value) and (value > 0 or not log)] or [
            1.0
        ]
        low, high = min(known), max(known)
        if log:
            pad = max((high / low) ** room, 1.15)
            return cls(low / pad, high * pad, start, end, log=True)
        gap = max((high - low) * room, abs(high) * 1e-3, 1e-9)
        return cls(low - gap, high + gap, start, end)

    def at(self, value: float) -> float:
        """Return the pixel of a value; values outside of the range go to the nearer end."""
        value = min(max(value, self.low), self.high)
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, most: int) -> list[float]:
        """Return round values within the range, in order; about as many as asked for at most."""
        return (
            _log_ticks(self.low, self.high, most)
            if self.log
            else _linear_ticks(self.low, self.high, most)
        )


@dataclass(frozen=True)
class AxisWords:
    """How an axis of a chart is called, and how its values are written."""

    title: str
    write: Callable[[float], str]


@dataclass(frozen=True)
class Scale:
    """An axis with its words: how a value is written, and the title."""

    axis: Axis
    text: Callable[[float], str]
    title: str
    ticks: int


def left_margin(up: Scale) -> float:
    """Return how many pixels the numbers of an axis up need on its left."""
    longest = max((len(up.text(value)) for value in up.axis.ticks(up.ticks)), default=0)
    return max(_LEAST_MARGIN, _TICK_LETTER * longest + _TICK_GAP)


def grid(across: Scale, up: Scale) -> Markup:
    """Draw the lines, numbers and titles of two axes."""
    x, y = across.axis, up.axis
    parts = []
    for value in up.axis.ticks(up.ticks):
        where = {
            "x0": x.start,
            "x1": x.end,
            "y": y.at(value),
            "text": up.text(value),
            "tx": x.start - 6,
            "ty": y.at(value) + 4,
        }
        parts.append(Markup('<path class="grid" d="M{x0:.1f} {y:.1f}H{x1:.1f}"/>').format(**where))
        parts.append(
            Markup(
                '<text class="tick" x="{tx:.1f}" y="{ty:.1f}" text-anchor="end">{text}</text>'
            ).format(**where)
        )
    for value in across.axis.ticks(across.ticks):
        where = {
            "x": x.at(value),
            "y0": y.start,
            "y1": y.end,
            "text": across.text(value),
            "ty": y.start + 16,
        }
        parts.append(Markup('<path class="grid" d="M{x:.1f} {y0:.1f}V{y1:.1f}"/>').format(**where))
        parts.append(
            Markup(
                '<text class="tick" x="{x:.1f}" y="{ty:.1f}" text-anchor="middle">{text}</text>'
            ).format(**where)
        )
    middle, below = (x.start + x.end) / 2, y.start + 34
    parts.append(
        Markup('<text class="axis" x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>').format(
            middle, below, across.title
        )
    )
    parts.append(Markup('<text class="axis" x="2" y="12">{}</text>').format(up.title))
    return Markup("\n").join(parts)


def svg(title: str, description: str, width: int, height: int, parts: Sequence[Markup]) -> Markup:
    """Return a picture of its parts; title and description are what a screen reader says."""
    opening = Markup(
        '<svg class="picture" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" aria-label="{label}">'
    )
    label = f"{title}. {description}"
    return (
        opening.format(w=width, h=height, label=label) + Markup("\n").join(parts) + Markup("</svg>")
    )


def _linear_ticks(low: float, high: float, most: int) -> list[float]:
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    for step in (power, 2 * power, 2.5 * power, 5 * power, 10 * power, 20 * power):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < most:
            break
    return [number * step for number in range(first, last + 1)]


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        found = [
            factor * 10.0**power
            for power in powers
            for factor in factors
            if low <= factor * 10.0**power <= high
        ]
        if len(found) <= most:
            return found
    return found[:: math.ceil(len(found) / most)]
