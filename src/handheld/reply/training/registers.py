"""How different people write the same message.

Spelling, capitals, short forms, slips of the finger, blanks and marks left out, words before and
behind.
"""

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

Choice = TypeVar("Choice")

_SHORT = {
    "you": "u",
    "your": "ur",
    "are": "r",
    "to": "2",
    "for": "4",
    "please": "pls",
    "because": "cos",
    "going to": "gonna",
    "want to": "wanna",
    "don't know": "dunno",
    "tomorrow": "tmrw",
    "tonight": "2nite",
    "thanks": "thx",
    "people": "ppl",
    "about": "abt",
    "before": "b4",
    "right now": "rn",
    "with": "w",
    "and": "n",
    "be": "b",
    "the": "da",
    "know": "kno",
    "what": "wat",
    "that": "dat",
    "can't": "cant",
    "something": "smth",
    "mum": "mom",
    "mom": "mum",
    "see": "c",
}
_BEFORE = (
    *("hey", "hi", "so", "um", "omg", "ok so", "listen", "mate", "babe", "yo", "right", "well"),
    *("honestly", "look", "hi love", "hey bro", "dude", "sorry but", "just wanted to say", "tbh"),
    *("hello dear", "fyi"),
)
_BEHIND = (
    *(
        "x",
        "xx",
        "lol",
        "tbh",
        "..",
        "...",
        "!",
        "?",
        "!!",
        "😭",
        "😢",
        "smh",
        "man",
        "mate",
        "bro",
    ),
    *("babe", "love", "sir", "yaar", "na", "idk", "haha", "sorry", "pls", "honestly", "ngl", "fr"),
    *("😂", "🙏", "❤️", "x x", "right", "innit", "tho", "you know", "actually", "again"),
)
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_VOWELS = "aeiou"
# Of all texts, the share that stays as it is: the plain form is what most people write.
_PLAIN = 0.4
# Letters of the shortest word that a finger slips in.
_SLIPPED = 4

Vary = Callable[[str, np.random.Generator], str]


def varied(text: str, rng: np.random.Generator) -> str:
    """Return a text as somebody else might have written it; four in ten stay as they are.

    Args:
        text: a message.
        rng: which decides what changes.
    """
    if rng.random() < _PLAIN:
        return text
    for chance, change in _CHANGES:
        if rng.random() < chance:
            text = change(text, rng)
    return _in_capitals(text, rng)


def _without_apostrophes(text: str, _rng: np.random.Generator) -> str:
    return text.replace("'", "")


def _slipped_words(text: str, rng: np.random.Generator) -> str:
    words = text.split()
    return " ".join(_slipped(word, rng) if rng.random() < 0.2 else word for word in words)


def _with_begin(text: str, rng: np.random.Generator) -> str:
    return f"{_one_of(_BEFORE, rng)} {text}"


def _with_end(text: str, rng: np.random.Generator) -> str:
    return f"{text} {_one_of(_BEHIND, rng)}"


def _shortened(text: str, rng: np.random.Generator) -> str:
    for word, short in _SHORT.items():
        if word in text and rng.random() < 0.5:
            text = re.sub(rf"\b{re.escape(word)}\b", short, text)
    return text


def _slipped(word: str, rng: np.random.Generator) -> str:
    """Return a word with two letters swapped, one left out, doubled or replaced."""
    if len(word) < _SLIPPED or not word.isalpha():
        return word
    # the first letter is the one that people see
    position = int(rng.integers(1, len(word) - 1))
    before = word[:position]
    letter = word[position]
    behind = word[position + 1 :]
    slips = (
        before + behind[:1] + letter + behind[1:],
        before + behind,
        before + 2 * letter + behind,
        before + _one_of(_LETTERS, rng) + behind,
    )
    return _one_of(slips, rng)


def _run_together(text: str, rng: np.random.Generator) -> str:
    """Return a text with some of its blanks left out; one time in three with none of them."""
    share = 1.0 if rng.random() < 1 / 3 else 0.3
    first, *words = text.split()
    return first + "".join(word if rng.random() < share else f" {word}" for word in words)


def _unmarked(text: str, _rng: np.random.Generator) -> str:
    """Return a text as a machine hears it: without marks."""
    return re.sub(r"[.,;:!?]+(?=\s|$)", "", text) or text


def _stretched(text: str, rng: np.random.Generator) -> str:
    """Return a text with one of its vowels drawn out, as in "nooo"."""
    vowels = [position for position, letter in enumerate(text) if letter in _VOWELS]
    if not vowels:
        return text
    position = _one_of(vowels, rng)
    drawn_out = int(rng.integers(2, 6)) * text[position]
    return text[:position] + drawn_out + text[position:]


def _in_capitals(text: str, rng: np.random.Generator) -> str:
    """Return a text in capitals, in small letters, with a first capital, or as it is."""
    draw = rng.random()
    if draw < 0.1:
        return text.upper()
    if draw < 0.5:
        return text.lower()
    if draw < 0.7:
        return text[:1].upper() + text[1:]
    return text


def _one_of(choices: Sequence[Choice], rng: np.random.Generator) -> Choice:
    return choices[int(rng.integers(len(choices)))]


# How often each change is made, in this order: guesses at how people write, and rare enough that
# most texts have one change or two and can still be read.
_CHANGES: Sequence[tuple[float, Vary]] = (
    (0.25, _without_apostrophes),
    (0.25, _shortened),
    (0.25, _slipped_words),
    (0.15, _with_begin),
    (0.15, _with_end),
    (0.06, _run_together),
    (0.05, _unmarked),
    (0.03, _stretched),
)
