"""A confusion as a heat map, or, of many classes, its worst pairs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Confusion = tuple[tuple[int, ...], ...]
RGB = tuple[int, int, int]

MOST_CLASSES = 30  # of a map that one can read; of more the worst pairs are told
MAX_PAIRS = 25
LEVELS = 10
_PAPER: dict[str, RGB] = {"light": (255, 255, 255), "dark": (22, 27, 34)}
_FULL: dict[tuple[str, str], RGB] = {
    ("light", "right"): (22, 111, 60),
    ("light", "wrong"): (178, 58, 10),
    ("dark", "right"): (63, 185, 100),
    ("dark", "wrong"): (255, 140, 70),
}


@dataclass(frozen=True)
class HeatCell:
    """A count and its colour: ``right`` or ``wrong`` and a level of 0 to 10."""

    count: int
    share: float
    kind: str
    level: int


@dataclass(frozen=True)
class ConfusedPair:
    """A class that was taken for another, how often, and which share of the true class that is."""

    true: str
    answered: str
    count: int
    share: float


def heat_cells(confusion: Confusion) -> list[list[HeatCell]]:
    """Return rows of cells.

    Right answers are coloured by their share of the row, wrong ones by theirs over the worst share.
    """
    shares = list(map(_row_shares, confusion))
    # Over the worst: else the mistakes of a good network would all be white.
    worst = max(_wrong_shares(shares), default=0.0) or 1.0
    rows = []
    for true, (counts, row) in enumerate(zip(confusion, shares, strict=True)):
        cells = []
        for answered, (count, share) in enumerate(zip(counts, row, strict=True)):
            if answered == true:
                cells.append(HeatCell(count, share, "right", _level(share)))
            else:
                cells.append(HeatCell(count, share, "wrong", _level(share / worst)))
        rows.append(cells)
    return rows


def _row_shares(counts: Sequence[int]) -> list[float]:
    # of a class without examples all are 0
    total = max(1, sum(counts))
    return [count / total for count in counts]


def _wrong_shares(shares: Sequence[Sequence[float]]) -> Iterator[float]:
    for true, row in enumerate(shares):
        yield from row[:true]
        yield from row[true + 1 :]


def worst_pairs(confusion: Confusion, classes: tuple[str, ...]) -> list[ConfusedPair]:
    """Return the mistakes that are made most often, worst first."""
    pairs = []
    for true, row in enumerate(confusion):
        for answered, count in enumerate(row):
            if answered != true and count:
                share = count / sum(row)
                pairs.append(ConfusedPair(classes[true], classes[answered], count, share))
    pairs.sort(key=lambda pair: (-pair.count, -pair.share, pair.true, pair.answered))
    return pairs[:MAX_PAIRS]


def colours(theme: str) -> dict[str, tuple[RGB, RGB]]:
    """Return the background and the text colour of each class of cells.

    Args:
        theme: "light" or "dark".
    """
    pairs = {}
    for verdict in ("right", "wrong"):
        for level in range(LEVELS + 1):
            back = _mixed(_PAPER[theme], _FULL[theme, verdict], level / LEVELS)
            pairs[f"{verdict}{level}"] = (back, _readable(back))
    return pairs


def _mixed(paper: RGB, full: RGB, share: float) -> RGB:
    channels = [round(a + (b - a) * share) for a, b in zip(paper, full, strict=True)]
    red, green, blue = channels
    return red, green, blue


def contrast(one: RGB, other: RGB) -> float:
    """Return the contrast ratio of two colours, 1 to 21 (WCAG 2.2)."""
    low, high = sorted((_luminance(one), _luminance(other)))
    # 0.05 is what a screen reflects of the light around it, by WCAG
    return (high + 0.05) / (low + 0.05)


def heat_style(theme: str) -> str:
    """Return the style sheet of the cells."""
    rules = []
    for name, (back, text) in colours(theme).items():
        rule = f".{name} {{ background: rgb{back}; color: rgb{text}; }}"
        rules.append(rule.replace(", ", " "))
    return "\n".join(rules)


def _level(share: float) -> int:
    # What is there at all is seen.
    return round(share * LEVELS) or int(share > 0)


def _readable(back: RGB) -> RGB:
    # Black or white: one of them has a contrast of 4.5 or more with every colour.
    return max(((0, 0, 0), (255, 255, 255)), key=lambda text: contrast(back, text))


def _luminance(colour: RGB) -> float:
    """Return the relative luminance of a colour of sRGB, as WCAG 2.2 defines it."""
    red, green, blue = map(_linear, colour)
    # how bright each of the primaries of sRGB is beside white
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: int) -> float:
    share = channel / 255
    if share <= 0.04045:
        return share / 12.92
    power: float = ((share + 0.055) / 1.055) ** 2.4
    return power
