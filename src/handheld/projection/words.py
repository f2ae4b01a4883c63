"""Texts as words with 64-bit fingerprints, sentence by sentence.

Normalised as the smart-reply models for TensorFlow Lite were (2017): lower case, contractions
opened, repeated marks taken as one, sentences split at marks, of which ``?`` and ``!`` are words
too.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

try:
    from _blake2 import blake2b  # hashlib would bring OpenSSL along, and 4 MB of memory
except ImportError:
    from hashlib import blake2b

from handheld.errors import InputError
from handheld.projection.characters import normalised, tokens
from handheld.projection.hashing import Hashes, Numbers

_MARKS = frozenset(".?!")
_CACHED_WORDS = 1 << 15  # fingerprints that are kept: more words than most people use
_MAX_LETTERS = 256  # of a word, in version 2

KEPT_LETTERS = 64
"""Letters of a word up to which something of it is cached: so caches are bounded in bytes, whatever
texts come.
"""

_OPENED_WHOLE = {
    "can't": "can not",
    "won't": "will not",
    "shan't": "shall not",
    "ain't": "is not",
    "let's": "let us",
    "y'all": "you all",
}
_OPENED_ENDINGS = {
    "n't": " not",
    "'re": " are",
    "'m": " am",
    "'ll": " will",
    "'ve": " have",
    "'d": " would",
    "'s": " is",
}
# "'s" is opened behind a few words alone: behind others it is mostly a genitive.
_CONTRACTION = re.compile(
    r"\b(?:(?P<whole>can't|won't|shan't|ain't|let's|y'all)"
    r"|(?P<stem>it|s?he|that|what|where|who|how|there|here|when|why)(?P<is>'s)"
    r"|(?P<word>[a-z]+?)(?P<ending>n't|'re|'m|'ll|'ve|'d))\b",
    re.IGNORECASE | re.ASCII,
)


class Words(NamedTuple):
    """The words of some texts, one text after another.

    Attributes:
        tokens: (words,) the words.
        hashes: (words,) uint64 fingerprints.
        sentence: (words,) number of each word's sentence, over all texts.
        offsets: (texts + 1,) where each text begins.
    """

    tokens: list[str]
    hashes: Hashes
    sentence: Numbers
    offsets: Numbers

    def first(self) -> "Words":
        """Return those of the first text."""
        end = self.offsets[1]
        return Words(self.tokens[:end], self.hashes[:end], self.sentence[:end], self.offsets[:2])


Texts = Sequence[str] | Words


def words_of(texts: Texts, folding: int = 1) -> Words:
    """Split texts into words; words are returned as they are.

    So what reads texts reads words that are known as well.

    Args:
        texts: a list of them, or words.
        folding: version of the case folding, see
            :func:`handheld.projection.characters.normalised`. Version 2 also cuts a word behind
            its 256th letter, so that a text without blanks costs no more than another.

    Raises:
        InputError: one text, not a list.

    >>> words = words_of(["It's late!! Go.", "ok"])
    >>> words.tokens, words.sentence.tolist(), words.offsets.tolist()
    (['it', 'is', 'late', '!', 'go', 'ok'], [0, 0, 0, 0, 1, 2], [0, 5, 6])
    """
    if isinstance(texts, Words):
        return texts
    if isinstance(texts, str):
        raise InputError("expected a list of texts, got one str: put it in a list, [text]")
    words: list[str] = []
    sentences: list[int] = []
    offsets = [0]
    first_sentence = 0
    for text in texts:
        sentence = first_sentence
        for word, sentence in _words_in(text, folding, first_sentence):
            words.append(word)
            sentences.append(sentence)
        first_sentence = sentence + 1
        offsets.append(len(words))
    hashes = np.fromiter(map(fingerprint, words), np.uint64, len(words))
    return Words(words, hashes, np.array(sentences, np.intp), np.array(offsets, np.intp))


def _words_in(text: str, folding: int, sentence: int) -> Iterator[tuple[str, int]]:
    """Yield the words of a text and the number of their sentence; the first has ``sentence``."""
    max_letters = None
    # version 1 cut nothing, and files that read by it still do not
    if folding != 1:
        max_letters = _MAX_LETTERS
    is_behind_mark = False
    for token in tokens(normalised(opened(text), folding)):
        if token in _MARKS:
            # A new sentence begins with the next word, not with the mark: a text may end there.
            is_behind_mark = True
            if token == ".":
                continue
        elif is_behind_mark:
            sentence += 1
            is_behind_mark = False
        yield token[:max_letters], sentence


def fingerprint(word: str) -> int:
    """Return 64 bits that stand for a word: the same on every machine (BLAKE2, RFC 7693)."""
    if len(word) > KEPT_LETTERS:
        return _fingerprint(word)
    return _cached_fingerprint(word)


@lru_cache(_CACHED_WORDS)
def _cached_fingerprint(word: str) -> int:
    return _fingerprint(word)


def _fingerprint(word: str) -> int:
    return int.from_bytes(_digest(word), "little")


def fingerprints(words: Sequence[str]) -> Hashes:
    """Return (words,) the :func:`fingerprint` of each; nothing is cached."""
    digests = b"".join([_digest(word) for word in words])
    return np.frombuffer(digests, "<u8").astype(np.uint64)


def _digest(word: str) -> bytes:
    # Half a surrogate pair, as a cut message may end with, is a letter like others.
    return blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def opened(text: str) -> str:
    """Open contractions.

    >>> opened("It's true, you can't and I won't")
    'It is true, you can not and I will not'
    """
    if "\u2019" in text:
        # What telephones write for an apostrophe.
        text = text.replace("\u2019", "'")
    if "'" not in text:  # most texts: the pattern is slow beside the search for one character
        return text
    return _CONTRACTION.sub(_open, text)


def _open(match: re.Match[str]) -> str:
    contraction = match["whole"]
    if contraction:
        return _OPENED_WHOLE[contraction.lower()]
    stem = str(match["stem"] or match["word"])
    ending = str(match["is"] or match["ending"])
    return stem + _OPENED_ENDINGS[ending.lower()]
