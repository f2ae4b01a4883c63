"""Shares, or another figure, against a cost: points with their names, what no other beats, what was
asked, a curve that was fitted.
"""

import math
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
_CURVE_POINTS = 200  # of a fitted curve
# Of more points no name can be read; and each looks for its place among all others.
_MOST_NAMES = 80
_NAME_LETTERS = 22  # pixels of the chart's width for each letter of a name that is shown

_CIRCLE = Markup('<circle cx="{:.1f}" cy="{:.1f}" r="5"/>')
_DIAMOND = Markup('<path d="M{:.1f} {:.1f}l7 7l-7 7l-7 -7z"/>')
_STROKE = Markup('<path class="test" d="M{:.1f} {:.1f}h12"/>')
_POINT = Markup(
    '<g class="point {mark}"><title>{words}</title>'
    '<path class="spread" d="M{x0:.1f} {y:.1f}H{x1:.1f}"/>'
    "{stroke}{shape}</g>"
)
_FRONT = Markup('<path class="front" d="{}"/>')
_FITTED = Markup('<path class="curve c0 d1" d="M{}"><title>{}</title></path>')
_LEADER = Markup('<path class="leader" d="M{:.1f} {:.1f}L{:.1f} {:.1f}"/>')
_NAME = Markup('<text class="name" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>')

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
        share: in [0, 1]; in a chart whose axis up has words of its own, any number above 0.
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
class FittedCurve:
    """A line through what was made.

    Attributes:
        share: returns its height at a cost.
        words: what a pointer over it is told.
    """

    share: Callable[[float], float]
    words: str


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
    # Of equal costs the best first, so that the others are beaten by it.
    for cost, share in sorted(points, key=lambda point: (point[0], -point[1])):
        if not best or share > best[-1][1]:
            best.append((cost, share))
    return best


def draw_scatter(  # noqa: PLR0913  # options by keyword, each by itself
    points: Sequence[ScatterPoint],
    title: str,
    *,
    width: int,
    height: int,
    across: AxisWords,
    up: str | AxisWords,
    ceilings: Sequence[ChartLimit] = (),
    floors: Sequence[ChartLimit] = (),
    fitted: FittedCurve | None = None,
) -> Markup:
    """Draw points over a logarithmic axis of costs, and a line through those that no other beats.

    Where the axis up has words of its own, it is logarithmic too, and there is no such line.

    Args:
        points: one or more; those of which the cost or the share is no number are left out. Of more
            than 80 none has its name beside it.
        title: of the chart.
        width: in pixels.
        height: in pixels.
        across: what the cost is.
        up: what the share is; as words, what other figure stands in its place.
        ceilings: costs that were asked at most.
        floors: shares that were asked at least.
        fitted: a curve to draw across the whole chart.
    """
    points = list(filter(_has_place, points))
    asked = list(filter(_is_asked, ceilings))
    plot = _Plot.of(points, width, height, across, asked, floors, log=isinstance(up, AxisWords))
    placed_floors = [_PlacedFloor.of(floor, plot) for floor in floors]
    best = []
    if isinstance(up, str):
        best = plot.front(points)
    names = [shorten(point.name, round(width / _NAME_LETTERS)) for point in points]
    lines = [*plot.lines(floors), *map(plot.bar, points), *_along(best)]
    boxes = [floor.box for floor in placed_floors]
    labels: list[PlacedLabel] = []
    if len(points) <= _MOST_NAMES:
        labels = place_labels(plot.pixels, names, plot.bounds, taken=boxes, lines=lines)
    # a tick for each 70 pixels, so that their numbers stay apart
    cost_scale = Scale(plot.x, tick_text(across.write), across.title, width // 70)
    share_scale = _upward(plot.y, up)
    elements = [grid(cost_scale, share_scale)]
    elements += [draw_ceiling(ceiling, plot.y) for ceiling in plot.ceilings]
    elements += [floor.draw(plot.x) for floor in placed_floors]
    # Points after the line, and names last: what comes later covers what was drawn before.
    elements.append(_steps(best))
    if fitted is not None:
        elements.append(_curve(fitted, plot))
    elements += map(plot.mark, points)
    elements += map(_name, plot.pixels, labels)
    described = "; ".join(point.words for point in points)
    return svg(title, described, width, height, elements)


def _has_place(point: ScatterPoint) -> bool:
    return math.isfinite(point.cost) and math.isfinite(point.share)


def _is_asked(limit: ChartLimit) -> bool:
    return math.isfinite(limit.value)


@dataclass(frozen=True)
class _Plot:
    """The two axes, and where everything lies on them."""

    x: Axis
    y: Axis
    ceilings: Sequence[Ceiling]
    pixels: Sequence[tuple[float, float]]

    @classmethod
    def of(  # noqa: PLR0913  # what draw_scatter takes
        cls,
        points: Sequence[ScatterPoint],
        width: int,
        height: int,
        across: AxisWords,
        ceilings: Sequence[ChartLimit],
        floors: Sequence[ChartLimit],
        *,
        log: bool = False,
    ) -> "_Plot":
        # limits too: a chart shows what was asked, however far it is from what was made
        costs = [point.cost for point in points]
        costs += _values(ceilings)
        x = Axis.around(costs, _LEFT, width - _RIGHT, log=True)
        marks = [(x.at(limit.value), across.write(limit.value), limit.met) for limit in ceilings]
        arranged = arrange(marks)
        # Texts of limits stand above the chart, and push it down.
        rows = 1 + max((ceiling.row for ceiling in arranged), default=-1)
        shares = [*_values(floors), *_shares(points)]
        y = Axis.around(shares, height - _BOTTOM, _TOP + ROW * rows, log=log)
        pixels = [(x.at(point.cost), y.at(point.share)) for point in points]
        return cls(x, y, arranged, pixels)

    @property
    def bounds(self) -> Box:
        return Box(self.x.start, self.y.end, self.x.end, self.y.start)

    def at(self, cost: float, share: float) -> tuple[float, float]:
        return self.x.at(cost), self.y.at(share)

    def front(self, points: Sequence[ScatterPoint]) -> list[tuple[float, float]]:
        """Return the pixels of the points that no other beats, cheapest first."""
        candidates = [(point.cost, point.share) for point in points if point.mark != "reference"]
        return [self.at(cost, share) for cost, share in front(candidates)]

    def lines(self, floors: Sequence[ChartLimit]) -> list[Box]:
        """Return thin boxes along the limits."""
        pixels = [ceiling.at for ceiling in self.ceilings]
        heights = map(self.y.at, _values(floors))
        return [*map(self._upright, pixels), *map(self._level, heights)]

    def _upright(self, x: float) -> Box:
        return Box(x - 0.5, self.y.end, x + 0.5, self.y.start)

    def _level(self, y: float) -> Box:
        return Box(self.x.start, y - 0.5, self.x.end, y + 0.5)

    def bar(self, point: ScatterPoint) -> Box:
        """Return a thin box along the bar of a point's spread."""
        high = self.y.at(point.share)
        half = point.spread / 2
        begin = self.x.at(point.cost - half)
        end = self.x.at(point.cost + half)
        return Box(begin, high - 1, end, high + 1)

    def mark(self, point: ScatterPoint) -> Markup:
        """Draw a point."""
        x, y = self.at(point.cost, point.share)
        bar = self.bar(point)
        shape = _CIRCLE.format(x, y)
        if point.mark == "reference":
            shape = _DIAMOND.format(x, y - 7)
        stroke = Markup("")
        if point.second is not None:
            stroke = _STROKE.format(x - 6, self.y.at(point.second))
        return _POINT.format(
            mark=point.mark,
            words=point.words,
            x0=bar.left,
            x1=bar.right,
            y=y,
            stroke=stroke,
            shape=shape,
        )


@dataclass(frozen=True)
class _PlacedFloor:
    """A share that was asked at least: its height, and its text with the box that it is in."""

    at: float
    text: str
    box: Box
    met: bool

    @classmethod
    def of(cls, floor: ChartLimit, plot: _Plot) -> "_PlacedFloor":
        at = plot.y.at(floor.value)
        text = f"asked: {percent(floor.value, 1)}"
        return cls(at, text, beside(at, text, plot.x, plot.pixels), floor.met)

    def draw(self, x: Axis) -> Markup:
        return draw_floor(self.at, self.text, self.box, x, met=self.met)


def _values(limits: Sequence[ChartLimit]) -> list[float]:
    return [limit.value for limit in limits]


def _shares(points: Sequence[ScatterPoint]) -> list[float]:
    """Return all shares of points, the first and the second."""
    shares = []
    for point in points:
        shares.append(point.share)
        if point.second is not None:
            shares.append(point.second)
    return shares


def _upward(axis: Axis, up: str | AxisWords) -> Scale:
    if isinstance(up, AxisWords):
        return Scale(axis, tick_text(up.write), up.title, 7)
    return Scale(axis, _tick(axis), up, 7)


def _curve(fitted: FittedCurve, plot: _Plot) -> Markup:
    """Draw a curve as far as it is within the chart; costs are spaced as the axis is."""
    step = (plot.x.high / plot.x.low) ** (1 / _CURVE_POINTS)
    pixels = []
    for number in range(_CURVE_POINTS + 1):
        cost = plot.x.low * step**number
        share = fitted.share(cost)
        # an axis sends what is outside to its end, which would look like a level
        if plot.y.low <= share <= plot.y.high:
            x, y = plot.at(cost, share)
            pixels.append(f"{x:.1f} {y:.1f}")
    if not pixels:
        return Markup("")
    return _FITTED.format("L".join(pixels), fitted.words)


def _tick(axis: Axis) -> Callable[[float], str]:
    """Return how to write shares, with as many digits as tell ticks apart."""
    reach = axis.high - axis.low
    digits = (reach <= 0.05) + (reach <= 0.005)
    return lambda share: percent(share, digits)


def _steps(best: Sequence[tuple[float, float]]) -> Markup:
    """Draw what is reached at each cost: level until the next point is affordable."""
    if not best:
        return Markup("")
    path = f"M{best[0][0]:.1f} {best[0][1]:.1f}"
    for x, y in best[1:]:
        path += f"H{x:.1f}V{y:.1f}"
    return _FRONT.format(path)


def _along(best: Sequence[tuple[float, float]]) -> list[Box]:
    """Return thin boxes along what :func:`_steps` draws."""
    boxes = []
    for (x0, y0), (x1, y1) in pairwise(best):
        boxes.append(Box(x0, y0 - 1, x1, y0 + 1))
        boxes.append(Box(x1 - 1, y1, x1 + 1, y0))
    return boxes


def _name(point: tuple[float, float], label: PlacedLabel) -> Markup:
    """Write a name, and draw a line to its point where that is far."""
    name = _NAME.format(label.x, label.y, label.anchor, label.text)
    if not label.far:
        return name
    # to the nearest point of the name's box
    x = min(max(point[0], label.box.left), label.box.right)
    y = min(max(point[1], label.box.top), label.box.bottom)
    return _LEADER.format(*point, x, y) + name
