"""Vectors of words from a sentence encoder.

It reads each word as if it were a sentence, and principal components keep what differs most between
them.
"""

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from handheld.arrays import read_npz
from handheld.errors import InputError
from handheld.files import atomic_path
from handheld.projection.words import words_of
from handheld.reply.training.encoder import SentenceEncoder
from handheld.training import Report

WORDS = "words.npz"
"""File in a run's folder that keeps the vectors."""

# Messages in which a word must stand: fewer are slips and names.
_SEEN = 5
# Uses beyond which a word is no more useful.
_OFTEN = 5_000
# Uses that a word of our messages, and one of the encoder's own, counts for: what our messages say
# must be known, and a word that any text has may be said to somebody.
_WRITTEN = 40
_COMMON = 6
# Letters of the shortest piece of the encoder's that is taken for a word.
_SHORTEST = 3
# Words that are read at once.
_BATCH = 256
# Words that the components are fitted to, the most useful ones: memory grows with them.
_FITTED = 8_000


def make_vectors(
    path: Path,
    folder: Path,
    said: Iterable[str],
    written: Iterable[str],
    shape: tuple[int, int],
    report: Report,
) -> None:
    """Write words, the most useful first, and their vectors, as :func:`read_vectors` reads them.

    Args:
        path: of the ``.npz`` file; one that is there stays.
        folder: of the encoder.
        said: texts of conversations.
        written: messages that the detector learns from.
        shape: (words, numbers of a vector) at most; an encoder may give fewer numbers.
        report: called after each step.

    Raises:
        InputError: no encoder there.
        MissingDependencyError: ``transformers`` is not installed.
    """
    if path.exists():
        return
    count, size = shape
    encoder = SentenceEncoder(folder).eval()
    words = useful_words(said, written, encoder.words)[:count]
    vectors = _encoded(encoder, words, report)
    vectors -= vectors.mean(axis=0)
    _, _, directions = np.linalg.svd(vectors[:_FITTED], full_matrices=False)
    reduced = vectors @ directions[:size].T
    # of size 1, whatever the encoder gives: levels of the detector's vocabulary are relative to it
    reduced /= max(float(reduced.std()), 1e-6)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, words=np.array(words), vectors=reduced.astype(np.float16))


def read_vectors(path: Path, count: int) -> tuple[list[str], NDArray[np.float64]]:
    """Read what :func:`make_vectors` wrote.

    Args:
        path: of an ``.npz`` file with ``words``, the most useful first, and their ``vectors``.
        count: words, at most.

    Returns:
        The words, and (words, size) vectors.

    Raises:
        InputError: a file that cannot be read.
    """
    try:
        arrays = read_npz(path, sys.maxsize)
        words = arrays["words"][:count].tolist()
        vectors = arrays["vectors"][:count].astype(np.float64)
    except (OSError, KeyError, ValueError, IndexError) as error:
        raise InputError(f"{path} cannot be read as words and their vectors: {error}") from error
    return words, vectors


def useful_words(said: Iterable[str], written: Iterable[str], common: Iterable[str]) -> list[str]:
    """Return the words of Latin letters that messages use most, those of our own first of all.

    Args:
        said: texts of conversations.
        written: our own messages.
        common: words of any text, which the encoder knows.
    """
    uses = _uses(said)
    ours = _uses(written)
    known = {word for word in common if len(word) >= _SHORTEST}
    often = {word for word, count in uses.items() if count >= _SEEN}
    words = filter(_is_latin_word, often | ours.keys() | known)

    def score(word: str) -> int:
        return min(uses[word], _OFTEN) + _WRITTEN * ours[word] + _COMMON * (word in known)

    # of words that are as useful by the alphabet: sets have no order
    return sorted(words, key=lambda word: (-score(word), word))


def _is_latin_word(word: str) -> bool:
    return word.isascii() and word.isalpha()


def _uses(texts: Iterable[str]) -> Counter[str]:
    """Count the texts in which each word stands."""
    uses: Counter[str] = Counter()
    for text in texts:
        uses.update(set(words_of([text]).tokens))
    return uses


@torch.inference_mode()
def _encoded(encoder: SentenceEncoder, words: Sequence[str], report: Report) -> NDArray[np.float32]:
    """Return (words, size of the encoder) vectors of length 1."""
    vectors = []
    for start in range(0, len(words), _BATCH):
        batch = words[start : start + _BATCH]
        vectors.append(torch.nn.functional.normalize(encoder(batch), dim=1).numpy())
        report(start + len(batch), len(words), 0.0)
    return np.concatenate(vectors)
