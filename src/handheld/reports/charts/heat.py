"""A confusion as a heat map, or, of many classes, its worst pairs."""

from dataclasses import dataclass

Confusion = tuple[tuple[int, ...], ...]
RGB = tuple[int, int, int]

MOST_CLASSES = 30
MOST_PAIRS = 25
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
    """Return rows of cells: right answers coloured by their share of the row, wrong ones by theirs
    over the worst share.
    """
    shares = [[count / max(1, sum(row)) for count in row] for row in confusion]
    worst = (
        max(
            (share for i, row in enumerate(shares) for j, share in enumerate(row) if i != j),
            default=0.0,
        )
        or 1.0
    )
    return [
        [
            HeatCell(count, share, "right", _level(share))
            if i == j
            else HeatCell(count, share, "wrong", _level(share / worst))
            for j, (count, share) in enumerate(zip(counts, row, strict=True))
        ]
        for i, (counts, row) in enumerate(zip(confusion, shares, strict=True))
    ]


def worst_pairs(confusion: Confusion, classes: tuple[str, ...]) -> list[ConfusedPair]:
    """Return the mistakes that are made most often, worst first."""
    pairs = [
        ConfusedPair(classes[i], classes[j], count, count / sum(row))
        for i, row in enumerate(confusion)
        for j, count in enumerate(row)
        if i != j and count
    ]
    return sorted(pairs, key=lambda pair: (-pair.count, -pair.share, pair.true, pair.answered))[
        :MOST_PAIRS
    ]


def colours(theme: str) -> dict[str, tuple[RGB, RGB]]:
    """Return the background and the text colour of each class of cells in the light or the dark
    theme.
    """
    found = {}
    for kind in ("right", "wrong"):
        for level in range(LEVELS + 1):
            mix = zip(_PAPER[theme], _FULL[theme, kind], strict=True)
            back = tuple(round(a + (b - a) * level / LEVELS) for a, b in mix)
            found[f"{kind}{level}"] = ((back[0], back[1], back[2]), _readable(back))
    return found


def contrast(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    """Return the contrast ratio of two colours, 1 to 21 (WCAG 2.2)."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def heat_style(theme: str) -> str:
    """Return the style sheet of the cells."""
    return "\n".join(
        f".{name} {{ background: rgb{back}; color: rgb{text}; }}".replace(", ", " ")
        for name, (back, text) in colours(theme).items()
    )


def _level(share: float) -> int:
    return round(share * LEVELS) or (1 if share > 0 else 0)


def _readable(back: tuple[int, ...]) -> RGB:
    return max(((0, 0, 0), (255, 255, 255)), key=lambda text: contrast(back, text))


def _luminance(colour: tuple[int, ...]) -> float:
    parts = [part / 255 for part in colour]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
