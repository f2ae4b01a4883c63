"""Words that are written so that only people read them, as they are written plainly.

Digits for letters ("k1ll"), letters drawn out ("diiied"), parted ("d i e d", "k.y.s") or joined by
underscores. A detector learned from plain words, so it reads these beside what was written. A
reading may be wrong ("ps5" is no "pss"): it can only make a message look graver, never harmless.
"""

import re

# Digits and marks that stand for letters within a word.
_LOOKALIKES = str.maketrans("013457@$!|", "oieastasil")
# Between two letters: "k1ll", not "ps5", "5pm" or "1st".
_DISGUISED = re.compile(r"(?<=[^\W\d_])[013457@$!|]+(?=[^\W\d_])")
# What is to be read as letters once one word was disguised: "h3 h1t m3".
_WITH_DIGITS = re.compile(r"\b(?=\w*[^\W\d_])[\w@$!|]+")
_UNITS = re.compile(r"\d+(?:st|nd|rd|th|am|pm|k|m|km|kg|min|mins|h|hrs|x|s)", re.IGNORECASE)
_DRAWN_OUT = re.compile(r"([^\W\d_])\1{2,}")
# Three letters or more, each by itself: with blanks, dots, strokes or underscores between them.
_PARTED = re.compile(r"(?<![^\W\d_])[^\W\d_]([ ._\-*/])[^\W\d_](?:\1[^\W\d_])+(?![^\W\d_])")
_JOINED = re.compile(r"(?<=\w)[_+~|]+(?=\w)")
# Unicode's override: what follows is seen from right to left, English words reversed.
_BACKWARDS = "\u202e"
# "r*pe" and "f***", not "*really*" or the correction "their**".
_MASKED = re.compile(r"[^\W\d_]\*+[^\W\d_]|(?<![*\w])[^\W\d_]{1,2}\*{2,}")


def plain_readings(text: str) -> list[str]:
    """Return how else a text may be read; nothing for one that is written plainly.

    >>> plain_readings("I want to d1e"), plain_readings("see you at 5")
    (['I want to die'], [])
    >>> plain_readings("killl me"), plain_readings("k.y.s"), plain_readings("he_hit_me")
    (['kil me', 'kill me'], ['kys'], ['he hit me'])
    """
    parted = _PARTED.sub(_without_gaps, text)
    letters = _with_letters(_JOINED.sub(" ", parted))
    # "killl" was "kill", and "diiied" was "died": nobody can tell which letters are double
    readings = [_DRAWN_OUT.sub(r"\1", letters), _DRAWN_OUT.sub(r"\1\1", letters)]
    return [reading for reading in dict.fromkeys(readings) if reading != text]


def hides_letters(text: str) -> bool:
    """Return whether letters are hidden, or shown in another order, so that words are not known.

    >>> hides_letters("he r*ped me"), hides_letters("f*** off"), hides_letters("*really* good")
    (True, True, False)
    """
    return _BACKWARDS in text or bool(_MASKED.search(text))


def _without_gaps(parted: re.Match[str]) -> str:
    return parted[0].replace(parted[1], "")


def _with_letters(text: str) -> str:
    """Return a text whose digits are letters where they stand for them."""
    if not _DISGUISED.search(text):
        return text
    return _WITH_DIGITS.sub(_as_letters, text)


def _as_letters(word: re.Match[str]) -> str:
    return word[0] if _UNITS.fullmatch(word[0]) else word[0].translate(_LOOKALIKES)
