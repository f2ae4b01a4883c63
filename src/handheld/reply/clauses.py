"""A message as clauses, and the spans of clauses and of words that are judged one by one.

A grave clause must not drown in harmless ones, so a message is judged by its worst span. The spans
of a message are among those of the message with more clauses before or behind it: adding clauses
never makes it look more harmless.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from handheld.projection.words import Words, words_of

# Clauses of a span at most: "my dad. he fell. it was quick" is clear together, not one by one.
CLAUSES = 3
# Words. A clause that runs on is judged by windows as well, as people leave marks out. Windows of
# eight words alarmed more on harmless messages than they found: the area under the curve of our
# second set of messages was 0.910 with them, 0.912 without any (benchmarks/reply.py).
WINDOW = 12
# Words from one window to the next: a quarter, so that most phrases are whole in one of them.
_STRIDE = 3
# Words of a span of several clauses, as many as the network learns from (training.message_network).
_LONGEST = 48

_JOINING = (
    "and|but|so|because|cos|coz|anyway|though|although|then|when|while|if|which|since|also|plus|or"
)
_BREAK = re.compile(
    rf"(?<=[.!?;:,…])\s+|\s+(?:{_JOINING})\s+|\s+[-\u2013\u2014]+\s+|[\n()]+", re.IGNORECASE
)
# A code, a price and a time are read by how many digits they have; these numbers alone say
# something by themselves: they call for help.
_DIGIT = re.compile(r"\b(?:911|999|112)\b|\d")
_LEADING = re.compile(rf"^(?:(?:{_JOINING})\s+)+", re.IGNORECASE)


class MessageSpans(NamedTuple):
    """Stretches of one message, each of which is read by itself.

    Attributes:
        words: of all its clauses, one clause after another; a clause is a text of its own.
        begins, ends: (spans,) half-open ranges of words, the shortest first within each start.
    """

    words: Words
    begins: NDArray[np.intp]
    ends: NDArray[np.intp]


def clauses(text: str) -> list[str]:
    """Return the clauses of a text without the words and marks that join them.

    A text without any is its own only clause.

    >>> clauses("hey, my nan died and i can't come by 17:30. sorry!!")
    ['hey,', 'my nan died', "i can't come by 00:00.", 'sorry..']
    """
    # an exclamation mark is how something is said; it must not tell a clause from the same one
    # with more behind it
    text = text.replace("!", ".")
    text = _DIGIT.sub(_without_value, text)
    pieces = [_LEADING.sub("", piece.strip()) for piece in _BREAK.split(text)]
    spoken = [piece for piece in pieces if any(map(str.isalnum, piece))]
    return spoken or [text]


def _without_value(digit: re.Match[str]) -> str:
    is_emergency_number = len(digit[0]) > 1
    return digit[0] if is_emergency_number else "0"


def joined(text: str) -> str:
    """Return a text as a span of all its clauses reads: what a detector learns from."""
    return " ".join(clauses(text))


def spans_of(*texts: str) -> MessageSpans:
    """Return one to three clauses that follow each other within one of some texts, and windows.

    Windows of twelve words are cut from clauses that are longer.
    """
    clauses_of = [clauses(text) for text in texts]
    words = words_of(list(chain.from_iterable(clauses_of)))
    borders = words.offsets.tolist()
    # as keys: a window may be a clause as well, and each is read once
    ranges: dict[tuple[int, int], None] = {}
    first = 0
    for pieces in clauses_of:
        last = first + len(pieces)
        for clause in range(first, last):
            # borders end with this text: no span runs over into the next one
            ranges.update(dict.fromkeys(_beginning_with(clause, borders[: last + 1])))
        first = last
    filled = [(begin, end) for begin, end in ranges if begin < end]
    # a text without any word is one empty span, so that there is always something to judge
    bounds = np.array(filled or [(0, len(words.tokens))], np.intp)
    return MessageSpans(words, bounds[:, 0], bounds[:, 1])


def _beginning_with(clause: int, borders: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the ranges of words that begin with a clause.

    Args:
        clause: its number.
        borders: where each clause begins, and where the last one ends.
    """
    begin = borders[clause]
    end_of_clause = borders[clause + 1]
    for end in borders[clause + 1 : clause + 1 + CLAUSES]:
        if end == end_of_clause or end - begin <= _LONGEST:
            yield begin, end
    for start in _windows(begin, end_of_clause):
        yield start, start + WINDOW


def _windows(begin: int, end: int) -> list[int]:
    """Return where the windows of a clause begin; the last one ends with the clause."""
    last = end - WINDOW
    if last <= begin:
        return []
    return [*range(begin, last, _STRIDE), last]
