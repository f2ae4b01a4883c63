"""Tables, for pages and for terminals, and records as rows of them."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from handheld.reports.page import Figure, templates

_MIN_WIDTH = 3  # of a rule, by GitHub's Markdown


def html_table(
    head: Sequence[str], rows: Sequence[Sequence[object]], *, numbers: Collection[int] = ()
) -> Markup:
    """Return a table in a panel.

    Args:
        head: names of the columns.
        rows: cells; what is no ``Markup`` is escaped.
        numbers: columns that stand on the right.
    """
    table: Markup = _macros().table(head, rows, frozenset(numbers))
    return table


def html_section(title: str, *contents: str) -> Markup:
    """Return a section of a page: its title, then contents; a plain text becomes a paragraph."""
    section: Markup = _macros().section(title, list(map(_block, contents)))
    return section


def html_figure(figure: Figure) -> Markup:
    """Return a chart with its caption and the names of its curves."""
    drawn: Markup = _macros().figure(figure)
    return drawn


def markdown_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Collection[int] = ()
) -> str:
    """Return a table in Markdown, aligned for a terminal as well.

    What Markdown would take for its own is escaped.

    >>> print(markdown_table(["name", "bytes"], [["a*b", "12"]], numbers={1}), end="")
    | name | bytes |
    | ---- | ----: |
    | a\\*b |    12 |
    """
    # The head is ours.
    escaped = [list(map(_safe, row)) for row in rows]
    columns = []
    for number, cells in enumerate(zip(head, *escaped, strict=True)):
        columns.append(_markdown_column(cells, is_number=number in numbers))
    lines = ""
    for line in zip(*columns, strict=True):
        lines += f"| {' | '.join(line)} |\n"
    return lines


def _markdown_column(cells: Sequence[str], *, is_number: bool) -> list[str]:
    """Return the cells of a column as wide as the widest, with the rule below the first."""
    width = max(_MIN_WIDTH, *map(len, cells))
    if is_number:
        # the colon stands where the digits end, and says so to Markdown
        rule = "-" * (width - 1) + ":"
        head, *others = [cell.rjust(width) for cell in cells]
    else:
        rule = "-" * width
        head, *others = [cell.ljust(width) for cell in cells]
    return [head, rule, *others]


def flat(value: Any, name: str = "") -> list[tuple[str, str]]:
    """Return (name, text) of each value in nested mappings.

    >>> flat({"optimiser": {"name": "sgd", "rates": [0.1, 0.01]}})
    [('optimiser.name', 'sgd'), ('optimiser.rates', '0.1, 0.01')]
    """
    if value is None or value == {}:
        return []
    # Lists stay together: an entry of one says little alone.
    if not isinstance(value, Mapping):
        return [(name, plain_text(value))]
    pairs = []
    for key, inner in value.items():
        inner_name = str(key)
        if name:
            inner_name = f"{name}.{key}"
        pairs += flat(inner, inner_name)
    return pairs


def plain_text(value: Any) -> str:
    """Return a value of a record as a text; of a list its entries; of None nothing."""
    if isinstance(value, list | tuple):
        return ", ".join(map(plain_text, value))
    if value is None:
        return ""
    if isinstance(value, float):
        # six digits: more are noise in what is measured, and hard to read
        return f"{value:.6g}"
    return str(value)


def _macros() -> Any:
    return templates("handheld.reports").get_template("parts.html").module


def _block(content: str) -> Markup:
    if isinstance(content, Markup):
        return content
    # escaped by Markup's format
    return Markup("<p>{}</p>").format(content)


def _safe(text: str) -> str:
    """Escape what Markdown, or the HTML that it lets through, would take for its own."""
    return re.sub(r"([\\`*\[\]<>|&~])", r"\\\1", " ".join(text.split()))
