"""What each Unicode character is to a text model, frozen at one version of Unicode.

Python's own tables change with its version, and with them the words of a text; these do not, so that a message has the same
features on every machine. ``python -m handheld.projection.characters`` writes the file anew.
"""

import json
import re
import sys
import unicodedata
from collections.abc import Iterable
from functools import cache
from importlib import resources
from itertools import groupby
from pathlib import Path

UNICODE = "14.0.0"
_FILE = "characters.json"
_ASTRAL, _LAST = 0x10000, 0x10FFFF
_KINDS = {"L": "word", "M": "word", "N": "word", "S": "alone", "P": "space", "Z": "space", "C": "space"}
_FINER = {"Pc": "word", "Cf": "dropped", "Cn": "alone", "Co": "alone"}

_ALONE_BLOCKS = (  # scripts that write no spaces between words
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x2E80, 0x2FDF), (0x3005, 0x3007), (0x3021, 0x30FF),
    (0x31F0, 0x31FF), (0x3400, 0x9FFF), (0xF900, 0xFAFF), (0x1F000, 0x10FFFF),
)  # fmt: skip
_DROPPED_BLOCKS = (  # apostrophes, variation selectors, skin tones, the box around a key
    (0x27, 0x27), (0x2BC, 0x2BC), (0x2019, 0x2019), (0x20E3, 0x20E3), (0xFE00, 0xFE0F), (0x1F3FB, 0x1F3FF),
    (0xE0100, 0xE01EF),
)  # fmt: skip
_MARKS = {".": ",;:\u2026\u3001\u3002\uff0c\uff1a\uff1b\uff0e\u060c\u061b\u06d4\u0964\u0965", "!": "\uff01\u203c\u2049",
          "?": "\uff1f\u061f\u037e\u2047\u2048\u203d"}  # fmt: skip


CASE_PAIRS = {
    "\u0130": "i", "\u00b5": "\u03bc", "\u017f": "s", "\u03c2": "\u03c3", "\u03d0": "\u03b2", "\u03d1": "\u03b8",
    "\u03d5": "\u03c6", "\u03d6": "\u03c0", "\u03f0": "\u03ba", "\u03f1": "\u03c1", "\u03f5": "\u03b5",
    "\u1e9b": "\u1e61", "\u1e9e": "\u00df", "\u1fbe": "\u03b9",
}  # fmt: skip
"""What version 2 of the folding adds: characters whose lower case is not their folding (CaseFolding.txt of Unicode 14, where
the folding is one character), and the dotted I of Turkish."""

SILENT = "\u0307"
"""Dropped by version 2: the dot above that composes with no letter, as Python's lower case of the dotted I has it."""


def normalised(text: str, folding: int = 1) -> str:
    """Return a text in lower case, its accents composed, marks of all scripts as ``.``, ``?`` and ``!``, joiners dropped.

    Args:
        text: any.
        folding: version of the case folding. 1 is what the shipped replies and files before version 2 read; it leaves a
            dotted capital I as it is, and a final sigma apart from others.

    >>> normalised("\uff37\uff28\uff39\uff1f  Ne\u0301e, J\u00c4GER")
    'why?  n\u00e9e. j\u00e4ger'
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return text.translate(_tables()[0] if folding == 1 else _folding_2())


def tokens(text: str) -> list[str]:
    """Return the words and marks of a normalised text: ``.``, ``?`` and ``!``, each run of one mark as one.

    A word is a run of letters, digits and accents; a symbol, an emoji and a letter of a script without spaces is one by itself.

    >>> tokens("hey... is it late??")
    ['hey', '.', 'is', 'it', 'late', '?']
    """
    found: list[str] = _tables()[1].findall(text)
    return [token[0] if token[0] in ".?!" else token for token in found]


def frozen() -> dict[str, str]:
    """Return the tables that :func:`made` wrote, as the package ships them."""
    content = resources.files(__package__).joinpath("assets", _FILE).read_text("ascii")
    tables: dict[str, str] = json.loads(content)
    return tables


@cache
def _tables() -> tuple[dict[int, str | None], re.Pattern[str]]:
    file = frozen()
    folded: dict[int, str | None] = {ord(upper): lower for upper, lower in zip(file["upper"], file["lower"], strict=True)}
    folded |= {code: None for first, last in _pairs(file["dropped"]) for code in range(ord(first), ord(last) + 1)}
    word, alone = ("".join(f"{first}-{last}" for first, last in _pairs(file[kind])) for kind in ("word", "alone"))
    return folded, re.compile(rf"[{word}]+|[{alone}]|\.+|\?+|!+")


@cache
def _folding_2() -> dict[int, str | None]:
    pairs = {ord(upper): lower for upper, lower in CASE_PAIRS.items()}
    return _tables()[0] | pairs | {ord(SILENT): None}


def _pairs(text: str) -> Iterable[tuple[str, str]]:
    return zip(text[::2], text[1::2], strict=True)


def made() -> dict[str, str]:
    """Make the tables from Python's own, which must be of the version ``UNICODE``.

    Returns:
        ``upper`` and ``lower``: each character that is folded, and what it becomes; ``dropped``, ``word`` and ``alone``: first
        and last character of each range.
    """
    kinds, folded = [_kind(code) for code in range(_LAST + 1)], {}
    for code in range(_LAST + 1):
        compatible = unicodedata.normalize("NFKC", chr(code)) if _is_styled(code) else chr(code)
        if len(lower := compatible.lower()) == 1 and lower != chr(code):
            folded[chr(code)] = lower
    folded |= {other: mark for mark, others in _MARKS.items() for other in others}
    ranges: dict[str, str] = dict.fromkeys(("dropped", "word", "alone"), "")
    for kind, group in groupby(range(_LAST + 1), kinds.__getitem__):
        codes = list(group)
        if kind in ranges:
            ranges[kind] += chr(codes[0]) + chr(codes[-1])
    return {"unicode": UNICODE, "upper": "".join(folded), "lower": "".join(folded.values()), **ranges}


def _is_styled(code: int) -> bool:
    """Whether a letter is a usual one in another width or type face."""
    return 0xFF10 <= code <= 0xFF5A or 0x1D400 <= code <= 0x1D7FF


def _kind(code: int) -> str:
    if any(first <= code <= last for first, last in _DROPPED_BLOCKS):
        return "dropped"
    if any(first <= code <= last for first, last in _ALONE_BLOCKS):
        return "alone"
    if code >= _ASTRAL:  # ancient scripts and letters in type faces: few, so not told apart
        return "word"
    category = unicodedata.category(chr(code))
    return _FINER.get(category, _KINDS[category[0]])


if __name__ == "__main__":
    if unicodedata.unidata_version != UNICODE:
        sys.exit(f"this Python has Unicode {unicodedata.unidata_version}; the tables are those of {UNICODE}")
    (Path(__file__).parent / "assets" / _FILE).write_text(json.dumps(made(), indent=0) + "\n")
