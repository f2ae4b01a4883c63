"""Our small text files: a line in brackets begins a section, the lines below belong to it."""

import re
from collections.abc import Iterator
from itertools import islice, product
from pathlib import Path
from typing import NamedTuple

from handheld.errors import InputError
from handheld.untrusted import require_file

_CHOICE = re.compile(r"\(([^()]*)\)")


class SectionLine(NamedTuple):
    """A line, and the section that it stands in."""

    section: str
    text: str


def read_sections(path: Path) -> list[SectionLine]:
    """Read a file. Raises :class:`InputError` for one that cannot be read, or lines before the first section."""
    try:
        require_file(path)
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    found: list[SectionLine] = []
    section = ""
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("#"):
            continue
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1].strip()
        elif section:
            found.append(SectionLine(section, line))
        else:
            raise InputError(f"{path}:{number}: expected a [section] before {line!r}")
    return found


def expanded(text: str, most: int) -> list[str]:
    """Return the texts that a line such as ``(hi|hello) there`` stands for: all, or ``most`` at even distances.

    >>> expanded("(hi|hello) (there|)", 10)
    ['hi there', 'hi', 'hello there', 'hello']
    """
    parts = _CHOICE.split(text)
    choices = [part.split("|") if place % 2 else [part] for place, part in enumerate(parts)]
    count = 1
    for each in choices:
        count *= len(each)
    return [
        " ".join(joined.split()) for joined in _evenly(map("".join, product(*choices)), count, most)
    ]


def _evenly(texts: Iterator[str], count: int, most: int) -> Iterator[str]:
    if count <= most:
        yield from texts
        return
    done = 0
    for number in range(most):
        place = (2 * number + 1) * count // (2 * most)
        yield from islice(texts, place - done, place - done + 1)
        done = place + 1
