"""Texts that nobody wrote, made of messages that somebody did, for a teacher to judge.

Words are exchanged for near ones, beginnings of messages are joined to the ends of others, and
pieces are cut out. Many make no sense. That is no harm: what the teacher says of them shows the
small network how words weigh that none of our messages has beside each other.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handheld.reply.training.messages import HARMLESS, WrittenMessage
from handheld.reply.training.vectors import read_vectors

_NEAR = 12  # words, of which one takes another's place
_SHARES = (0.15, 0.3, 0.5)  # of a message's words that are exchanged
_GRAVE = 0.65  # of the texts, those that begin with a grave message
_EXCHANGES, _JOINS = 0.55, 0.25  # of the texts; the rest are pieces
_LONGEST, _PIECE = 24, 8  # words of a joined text and of a piece
_ROWS = 1000  # words whose neighbours are looked for at once: 8 MB for 8,000 words


@dataclass(frozen=True, eq=False)
class NearWords:
    """Words that stand for each other.

    Attributes:
        words: lower-case.
        near: (words, neighbours) numbers of those that are nearest to each.
    """

    words: Sequence[str]
    near: NDArray[np.int64]

    @classmethod
    def read(cls, path: Path, count: int) -> "NearWords":
        """Read words and their vectors; see ``vectors.make_vectors``.

        Args:
            path: of the ``.npz`` file.
            count: words, at most.

        Raises:
            InputError: a file that cannot be read.
        """
        words, vectors = read_vectors(path, count)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors = vectors / np.maximum(lengths, 1e-6)
        kept = min(_NEAR, len(words) - 1)
        near = []
        for start in range(0, len(words), _ROWS):
            rows = vectors[start : start + _ROWS]
            # the nearest of all is the word itself
            order = np.argsort(-(rows @ vectors.T), axis=1, kind="stable")
            near.append(order[:, 1 : 1 + kept])
        return cls(words, np.concatenate(near))

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words)}

    def exchanged(self, text: str, share: float, rng: np.random.Generator) -> str:
        """Return a text in which about a share of the words, 0 to 1, became near ones."""
        written = []
        for word in text.split():
            number = self._numbers.get(word.strip(".,!?").lower())
            if number is not None and rng.random() < share:
                word = self.words[int(rng.choice(self.near[number]))]
            written.append(word)
        return " ".join(written)


def composed(
    written: Sequence[WrittenMessage], near: NearWords, count: int, rng: np.random.Generator
) -> list[str]:
    """Return texts made of hand-written messages, each once.

    Args:
        written: messages of several topics.
        near: words that stand for each other.
        count: texts, at most.
        rng: which draws.
    """
    fine = _MessageDraws.of([message for message in written if message.topic == HARMLESS])
    grave = _MessageDraws.of([message for message in written if message.topic != HARMLESS])
    texts: dict[str, None] = {}
    for _ in range(count):
        first = grave.draw(rng) if rng.random() < _GRAVE else fine.draw(rng)
        draw = rng.random()
        if draw < _EXCHANGES:
            text = near.exchanged(first, float(rng.choice(_SHARES)), rng)
        elif draw < _EXCHANGES + _JOINS:
            text = _joined(first, grave.draw(rng) if rng.random() < _GRAVE else fine.draw(rng), rng)
        else:
            text = _piece(first, rng)
        texts[text] = None
    return list(texts)


@dataclass(frozen=True, eq=False)
class _MessageDraws:
    """Messages, and how often each is drawn: a line that stands for many counts more than one that
    stands for one, but not as many times.
    """

    texts: Sequence[str]
    shares: NDArray[np.float64]

    @classmethod
    def of(cls, written: Sequence[WrittenMessage]) -> "_MessageDraws":
        lines = Counter(message.source for message in written)
        weights = np.array([lines[message.source] ** -0.5 for message in written])
        return cls([message.text for message in written], weights / weights.sum())

    def draw(self, rng: np.random.Generator) -> str:
        return self.texts[int(rng.choice(len(self.texts), p=self.shares))]


def _joined(first: str, second: str, rng: np.random.Generator) -> str:
    """Return the beginning of one text and the end of another."""
    before = first.split()
    behind = second.split()
    end = int(rng.integers(1, max(2, len(before))))
    begin = int(rng.integers(0, max(1, len(behind) - 1)))
    return " ".join([*before[:end], *behind[begin:]][:_LONGEST])


def _piece(text: str, rng: np.random.Generator) -> str:
    """Return two to eight words of a text that follow each other."""
    words = text.split()
    count = int(rng.integers(2, _PIECE + 1))
    begin = int(rng.integers(0, max(1, len(words) - count + 1)))
    return " ".join(words[begin : begin + count])
