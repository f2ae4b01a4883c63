"""The limits that were asked of members: their values, and how a picture shows them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from handheld.compress.family import Family, Member
from handheld.compress.report.labels import LETTER, Box
from handheld.compress.targets import Target
from handheld.drawing.axes import Axis
from handheld.errors import InputError

ROW = 14  # pixels of a row of texts above a picture

Figure = Literal["size", "latency", "accuracy"]


@dataclass(frozen=True)
class Limit:
    """A value that members were to keep; accuracy is that on the validation split, at least, the others are at most.

    Attributes:
        figure: of what.
        value: bytes, seconds on this machine, or a share.
        met: whether all that were made for it keep it.
    """

    figure: Figure
    value: float
    met: bool


def limits(family: Family) -> list[Limit]:
    """Return each limit of the members' targets once; a target that is free text has none."""
    kept: dict[tuple[Figure, float], bool] = {}
    for member in family.members:
        try:
            target = Target.of(member.target)
        except InputError:
            continue
        for figure, value, met in _asked(target, member, family.reference):
            kept[figure, value] = kept.get((figure, value), True) and met
    return [Limit(figure, value, met) for (figure, value), met in kept.items()]


def _asked(target: Target, member: Member, teacher: Member) -> Iterator[tuple[Figure, float, bool]]:
    size, latency = target.max_size(teacher), target.max_latency(teacher)
    if size is not None:
        yield "size", size, member.size <= size
    if latency is not None:
        yield "latency", latency, member.latency.median <= latency
    if target.accuracy is not None:
        yield "accuracy", target.accuracy, member.valid >= target.accuracy


@dataclass(frozen=True)
class Ceiling:
    """A limit of what is across a picture: its pixel, its text, and the row above the picture that the text is in."""

    at: float
    text: str
    met: bool
    row: int


def arrange(marks: Iterable[tuple[float, str, bool]]) -> list[Ceiling]:
    """Give each (pixel, text, met) a row above the picture.

    A text stands left of its line, so only what is left of it can be in its way: it goes above all that is.
    """
    found: list[Ceiling] = []
    for at, text, met in sorted(marks):
        below = [mark.row for mark in found if mark.at > at - _width(text)]
        found.append(Ceiling(at, text, met, 1 + max(below, default=-1)))
    return found


def draw_ceiling(ceiling: Ceiling, y: Axis) -> Markup:
    """Draw a line up to its row above the picture, with its text."""
    top = y.end - 4 - ROW * ceiling.row
    return Markup(
        '<g class="limit {kind}"><title>asked: at most {text}{note}</title><path d="M{at:.1f} {bottom:.1f}V{top:.1f}"/>'
        '<text x="{x:.1f}" y="{top:.1f}" text-anchor="end">≤ {text}</text></g>'
    ).format(
        kind="met" if ceiling.met else "missed", text=ceiling.text, note="" if ceiling.met else ", not met", at=ceiling.at,
        bottom=y.start, top=top, x=ceiling.at - 4,
    )  # fmt: skip


def draw_floor(at: float, text: str, box: Box, x: Axis, *, met: bool) -> Markup:
    """Draw a line across the picture, with its text in a box."""
    return Markup(
        '<g class="limit {kind}"><path d="M{x0:.1f} {at:.1f}H{x1:.1f}"/><text x="{left:.1f}" y="{above:.1f}">{text}</text></g>'
    ).format(kind="met" if met else "missed", x0=x.start, x1=x.end, at=at, left=box.left + 4, above=at - 4, text=text)


def beside(at: float, text: str, x: Axis, points: Sequence[tuple[float, float]]) -> Box:
    """Return where the text of a line at a height covers no point: as far right as it can be."""
    wide = _width(text)
    boxes = [Box(x.end - share * (x.end - x.start - wide) - wide, at - 14, x.end - share * (x.end - x.start - wide), at)
             for share in (0.0, 0.25, 0.5, 0.75, 1.0)]  # fmt: skip
    return min(boxes, key=lambda box: sum(box.overlap(Box(px - 8, py - 8, px + 8, py + 8)) for px, py in points))


def _width(text: str) -> float:
    return LETTER * (len(text) + 2)
