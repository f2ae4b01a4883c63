"""How different people write the same message: spelling, capitals, short forms, slips of the
finger, blanks and marks left out, words before and behind.
"""

import re
from collections.abc import Callable, Sequence

import numpy as np

_SHORT = {
    "you": "u", "your": "ur", "are": "r", "to": "2", "for": "4", "please": "pls", "because": "cos",
    "going to": "gonna", "want to": "wanna", "don't know": "dunno", "tomorrow": "tmrw",
    "tonight": "2nite", "thanks": "thx", "people": "ppl", "about": "abt", "before": "b4",
    "right now": "rn", "with": "w", "and": "n", "be": "b", "the": "da", "know": "kno", "what": "wat",
    "that": "dat", "can't": "cant", "something": "smth", "mum": "mom", "mom": "mum", "see": "c",
}  # fmt: skip
_BEFORE = (
    "hey", "hi", "so", "um", "omg", "ok so", "listen", "mate", "babe", "yo", "right", "well", "honestly",
    "look", "hi love", "hey bro", "dude", "sorry but", "just wanted to say", "tbh", "hello dear", "fyi",
)  # fmt: skip
_BEHIND = (
    "x", "xx", "lol", "tbh", "..", "...", "!", "?", "!!", "😭", "😢", "smh", "man", "mate", "bro", "babe",
    "love", "sir", "yaar", "na", "idk", "haha", "sorry", "pls", "honestly", "ngl", "fr", "😂", "🙏", "❤️",
    "x x", "right", "innit", "tho", "you know", "actually", "again",
)  # fmt: skip
_LETTERS = "abcdefghijklmnopqrstuvwxyz"

Vary = Callable[[str], str]


def varied(text: str, rng: np.random.Generator) -> str:
    """Return a text as somebody else might have written it; four in ten stay as they are.

    Args:
        text: a message.
        rng: which decides what changes.
    """
    if rng.random() < 0.4:
        return text
    if rng.random() < 0.25:
        text = text.replace("'", "")
    if rng.random() < 0.25:
        text = _shortened(text, rng)
    if rng.random() < 0.25:
        text = " ".join(
            _slipped(word, rng) if rng.random() < 0.2 else word for word in text.split()
        )
    if rng.random() < 0.15:
        text = f"{_one_of(_BEFORE, rng)} {text}"
    if rng.random() < 0.15:
        text = f"{text} {_one_of(_BEHIND, rng)}"
    if rng.random() < 0.06:
        text = _run_together(text, rng)
    if rng.random() < 0.05:
        text = _unmarked(text)
    if rng.random() < 0.03:
        text = _stretched(text, rng)
    return _in_capitals(text, rng)


def _shortened(text: str, rng: np.random.Generator) -> str:
    for word, short in _SHORT.items():
        if word in text and rng.random() < 0.5:
            text = re.sub(rf"\b{re.escape(word)}\b", short, text)
    return text


def _slipped(word: str, rng: np.random.Generator) -> str:
    """Return a word with two letters swapped, one left out, doubled or replaced."""
    if len(word) < 4 or not word.isalpha():
        return word
    place = int(rng.integers(1, len(word) - 1))
    before, letter, behind = word[:place], word[place], word[place + 1 :]
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


def _unmarked(text: str) -> str:
    """Return a text as a machine hears it: without marks."""
    return re.sub(r"[.,;:!?]+(?=\s|$)", "", text) or text


def _stretched(text: str, rng: np.random.Generator) -> str:
    """Return a text with one of its vowels drawn out, as in "nooo"."""
    vowels = [place for place, letter in enumerate(text) if letter in "aeiou"]
    if not vowels:
        return text
    place = vowels[int(rng.integers(len(vowels)))]
    return text[:place] + int(rng.integers(2, 6)) * text[place] + text[place:]


def _in_capitals(text: str, rng: np.random.Generator) -> str:
    draw = rng.random()
    if draw < 0.1:
        return text.upper()
    if draw < 0.5:
        return text.lower()
    return text[:1].upper() + text[1:] if draw < 0.7 else text


def _one_of(choices: Sequence[str], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]
