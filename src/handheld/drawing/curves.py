"""Training curves as a picture."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from handheld.drawing.amounts import count_text, tick_text
from handheld.drawing.axes import Axis, Scale, grid, svg

MOST_POINTS, COLOURS = 200, 6
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 22, 24, 42
Curve = Sequence[tuple[float, float]]


def thin(curve: Curve, most: int = MOST_POINTS) -> list[tuple[float, float]]:
    """Return at most so many points, each the mean of neighbours, in the order of their steps.

    >>> thin([(1, 4.0), (2, 2.0), (3, 1.0), (4, 0.0)], most=2)
    [(1.5, 3.0), (3.5, 0.5)]
    """
    points = sorted((float(step), float(loss)) for step, loss in curve)
    each = -(-len(points) // most) or 1
    groups = [points[start : start + each] for start in range(0, len(points), each)]
    return [(sum(step for step, _ in group) / len(group), sum(loss for _, loss in group) / len(group)) for group in groups]


def picture(curves: Mapping[str, Curve], title: str, *, width: int, height: int) -> Markup:
    """Draw the loss over the steps, a line for each curve; the loss axis is logarithmic where losses span decades."""
    thinned = {name: thin(curve) for name, curve in curves.items() if curve}
    steps = [step for curve in thinned.values() for step, _ in curve]
    losses = [loss for curve in thinned.values() for _, loss in curve]
    if not steps:
        return Markup("")
    log = min(losses) > 0 and max(losses) / min(losses) > 30
    x = Axis(min(*steps, 0), max(*steps, 1), _LEFT, width - _RIGHT)
    y = Axis.around(losses if log else [0, *losses], height - _BOTTOM, _TOP, log=log, room=0.04)
    parts = [grid(Scale(x, tick_text(count_text), "step", width // 80), Scale(y, lambda loss: f"{loss:.4g}", "loss", 6))]
    for number, (name, curve) in enumerate(thinned.items()):
        path = "M" + "L".join(f"{x.at(step):.1f} {y.at(loss):.1f}" for step, loss in curve)
        colour, dash = number % COLOURS, number // COLOURS % 3
        parts.append(Markup('<path class="curve c{} d{}" d="{}"><title>{}</title></path>').format(colour, dash, path, name))
    said = "; ".join(f"{name}: from {curve[0][1]:.3g} to {curve[-1][1]:.3g}" for name, curve in thinned.items())
    return svg(title, said, width, height, parts)
