"""Limits that were asked, as lines of a chart with their texts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from handheld.reports.charts.axes import Axis
from handheld.reports.charts.labels import LETTER, Box

ROW = 14  # pixels of a row of texts above a chart
_HALF_POINT = 8  # pixels around a point that a text must not cover
_SHIFTS = (0.0, 0.25, 0.5, 0.75, 1.0)  # of a text from the right end to the left
_CEILING = Markup(
    '<g class="limit {verdict}"><title>asked: at most {text}{note}</title>'
    '<path d="M{at:.1f} {bottom:.1f}V{top:.1f}"/>'
    '<text x="{x:.1f}" y="{top:.1f}" text-anchor="end">≤ {text}</text></g>'
)
_FLOOR = Markup(
    '<g class="limit {verdict}"><path d="M{x0:.1f} {at:.1f}H{x1:.1f}"/>'
    '<text x="{left:.1f}" y="{above:.1f}">{text}</text></g>'
)


@dataclass(frozen=True)
class Ceiling:
    """A limit of what is across a picture: its pixel, its text, and the row above the picture that
    the text is in.
    """

    at: float
    text: str
    met: bool
    row: int


def arrange(marks: Iterable[tuple[float, str, bool]]) -> list[Ceiling]:
    """Give each (pixel, text, met) a row above the picture.

    A text stands left of its line, so only what is left of it can be in its way: it goes above all
    that is.
    """
    ceilings: list[Ceiling] = []
    # From left to right: what is left of a text is placed before it.
    for at, text, met in sorted(marks):
        below = [mark.row for mark in ceilings if mark.at > at - _width(text)]
        ceilings.append(Ceiling(at, text, met, 1 + max(below, default=-1)))
    return ceilings


def draw_ceiling(ceiling: Ceiling, y: Axis) -> Markup:
    """Draw a line up to its row above the picture, with its text."""
    top = y.end - 4 - ROW * ceiling.row
    note = ""
    if not ceiling.met:
        # in words too, for who cannot tell the colours apart
        note = ", not met"
    return _CEILING.format(
        verdict=_verdict(ceiling.met),
        text=ceiling.text,
        note=note,
        at=ceiling.at,
        bottom=y.start,
        top=top,
        x=ceiling.at - 4,
    )


def draw_floor(at: float, text: str, box: Box, x: Axis, *, met: bool) -> Markup:
    """Draw a line across the picture, with its text in a box."""
    return _FLOOR.format(
        verdict=_verdict(met),
        x0=x.start,
        x1=x.end,
        at=at,
        left=box.left + 4,
        above=at - 4,
        text=text,
    )


def _verdict(met: bool) -> str:
    """Return the class of a limit in the style sheet."""
    if met:
        return "met"
    return "missed"


def beside(at: float, text: str, x: Axis, points: Sequence[tuple[float, float]]) -> Box:
    """Return where the text of a line at a height covers no point: as far right as it can be."""
    width = _width(text)
    boxes = []
    for shift in _SHIFTS:
        begin = x.end - shift * (x.end - x.start - width) - width
        boxes.append(Box(begin, at - ROW, begin + width, at))
    obstacles = list(map(_around, points))
    # of equal ones the first, which is furthest right
    return min(boxes, key=lambda box: sum(map(box.overlap, obstacles)))


def _around(point: tuple[float, float]) -> Box:
    """Return the box around a point that a text must not cover."""
    x, y = point
    return Box(x - _HALF_POINT, y - _HALF_POINT, x + _HALF_POINT, y + _HALF_POINT)


def _width(text: str) -> float:
    return LETTER * (len(text) + 2)
