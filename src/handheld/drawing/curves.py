"""Training curves as a picture."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Words:
    """How an axis of a picture is called, and how its values are written."""

    title: str
    write: Callable[[float], str]


STEPS, LOSS = Words("step", count_text), Words("loss", lambda loss: f"{loss:.4g}")


def picture(
    curves: Mapping[str, Curve],
    title: str,
    *,
    width: int,
    height: int,
    across: Words = STEPS,
    up: Words = LOSS,
    zero: bool = True,
) -> Markup:
    """Draw a line for each curve; the axis up is logarithmic where values span decades.

    Args:
        curves: points of each, by name.
        title: of the picture.
        width: in pixels.
        height: in pixels.
        across: what the first number of a point is.
        up: what the second is.
        zero: whether the axis up begins at zero, and may be logarithmic.
    """
    thinned = {name: thin(curve) for name, curve in curves.items() if curve}
    steps = [step for curve in thinned.values() for step, _ in curve]
    losses = [loss for curve in thinned.values() for _, loss in curve]
    if not steps:
        return Markup("")
    log = zero and min(losses) > 0 and max(losses) / min(losses) > 30
    x = Axis(min(*steps, 0), max(steps) or 1, _LEFT, width - _RIGHT)
    y = Axis.around(losses if log or not zero else [0, *losses], height - _BOTTOM, _TOP, log=log, room=0.04)
    parts = [grid(Scale(x, tick_text(across.write), across.title, width // 85), Scale(y, tick_text(up.write), up.title, 6))]
    for number, (name, curve) in enumerate(thinned.items()):
        path = "M" + "L".join(f"{x.at(step):.1f} {y.at(loss):.1f}" for step, loss in curve)
        colour, dash = number % COLOURS, number // COLOURS % 3
        parts.append(Markup('<path class="curve c{} d{}" d="{}"><title>{}</title></path>').format(colour, dash, path, name))
    said = "; ".join(f"{name}: from {curve[0][1]:.3g} to {curve[-1][1]:.3g}" for name, curve in thinned.items())
    return svg(title, said, width, height, parts)
