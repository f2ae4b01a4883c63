"""How somebody writes: capitals, marks, length, favourite words; as counts against those of people in general."""

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from handheld.projection.words import words_of

Counts = NDArray[np.float32]

_WORDS = 512  # that words fall on
_LENGTHS = 7
_ENDS = ("", ".", "!", "?", "..")
_END = re.compile(r"[.!?…]+$")
_FORMS = 3 + len(_ENDS) + 1 + _LENGTHS + 2 + 2
SIZE = _FORMS + _WORDS

_PRIOR = 20.0  # how often somebody is taken to have written like everybody
_WEIGHT = 0.3  # of words beside forms
_MOST = 3.0  # log odds of a text, to either side
_LONGEST = 40  # words of a text that are looked at


def counts_of(texts: Sequence[str]) -> Counts:
    """Return (SIZE,) how often each form and each word stands in some texts."""
    found = np.zeros(SIZE, np.float32)
    for text in texts:
        forms, words = _seen(text)
        np.add.at(found, forms, 1)
        np.add.at(found, words, 1)
    return found


def log_odds(own: Counts, general: Counts) -> Counts:
    """Return (SIZE,) how much likelier this person writes each form and word than people in general do."""
    found = np.empty(SIZE, np.float32)
    for part in (slice(0, _FORMS), slice(_FORMS, SIZE)):
        usual = (general[part] + 1) / (general[part].sum() + len(general[part]))
        found[part] = np.log((own[part] + _PRIOR * usual) / (own[part].sum() + _PRIOR) / usual)
    return found


def likeness(odds: Counts, texts: Sequence[str]) -> Counts:
    """Return (texts,) how much likelier this person wrote a text than somebody else did: log odds of -3 to 3."""
    found = np.empty(len(texts), np.float32)
    for place, text in enumerate(texts):
        forms, words = _seen(text)
        found[place] = odds[forms].sum() + _WEIGHT * odds[words].sum() / np.sqrt(max(1, len(words)))
    return np.clip(found, -_MOST, _MOST)


@lru_cache(4096)
def _seen(text: str) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the places of a text's forms and of its words."""
    text = text.strip()
    first = 0 if text[:1].isupper() else 1 if text[:1].islower() else 2
    match = _END.search(text)
    mark = match.group()[:2].replace("…", "..") if match else ""
    end = _ENDS.index(mark) if mark in _ENDS else len(_ENDS)
    length = min(_LENGTHS - 1, int(2 * np.log2(len(text.split()) + 1)))
    groups = (
        (first, 3),
        (end, len(_ENDS) + 1),
        (length, _LENGTHS),
        ("'" in text, 2),
        ("," in text, 2),
    )
    starts = np.cumsum([0, *(size for _, size in groups[:-1])])
    forms = starts + np.array([int(place) for place, _ in groups])
    words = words_of([text]).hashes[:_LONGEST]
    return forms, (
        _FORMS + (words >> np.uint64(32)) * np.uint64(_WORDS) // np.uint64(1 << 32)
    ).astype(np.intp)
