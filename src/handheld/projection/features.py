"""What is counted in a text: n-grams of words and of letters, as 64-bit fingerprints.

N-grams of words are with and without gaps.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.projection.hashing import GOLDEN, Hashes, Numbers, mix
from handheld.projection.ragged import counts_of, offsets_of, taken
from handheld.projection.words import KEPT_LETTERS, Texts, Words, fingerprints, words_of
from handheld.ranges import whole_in_range

_Scalar = TypeVar("_Scalar", bound=np.generic)

_CACHED_GRAMS = 1 << 14  # words and lengths whose n-grams are kept


class Bag(NamedTuple):
    """The features of some texts, one text after another.

    Attributes:
        hashes: (features,) uint64; a feature that occurs twice is there twice.
        offsets: (texts + 1,) where each text's features begin; the last is their number.
    """

    hashes: Hashes
    offsets: Numbers

    def __len__(self) -> int:
        """Return how many texts there are."""
        return len(self.offsets) - 1

    def take(self, texts: Numbers) -> "Bag":
        """Return some of the texts, in the order given."""
        offsets, indices = taken(self.offsets, texts)
        return Bag(self.hashes.take(indices), offsets)


@dataclass(frozen=True)
class Features:
    """Which features a text has.

    Attributes:
        words: words in the longest n-gram, in [0, 5]; 0: none.
        skips: words that may be left out between two words of an n-gram, as in "how going", in
            [0, 3].
        letters: lengths of n-grams of letters inside a word, its edges being letters too: ``<ok>``;
            each in [1, 8].
        folding: version of the case folding, 1 or 2: see
            :func:`handheld.projection.words.words_of`.

    Raises:
        InputError: numbers outside of these, or no features at all.
    """

    words: int = 3
    skips: int = 2
    letters: tuple[int, ...] = ()
    folding: int = 1

    def __post_init__(self) -> None:
        whole_in_range("words", self.words, low=0, high=5)
        whole_in_range("skips", self.skips, low=0, high=3)
        for number, length in enumerate(self.letters):
            whole_in_range(f"letters[{number}]", length, low=1, high=8)
        whole_in_range("folding", self.folding, low=1, high=2)
        if not self.words and not self.letters:
            raise InputError("expected some features: n-grams of words, of letters, or both")

    def of(self, texts: Texts) -> Bag:
        """Return the features of texts.

        Args:
            texts: any, in any language, or their words; a text without a word has no features.

        >>> Features(words=2, skips=0).of(["yes I do", ""]).offsets.tolist()
        [0, 5, 5]
        """
        words = words_of(texts, self.folding)
        if not self.letters:
            return self._of_words(words)
        if not self.words:
            return self._of_letters(words)
        return _joined(self._of_words(words), self._of_letters(words))

    def _of_words(self, words: Words) -> Bag:
        """Return the n-grams of words: row by row, all that start at one word.

        Each starts at a word and goes on to others of its sentence.
        """
        if self.words == 1:
            return Bag(words.hashes, words.offsets)
        reach = _reach(self.words, self.skips)
        last_words = np.arange(len(words.hashes))[:, None] + reach
        grams = _lengthened(words.hashes, reach[-1], 0).take(last_words)
        self._combine(grams)
        # Behind the last text there is no sentence: -1 is none of a word's.
        sentence = _lengthened(words.sentence, reach[-1], -1).take(last_words)
        is_inside = sentence == words.sentence[:, None]
        inside = grams[is_inside]
        if len(words.offsets) == 2:  # one text, which is what a device reads: no need to count
            return Bag(inside, np.array([0, len(inside)]))
        offsets = offsets_of(is_inside.sum(axis=1))
        return Bag(inside, offsets.take(words.offsets))

    def _combine(self, grams: Hashes) -> None:
        """Make n-grams of their last words' hashes, in place.

        Args:
            grams: (words, n-grams) hash of each n-gram's last word, in the order of ``_reach``.
        """
        start = 1
        width = 1
        for _ in range(1, self.words):
            shorter = grams[:, start - width : start]
            width *= self.skips + 1
            grams[:, start : start + width] += shorter.repeat(self.skips + 1, axis=1) * GOLDEN
            start += width
        # Mixed once they are whole: a single word keeps its fingerprint.
        grams[:, 1:] = mix(grams[:, 1:])

    def _of_letters(self, words: Words) -> Bag:
        """Return all n-grams of letters of each word."""
        grams = [_grams(word, length) for word, length in product(words.tokens, self.letters)]
        if not grams:
            return Bag(np.empty(0, np.uint64), np.zeros_like(words.offsets))
        offsets = offsets_of(np.fromiter(map(len, grams), np.intp, len(grams)))
        return Bag(np.concatenate(grams), offsets.take(words.offsets * len(self.letters)))


def _grams(word: str, length: int) -> Hashes:
    if len(word) > KEPT_LETTERS:
        return _grams_of(word, length)
    return _cached_grams(word, length)


@lru_cache(_CACHED_GRAMS)
def _cached_grams(word: str, length: int) -> Hashes:
    return _grams_of(word, length)


def _grams_of(word: str, length: int) -> Hashes:
    edged = f"<{word}>"
    starts = range(len(edged) - length + 1)
    # A zero before the letters, which no word has, keeps an n-gram apart from a word.
    return fingerprints([f"\0{edged[start : start + length]}" for start in starts])


@lru_cache
def _reach(words: int, skips: int) -> Numbers:
    """Return how far the last word of each n-gram is from its first, shorter n-grams first."""
    # In the order in which _combine makes longer n-grams of shorter ones.
    gaps = range(1, skips + 2)
    reach = [0]
    level = reach
    for _ in range(1, words):
        level = [last + gap for last, gap in product(level, gaps)]
        reach = reach + level
    return np.array(reach)


def _lengthened(values: NDArray[_Scalar], count: int, fill: int) -> NDArray[_Scalar]:
    lengthened = np.empty(len(values) + count, values.dtype)
    lengthened[: len(values)] = values
    lengthened[len(values) :] = fill
    return lengthened


def _joined(first: Bag, second: Bag) -> Bag:
    """Put each text's features of the second kind after those of the first."""
    offsets = first.offsets + second.offsets
    # One text, which is what a device reads: no need to find where each feature goes.
    if len(first) == 1:
        return Bag(np.concatenate([first.hashes, second.hashes]), offsets)
    hashes = np.empty(offsets[-1], np.uint64)
    hashes[_shifted_indices(first, second.offsets[:-1])] = first.hashes
    hashes[_shifted_indices(second, first.offsets[1:])] = second.hashes
    return Bag(hashes, offsets)


def _shifted_indices(bag: Bag, shifts: Numbers) -> Numbers:
    """Return the index of each feature, every text's moved by a shift of its own."""
    return np.arange(len(bag.hashes)) + shifts.repeat(counts_of(bag.offsets))
