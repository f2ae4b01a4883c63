"""Texts that nobody wrote, made of messages that somebody did, for a teacher to judge.

Words are exchanged for near ones, beginnings of messages are joined to the ends of others, and
pieces are cut out. Many make no sense. That is no harm: what the teacher says of them shows the
small network how words weigh that none of our messages has beside each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handheld.reply.safety import HARMLESS
from handheld.reply.training.messages import MessageDraws, WrittenMessage
from handheld.reply.training.vectors import read_vectors

# Words, of which one takes another's place.
_NEAR = 12
# Shares of a message's words that are exchanged, each as often as the others.
_SHARES = (0.15, 0.3, 0.5)
# Of the texts, the share that begins with a grave message: what is missed there hurts.
_GRAVE = 0.65
# Of the texts, the shares in which words are exchanged and which are joined; the rest are pieces.
_EXCHANGES = 0.55
_JOINS = 0.25
# Words of a joined text and of a piece.
_LONGEST = 24
_SHORTEST_PIECE = 2
_LONGEST_PIECE = 8
# Words whose neighbours are looked for at once: 8 MB for 8,000 words.
_ROWS = 1000


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
        neighbours = min(_NEAR, len(words) - 1)
        nearest = []
        for start in range(0, len(words), _ROWS):
            cosines = vectors[start : start + _ROWS] @ vectors.T
            order = np.argsort(-cosines, axis=1, kind="stable")
            # the nearest of all is the word itself
            nearest.append(order[:, 1 : 1 + neighbours])
        return cls(words, np.concatenate(nearest))

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words)}

    def exchanged(self, text: str, share: float, rng: np.random.Generator) -> str:
        """Return a text in which about a share of the words, in [0, 1], became near ones."""
        words = []
        for word in text.split():
            number = self._numbers.get(word.strip(".,!?").lower())
            if number is not None and rng.random() < share:
                word = self.words[int(rng.choice(self.near[number]))]
            words.append(word)
        return " ".join(words)


def composed(
    written: Sequence[WrittenMessage], near_words: NearWords, count: int, rng: np.random.Generator
) -> list[str]:
    """Return texts made of hand-written messages, each once.

    Args:
        written: messages of several topics.
        near_words: words that stand for each other.
        count: texts, at most.
        rng: which draws.
    """
    composer = _Composer(
        harmless=MessageDraws.of([message for message in written if message.topic == HARMLESS]),
        grave=MessageDraws.of([message for message in written if message.topic != HARMLESS]),
        near=near_words,
        rng=rng,
    )
    return list(dict.fromkeys(composer.compose() for _ in range(count)))


@dataclass(frozen=True, eq=False)
class _Composer:
    """What texts are made of.

    Attributes:
        harmless, grave: messages.
        near: words that stand for each other.
        rng: which draws.
    """

    harmless: MessageDraws
    grave: MessageDraws
    near: NearWords
    rng: np.random.Generator

    def compose(self) -> str:
        """Return a text."""
        first = self._message()
        draw = self.rng.random()
        if draw < _EXCHANGES:
            share = float(self.rng.choice(_SHARES))
            return self.near.exchanged(first, share, self.rng)
        if draw < _EXCHANGES + _JOINS:
            return _joined(first, self._message(), self.rng)
        return _piece(first, self.rng)

    def _message(self) -> str:
        draws = self.grave if self.rng.random() < _GRAVE else self.harmless
        return draws.draw(self.rng)


def _joined(first: str, second: str, rng: np.random.Generator) -> str:
    """Return the beginning of one text and the end of another."""
    before = first.split()
    behind = second.split()
    # one word or more of the first, two or more of the second
    end = int(rng.integers(1, max(2, len(before))))
    begin = int(rng.integers(0, max(1, len(behind) - 1)))
    words = [*before[:end], *behind[begin:]]
    return " ".join(words[:_LONGEST])


def _piece(text: str, rng: np.random.Generator) -> str:
    """Return two to eight words of a text that follow each other."""
    words = text.split()
    count = int(rng.integers(_SHORTEST_PIECE, _LONGEST_PIECE + 1))
    begin = int(rng.integers(0, max(1, len(words) - count + 1)))
    return " ".join(words[begin : begin + count])
