"""Suggestions for misspelt names."""

from collections.abc import Iterable
from difflib import get_close_matches


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?", or the names that there are."""
    names = sorted(known)
    if not names:
        return "; there are none"
    close = get_close_matches(name, names, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    # All of them: a graph is small, and a name so far off was not mistyped but not known.
    return f"; there are {names}"
