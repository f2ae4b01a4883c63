"""Curves: training, and anything else that goes on along an axis."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, groupby

from markupsafe import Markup

from handheld.reports.charts.axes import Axis, AxisWords, Scale, grid, left_margin, svg
from handheld.reports.numbers import count_text, tick_text

MAX_POINTS = 200  # of a curve: no chart of ours is wide enough to show more
COLOURS = 6  # of the style sheet: c0 to c5
_RIGHT = 22
_TOP = 24
_BOTTOM = 42

# Times that the largest value is above the smallest, from which on the axis is logarithmic: less
# would be told apart on a linear one.
_DECADES = 30
_CURVE = Markup('<path class="curve c{} d{}" d="{}"><title>{}</title></path>')
_MARK = Markup(
    '<path class="curve c1 d1" d="M{x:.1f} {y0:.1f}V{y1:.1f}"><title>{words}</title></path>'
)
Curve = Sequence[tuple[float, float]]


def thin(curve: Curve, count: int = MAX_POINTS) -> list[tuple[float, float]]:
    """Return at most so many points, each the mean of neighbours, in the order of their steps.

    >>> thin([(1, 4.0), (2, 2.0), (3, 1.0), (4, 0.0)], count=2)
    [(1.5, 3.0), (3.5, 0.5)]
    """
    points = sorted((float(step), float(loss)) for step, loss in curve)
    size = -(-len(points) // count) or 1  # rounded up
    means = []
    for start in range(0, len(points), size):
        steps, losses = zip(*points[start : start + size], strict=True)
        means.append((sum(steps) / len(steps), sum(losses) / len(losses)))
    return means


STEPS = AxisWords("step", count_text)
LOSS = AxisWords("loss", lambda loss: f"{loss:.4g}")


def draw_curves(  # noqa: PLR0913  # options by keyword, each by itself
    curves: Mapping[str, Curve],
    title: str,
    *,
    width: int,
    height: int,
    across: AxisWords = STEPS,
    up: AxisWords = LOSS,
    zero: bool = True,
    marks: Mapping[str, float] | None = None,
) -> Markup:
    """Draw a line for each curve; the axis up is logarithmic where values span decades.

    A line has a gap where a value is no number, as a loss that has become one.

    Args:
        curves: points of each, by name.
        title: of the chart.
        width: in pixels.
        height: in pixels.
        across: what the first number of a point is.
        up: what the second is.
        zero: whether the axis up begins at zero, and may be logarithmic.
        marks: values across at which a dashed line stands, by what a pointer over it is told.
    """
    thinned = {name: thin(curve) for name, curve in curves.items() if curve}
    points = list(filter(_has_place, chain.from_iterable(thinned.values())))
    if not points:
        return Markup("")
    steps, losses = zip(*points, strict=True)
    y = _value_axis(losses, height, zero=zero)
    # The axis up first: its numbers say where the one across begins.
    upward = Scale(y, tick_text(up.write), up.title, 6)
    x = Axis(min(*steps, 0), max(steps) or 1, left_margin(upward), width - _RIGHT)
    # a tick for each 85 pixels, so that their numbers stay apart
    sideways = Scale(x, tick_text(across.write), across.title, width // 85)
    elements = [grid(sideways, upward)]
    for number, (name, curve) in enumerate(thinned.items()):
        elements.append(_line(number, name, curve, x, y))
    elements += _marks(marks or {}, x, y)
    return svg(title, _description(thinned), width, height, elements)


def _marks(marks: Mapping[str, float], x: Axis, y: Axis) -> Iterator[Markup]:
    for words, value in marks.items():
        if math.isfinite(value):
            yield _MARK.format(x=x.at(value), y0=y.start, y1=y.end, words=words)


def _description(curves: Mapping[str, Curve]) -> str:
    """Return where each curve begins and ends, for who cannot see it."""
    phrases = []
    for name, curve in curves.items():
        phrases.append(f"{name}: from {curve[0][1]:.3g} to {curve[-1][1]:.3g}")
    return "; ".join(phrases)


def _value_axis(values: Sequence[float], height: int, *, zero: bool) -> Axis:
    # A curve that touches 0 has no place on a logarithmic axis.
    is_log = zero and min(values) > 0 and max(values) / min(values) > _DECADES
    if zero and not is_log:
        values = [0, *values]
    return Axis.around(values, height - _BOTTOM, _TOP, log=is_log, room=0.04)


def _has_place(point: tuple[float, float]) -> bool:
    return all(map(math.isfinite, point))


def _line(number: int, name: str, curve: Curve, x: Axis, y: Axis) -> Markup:
    path = ""
    for has_place, points in groupby(curve, _has_place):
        if has_place:
            # anew behind a gap: a line across it would show values that there are none of
            pixels = [f"{x.at(step):.1f} {y.at(loss):.1f}" for step, loss in points]
            path += "M" + "L".join(pixels)
    colour = number % COLOURS
    dash = number // COLOURS % 3  # curves of one colour differ in their dashes
    return _CURVE.format(colour, dash, path, name)
