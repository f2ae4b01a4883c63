"""Accuracy against a cost, as a picture: members with their names, what no other beats, the teacher, what was asked."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from handheld.compress.family import Family, Member
from handheld.compress.report.labels import Box, Label, place, shorten
from handheld.compress.report.limits import ROW, Figure, Limit, arrange, beside, draw_ceiling, draw_floor, limits
from handheld.drawing.amounts import percent, seconds_text, size_text, tick_text
from handheld.drawing.axes import Axis, Scale, grid, svg

_LEFT, _RIGHT, _BOTTOM = 54, 20, 42


@dataclass(frozen=True)
class Cost:
    """What accuracy is set against: its name, a member's value and the width of its spread, and how it is written."""

    figure: Figure
    title: str
    value: Callable[[Member], float]
    spread: Callable[[Member], float]
    text: Callable[[float], str]


SIZE = Cost("size", "file size", lambda member: member.size, lambda member: 0.0, size_text)
LATENCY = Cost(
    "latency", "latency, one thread", lambda member: member.latency.median, lambda member: member.latency.iqr, seconds_text
)


def front(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the (cost, accuracy) that no other beats in both, cheapest first.

    >>> front([(3, 0.9), (1, 0.8), (2, 0.7)])
    [(1, 0.8), (3, 0.9)]
    """
    best: list[tuple[float, float]] = []
    for cost, accuracy in sorted(points, key=lambda point: (point[0], -point[1])):
        if not best or accuracy > best[-1][1]:
            best.append((cost, accuracy))
    return best


def picture(family: Family, cost: Cost, *, width: int, height: int) -> Markup:
    """Draw accuracy on the validation split against a cost, which has a logarithmic axis.

    A short stroke near a point is the accuracy of the same file on the test split.
    """
    teachers = _teachers(family)
    everyone = (*teachers, *family.members)
    asked = limits(family)
    ceilings = [limit for limit in asked if limit.figure == cost.figure]
    floors = [limit for limit in asked if limit.figure == "accuracy"]
    costs = [*map(cost.value, everyone), *(limit.value for limit in ceilings)]
    shares = [*(share for member in everyone for share in (member.valid, member.accuracy)), *(limit.value for limit in floors)]
    x = Axis.around(costs, _LEFT, width - _RIGHT, log=True)
    marks = arrange((x.at(limit.value), cost.text(limit.value), limit.met) for limit in ceilings)
    y = Axis.around(shares, height - _BOTTOM, 26 + ROW * (1 + max((mark.row for mark in marks), default=-1)))
    points = [(x.at(cost.value(member)), y.at(member.valid)) for member in everyone]
    best = [(x.at(value), y.at(share)) for value, share in front((cost.value(one), one.valid) for one in family.members)]
    places = [beside(y.at(limit.value), _asked(limit), x, points) for limit in floors]
    lines = [Box(mark.at - 0.5, y.end, mark.at + 0.5, y.start) for mark in marks]
    lines += [Box(x.start, y.at(limit.value) - 0.5, x.end, y.at(limit.value) + 0.5) for limit in floors]
    lines += [
        Box(left, high - 1, right, high + 1) for member in everyone for left, right, high in [_spread(member, cost, x, y)]
    ]
    names = [shorten(member.name, round(width / 22)) for member in everyone]
    labels = place(points, names, Box(x.start, y.end, x.end, y.start), taken=places, lines=[*lines, *_along(best)])
    parts = [
        grid(Scale(x, tick_text(cost.text), cost.title, width // 70), Scale(y, _tick(y), "accuracy (validation)", 7)),
        *(draw_ceiling(mark, y) for mark in marks),
        *(
            draw_floor(y.at(floor.value), _asked(floor), box, x, met=floor.met)
            for floor, box in zip(floors, places, strict=True)
        ),
        _steps(best),
        *(_member(member, cost, x, y, is_teacher=member in teachers) for member in everyone),
        *(_name(point, label) for point, label in zip(points, labels, strict=True)),
    ]
    return svg(f"Accuracy on the validation split against {cost.title}", _described(family, cost), width, height, parts)


def _teachers(family: Family) -> tuple[Member, ...]:
    return (family.teacher,) if family.teacher_file is None else (family.teacher_file, family.teacher)


def _asked(floor: Limit) -> str:
    return f"asked: {percent(floor.value, 1)}"


def _tick(axis: Axis) -> Callable[[float], str]:
    digits = 0 if axis.high - axis.low > 0.05 else 1 if axis.high - axis.low > 0.005 else 2
    return lambda share: percent(share, digits)


def _steps(best: Sequence[tuple[float, float]]) -> Markup:
    """Draw what is reached at each cost: level until the next member is affordable."""
    if not best:
        return Markup("")
    path = f"M{best[0][0]:.1f} {best[0][1]:.1f}" + "".join(f"H{x:.1f}V{y:.1f}" for x, y in best[1:])
    return Markup('<path class="front" d="{}"/>').format(path)


def _along(best: Sequence[tuple[float, float]]) -> list[Box]:
    """Return thin boxes along what :func:`_steps` draws."""
    level = [Box(x0, y0 - 1, x1, y0 + 1) for (x0, y0), (x1, _) in pairwise(best)]
    return level + [Box(x1 - 1, y1, x1 + 1, y0) for (_, y0), (x1, y1) in pairwise(best)]


def _member(member: Member, cost: Cost, x: Axis, y: Axis, *, is_teacher: bool) -> Markup:
    at, (left, right, high) = x.at(cost.value(member)), _spread(member, cost, x, y)
    kind = "teacher" if is_teacher else "pareto" if member.pareto else "beaten"
    mark = Markup('<path d="M{0:.1f} {1:.1f}l7 7l-7 7l-7 -7z"/>').format(at, high - 7)
    if not is_teacher:
        mark = Markup('<circle cx="{:.1f}" cy="{:.1f}" r="5"/>').format(at, high)
    return Markup(
        '<g class="point {kind}"><title>{title}</title><path class="spread" d="M{x0:.1f} {y:.1f}H{x1:.1f}"/>'
        '<path class="test" d="M{left:.1f} {test:.1f}h12"/>{mark}</g>'
    ).format(
        kind=kind, title=_words(member, cost), x0=left, x1=right, y=high, left=at - 6, test=y.at(member.accuracy),
        mark=mark,
    )  # fmt: skip


def _spread(member: Member, cost: Cost, x: Axis, y: Axis) -> tuple[float, float, float]:
    """Return both ends of the bar of a member's spread, and its height."""
    value, half = cost.value(member), cost.spread(member) / 2
    return x.at(value - half), x.at(value + half), y.at(member.valid)


def _words(member: Member, cost: Cost) -> str:
    shares = f"{percent(member.valid)} validation, {percent(member.accuracy)} test"
    return f"{member.name}: {cost.text(cost.value(member))}, {shares}"


def _described(family: Family, cost: Cost) -> str:
    return "; ".join(_words(member, cost) for member in (*_teachers(family), *family.members))


def _name(point: tuple[float, float], label: Label) -> Markup:
    x = min(max(point[0], label.box.left), label.box.right)
    y = label.box.top if label.box.top > point[1] else label.box.bottom if label.box.bottom < point[1] else point[1]
    line = Markup('<path class="leader" d="M{:.1f} {:.1f}L{:.1f} {:.1f}"/>').format(*point, x, y) if label.far else Markup("")
    return line + Markup('<text class="name" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        label.x, label.y, label.anchor, label.text
    )
