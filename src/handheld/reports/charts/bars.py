"""Bars, one a thing, and rows of shares below them."""

from collections.abc import Sequence
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
    '<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" opacity="{opacity:.2f}">'
    "<title>{words}</title></rect>"
)


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
    highest = max(bar.value for bar in bars)
    y = Axis(0, highest or 1, _TOP + height, _TOP)
    left = max(
        left_margin(Scale(y, up.write, "", 2)),
        left_margin(Scale(y, lambda _: _longest(rows), "", 2)),
    )
    step = (width - left - _RIGHT) / len(bars)
    parts = [Markup('<text class="axis" x="2" y="12">{}</text>').format(up.title)]
    for value in (0.0, highest):
        parts.append(
            Markup('<path class="grid" d="M{:.1f} {:.1f}H{}"/>').format(
                left, y.at(value), width - _RIGHT
            )
        )
        parts.append(_tick(left, y.at(value) + 4, up.write(value)))
    for number, bar in enumerate(bars):
        tall = max(1.0, y.start - y.at(bar.value))
        kind = "amount marked" if bar.is_marked else "amount"
        where = {"x": left + number * step, "y": y.start - tall, "w": _wide(step), "h": tall}
        parts.append(_BAR.format(kind=kind, **where, opacity=1, words=bar.words))
    top = _TOP + height + _GAP
    for row in rows:
        parts.append(_tick(left, top + _ROW - 4, row.name))
        parts += _cells(row, left, step, top)
        top += _ROW
    low = min(bar.value for bar in bars)
    return svg(title, f"from {up.write(low)} to {up.write(highest)}", width, top + 4, parts)


def _cells(row: HeatRow, left: float, step: float, top: float) -> list[Markup]:
    parts = []
    for number, (share, words) in enumerate(zip(row.shares, row.words, strict=True)):
        if share > 0:
            where = {"x": left + number * step, "y": top, "w": _wide(step), "h": _ROW - 1}
            parts.append(
                _BAR.format(
                    kind="amount", **where, opacity=_PALEST + (1 - _PALEST) * share, words=words
                )
            )
    return parts


def _wide(step: float) -> float:
    """Return how wide a bar is: a pixel less than its place, where there is one to spare."""
    return step - 1 if step >= 3 else 0.8 * step


def _longest(rows: Sequence[HeatRow]) -> str:
    return max((row.name for row in rows), key=len, default="")


def _tick(right: float, y: float, text: str) -> Markup:
    return Markup('<text class="tick" x="{:.1f}" y="{:.1f}" text-anchor="end">{}</text>').format(
        right - 6, y, text
    )
