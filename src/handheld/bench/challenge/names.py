"""Names that strangers give themselves and their models: bounded, whole, without tricks."""

import unicodedata

from handheld.errors import InputError
from handheld.untrusted import is_whole

MAX_TEAM = 40
MAX_MODEL = 60

# Controls, formats (which turn the direction of a text, or are not seen at all), halves of letters,
# letters of private use and unassigned ones.
_REFUSED = ("Cc", "Cf", "Cs", "Co", "Cn")
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


def skeleton(name: str) -> str:
    """Return what two names have in common that look nearly alike: case, width and accents of
    compatibility do not count, and neither do spaces and points.
    """
    folded = unicodedata.normalize("NFKC", name).casefold()
    kept = [letter for letter in folded if unicodedata.category(letter)[0] in "LN"]
    # A name of signs alone is told by these.
    return "".join(kept) or folded


def _spaced(text: str) -> str:
    letters = [" " if unicodedata.category(letter) in _SPACES else letter for letter in text]
    # By spaces alone: a line feed is no space, and is refused.
    return " ".join(filter(None, "".join(letters).split(" ")))


def _refuse_letters(label: str, name: str) -> None:
    marks = 0
    for letter in name:
        category = unicodedata.category(letter)
        if category in _REFUSED:
            raise InputError(f"{label}: expected letters that are seen, got U+{ord(letter):04X}")
        marks = marks + 1 if category.startswith("M") else 0
        if marks > _MAX_MARKS:
            raise InputError(f"{label}: expected at most {_MAX_MARKS} marks on a letter")
    if not any(unicodedata.category(letter)[0] in "LNPS" for letter in name):
        raise InputError(f"{label}: expected a letter or a digit")
