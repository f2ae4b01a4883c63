"""Bars, one a thing, and rows of shares below them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from markupsafe import Markup

from handheld.reports.charts.axes import Axis, AxisWords, Scale, left_margin, svg

_RIGHT = 8
_TOP = 22
_GAP = 12  # between the bars and the first row of shares
_ROW = 14
_PALEST = 0.15  # opacity of the smallest share that is there at all
_BAR = Markup(
    '<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" opacity="{:.2f}">'
    "<title>{}</title></rect>"
)
_LINE = Markup('<path class="grid" d="M{:.1f} {:.1f}H{}"/>')
_TICK = Markup('<text class="tick" x="{:.1f}" y="{:.1f}" text-anchor="end">{}</text>')
_TITLE = Markup('<text class="axis" x="2" y="12">{}</text>')


class ChartBar(NamedTuple):
    """A value of 0 or more, what a pointer over it is told, and whether it is one of those that
    stand out.
    """

    value: float
    words: str
    is_marked: bool = False


@dataclass(frozen=True)
class HeatRow:
    """A row of cells below the bars, one a bar: its name, shares in [0, 1], and what a pointer over
    each is told.
    """

    name: str
    shares: Sequence[float]
    words: Sequence[str]


def draw_bars(
    bars: Sequence[ChartBar],
    title: str,
    *,
    width: int,
    height: int,
    up: AxisWords,
    rows: Sequence[HeatRow] = (),
) -> Markup:
    """Draw a bar for each value, and below them rows of cells, the darker the larger their share.

    What is no number is drawn as 0; its words say what it is.

    Args:
        bars: values; nothing is drawn without any.
        title: of the chart.
        width: in pixels.
        height: of the highest bar, in pixels.
        up: what the values are.
        rows: one cell for each bar.
    """
    if not bars:
        return Markup("")
    values = list(map(_length, bars))
    highest = max(values)
    # From 0 on, or the lengths of bars would not be in the ratio of their values.
    y = Axis(0, highest or 1, _TOP + height, _TOP)
    columns = _columns(len(bars), width, y, up, rows)
    elements = [_TITLE.format(up.title)]
    for value in (0.0, highest):
        elements.append(_LINE.format(columns.left, y.at(value), width - _RIGHT))
        elements.append(_tick(columns.left, y.at(value) + 4, up.write(value)))
    for number, bar in enumerate(bars):
        elements.append(_bar(bar, columns.at(number), columns.width, y))
    top = _TOP + height + _GAP
    for row in rows:
        elements.append(_tick(columns.left, top + _ROW - 4, row.name))
        elements += _cells(row, columns, top)
        top += _ROW
    described = f"from {up.write(min(values))} to {up.write(highest)}"
    return svg(title, described, width, top + 4, elements)


def _length(bar: ChartBar) -> float:
    if not math.isfinite(bar.value):
        return 0.0
    return bar.value


def _bar(bar: ChartBar, x: float, width: float, y: Axis) -> Markup:
    tall = max(1.0, y.start - y.at(_length(bar)))  # one of 0 is seen, and pointed at, too
    classes = "amount"
    if bar.is_marked:
        classes = "amount marked"
    return _BAR.format(classes, x, y.start - tall, width, tall, 1, bar.words)


class _Columns(NamedTuple):
    """Where bars are: the left end of the first, and how far the next is, in pixels."""

    left: float
    step: float

    def at(self, number: int) -> float:
        return self.left + number * self.step

    @property
    def width(self) -> float:
        """Of a bar: a pixel less than its step, where there is one to spare."""
        if self.step < 3:
            return 0.8 * self.step
        return self.step - 1


def _columns(count: int, width: int, y: Axis, up: AxisWords, rows: Sequence[HeatRow]) -> _Columns:
    """Return where bars are, right of the numbers and of the rows' names."""
    # Names stand where the numbers do.
    longest = max((row.name for row in rows), key=len, default="")
    names = Scale(y, lambda _: longest, "", 2)
    margin = max(left_margin(Scale(y, up.write, "", 2)), left_margin(names))
    return _Columns(margin, (width - margin - _RIGHT) / count)


def _cells(row: HeatRow, columns: _Columns, top: float) -> Iterator[Markup]:
    for number, (share, words) in enumerate(zip(row.shares, row.words, strict=True)):
        if share > 0:
            x = columns.at(number)
            opacity = _PALEST + (1 - _PALEST) * share
            yield _BAR.format("amount", x, top, columns.width, _ROW - 1, opacity, words)


def _tick(right: float, y: float, text: str) -> Markup:
    return _TICK.format(right - 6, y, text)
