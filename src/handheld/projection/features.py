"""What is counted in a text: n-grams of words, with and without gaps, and of letters, as 64-bit fingerprints."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from handheld.errors import InputError
from handheld.projection.hashing import GOLDEN, Hashes, Numbers, mix
from handheld.projection.words import KEPT_LETTERS, Texts, Words, fingerprints, words_of

_KNOWN = 1 << 14  # words and lengths whose n-grams are kept


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
        begins, counts = self.offsets.take(texts), (self.offsets[1:] - self.offsets[:-1]).take(texts)
        offsets = np.zeros(len(texts) + 1, np.intp)
        counts.cumsum(out=offsets[1:])
        return Bag(self.hashes.take((begins - offsets[:-1]).repeat(counts) + np.arange(offsets[-1])), offsets)


@dataclass(frozen=True)
class Features:
    """Which features a text has.

    Attributes:
        words: words in the longest n-gram; 1 to 5, or 0 for none.
        skips: words that may be left out between two words of an n-gram, as in "how going"; 0 to 3.
        letters: lengths of n-grams of letters inside a word, its edges being letters too: "<ok>"; each 1 to 8.
        folding: version of the case folding, 1 or 2: see :func:`handheld.projection.words.words_of`.

    Raises:
        InputError: numbers outside of these, or no features at all.
    """

    words: int = 3
    skips: int = 2
    letters: tuple[int, ...] = ()
    folding: int = 1

    def __post_init__(self) -> None:
        if not (0 <= self.words <= 5 and 0 <= self.skips <= 3 and all(1 <= n <= 8 for n in self.letters)):
            raise InputError(f"expected words of 0 to 5, skips of 0 to 3 and letters of 1 to 8, got {self}")
        if self.folding not in (1, 2):
            raise InputError(f"folding is {self.folding}, expected version 1 or 2")
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
        bags = [self._of_words(words)] if self.words else []
        if self.letters:
            bags.append(self._of_letters(words))
        return bags[0] if len(bags) == 1 else _joined(*bags)

    def _of_words(self, words: Words) -> Bag:
        """Each n-gram starts at a word and goes on to others of its sentence: row by row, all that start at one word."""
        if self.words == 1:
            return Bag(words.hashes, words.offsets)
        count, reach = len(words.hashes), _reach(self.words, self.skips)
        hashes, sentence = np.zeros(count + reach[-1], np.uint64), np.full(count + reach[-1], -1, np.intp)
        hashes[:count], sentence[:count] = words.hashes, words.sentence
        places = np.arange(count)[:, None] + reach
        found = hashes.take(places)
        first, width = 1, 1
        for _ in range(1, self.words):
            longer = found[:, first - width : first].repeat(self.skips + 1, axis=1) * GOLDEN
            width *= self.skips + 1
            found[:, first : first + width] += longer
            first += width
        found[:, 1:] = mix(found[:, 1:])
        inside = sentence.take(places) == words.sentence[:, None]
        if len(words.offsets) == 2:
            kept = found[inside]
            return Bag(kept, np.array([0, len(kept)]))
        before = np.zeros(count + 1, np.intp)
        inside.sum(axis=1).cumsum(out=before[1:])
        return Bag(found[inside], before.take(words.offsets))

    def _of_letters(self, words: Words) -> Bag:
        """All n-grams of each word."""
        grams = [_grams(token, length) for token in words.tokens for length in self.letters]
        before = np.zeros(len(grams) + 1, np.intp)
        np.cumsum([len(each) for each in grams], out=before[1:])
        return Bag(np.concatenate(grams) if grams else np.empty(0, np.uint64), before.take(words.offsets * len(self.letters)))


def _grams(word: str, length: int) -> Hashes:
    return _kept_grams(word, length) if len(word) <= KEPT_LETTERS else _counted(word, length)


@lru_cache(_KNOWN)
def _kept_grams(word: str, length: int) -> Hashes:
    return _counted(word, length)


def _counted(word: str, length: int) -> Hashes:
    edged = f"<{word}>"
    return fingerprints([f"\0{edged[place : place + length]}" for place in range(len(edged) - length + 1)])


@lru_cache
def _reach(words: int, skips: int) -> Numbers:
    """How far each n-gram goes beyond its first word; those of one more word after those of one less."""
    reach = level = [0]
    for _ in range(1, words):
        level = [last + gap for last in level for gap in range(1, skips + 2)]
        reach = reach + level
    return np.array(reach)


def _joined(first: Bag, second: Bag) -> Bag:
    """Put each text's features of the second kind after those of the first."""
    if len(first) == 1:
        return Bag(np.concatenate([first.hashes, second.hashes]), first.offsets + second.offsets)
    hashes = np.empty(len(first.hashes) + len(second.hashes), np.uint64)
    for bag, before in ((first, second.offsets[:-1]), (second, first.offsets[1:])):
        hashes[np.arange(len(bag.hashes)) + before.repeat(np.diff(bag.offsets))] = bag.hashes
    return Bag(hashes, first.offsets + second.offsets)
