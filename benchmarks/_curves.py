"""Accuracy against rounds, as a picture for the documentation."""

import math
from collections.abc import Mapping
from pathlib import Path

from markupsafe import Markup

from handheld.reports import COLOURS, AxisWords, Curve, draw_curves, percent, templates

_WIDTH, _HEIGHT, _LINE = 720, 380, 18
ROUNDS, ACCURACY = (
    AxisWords("round", lambda power: f"{10**power:,.0f}"),
    AxisWords("accuracy", lambda share: percent(share, 0)),
)


def write_curves(path: Path, title: str, curves: Mapping[str, Curve]) -> Path:
    """Write a picture of some curves over the logarithm of rounds, with their names below; a file
    that stands alone.
    """
    shown = {
        name: [(math.log10(number), accuracy) for number, accuracy in curve]
        for name, curve in curves.items()
    }
    drawn = draw_curves(
        shown, title, width=_WIDTH, height=_HEIGHT, across=ROUNDS, up=ACCURACY, zero=False
    )
    style = templates("handheld.reports").get_template("picture.css").render()
    colours = templates("handheld.reports").get_template("style.css").render().partition("* {")[0]
    names = [
        Markup(
            '<path class="curve c{} d{}" d="M{x} {y}h26"/><text x="{tx}" y="{ty}">{name}</text>'
        ).format(
            number % COLOURS,
            number // COLOURS % 3,
            x=46 + 220 * (number % 3),
            y=_HEIGHT + 8 + _LINE * (number // 3),
            tx=80 + 220 * (number % 3),
            ty=_HEIGHT + 12 + _LINE * (number // 3),
            name=name,
        )
        for number, name in enumerate(shown)
    ]
    height = _HEIGHT + 8 + _LINE * -(-len(shown) // 3)
    inner = str(drawn).partition(">")[2].removesuffix("</svg>")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" class="picture" viewBox="0 0 {_WIDTH} '
        f'{height}" width="{_WIDTH}" '
        f'height="{height}" role="img"><title>{title}</title><style>{colours}{style}</style>'
        '<rect width="100%" height="100%" style="fill: '
        f'var(--panel)"/>{inner}{"".join(names)}</svg>\n'
    )
    return path
