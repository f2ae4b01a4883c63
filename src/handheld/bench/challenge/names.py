"""Names that strangers give themselves and their models: bounded, whole, without tricks."""

import functools
import unicodedata
from collections.abc import Iterable

from handheld.errors import InputError, MissingDependencyError
from handheld.untrusted import is_whole

try:
    from confusable_homoglyphs.confusables import confusables_data
except ImportError as error:
    raise MissingDependencyError("confusable-homoglyphs", "server", "a challenge") from error

MAX_TEAM = 40
MAX_MODEL = 60

# Controls, formats (which turn the direction of a text, or are not seen at all), halves of letters,
# letters of private use and unassigned ones.
_REFUSED = ("Cc", "Cf", "Cs", "Co", "Cn")
# Letters and a sign by their category, but blank in every font: fillers of Hangul, vowels of Khmer
# that are not written, Braille without a dot (Unicode, Default_Ignorable_Code_Point, and U+2800).
_BLANK = frozenset("\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_MAX_MARKS = 2  # on one letter, as Vietnamese has; more climb over the lines above
_SPACES = ("Zs", "Zl", "Zp")


def clean_name(label: str, text: str, longest: int) -> str:
    """Return a name as it is shown: composed, with single spaces.

    Args:
        label: what it is the name of, for messages.
        text: as it was sent.
        longest: letters at most.

    Raises:
        InputError: it is empty or too long, or has letters that nobody sees or that change what
            stands around them.
    """
    # Before anything walks over it.
    if len(text) > 4 * longest:
        raise InputError(f"{label}: expected at most {longest} characters, got {len(text)}")
    if not is_whole(text):
        raise InputError(f"{label}: expected whole letters, got half of one")
    name = _spaced(unicodedata.normalize("NFC", text))
    if not 1 <= len(name) <= longest:
        raise InputError(f"{label}: expected 1 to {longest} characters, got {len(name)}")
    _refuse_letters(label, name)
    return name


def looks_of(name: str) -> list[str]:
    """Return what a name looks like: two names that share a look are taken for one another.

    Case, width, spaces and points do not count, and neither does it whether a letter is Latin,
    Cyrillic or of any other script that has one like it (Unicode Technical Standard 39, skeletons).
    A name has a look in small letters, and one as it is written: Cyrillic capitals look like Latin
    ones where their small letters do not.
    """
    composed = unicodedata.normalize("NFKC", name)
    small = composed.casefold()
    written = _look(composed).casefold()
    return list(dict.fromkeys((_look(small), _look(written))))


def _look(text: str) -> str:
    prototypes = _prototypes()
    letters = "".join(prototypes.get(letter, letter) for letter in text)
    kept = [letter for letter in letters if unicodedata.category(letter)[0] in "LNM"]
    # A name of signs alone is told by these.
    return "".join(kept) or letters


@functools.cache
def _prototypes() -> dict[str, str]:
    """Return for each letter that looks like others the one that stands for all of them."""
    prototypes: dict[str, str] = {}
    for letter in confusables_data:
        if letter not in prototypes:
            alike = _alike(letter)
            prototypes |= dict.fromkeys(alike, _representative(alike))
    single = {letter: stands for letter, stands in prototypes.items() if len(letter) == 1}
    # "m" looks like "rn", of which each letter may have others like it.
    return {
        confusable: "".join(single.get(letter, letter) for letter in stands)
        for confusable, stands in single.items()
    }


def _alike(letter: str) -> set[str]:
    """Return all letters, and rows of them, that look like one, itself among them."""
    alike = {letter}
    waiting = [letter]
    while waiting:
        for homoglyph in confusables_data.get(waiting.pop(), ()):
            if homoglyph["c"] not in alike:
                alike.add(homoglyph["c"])
                waiting.append(homoglyph["c"])
    return alike


def _representative(alike: Iterable[str]) -> str:
    """Return the longest in ASCII, or else the first, whatever the order they come in."""
    plain = [text for text in alike if text.isascii()]
    return min(plain or alike, key=lambda text: (-len(text), text))


def _spaced(text: str) -> str:
    letters = [" " if unicodedata.category(letter) in _SPACES else letter for letter in text]
    # By spaces alone: a line feed is no space, and is refused.
    return " ".join(filter(None, "".join(letters).split(" ")))


def _refuse_letters(label: str, name: str) -> None:
    marks = 0
    for letter in name:
        category = unicodedata.category(letter)
        if category in _REFUSED or letter in _BLANK:
            raise InputError(f"{label}: expected letters that are seen, got U+{ord(letter):04X}")
        marks = marks + 1 if category.startswith("M") else 0
        if marks > _MAX_MARKS:
            raise InputError(f"{label}: expected at most {_MAX_MARKS} marks on a letter")
    if not any(unicodedata.category(letter)[0] in "LNPS" for letter in name):
        raise InputError(f"{label}: expected a letter or a digit")
