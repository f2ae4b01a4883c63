"""Names beside points, apart from each other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

LETTER = 7.4  # pixels of a bold letter of 12 pixels, a little more than most have
_HEIGHT = 14.0  # pixels of a line
_POINT = 7.0  # pixels from a point's middle to its edge

# Where a text goes from its point, right and down: the first is the most usual, and the nearest.
_DIRECTIONS = ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (-1, -1), (1, 1), (-1, 1))
_DISTANCES = (0, 14, 28, 44)

# What a text would rather not do, a square pixel of each, by trial: leave the picture, hide
# something, cross a line.
_OUTSIDE_COST = 20
_HIDDEN_COST = 10
_LINE_COST = 0.7

# Of a text's width what is left of its point, by the direction.
_LEFT_SHARES = {1: 0.0, 0: 0.5, -1: 1.0}
_ANCHORS = {1: "start", 0: "middle", -1: "end"}


class Box(NamedTuple):
    """A rectangle in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: "Box") -> float:
        """Return the area that two boxes share."""
        wide = min(self.right, other.right) - max(self.left, other.left)
        tall = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0.0, wide) * max(0.0, tall)

    @property
    def area(self) -> float:
        """Return its pixels."""
        return (self.right - self.left) * (self.bottom - self.top)


@dataclass(frozen=True)
class PlacedLabel:
    """A text with its place; ``far`` ones need a line to their point."""

    text: str
    x: float
    y: float
    anchor: str
    box: Box
    far: bool


def shorten(text: str, length: int) -> str:
    """Cut a text that has too many letters, and mark the cut."""
    if len(text) <= length:
        return text
    return text[: length - 1].rstrip() + "…"


def place_labels(
    points: Sequence[tuple[float, float]],
    texts: Sequence[str],
    bounds: Box,
    *,
    taken: Sequence[Box] = (),
    lines: Sequence[Box] = (),
) -> list[PlacedLabel]:
    """Put a text near each point, one after another, where it covers least of what is there.

    Args:
        points: pixels.
        texts: one for each.
        bounds: what no text should leave.
        taken: what else no text should cover.
        lines: what a text may cover if it must.
    """
    room = _Room([*taken, *map(_covered, points)], lines, bounds)
    labels: dict[int, PlacedLabel] = {}
    # From left to right, so that the same points always give the same picture.
    for index in sorted(range(len(points)), key=lambda index: points[index]):
        best = min(_options(points[index], texts[index]), key=room.cost).label
        labels[index] = best
        room.covered.append(best.box)
    return [labels[index] for index in range(len(points))]


def _covered(point: tuple[float, float]) -> Box:
    """Return the box that a point covers."""
    x, y = point
    return Box(x - _POINT, y - _POINT, x + _POINT, y + _POINT)


class _Option(NamedTuple):
    """A place for a text, and what speaks against it whatever else is there."""

    label: PlacedLabel
    inconvenience: float


@dataclass(frozen=True)
class _Room:
    """What is there already."""

    covered: list[Box]
    lines: Sequence[Box]
    bounds: Box

    def cost(self, option: _Option) -> float:
        box = option.label.box
        outside = box.area - box.overlap(self.bounds)
        hidden = sum(map(box.overlap, self.covered))
        crossed = sum(map(box.overlap, self.lines))
        return (
            _OUTSIDE_COST * outside
            + _HIDDEN_COST * hidden
            + _LINE_COST * crossed
            + option.inconvenience
        )


def _options(point: tuple[float, float], text: str) -> Iterator[_Option]:
    for distance in _DISTANCES:
        for rank, direction in enumerate(_DIRECTIONS):
            yield _Option(_label(point, text, direction, distance), distance + rank)


def _label(
    point: tuple[float, float], text: str, direction: tuple[int, int], distance: float
) -> PlacedLabel:
    right, down = direction
    aside = 9 + distance
    if down:
        # Above and below a point a text may begin nearer to it.
        aside = 5 + 0.6 * distance
    x = point[0] + right * aside
    y = point[1] + down * (13 + distance)
    width = LETTER * len(text)
    begin = x - _LEFT_SHARES[right] * width
    box = Box(begin - 2, y - _HEIGHT / 2, begin + width + 2, y + _HEIGHT / 2)
    return PlacedLabel(text, x, y + 4, _ANCHORS[right], box, distance > 0)
