"""How somebody writes: capitals, marks, length and words, as counts against everybody's."""

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from handheld.projection.words import words_of

Counts = NDArray[np.float32]

# Places that words fall on by their fingerprints; a bundle stores a count for each, so these sizes
# are part of its format.
_WORDS = 512
_FIRST_LETTERS = 3
_LENGTHS = 7
_ENDS = ("", ".", "!", "?", "..")
_END = re.compile(r"[.!?…]+$")
# One group after another: the first letter, the end (and one more for other ends), the length,
# whether there is an apostrophe, whether there is a comma.
_GROUPS = np.array([_FIRST_LETTERS, len(_ENDS) + 1, _LENGTHS, 2, 2])
_GROUP_STARTS = np.cumsum(_GROUPS) - _GROUPS
_FORMS = int(_GROUPS.sum())
SIZE = _FORMS + _WORDS
"""Numbers of a style."""

# How often somebody is taken to have written like everybody: after some twenty messages what they
# wrote themselves counts more.
_PRIOR = 20.0
# Of words beside forms: what somebody talks about says less about style than how they write it.
_WEIGHT = 0.3
# Log odds of a text, to either side, so that no text says more than twenty to one.
_MOST = 3.0
# Words of a text that are looked at: a reply of the most characters that are kept has fewer.
_LONGEST = 40


def counts_of(texts: Sequence[str]) -> Counts:
    """Return (SIZE,) how often each form and each word stands in some texts."""
    counts = np.zeros(SIZE, np.float32)
    for text in texts:
        forms, words = _places(text)
        np.add.at(counts, forms, 1)
        np.add.at(counts, words, 1)
    return counts


def log_odds(personal: Counts, general: Counts) -> Counts:
    """Return (SIZE,) how much likelier a person writes each form and word than people in general.

    Args:
        personal: (SIZE,) counts of the person's texts.
        general: (SIZE,) counts of everybody's.
    """
    odds = np.empty(SIZE, np.float32)
    # forms and words are counted apart: a text has five of the first and any number of the others
    for group in (slice(0, _FORMS), slice(_FORMS, SIZE)):
        usual = (general[group] + 1) / (general[group].sum() + len(general[group]))
        counts = personal[group]
        odds[group] = np.log((counts + _PRIOR * usual) / (counts.sum() + _PRIOR) / usual)
    return odds


def likeness(odds: Counts, texts: Sequence[str]) -> Counts:
    """Return (texts,) how much likelier a person wrote a text than others: log odds in [-3, 3].

    Args:
        odds: (SIZE,) as :func:`log_odds` gives them.
        texts: to judge.
    """
    scores = np.empty(len(texts), np.float32)
    for number, text in enumerate(texts):
        forms, words = _places(text)
        of_words = _WEIGHT * odds[words].sum() / np.sqrt(max(1, len(words)))
        scores[number] = odds[forms].sum() + of_words
    return np.clip(scores, -_MOST, _MOST)


# The replies of a bundle are asked about with each message; there are fewer of them than this.
@lru_cache(4096)
def _places(text: str) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the places of a text's forms and of its words."""
    text = text.strip()
    forms = (_first_letter(text), _end(text), _length(text), int("'" in text), int("," in text))
    hashes = words_of([text]).hashes[:_LONGEST]
    # the upper half of a fingerprint, scaled to the number of places
    word_places = (hashes >> np.uint64(32)) * np.uint64(_WORDS) // np.uint64(1 << 32)
    return _GROUP_STARTS + np.array(forms), (_FORMS + word_places).astype(np.intp)


def _first_letter(text: str) -> int:
    if text[:1].isupper():
        return 0
    return 1 if text[:1].islower() else 2


def _end(text: str) -> int:
    match = _END.search(text)
    # two marks tell a trailing end from a full stop; more of them say no more
    mark = match.group()[:2].replace("…", "..") if match else ""
    return _ENDS.index(mark) if mark in _ENDS else len(_ENDS)


def _length(text: str) -> int:
    """Return the length in steps of a factor of 1.4 words."""
    return min(_LENGTHS - 1, int(2 * np.log2(len(text.split()) + 1)))
