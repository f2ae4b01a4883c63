"""Tables, for pages and for terminals, and records as rows of them."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from handheld.reports.page import Figure, templates


def html_table(
    head: Sequence[str], rows: Sequence[Sequence[object]], *, numbers: Collection[int] = ()
) -> Markup:
    """Return a table in a panel.

    Args:
        head: names of the columns.
        rows: cells; what is no ``Markup`` is escaped.
        numbers: columns that stand on the right.
    """
    made: Markup = _parts().table(head, rows, frozenset(numbers))
    return made


def html_section(title: str, *parts: str) -> Markup:
    """Return a section of a page: its title, then parts; a plain text becomes a paragraph."""
    made: Markup = _parts().section(
        title, [one if isinstance(one, Markup) else _paragraph(one) for one in parts]
    )
    return made


def html_figure(figure: Figure) -> Markup:
    """Return a chart with its caption and the names of its curves."""
    made: Markup = _parts().figure(figure)
    return made


def markdown_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Collection[int] = ()
) -> str:
    """Return a table in Markdown, aligned for a terminal as well; what Markdown would take for its
    own is escaped.

    >>> print(markdown_table(["name", "bytes"], [["a*b", "12"]], numbers={1}), end="")
    | name | bytes |
    | ---- | ----: |
    | a\\*b |    12 |
    """
    cells = [list(head), *([_safe(text) for text in row] for row in rows)]
    widths = [max(3, *(len(line[column]) for line in cells)) for column in range(len(head))]
    rule = [
        "-" * (width - 1) + ":" if column in numbers else "-" * width
        for column, width in enumerate(widths)
    ]
    lines = [
        [_aligned(text, widths[i], i in numbers) for i, text in enumerate(line)] for line in cells
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in [lines[0], rule, *lines[1:]]) + "\n"


def flat(value: Any, name: str = "") -> list[tuple[str, str]]:
    """Return (name, text) of each value in nested mappings.

    >>> flat({"optimiser": {"name": "sgd", "rates": [0.1, 0.01]}})
    [('optimiser.name', 'sgd'), ('optimiser.rates', '0.1, 0.01')]
    """
    if value is None or value == {}:
        return []
    if not isinstance(value, Mapping):
        return [(name, plain_text(value))]
    return [
        pair
        for key, inner in value.items()
        for pair in flat(inner, f"{name}.{key}" if name else str(key))
    ]


def plain_text(value: Any) -> str:
    """Return a value of a record as a text; of a list its entries; of None nothing."""
    if isinstance(value, list | tuple):
        return ", ".join(map(plain_text, value))
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _parts() -> Any:
    return templates("handheld.reports").get_template("parts.html").module


def _paragraph(text: str) -> Markup:
    return Markup("<p>{}</p>").format(text)


def _aligned(text: str, width: int, is_number: bool) -> str:
    return text.rjust(width) if is_number else text.ljust(width)


def _safe(text: str) -> str:
    """Escape what Markdown, or the HTML that it lets through, would take for its own."""
    return re.sub(r"([\\`*\[\]<>|&~])", r"\\\1", " ".join(text.split()))
