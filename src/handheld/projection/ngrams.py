"""N-grams of words and of letters inside words, of many texts at once: fast features of texts.

Hashes are polynomials modulo 2^64 over the characters (Karp and Rabin, "Efficient Randomized
Pattern-Matching Algorithms", 1987), so that an n-gram's follows from a shorter one's in two
operations, then spread by SplitMix64's finaliser. They depend on nothing but the text: the same on
every machine, alone or in a batch, compiled or not.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.projection.features import Bag
from handheld.projection.folding import (
    ALONE,
    BLANK,
    CLASS_SHIFT,
    DROPPED,
    MARK,
    WORD,
    Codes,
    code_table,
)
from handheld.projection.hashing import GOLDEN, Hashes, Numbers, mix
from handheld.projection.ragged import counts_of, filtered, offsets_of
from handheld.ranges import whole_in_range

BASE = np.uint64(0xD1342543DE82EF95)
"""Of the polynomials: odd, so that it has an inverse (a multiplier of Steele and Vigna,
"Computationally Easy, Spectrally Good Multipliers", arXiv 2001.05304).
"""

_INVERSE = np.uint64(pow(int(BASE), -1, 1 << 64))
WORD_SALT = np.uint64(99)  # keeps a word apart from the n-gram of the same letters
_CHUNK = 1 << 15  # letters at once: the arrays of so many stay in the processor's cache


@dataclass(frozen=True)
class NGrams:
    """Which n-grams of a text are counted, and into how many buckets they fall.

    Attributes:
        words: words in the longest n-gram of words, in [0, 3]. A word is a run of letters and
            digits; an emoji, a question or exclamation mark, and a letter of a script without
            spaces is one by itself.
        letters: lengths of the n-grams of letters, each in [2, 8], in rising order: inside a piece
            of text between spaces, whose edges are letters too.
        bits: of a bucket's number, in [8, 24].
        longest: letters of a text that are read, in [1, 1000000]; a longer text is cut.

    Raises:
        InputError: a number outside of these, or no n-grams at all.
    """

    words: int = 2
    letters: tuple[int, ...] = (2, 3, 4, 5)
    bits: int = 20
    longest: int = 20_000

    def __post_init__(self) -> None:
        whole_in_range("words", self.words, low=0, high=3)
        for number, length in enumerate(self.letters):
            whole_in_range(f"letters[{number}]", length, low=2, high=8)
        if sorted(set(self.letters)) != list(self.letters):
            raise InputError(f"letters: expected lengths in rising order, got {self.letters}")
        if not self.words and not self.letters:
            raise InputError("expected n-grams of words, of letters, or both, got none")
        whole_in_range("bits", self.bits, low=8, high=24)
        whole_in_range("longest", self.longest, low=1, high=1_000_000)

    @property
    def shift(self) -> np.uint64:
        """How far a hash is shifted to give a bucket."""
        return np.uint64(64 - self.bits)

    def of(self, texts: Sequence[str]) -> Bag:
        """Return the buckets of texts, each n-gram where its first letter is.

        One that occurs twice is there twice.
        """
        bags = [self._bag(chunk) for chunk in chunks(self.read(texts))]
        if len(bags) == 1:
            return bags[0]
        buckets = [bag.hashes for bag in bags]
        counts = [counts_of(bag.offsets) for bag in bags]
        # with an empty one before them, as no texts have no arrays to join
        all_counts = np.concatenate([np.empty(0, np.intp), *counts])
        all_buckets = np.concatenate([np.empty(0, np.uint64), *buckets])
        return Bag(all_buckets, offsets_of(all_counts))

    def read(self, texts: Sequence[str]) -> list[str]:
        """Return what is read of each text: its beginning, with accents composed.

        Raises:
            InputError: one text, not a list.
        """
        if isinstance(texts, str):
            raise InputError("expected a list of texts, got one str: put it in a list, [text]")
        return [unicodedata.normalize("NFC", text[: self.longest]) for text in texts]

    def _bag(self, texts: Sequence[str]) -> Bag:
        hashes, is_gram, starts = self.hashed(texts)
        # One more, since a text may start behind the last character.
        counts_at = np.append(is_gram.sum(axis=0), 0)
        counts = np.add.reduceat(counts_at, starts)[:-1]
        # For a text of no characters reduceat returns the next one's first.
        counts[starts[1:] == starts[:-1]] = 0
        return Bag(hashes.T[is_gram.T] >> self.shift, offsets_of(counts))

    def hashed(self, texts: Sequence[str]) -> tuple[Hashes, NDArray[np.bool_], Numbers]:
        """Return the hashes of all n-grams that start at each character.

        Args:
            texts: as :meth:`read` gives them.

        Returns:
            (n-grams, characters) hashes; whether there is such an n-gram; and (texts + 1,) the
            first character of each text.
        """
        codes, starts = collapsed(texts)
        lengths = len(self.letters)
        shape = (lengths + self.words, len(codes))
        hashes = np.empty(shape, np.uint64)
        is_gram = np.zeros(shape, np.bool_)
        self._hash_letters(codes, hashes, is_gram)
        if self.words:
            self._hash_words(codes, starts, hashes[lengths:], is_gram[lengths:])
        return hashes, is_gram, starts

    def _hash_letters(self, codes: Codes, hashes: Hashes, is_gram: NDArray[np.bool_]) -> None:
        """Write the n-grams of letters, a row for each length, each length made of the last."""
        is_letter = codes != BLANK
        values = codes.astype(np.uint64)
        is_inside = np.ones(len(codes) - 1, np.bool_)
        running = values
        row = 0
        for length in range(2, max(self.letters, default=1) + 1):
            count = max(0, len(codes) - length + 1)
            # One multiplication and one addition for a letter more (Karp and Rabin).
            running = running[:count] * BASE + values[length - 1 :][:count]
            is_inside = is_inside[:count]
            if length > 2:  # the edges may be blanks, what is between them may not
                is_inside = is_inside & is_letter[length - 2 :][:count]
            if length in self.letters:
                hashes[row, :count] = mix(running + _times_golden(length))
                is_gram[row, :count] = is_inside
                row += 1

    def _hash_words(
        self, codes: Codes, text_starts: Numbers, hashes: Hashes, is_gram: NDArray[np.bool_]
    ) -> None:
        """Write the n-grams of words, a row for each number of words, at the first's letter."""
        starts, ends = word_edges(codes)
        if not len(starts):
            return
        single = _word_hashes(codes, starts, ends)
        text = text_starts.searchsorted(starts, "right")
        hashes[0, starts] = single
        is_gram[0, starts] = True
        running = single
        for row in range(1, self.words):
            count = max(0, len(starts) - row)
            running = mix(running[:count] * GOLDEN + single[row:])
            hashes[row, starts[:count]] = running
            is_gram[row, starts[:count]] = text[:count] == text[row:]


def chunks(texts: Sequence[str], letters: int = _CHUNK) -> list[Sequence[str]]:
    """Divide texts into runs of about so many letters; a longer text is one by itself."""
    if not len(texts):
        return []
    # Mostly all at once: no copies then.
    if sum(map(len, texts)) <= letters:
        return [texts]
    divisions: list[Sequence[str]] = []
    start = 0
    total = 0
    for number, text in enumerate(texts):
        if total and total + len(text) > letters:
            divisions.append(texts[start:number])
            start = number
            total = 0
        total += len(text) + 1
    return [*divisions, texts[start:]]


def points_of(texts: Sequence[str]) -> tuple[NDArray[np.uint32], Numbers]:
    """Return the characters of texts, a line's end before and behind each.

    Returns:
        Code points of all texts, and (texts + 1,) where each text begins.
    """
    joined = "\n" + "\n".join(texts) + "\n"
    points = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
    lengths = np.fromiter(map(len, texts), np.intp, len(texts))
    # One for the first line's end, and one for each behind a text.
    return points, 1 + offsets_of(lengths + 1)


def collapsed(texts: Sequence[str]) -> tuple[Codes, Numbers]:
    """Return the codes of texts with one blank between pieces.

    Returns:
        Codes of all texts, and (texts + 1,) the first of each text: the blank before it.
    """
    points, begins = points_of(texts)
    codes = code_table().take(points)
    is_seen = codes < DROPPED << CLASS_SHIFT
    # Before blanks are joined: a dropped character between two must not keep them apart.
    if not is_seen.all():
        codes = codes[is_seen]
        begins = filtered(begins, is_seen)
    is_blank = codes == BLANK
    is_kept = np.ones(len(codes), np.bool_)
    is_kept[1:] = ~(is_blank[1:] & is_blank[:-1])
    return codes[is_kept], filtered(begins, is_kept) - 1


def word_edges(codes: Codes) -> tuple[Numbers, Numbers]:
    """Return the first character of each word, and the one behind its last."""
    classes = codes >> np.uint32(CLASS_SHIFT)
    is_run = np.zeros(len(codes) + 1, np.bool_)
    np.equal(classes, WORD, out=is_run[:-1])
    is_single = (classes == ALONE) | (classes == MARK)
    is_first = is_single.copy()
    is_first[1:] |= is_run[1:-1] & ~is_run[:-2]
    is_last = is_single | (is_run[:-1] & ~is_run[1:])
    return np.flatnonzero(is_first), np.flatnonzero(is_last) + 1


def _word_hashes(codes: Codes, starts: Numbers, ends: Numbers) -> Hashes:
    """Return the hash of each word: a difference of two running sums, divided by a power."""
    powers, inverses = _powers(1 << len(codes).bit_length())
    sums = np.zeros(len(codes) + 1, np.uint64)
    np.cumsum(codes * powers[: len(codes)], out=sums[1:])
    # The power of the first letter is divided out, so that a word is the same anywhere.
    polynomials = (sums.take(ends) - sums.take(starts)) * inverses.take(starts)
    return mix(polynomials + _times_golden(int(WORD_SALT)))


def _times_golden(number: int) -> np.uint64:
    # In Python's numbers: numpy warns where a scalar overflows, and not where an array does.
    return np.uint64(number * int(GOLDEN) % (1 << 64))


@lru_cache(2)  # of the lengths, in powers of two, that a device's texts mostly have
def _powers(count: int) -> tuple[Hashes, Hashes]:
    """Return the powers of the base, and of its inverse, from 0 on."""
    powers = np.full(count, BASE, np.uint64)
    inverses = np.full(count, _INVERSE, np.uint64)
    powers[0] = inverses[0] = 1
    return np.multiply.accumulate(powers), np.multiply.accumulate(inverses)
