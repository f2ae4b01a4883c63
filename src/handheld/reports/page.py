"""Pages that need no other file and no network."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from handheld import __version__
from handheld.files import atomic_path
from handheld.reports.charts.curves import COLOURS
from handheld.reports.charts.heat import heat_style
from handheld.reports.numbers import count_text, percent, seconds_text, size_text, times

_NARROW = 352  # pixels that a phone's page has for a chart

# Controls, but for tab, line feed and carriage return, and what is no character: HTML forbids them.
_UNSEEN = dict.fromkeys(
    (*range(9), 11, 12, *range(14, 32), *range(127, 160), 0xFFFE, 0xFFFF), "\ufffd"
)


class Figure(NamedTuple):
    """A chart with its caption, and the names of its curves where there are several."""

    caption: str
    picture: Markup
    names: tuple[str, ...] = ()


@cache
def templates(package: str) -> Environment:
    """Return the templates of a package and those that all pages share.

    These are ``page.html``, its style sheets, and ``parts.html``. What they print is escaped;
    filters write numbers.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("handheld.reports")]),
        autoescape=select_autoescape(default=True, default_for_string=True),
        # A misspelt name raises, rather than leave a hole in a page.
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(version=__version__, colours=COLOURS, heat_style=heat_style)
    environment.filters.update(
        size=size_text,
        seconds=seconds_text,
        percent=percent,
        times=times,
        count=count_text,
        link=_link,
    )
    return environment


def _link(file: str) -> str:
    """Return a file's name as an address; one that is no UTF-8 has no working one."""
    return quote(file.encode("utf-8", "replace"))


def render(package: str, template: str, values: Mapping[str, Any]) -> Markup:
    """Return a part of a page, made of a package's template."""
    return Markup(templates(package).get_template(template).render(values))


def write_page(path: Path, package: str, template: str, values: Mapping[str, Any]) -> Path:
    """Write a page and return its path. Letters that nobody sees become a mark.

    Raises:
        FileError: it cannot be written.
    """
    # Here, at the end: such letters come from texts and names of strangers, by many ways.
    text = render(package, template, values).translate(_UNSEEN)
    with atomic_path(path) as temporary:
        temporary.write_bytes(text.encode("utf-8", "replace"))
    return path


def in_two_widths(draw: Callable[[int], Markup], width: int) -> Markup:
    """Draw for a wide page and for a phone; the style sheet shows one of the two."""
    wide = draw(width)
    if not wide:  # there is nothing to draw
        return wide
    both = Markup('<div class="wide">{}</div><div class="narrow">{}</div>')
    return both.format(wide, draw(_NARROW))
