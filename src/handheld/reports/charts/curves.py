"""Curves: training, and anything else that goes on along an axis."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from handheld.reports.charts.axes import Axis, AxisWords, Scale, grid, left_margin, svg
from handheld.reports.numbers import count_text, tick_text

MOST_POINTS = 200
COLOURS = 6  # of the style sheet: c0 to c5
_RIGHT = 22
_TOP = 24
_BOTTOM = 42
_DECADES = (
    30  # times that the largest value is above the smallest, from which on the axis is logarithmic
)
_MARK = Markup(
    '<path class="curve c1 d1" d="M{x:.1f} {y0:.1f}V{y1:.1f}"><title>{words}</title></path>'
)
Curve = Sequence[tuple[float, float]]


def thin(curve: Curve, most: int = MOST_POINTS) -> list[tuple[float, float]]:
    """Return at most so many points, each the mean of neighbours, in the order of their steps.

    >>> thin([(1, 4.0), (2, 2.0), (3, 1.0), (4, 0.0)], most=2)
    [(1.5, 3.0), (3.5, 0.5)]
    """
    points = sorted((float(step), float(loss)) for step, loss in curve)
    each = -(-len(points) // most) or 1
    groups = [points[start : start + each] for start in range(0, len(points), each)]
    return [
        (sum(step for step, _ in group) / len(group), sum(loss for _, loss in group) / len(group))
        for group in groups
    ]


STEPS = AxisWords("step", count_text)
LOSS = AxisWords("loss", lambda loss: f"{loss:.4g}")


def draw_curves(
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
    steps = [step for curve in thinned.values() for step, _ in curve]
    losses = [loss for curve in thinned.values() for _, loss in curve]
    if not steps:
        return Markup("")
    log = zero and min(losses) > 0 and max(losses) / min(losses) > _DECADES
    y = Axis.around(
        losses if log or not zero else [0, *losses], height - _BOTTOM, _TOP, log=log, room=0.04
    )
    upward = Scale(y, tick_text(up.write), up.title, 6)
    x = Axis(min(*steps, 0), max(steps) or 1, left_margin(upward), width - _RIGHT)
    parts = [grid(Scale(x, tick_text(across.write), across.title, width // 85), upward)]
    for number, (name, curve) in enumerate(thinned.items()):
        path = "M" + "L".join(f"{x.at(step):.1f} {y.at(loss):.1f}" for step, loss in curve)
        colour = number % COLOURS
        dash = number // COLOURS % 3
        parts.append(
            Markup('<path class="curve c{} d{}" d="{}"><title>{}</title></path>').format(
                colour, dash, path, name
            )
        )
    parts += [
        _MARK.format(x=x.at(value), y0=y.start, y1=y.end, words=words)
        for words, value in (marks or {}).items()
    ]
    said = "; ".join(
        f"{name}: from {curve[0][1]:.3g} to {curve[-1][1]:.3g}" for name, curve in thinned.items()
    )
    return svg(title, said, width, height, parts)
