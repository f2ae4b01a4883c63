"""What each Unicode character is to a text model, frozen at one version of Unicode.

Python's own tables change with its version, and with them the words of a text; these do not, so
that a message has the same features on every machine. ``python -m
handheld.projection.characters`` writes the file anew.
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
"""That of Python 3.11, which the package needs at least."""

_FILE = "characters.json"
_ALL_CODES = range(0x110000)
_FIRST_ASTRAL = 0x10000  # first code point beyond the Basic Multilingual Plane

# Classes of characters by the first letter of their Unicode category ...
_CLASSES = {
    "L": "word",
    "M": "word",  # an accent stays with its letter
    "N": "word",
    "S": "alone",
    "P": "space",
    "Z": "space",
    "C": "space",
}
# ... and of categories that differ from their first letter's.
_FINER_CLASSES = {
    "Pc": "word",  # the underscore joins
    "Cf": "dropped",  # joiners and marks of direction are not seen
    "Cn": "alone",
    "Co": "alone",
}

_ALONE_BLOCKS = (  # scripts that write no spaces between words, and pictures
    (0x0E00, 0x0EFF),  # Thai and Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x2FDF),  # radicals of Han
    (0x3005, 0x3007),  # iteration marks and zero of Han
    (0x3021, 0x30FF),  # numerals, Hiragana, Katakana
    (0x31F0, 0x31FF),  # Katakana for Ainu
    (0x3400, 0x9FFF),  # Han
    (0xF900, 0xFAFF),  # Han, for compatibility
    (0x1F000, 0x10FFFF),  # emoji, symbols, rarer Han
)
_DROPPED_BLOCKS = (
    (0x27, 0x27),  # apostrophes, in three forms: "don't" and "dont" are one word
    (0x2BC, 0x2BC),
    (0x2019, 0x2019),
    (0x20E3, 0x20E3),  # the box around a key
    (0xFE00, 0xFE0F),  # variation selectors
    (0x1F3FB, 0x1F3FF),  # skin tones
    (0xE0100, 0xE01EF),  # further variation selectors
)
_MARKS = {  # what ends or divides a sentence, in all scripts
    ".": ",;:\u2026\u3001\u3002\uff0c\uff1a\uff1b\uff0e\u060c\u061b\u06d4\u0964\u0965",
    "!": "\uff01\u203c\u2049",
    "?": "\uff1f\u061f\u037e\u2047\u2048\u203d",
}

CASE_PAIRS = {
    "\u0130": "i",
    "\u00b5": "\u03bc",
    "\u017f": "s",
    "\u03c2": "\u03c3",
    "\u03d0": "\u03b2",
    "\u03d1": "\u03b8",
    "\u03d5": "\u03c6",
    "\u03d6": "\u03c0",
    "\u03f0": "\u03ba",
    "\u03f1": "\u03c1",
    "\u03f5": "\u03b5",
    "\u1e9b": "\u1e61",
    "\u1e9e": "\u00df",
    "\u1fbe": "\u03b9",
}
"""What version 2 of the folding adds: characters whose lower case is not their folding
(CaseFolding.txt of Unicode 14, where the folding is one character), and the dotted I of Turkish.
"""

SILENT = "\u0307"
"""Dropped by version 2: the dot above that composes with no letter, as Python's lower case of the
dotted I has it.
"""

Translation = dict[int, str | None]
"""Of code points, as ``str.translate`` takes it; None drops a character."""


def normalised(text: str, folding: int = 1) -> str:
    """Return a text in lower case, accents composed, marks as ``.``, ``?`` and ``!``, no joiners.

    Args:
        text: any.
        folding: version of the case folding. 1 is what the shipped replies and files before
            version 2 read; it leaves a dotted capital I as it is, and a final sigma apart from
            others.

    >>> normalised("\uff37\uff28\uff39\uff1f  Ne\u0301e, J\u00c4GER")
    'why?  n\u00e9e. j\u00e4ger'
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if folding == 1:
        return text.translate(_folding_1())
    return text.translate(_folding_2())


def tokens(text: str) -> list[str]:
    """Return the words and marks of a normalised text.

    Marks are ``.``, ``?`` and ``!``, each run of one mark as one. A word is a run of letters,
    digits and accents; a symbol, an emoji and a letter of a script without spaces is one by itself.

    >>> tokens("hey... is it late??")
    ['hey', '.', 'is', 'it', 'late', '?']
    """
    runs: list[str] = _token_pattern().findall(text)
    return [run[0] if run[0] in ".?!" else run for run in runs]


def frozen() -> dict[str, str]:
    """Return the tables that :func:`made` wrote, as the package ships them."""
    content = resources.files(__package__).joinpath("assets", _FILE).read_text("ascii")
    tables: dict[str, str] = json.loads(content)
    return tables


@cache
def _folding_1() -> Translation:
    tables = frozen()
    upper_codes = map(ord, tables["upper"])
    translation: Translation = dict(zip(upper_codes, tables["lower"], strict=True))
    for first, last in _pairs(tables["dropped"]):
        translation |= dict.fromkeys(range(ord(first), ord(last) + 1))
    return translation


@cache
def _folding_2() -> Translation:
    pairs = {ord(upper): lower for upper, lower in CASE_PAIRS.items()}
    return _folding_1() | pairs | {ord(SILENT): None}


@cache
def _token_pattern() -> re.Pattern[str]:
    tables = frozen()
    word = _character_set(tables["word"])
    alone = _character_set(tables["alone"])
    return re.compile(rf"[{word}]+|[{alone}]|\.+|\?+|!+")


def _character_set(ranges: str) -> str:
    """Return ranges as they stand between the brackets of a pattern."""
    return "".join(f"{first}-{last}" for first, last in _pairs(ranges))


def _pairs(text: str) -> Iterable[tuple[str, str]]:
    return zip(text[::2], text[1::2], strict=True)


def made() -> dict[str, str]:
    """Make the tables from Python's own, which must be of the version ``UNICODE``.

    Returns:
        ``upper`` and ``lower``: each character that is folded, and what it becomes; ``dropped``,
        ``word`` and ``alone``: first and last character of each range.
    """
    folded = _folded_characters()
    return {
        "unicode": UNICODE,
        "upper": "".join(folded),
        "lower": "".join(folded.values()),
        **_class_ranges(),
    }


def _folded_characters() -> dict[str, str]:
    folded: dict[str, str] = {}
    for code in _ALL_CODES:
        letter = chr(code)
        usual = letter
        if _is_styled(code):
            usual = unicodedata.normalize("NFKC", letter)
        lower = usual.lower()
        if len(lower) == 1 and lower != letter:
            folded[letter] = lower
    for mark, variants in _MARKS.items():
        folded |= dict.fromkeys(variants, mark)
    return folded


def _class_ranges() -> dict[str, str]:
    """Return the first and the last character of each range, by class; white space needs none."""
    ranges = {"dropped": "", "word": "", "alone": ""}
    for class_name, group in groupby(_ALL_CODES, _class_of):
        codes = list(group)
        if class_name in ranges:
            ranges[class_name] += chr(codes[0]) + chr(codes[-1])
    return ranges


def _is_styled(code: int) -> bool:
    """Whether a letter is a usual one in another width or type face."""
    return 0xFF10 <= code <= 0xFF5A or 0x1D400 <= code <= 0x1D7FF


def _class_of(code: int) -> str:
    if _is_in(_DROPPED_BLOCKS, code):
        return "dropped"
    if _is_in(_ALONE_BLOCKS, code):
        return "alone"
    if code >= _FIRST_ASTRAL:  # ancient scripts and letters in type faces: few, so not told apart
        return "word"
    category = unicodedata.category(chr(code))
    return _FINER_CLASSES.get(category, _CLASSES[category[0]])


def _is_in(blocks: Iterable[tuple[int, int]], code: int) -> bool:
    return any(first <= code <= last for first, last in blocks)


if __name__ == "__main__":
    version = unicodedata.unidata_version
    if version != UNICODE:
        sys.exit(f"this Python has Unicode {version}; the tables are those of {UNICODE}")
    file = Path(__file__).parent / "assets" / _FILE
    file.write_text(json.dumps(made(), indent=0) + "\n")
