"""Shares against a cost: points with their names, what no other beats, what was asked."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from markupsafe import Markup

from handheld.reports.charts.axes import Axis, AxisWords, Scale, grid, svg
from handheld.reports.charts.labels import Box, PlacedLabel, place_labels, shorten
from handheld.reports.charts.limits import ROW, Ceiling, arrange, beside, draw_ceiling, draw_floor
from handheld.reports.numbers import percent, tick_text

_LEFT = 54
_RIGHT = 20
_TOP = 26
_BOTTOM = 42
_NAME_LETTERS = 22  # pixels of the chart's width for each letter of a name that is shown

Mark = Literal["reference", "best", "beaten"]
"""A diamond for what others are set beside, a full circle for the best of them, an empty one for
the rest.
"""


@dataclass(frozen=True)
class ScatterPoint:
    """A thing of a cost and a share.

    Attributes:
        name: stands beside it.
        cost: above 0.
        share: in [0, 1].
        words: what a pointer over it is told.
        mark: which sign it has; the line goes by those that are no reference.
        spread: width of a bar through it, in units of the cost.
        second: another share of it, drawn as a short stroke.
    """

    name: str
    cost: float
    share: float
    words: str
    mark: Mark
    spread: float = 0.0
    second: float | None = None


@dataclass(frozen=True)
class ChartLimit:
    """A value that was asked, and whether all that were made for it keep it."""

    value: float
    met: bool


def front(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the (cost, share) that no other beats in both, cheapest first.

    >>> front([(3, 0.9), (1, 0.8), (2, 0.7)])
    [(1, 0.8), (3, 0.9)]
    """
    best: list[tuple[float, float]] = []
    for cost, share in sorted(points, key=lambda point: (point[0], -point[1])):
        if not best or share > best[-1][1]:
            best.append((cost, share))
    return best


def draw_scatter(
    points: Sequence[ScatterPoint],
    title: str,
    *,
    width: int,
    height: int,
    across: AxisWords,
    up: str,
    ceilings: Sequence[ChartLimit] = (),
    floors: Sequence[ChartLimit] = (),
) -> Markup:
    """Draw points over a logarithmic axis of costs, and a line through those that no other beats.

    Args:
        points: one or more.
        title: of the chart.
        width: in pixels.
        height: in pixels.
        across: what the cost is.
        up: what the share is.
        ceilings: costs that were asked at most.
        floors: shares that were asked at least.
    """
    plot = _Plot.of(points, width, height, across, ceilings, floors)
    texts = [f"asked: {percent(floor.value, 1)}" for floor in floors]
    boxes = [
        beside(plot.y.at(floor.value), text, plot.x, plot.pixels)
        for floor, text in zip(floors, texts, strict=True)
    ]
    best = [
        plot.at(cost, share)
        for cost, share in front((one.cost, one.share) for one in points if one.mark != "reference")
    ]
    names = [shorten(point.name, round(width / _NAME_LETTERS)) for point in points]
    lines = [*plot.lines(floors), *map(plot.bar, points), *_along(best)]
    labels = place_labels(plot.pixels, names, plot.bounds, taken=boxes, lines=lines)
    parts = [
        grid(
            Scale(plot.x, tick_text(across.write), across.title, width // 70),
            Scale(plot.y, _tick(plot.y), up, 7),
        )
    ]
    parts += [draw_ceiling(ceiling, plot.y) for ceiling in plot.ceilings]
    for floor, text, box in zip(floors, texts, boxes, strict=True):
        parts.append(draw_floor(plot.y.at(floor.value), text, box, plot.x, met=floor.met))
    parts.append(_steps(best))
    parts += [plot.mark(point) for point in points]
    parts += [_name(pixel, label) for pixel, label in zip(plot.pixels, labels, strict=True)]
    return svg(title, "; ".join(point.words for point in points), width, height, parts)


@dataclass(frozen=True)
class _Plot:
    """The two axes, and where everything lies on them."""

    x: Axis
    y: Axis
    ceilings: Sequence[Ceiling]
    pixels: Sequence[tuple[float, float]]

    @classmethod
    def of(
        cls,
        points: Sequence[ScatterPoint],
        width: int,
        height: int,
        across: AxisWords,
        ceilings: Sequence[ChartLimit],
        floors: Sequence[ChartLimit],
    ) -> "_Plot":
        costs = [point.cost for point in points] + [limit.value for limit in ceilings]
        shares = [point.share for point in points] + [limit.value for limit in floors]
        shares += [point.second for point in points if point.second is not None]
        x = Axis.around(costs, _LEFT, width - _RIGHT, log=True)
        arranged = arrange(
            (x.at(limit.value), across.write(limit.value), limit.met) for limit in ceilings
        )
        rows = 1 + max((ceiling.row for ceiling in arranged), default=-1)
        y = Axis.around(shares, height - _BOTTOM, _TOP + ROW * rows)
        return cls(x, y, arranged, [(x.at(point.cost), y.at(point.share)) for point in points])

    @property
    def bounds(self) -> Box:
        return Box(self.x.start, self.y.end, self.x.end, self.y.start)

    def at(self, cost: float, share: float) -> tuple[float, float]:
        return self.x.at(cost), self.y.at(share)

    def lines(self, floors: Sequence[ChartLimit]) -> list[Box]:
        """Return thin boxes along the limits."""
        heights = [self.y.at(floor.value) for floor in floors]
        along = [Box(self.x.start, high - 0.5, self.x.end, high + 0.5) for high in heights]
        return [
            Box(one.at - 0.5, self.y.end, one.at + 0.5, self.y.start) for one in self.ceilings
        ] + along

    def bar(self, point: ScatterPoint) -> Box:
        """Return a thin box along the bar of a point's spread."""
        high = self.y.at(point.share)
        half = point.spread / 2
        return Box(self.x.at(point.cost - half), high - 1, self.x.at(point.cost + half), high + 1)

    def mark(self, point: ScatterPoint) -> Markup:
        """Draw a point."""
        across, high = self.at(point.cost, point.share)
        bar = self.bar(point)
        shape = Markup('<circle cx="{:.1f}" cy="{:.1f}" r="5"/>').format(across, high)
        if point.mark == "reference":
            shape = Markup('<path d="M{:.1f} {:.1f}l7 7l-7 7l-7 -7z"/>').format(across, high - 7)
        stroke = Markup("")
        if point.second is not None:
            stroke = Markup('<path class="test" d="M{:.1f} {:.1f}h12"/>').format(
                across - 6, self.y.at(point.second)
            )
        return Markup(
            '<g class="point {mark}"><title>{words}</title><path class="spread" d="M{x0:.1f} {y:.1f}H{x1:.1f}"/>'
            "{stroke}{shape}</g>"
        ).format(
            mark=point.mark,
            words=point.words,
            x0=bar.left,
            x1=bar.right,
            y=high,
            stroke=stroke,
            shape=shape,
        )


def _tick(axis: Axis) -> Callable[[float], str]:
    """Return how to write shares, with as many digits as tell ticks apart."""
    reach = axis.high - axis.low
    digits = sum(reach <= least for least in (0.05, 0.005))
    return lambda share: percent(share, digits)


def _steps(best: Sequence[tuple[float, float]]) -> Markup:
    """Draw what is reached at each cost: level until the next point is affordable."""
    if not best:
        return Markup("")
    path = f"M{best[0][0]:.1f} {best[0][1]:.1f}" + "".join(f"H{x:.1f}V{y:.1f}" for x, y in best[1:])
    return Markup('<path class="front" d="{}"/>').format(path)


def _along(best: Sequence[tuple[float, float]]) -> list[Box]:
    """Return thin boxes along what :func:`_steps` draws."""
    level = [Box(x0, y0 - 1, x1, y0 + 1) for (x0, y0), (x1, _) in pairwise(best)]
    return level + [Box(x1 - 1, y1, x1 + 1, y0) for (_, y0), (x1, y1) in pairwise(best)]


def _name(point: tuple[float, float], label: PlacedLabel) -> Markup:
    """Write a name, and draw a line to its point where that is far."""
    x = min(max(point[0], label.box.left), label.box.right)
    y = min(max(point[1], label.box.top), label.box.bottom)
    line = (
        Markup('<path class="leader" d="M{:.1f} {:.1f}L{:.1f} {:.1f}"/>').format(*point, x, y)
        if label.far
        else Markup("")
    )
    return line + Markup(
        '<text class="name" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>'
    ).format(label.x, label.y, label.anchor, label.text)
