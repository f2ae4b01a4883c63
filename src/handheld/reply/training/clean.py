"""What must not be learned from: personal data, placeholders, abuse."""

import re
from functools import cache
from importlib import resources

from handheld.errors import MissingDependencyError
from handheld.projection.words import words_of

_PATTERNS = {
    "a placeholder": re.compile(r"\[[^\]]*\]|\{[^}]*\}|<[^>]*>|_{2,}|\bX{2,}\b"),
    "an address": re.compile(r"https?:|www\.|\b\w+@\w+|@\w{2,}|\b\w+\.(?:com|org|net|io|edu)\b", re.IGNORECASE),
    "a number that could be somebody's": re.compile(r"(?:\d[\s().-]?){6,}"),
}
_COMMON = frozenset(
    ("god", "hell", "damn", "ugly", "stupid", "crap", "screw", "fat", "kill", "sexy", "weed", "xx", "xxx", "ex")
)
"""Words of the library's list that are no abuse by themselves."""


def reason_against(text: str) -> str:
    """Return why a text is not learned from; an empty text for one that is."""
    for reason, pattern in _PATTERNS.items():
        if pattern.search(text):
            return reason
    return "abuse" if abusive(text) else ""


def abusive(text: str) -> bool:
    """Return whether a text holds a word of better-profanity's list. Raises :class:`MissingDependencyError`."""
    return not _abuse().isdisjoint(words_of([text]).tokens)


@cache
def _abuse() -> frozenset[str]:
    try:
        path = resources.files("better_profanity") / "profanity_wordlist.txt"
    except ImportError as error:
        raise MissingDependencyError("better-profanity", "train", "cleaning conversations") from error
    words = {line.strip().lower() for line in path.read_text(encoding="utf-8").splitlines()}
    return frozenset(word for word in words if word.isalpha()) - _COMMON
