"""A message as clauses, and the spans of clauses and of words that are judged one by one.

A grave clause must not drown in harmless ones, so a message is judged by its worst span. The spans
of a message are among those
of the message with more clauses before or behind it: adding clauses never makes it look more
    harmless.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from handheld.projection.words import Words, words_of

CLAUSES = 3  # of a span, at most: "my dad. he fell. it was quick" is clear together, not one by one
# Words; a clause that runs on is judged by windows as well, as people leave marks out. Windows of eight words alarmed
# more on harmless messages than they found: the area under the curve of our second set was 0.910 with them, 0.912 without any
WINDOW = 12
_STRIDE = 3  # words from one window to the next
_LONGEST = 48  # words of a span of several clauses

_JOINING = (
    "and|but|so|because|cos|coz|anyway|though|although|then|when|while|if|which|since|also|plus|or"
)
_BREAK = re.compile(
    rf"(?<=[.!?;:,…])\s+|\s+(?:{_JOINING})\s+|\s+[-\u2013\u2014]+\s+|[\n()]+", re.IGNORECASE
)
# A code, a price and a time are read by how many digits they have; these numbers alone say
# something by themselves.
_DIGIT = re.compile(r"\b(?:911|999|112)\b|\d")
_LEADING = re.compile(rf"^(?:(?:{_JOINING})\s+)+", re.IGNORECASE)


class MessageSpans(NamedTuple):
    """Parts of one message.

    Attributes:
        words: of all its clauses, one clause after another; a clause is a text of its own.
        begins, ends: (spans,) half-open ranges of words, the shortest first within each start.
    """

    words: Words
    begins: NDArray[np.intp]
    ends: NDArray[np.intp]


def clauses(text: str) -> list[str]:
    """Return the clauses of a text without the words and marks that join them; the text itself if
    there are none.

    >>> clauses("hey, my nan died and i can't come by 17:30. sorry!!")
    ['hey,', 'my nan died', "i can't come by 00:00.", 'sorry..']
    """
    # an exclamation mark is how something is said; it must not tell a clause from the same one
    # with more behind it
    text = text.replace("!", ".")
    text = _DIGIT.sub(lambda digit: digit[0] if len(digit[0]) > 1 else "0", text)
    pieces = [_LEADING.sub("", piece.strip()) for piece in _BREAK.split(text)]
    return [piece for piece in pieces if any(map(str.isalnum, piece))] or [text]


def joined(text: str) -> str:
    """Return a text as a span of all its clauses reads: what a detector learns from."""
    return " ".join(clauses(text))


def spans_of(*texts: str) -> MessageSpans:
    """Return one to three clauses that follow each other within one of some texts, and windows of
    twelve words in longer clauses.
    """
    pieces = [clauses(text) for text in texts]
    words = words_of(list(chain.from_iterable(pieces)))
    borders = words.offsets.tolist()
    ranges: dict[tuple[int, int], None] = {}
    first = 0
    for text in pieces:
        last = first + len(text)
        for clause in range(first, last):
            ranges.update(dict.fromkeys(_from(clause, borders[: last + 1])))
        first = last
    filled = [(begin, end) for begin, end in ranges if begin < end] or [(0, len(words.tokens))]
    both = np.array(filled, np.intp)
    return MessageSpans(words, both[:, 0], both[:, 1])


def _from(clause: int, borders: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the ranges that begin with a clause, given where each clause begins and the last one ends."""
    begin, end_of_clause = borders[clause], borders[clause + 1]
    for end in borders[clause + 1 : clause + 1 + CLAUSES]:
        if end == end_of_clause or end - begin <= _LONGEST:
            yield begin, end
    for start in _windows(begin, end_of_clause):
        yield start, start + WINDOW


def _windows(begin: int, end: int) -> list[int]:
    """Return where the windows of a clause begin; the last one ends with the clause."""
    last = end - WINDOW
    return [*range(begin, last, _STRIDE), last] if last > begin else []
