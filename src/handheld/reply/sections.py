"""Our small text files: a line in brackets begins a section, the lines below belong to it."""

import math
import re
from collections.abc import Iterator
from itertools import islice, product
from pathlib import Path
from typing import NamedTuple

from handheld.errors import InputError
from handheld.untrusted import require_file

# innermost brackets alone: a choice within a choice is not in the grammar
_CHOICE = re.compile(r"\(([^()]*)\)")


class SectionLine(NamedTuple):
    """A line, and the section that it stands in."""

    section: str
    text: str


def read_sections(path: Path) -> list[SectionLine]:
    """Read a file, without its comments and empty lines.

    Raises:
        InputError: a file that cannot be read, or lines before the first section.
    """
    lines: list[SectionLine] = []
    section = ""
    for number, line in enumerate(map(str.strip, read_lines(path)), 1):
        if not line or line.startswith("#"):
            continue
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1].strip()
        elif section:
            lines.append(SectionLine(section, line))
        else:
            raise InputError(f"{path}:{number}: expected a [section] before {line!r}")
    return lines


def read_lines(path: Path) -> list[str]:
    """Return the lines of a UTF-8 file.

    Raises:
        InputError: a file that cannot be read.
    """
    try:
        require_file(path)
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def expanded(text: str, count: int) -> list[str]:
    """Return the texts that a line such as ``(hi|hello) there`` stands for.

    Args:
        text: the line.
        count: texts at most; of more, as many are taken at even distances.

    >>> expanded("(hi|hello) (there|)", 10)
    ['hi there', 'hi', 'hello there', 'hello']
    """
    # split() gives what stands outside of brackets and what stands within, in turns
    pieces = _CHOICE.split(text)
    choices = [piece.split("|") for piece in pieces]
    choices[::2] = [[piece] for piece in pieces[::2]]
    total = math.prod(map(len, choices))
    texts = map("".join, product(*choices))
    return [" ".join(text.split()) for text in _evenly(texts, total, count)]


def _evenly(texts: Iterator[str], total: int, count: int) -> Iterator[str]:
    """Yield ``count`` of ``total`` texts, each from the middle of as long a stretch."""
    if total <= count:
        yield from texts
        return
    done = 0
    for number in range(count):
        position = (2 * number + 1) * total // (2 * count)
        # not a list: a line may stand for millions
        yield from islice(texts, position - done, position - done + 1)
        done = position + 1
