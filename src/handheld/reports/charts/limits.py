"""Limits that were asked, as lines of a chart with their texts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from handheld.reports.charts.axes import Axis
from handheld.reports.charts.labels import LETTER, Box

ROW = 14  # pixels of a row of texts above a chart


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
    ).format(
        kind="met" if met else "missed",
        x0=x.start,
        x1=x.end,
        at=at,
        left=box.left + 4,
        above=at - 4,
        text=text,
    )


def beside(at: float, text: str, x: Axis, points: Sequence[tuple[float, float]]) -> Box:
    """Return where the text of a line at a height covers no point: as far right as it can be."""
    wide = _width(text)
    boxes = [Box(x.end - share * (x.end - x.start - wide) - wide, at - 14, x.end - share * (x.end - x.start - wide), at)
             for share in (0.0, 0.25, 0.5, 0.75, 1.0)]  # fmt: skip
    return min(
        boxes,
        key=lambda box: sum(box.overlap(Box(px - 8, py - 8, px + 8, py + 8)) for px, py in points),
    )


def _width(text: str) -> float:
    return LETTER * (len(text) + 2)
