"""Axes of a chart: from values to pixels, and where the ticks go."""

import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

_MIN_MARGIN = 46.0  # pixels, so that most charts of a page begin below each other
_TICK_LETTER = 6.3  # pixels of a digit of 11 pixels, as Chromium and Firefox set it
_TICK_GAP = 10.0
_MIN_FACTOR = 1.15  # of room at an end of a logarithmic axis

_ACROSS_LINE = Markup('<path class="grid" d="M{:.1f} {:.1f}H{:.1f}"/>')
_UP_LINE = Markup('<path class="grid" d="M{:.1f} {:.1f}V{:.1f}"/>')
_TEXT = Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>')
_UP_TITLE = Markup('<text class="axis" x="2" y="12">{}</text>')
_OPENING = Markup(
    '<svg class="picture" viewBox="0 0 {w} {h}" width="{w}" height="{h}" '
    'role="img" aria-label="{label}">'
)

# Values with few digits: multiples of these, of powers of ten.
_STEPS = (1, 2, 2.5, 5, 10, 20)
_LOG_FACTORS = ((1, 2, 5), (1, 3), (1,))


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
        known = list(filter(math.isfinite, values))
        if log:
            known = [value for value in known if value > 0]
        low = min(known, default=1.0)
        high = max(known, default=1.0)
        if log:
            return cls._around_logs(low, high, start, end, room)
        # Room too where all values are one, or 0.
        gap = max((high - low) * room, abs(high) * 1e-3, 1e-9)
        return cls(low - gap, high + gap, start, end)

    @classmethod
    def _around_logs(cls, low: float, high: float, start: float, end: float, room: float) -> "Axis":
        """Return a logarithmic axis with room at both ends."""
        # By logarithms: the ratio of the largest to the smallest number is none.
        decades = math.log(high) - math.log(low)
        factor = max(math.exp(decades * room), _MIN_FACTOR)
        # within what a float holds: an end of 0 or infinity has no logarithm
        lowest = max(low / factor, sys.float_info.min)
        highest = min(high * factor, sys.float_info.max)
        return cls(lowest, highest, start, end, log=True)

    def at(self, value: float) -> float:
        """Return the pixel of a value; values outside of the range go to the nearer end."""
        value = min(max(value, self.low), self.high)
        if self.log:
            decades = math.log(self.high) - math.log(self.low)
            share = (math.log(value) - math.log(self.low)) / decades
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, count: int) -> list[float]:
        """Return round values within the range, in order; about ``count`` of them at most."""
        if self.log:
            return _log_ticks(self.low, self.high, count)
        return _linear_ticks(self.low, self.high, count)


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
    return max(_MIN_MARGIN, _TICK_LETTER * longest + _TICK_GAP)


def grid(across: Scale, up: Scale) -> Markup:
    """Draw the lines, numbers and titles of two axes."""
    middle = (across.axis.start + across.axis.end) / 2
    below = up.axis.start + 34
    elements = [
        *_up_ticks(across.axis, up),
        *_across_ticks(across, up.axis),
        _TEXT.format("axis", middle, below, "middle", across.title),
        _UP_TITLE.format(up.title),
    ]
    return Markup("\n").join(elements)


def _up_ticks(x: Axis, up: Scale) -> Iterator[Markup]:
    for value in up.axis.ticks(up.ticks):
        y = up.axis.at(value)
        yield _ACROSS_LINE.format(x.start, y, x.end)
        yield _TEXT.format("tick", x.start - 6, y + 4, "end", up.text(value))


def _across_ticks(across: Scale, y: Axis) -> Iterator[Markup]:
    for value in across.axis.ticks(across.ticks):
        x = across.axis.at(value)
        yield _UP_LINE.format(x, y.start, y.end)
        yield _TEXT.format("tick", x, y.start + 16, "middle", across.text(value))


def svg(
    title: str, description: str, width: int, height: int, elements: Sequence[Markup]
) -> Markup:
    """Return a picture of its elements; title and description are what a screen reader says."""
    opening = _OPENING.format(w=width, h=height, label=f"{title}. {description}")
    return opening + Markup("\n").join(elements) + Markup("</svg>")


def _linear_ticks(low: float, high: float, count: int) -> list[float]:
    power = 10.0 ** math.floor(math.log10((high - low) / count))
    for factor in _STEPS:
        step = factor * power
        # Rounding must lose no tick that lies at an end.
        first = math.ceil(low / step - 1e-9)
        last = math.floor(high / step + 1e-9)
        if last - first < count:
            break
    return [number * step for number in range(first, last + 1)]


def _log_ticks(low: float, high: float, count: int) -> list[float]:
    ticks: list[float] = []
    for factors in _LOG_FACTORS:
        ticks = list(_within(low, high, factors))
        if len(ticks) <= count:
            return ticks
    # Of very many decades not even each one.
    return ticks[:: math.ceil(len(ticks) / count)]


def _within(low: float, high: float, factors: Iterable[int]) -> Iterator[float]:
    """Yield the multiples of powers of ten in a range."""
    for power in range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1):
        for factor in factors:
            value = factor * 10.0**power
            if low <= value <= high:
                yield value
