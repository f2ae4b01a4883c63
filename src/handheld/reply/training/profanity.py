"""Swearing, slurs and crude talk, as people write them: by a list of ours, whole words alone.

Words are compared after compatibility folding (full width, accents, case), with letters stretched
or doubled ("shiiit"), digits and signs for letters ("b1tch", "a$$"), letters masked ("f**k"), and
letters apart ("f u c k"). A word in a longer one is none: Scunthorpe, assess and cockpit pass.
"""

import operator
import re
import unicodedata
from collections import defaultdict
from functools import cache
from importlib import resources
from itertools import groupby
from typing import NamedTuple

# digits and signs that stand for letters: 0 for o, 1 for i, 3 for e, and so on
_SIGNS = str.maketrans("013457@$!+|", "oieastasiti")
_TOKEN = re.compile(r"(?:[^\W_]|[@$*!+|])+")
_APART = re.compile(r"(?<!\w)[^\W\d_](?:[ ._-]{1,2}[^\W\d_]){2,}(?!\w)")
# signs that more often end a sentence than stand for a letter
_EDGES = "!+|"
# one star behind a word marks a slip: "their*"
_MASKED = re.compile(r"[^*]+(?:\*+[^*]+)+\**|[^*]+\*{2,}")
# Letters and stars; "a*" says nothing.
_SHORTEST_MASKED = 3
# Categories of accents and of characters that nobody sees.
_UNSEEN = ("Mn", "Cf")

Runs = tuple[str, tuple[int, ...]]


class _ProfaneWords(NamedTuple):
    """The list.

    Attributes:
        whole: letters without their repetitions -> how often each stands at least, for each word
            with these letters.
        within: such letters that no innocent word holds.
        phrases: words that follow each other.
        innocent: words that are none of these.
    """

    whole: dict[str, list[tuple[int, ...]]]
    within: tuple[str, ...]
    phrases: tuple[str, ...]
    innocent: frozenset[str]


def is_profane(text: str) -> bool:
    """Return whether a text holds a word of the list, in whatever disguise.

    >>> is_profane("you a$$hole"), is_profane("F.U.C.K that"), is_profane("a class in Scunthorpe")
    (True, True, False)
    """
    folded = _folded(text)
    tokens = _TOKEN.findall(folded)
    spelled = ["".join(filter(str.isalpha, letters)) for letters in _APART.findall(folded)]
    if any(map(_is_listed, tokens + spelled)):
        return True
    line = f" {' '.join(tokens)} "
    return any(f" {phrase} " in line for phrase in _words().phrases)


def _folded(text: str) -> str:
    """Return a text in small letters without accents, and without what is not seen."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(filter(_is_seen, decomposed))


def _is_seen(letter: str) -> bool:
    return unicodedata.category(letter) not in _UNSEEN


def _is_listed(token: str) -> bool:
    """Return whether a word is on the list, with signs and stars for letters."""
    if token.isalpha():
        return _is_word(token)
    letters = sum(map(str.isalpha, token))
    digits = sum(map(str.isdigit, token))
    # A name of a thing, such as A55, has more digits than letters; a number, and five stars of
    # five, have no letter.
    if letters == 0 or letters < digits:
        return False
    spelled = token.translate(_SIGNS)
    bare = token.strip(_EDGES).translate(_SIGNS)
    return _is_word(spelled) or _is_word(bare.strip("*")) or _is_masked(bare)


def _is_word(word: str) -> bool:
    words = _words()
    if word in words.innocent:
        return False
    letters, counts = _runs(word)
    if any(listed in letters for listed in words.within):
        return True
    return any(_is_stretched(counts, fewest) for fewest in words.whole.get(letters, ()))


def _is_stretched(counts: tuple[int, ...], fewest: tuple[int, ...]) -> bool:
    """Return whether each letter stands as often as in a word of the list, or more often."""
    return all(map(operator.ge, counts, fewest))


# People mask few words, and the same ones: a pattern for each costs more than to remember it.
@cache
def _is_masked(token: str) -> bool:
    """Return whether letters and stars could be a word of the list."""
    if len(token) < _SHORTEST_MASKED or not _MASKED.fullmatch(token):
        return False
    pattern = re.compile(re.escape(token).replace(r"\*", "[a-z]"))
    return any(map(pattern.fullmatch, _spelled()))


def _runs(word: str) -> Runs:
    """Return a word's letters without repetitions, and how often each stands.

    >>> _runs("shiitt")
    ('shit', (1, 1, 2, 2))
    """
    runs = [(letter, len(list(same))) for letter, same in groupby(word)]
    letters = "".join(letter for letter, _ in runs)
    return letters, tuple(count for _, count in runs)


@cache
def _words() -> _ProfaneWords:
    spellings: dict[str, list[tuple[int, ...]]] = defaultdict(list)
    for word in _spelled():
        letters, counts = _runs(word)
        spellings[letters].append(counts)
    return _ProfaneWords(
        whole=dict(spellings),
        within=tuple(line.strip("*") for line in _lines("*")),
        phrases=tuple(line.removeprefix("+").strip() for line in _lines("+")),
        innocent=frozenset(" ".join(line.removeprefix("!") for line in _lines("!")).split()),
    )


@cache
def _spelled() -> frozenset[str]:
    """Return the words of the list, each ending spelled out."""
    words: set[str] = set()
    for line in _lines():
        if line.startswith(("!", "+")):
            continue
        stem, *endings = line.strip("*").split()
        words.update(stem + ending.strip("-") for ending in endings or ["-"])
    return frozenset(words)


@cache
def _lines(mark: str = "") -> tuple[str, ...]:
    """Return the lines of the list that begin with a mark."""
    path = resources.files("handheld.reply").joinpath("assets", "profanity.txt")
    lines = path.read_text("utf-8-sig").splitlines()
    listed = [line for line in lines if line and not line.startswith("#")]
    return tuple(line for line in listed if line.startswith(mark))
