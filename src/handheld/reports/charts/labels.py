"""Names beside points, apart from each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

LETTER = 7.4  # pixels of a bold letter of 12 pixels, a little more than most have
_HEIGHT, _POINT = 14.0, 7.0
_WAYS = ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (-1, -1), (1, 1), (-1, 1))
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


def shorten(text: str, most: int) -> str:
    """Cut a text that has too many letters, and mark the cut."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def place_labels(
    points: Sequence[tuple[float, float]],
    texts: Sequence[str],
    bounds: Box,
    *,
    taken: Sequence[Box] = (),
    lines: Sequence[Box] = (),
) -> list[PlacedLabel]:
    """Put a text near each point: one after another, each where it covers least of what is there
    already.

    Args:
        points: pixels.
        texts: one for each.
        bounds: what no text should leave.
        taken: what else no text should cover.
        lines: what a text may cover if it must.
    """
    covered = [*taken, *(Box(x - _POINT, y - _POINT, x + _POINT, y + _POINT) for x, y in points)]
    labels: dict[int, PlacedLabel] = {}
    for index in sorted(range(len(points)), key=lambda index: points[index]):
        options = [
            _label(points[index], texts[index], way, far)
            for far in (0, 14, 28, 44)
            for way in _WAYS
        ]
        best = min(options, key=lambda option: _cost(option[0], option[1], covered, lines, bounds))[
            0
        ]
        labels[index] = best
        covered.append(best.box)
    return [labels[index] for index in range(len(points))]


def _label(
    point: tuple[float, float], text: str, way: tuple[int, int], far: float
) -> tuple[PlacedLabel, float]:
    right, down = way
    x = point[0] + right * ((9 if not down else 5) + far * (1 if not down else 0.6))
    y = point[1] + down * (13 + far)
    wide = LETTER * len(text)
    left = x - (0 if right > 0 else wide if right < 0 else wide / 2)
    box = Box(left - 2, y - _HEIGHT / 2, left + wide + 2, y + _HEIGHT / 2)
    return PlacedLabel(text, x, y + 4, _ANCHORS[right], box, far > 0), far + _WAYS.index(way)


def _cost(
    label: PlacedLabel,
    inconvenience: float,
    covered: Sequence[Box],
    lines: Sequence[Box],
    bounds: Box,
) -> float:
    outside = label.box.area - label.box.overlap(bounds)
    hidden = sum(label.box.overlap(box) for box in covered)
    return (
        20 * outside
        + 10 * hidden
        + 0.7 * sum(label.box.overlap(box) for box in lines)
        + inconvenience
    )
