"""A family's accuracy against a cost, as a chart."""

from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup

from handheld.compress.family import Family, Member
from handheld.compress.report.limits import Figure, limits
from handheld.reports import (
    AxisWords,
    ChartLimit,
    Mark,
    ScatterPoint,
    draw_scatter,
    percent,
    seconds_text,
    size_text,
)


@dataclass(frozen=True)
class CostAxis:
    """What accuracy is set against: its name, a member's value and the width of its spread, and how
    it is written.
    """

    figure: Figure
    title: str
    value: Callable[[Member], float]
    spread: Callable[[Member], float]
    text: Callable[[float], str]


SIZE = CostAxis("size", "file size", lambda member: member.size, lambda member: 0.0, size_text)
LATENCY = CostAxis(
    "latency",
    "latency, one thread",
    lambda member: member.latency.median,
    lambda member: member.latency.iqr,
    seconds_text,
)


def picture(family: Family, cost: CostAxis, *, width: int, height: int) -> Markup:
    """Draw accuracy on the validation split against a cost, which has a logarithmic axis.

    A short stroke near a point is the accuracy of the same file on the test split.
    """
    points = [_point(member, cost, "reference") for member in _teachers(family)]
    points += [_point(member, cost, _mark(member)) for member in family.members]
    return draw_scatter(
        points,
        f"Accuracy on the validation split against {cost.title}",
        width=width,
        height=height,
        across=AxisWords(cost.title, cost.text),
        up="accuracy (validation)",
        ceilings=_asked(family, cost.figure),
        floors=_asked(family, "accuracy"),
    )


def _mark(member: Member) -> Mark:
    if member.pareto:
        return "best"
    return "beaten"


def _asked(family: Family, figure: Figure) -> list[ChartLimit]:
    """Return the limits of one figure that were asked of members."""
    asked = [limit for limit in limits(family) if limit.figure == figure]
    return [ChartLimit(limit.value, limit.met) for limit in asked]


def _point(member: Member, cost: CostAxis, mark: Mark) -> ScatterPoint:
    value = cost.value(member)
    words = (
        f"{member.name}: {cost.text(value)}, {percent(member.valid)} validation, "
        f"{percent(member.accuracy)} test"
    )
    return ScatterPoint(
        member.name,
        value,
        member.valid,
        words,
        mark,
        spread=cost.spread(member),
        second=member.accuracy,
    )


def _teachers(family: Family) -> tuple[Member, ...]:
    if family.teacher_file is None:
        return (family.teacher,)
    # the large network too, since members are made of it
    return (family.teacher_file, family.teacher)
