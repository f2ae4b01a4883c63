"""Pages that need no other file and no network."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from handheld.drawing import amounts
from handheld.files import atomic_path

_NARROW = 352  # pixels of a phone
_UNSEEN = dict.fromkeys((*range(9), 11, 12, *range(14, 32), *range(127, 160), 0xFFFE, 0xFFFF), "\ufffd")


@cache
def templates(package: str) -> Environment:
    """Return the templates of a package and those that all pages share: ``style.css`` and ``picture.css``.

    What they print is escaped; filters are those of ``amounts``.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("handheld.drawing")]),
        autoescape=select_autoescape(default=True), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(
        size=amounts.size_text,
        seconds=amounts.seconds_text,
        percent=amounts.percent,
        times=amounts.times,
        count=amounts.count_text,
        link=lambda file: quote(file.encode("utf-8", "replace")),
    )
    return environment


def write_page(path: Path, package: str, template: str, values: Mapping[str, Any]) -> Path:
    """Write a page and return its path. Letters that nobody sees become a mark.

    Raises:
        FileError: it cannot be written.
    """
    text = templates(package).get_template(template).render(values).translate(_UNSEEN)
    with atomic_path(path) as temporary:
        temporary.write_bytes(text.encode("utf-8", "replace"))
    return path


def twice(draw: Callable[[int], Markup], width: int) -> Markup:
    """Draw for a wide page and for a phone; the style sheet shows one of the two."""
    wide, narrow = draw(width), draw(_NARROW)
    return Markup('<div class="wide">{}</div><div class="narrow">{}</div>').format(wide, narrow) if wide else wide
