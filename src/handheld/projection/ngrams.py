"""N-grams of words and of letters inside words, of many texts at once: the fast features of text
models.

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
from handheld.projection.folding import ALONE, BLANK, CLASS_SHIFT, DROPPED, MARK, WORD, Codes, code_table
from handheld.projection.hashing import GOLDEN, Hashes, Numbers, mix

BASE = np.uint64(0xD1342543DE82EF95)
"""Of the polynomials: odd, so that it has an inverse (a multiplier of Steele and Vigna,
"Computationally Easy, Spectrally Good Multipliers", arXiv 2001.05304)."""

_INVERSE = np.uint64(pow(int(BASE), -1, 1 << 64))
WORD_SALT = np.uint64(99)  # keeps a word apart from the n-gram of the same letters
_CHUNK = 1 << 15  # letters at once: the arrays of so many stay in the processor's cache


@dataclass(frozen=True)
class NGrams:
    """Which n-grams of a text are counted, and into how many buckets they fall.

    Attributes:
        words: words in the longest n-gram of words, 0 to 3. A word is a run of letters and digits;
            an emoji, a question or exclamation mark, and a letter of a script without spaces is
            one by itself.
        letters: lengths of the n-grams of letters, each 2 to 8, in rising order: inside a piece of
            text between spaces, whose edges are letters too.
        bits: of a bucket's number, 8 to 24.
        longest: letters of a text that are read, 1 to 1,000,000; a longer text is cut.

    Raises:
        InputError: a number outside of these, or no n-grams at all.
    """

    words: int = 2
    letters: tuple[int, ...] = (2, 3, 4, 5)
    bits: int = 20
    longest: int = 20_000

    def __post_init__(self) -> None:
        if not 0 <= self.words <= 3:
            raise InputError(f"words is {self.words}, expected 0 to 3")
        if not all(2 <= length <= 8 for length in self.letters) or sorted(set(self.letters)) != list(self.letters):
            raise InputError(f"letters is {self.letters}, expected lengths of 2 to 8 in rising order")
        if not self.words and not self.letters:
            raise InputError("expected n-grams of words, of letters, or both, got none")
        if not 8 <= self.bits <= 24:
            raise InputError(f"bits is {self.bits}, expected 8 to 24")
        if not 1 <= self.longest <= 1_000_000:
            raise InputError(f"longest is {self.longest}, expected 1 to 1000000")

    @property
    def shift(self) -> np.uint64:
        """How far a hash is shifted to give a bucket."""
        return np.uint64(64 - self.bits)

    def of(self, texts: Sequence[str]) -> Bag:
        """Return the buckets of texts, each n-gram at the place of its first letter; one that
        occurs twice is there twice."""
        pieces = [self._buckets(chunk) for chunk in chunks(self.read(texts))]
        counts = np.concatenate([np.zeros(1, np.intp), *(count for _, count in pieces)])
        buckets = np.concatenate([np.empty(0, np.uint64), *(hashes for hashes, _ in pieces)])
        return Bag(buckets, counts.cumsum())

    def read(self, texts: Sequence[str]) -> list[str]:
        """Return what is read of each text: its beginning, with accents composed. Raises
        :class:`InputError` for one text."""
        if isinstance(texts, str):
            raise InputError("expected a list of texts, got one str: put it in a list, [text]")
        return [unicodedata.normalize("NFC", text[: self.longest]) for text in texts]

    def _buckets(self, texts: Sequence[str]) -> tuple[Hashes, Numbers]:
        hashes, valid, owners = self.hashed(texts)
        counts = np.add.reduceat(np.append(valid.sum(axis=0), 0), owners)[:-1]
        counts[owners[1:] == owners[:-1]] = 0
        return hashes.T[valid.T] >> self.shift, counts

    def hashed(self, texts: Sequence[str]) -> tuple[Hashes, NDArray[np.bool_], Numbers]:
        """Return the hashes of all n-grams that start at each character.

        Args:
            texts: as :meth:`read` gives them.

        Returns:
            (n-grams, characters) hashes; whether there is such an n-gram; and (texts + 1,) the
            first character of each text.
        """
        codes, owners = collapsed(texts)
        count = len(codes)
        rows = len(self.letters) + self.words
        hashes = np.empty((rows, count), np.uint64)
        valid = np.zeros((rows, count), np.bool_)
        self._letters(codes, hashes, valid)
        if self.words:
            self._words(codes, owners, hashes[len(self.letters) :], valid[len(self.letters) :])
        return hashes, valid, owners

    def _letters(self, codes: Codes, hashes: Hashes, valid: NDArray[np.bool_]) -> None:
        inside = np.ones(len(codes) - 1, np.bool_)
        is_letter = codes != BLANK
        values = codes.astype(np.uint64)
        row = 0
        running = values
        for length in range(2, max(self.letters, default=1) + 1):
            count = max(0, len(codes) - length + 1)
            running = running[:count] * BASE + values[length - 1 :][:count]
            inside = inside[:count]
            if length > 2:
                inside = inside & is_letter[length - 2 :][:count]
            if length in self.letters:
                hashes[row, :count] = mix(running + _times_golden(length))
                valid[row, :count] = inside
                row += 1

    def _words(self, codes: Codes, owners: Numbers, hashes: Hashes, valid: NDArray[np.bool_]) -> None:
        starts, ends = word_edges(codes)
        if not len(starts):
            return
        powers, inverses = _powers(1 << len(codes).bit_length())
        sums = np.zeros(len(codes) + 1, np.uint64)
        np.cumsum(codes * powers[: len(codes)], out=sums[1:])
        single = mix((sums.take(ends) - sums.take(starts)) * inverses.take(starts) + _times_golden(int(WORD_SALT)))
        text = owners.searchsorted(starts, "right")
        hashes[0, starts] = running = single
        valid[0, starts] = True
        for row in range(1, self.words):
            count = max(0, len(starts) - row)
            running = mix(running[:count] * GOLDEN + single[row:])
            hashes[row, starts[:count]] = running
            valid[row, starts[:count]] = text[:count] == text[row:]


def chunks(texts: Sequence[str], letters: int = _CHUNK) -> list[Sequence[str]]:
    """Divide texts so that each division has about so many letters; a longer text is one by
    itself."""
    if sum(map(len, texts)) <= letters:
        return [texts] if len(texts) else []
    divisions: list[Sequence[str]] = []
    start = total = 0
    for number, text in enumerate(texts):
        if total and total + len(text) > letters:
            divisions.append(texts[start:number])
            start, total = number, 0
        total += len(text) + 1
    return [*divisions, texts[start:]]


def points_of(texts: Sequence[str]) -> tuple[NDArray[np.uint32], Numbers]:
    """Return the characters of texts, a line's end before and behind each, and (texts + 1,) where
    each begins."""
    joined = "\n" + "\n".join(texts) + "\n"
    points = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
    begins = np.ones(len(texts) + 1, np.intp)
    begins[1:] += np.fromiter(map(len, texts), np.intp, len(texts)).cumsum() + np.arange(1, len(texts) + 1)
    return points, begins


def collapsed(texts: Sequence[str]) -> tuple[Codes, Numbers]:
    """Return the codes of texts with one blank between pieces, and (texts + 1,) the first of each
    text: the blank before it."""
    points, begins = points_of(texts)
    codes = code_table().take(points)
    is_blank = codes == BLANK
    kept = codes < DROPPED << CLASS_SHIFT
    if not kept.all():
        # A dropped character between two blanks must not keep them apart.
        before = np.zeros(len(codes) + 1, np.intp)
        kept.cumsum(out=before[1:])
        codes, is_blank, begins = codes[kept], is_blank[kept], before.take(begins)
    kept = np.ones(len(codes), np.bool_)
    kept[1:] = ~(is_blank[1:] & is_blank[:-1])
    before = np.zeros(len(codes) + 1, np.intp)
    kept.cumsum(out=before[1:])
    return codes[kept], before.take(begins) - 1


def word_edges(codes: Codes) -> tuple[Numbers, Numbers]:
    """Return the first character of each word, and the one behind its last."""
    classes = codes >> np.uint32(CLASS_SHIFT)
    is_run = np.zeros(len(codes) + 1, np.bool_)
    np.equal(classes, WORD, out=is_run[:-1])
    is_single = (classes == ALONE) | (classes == MARK)
    first = is_single.copy()
    first[1:] |= is_run[1:-1] & ~is_run[:-2]
    last = is_single | (is_run[:-1] & ~is_run[1:])
    return np.flatnonzero(first), np.flatnonzero(last) + 1


def _times_golden(number: int) -> np.uint64:
    return np.uint64(number * int(GOLDEN) % (1 << 64))  # numpy warns where a scalar overflows, and not where an array does


@lru_cache(2)
def _powers(count: int) -> tuple[Hashes, Hashes]:
    """Return the powers of the base, and of its inverse, from 0 on."""
    powers = np.full(count, BASE, np.uint64)
    inverses = np.full(count, _INVERSE, np.uint64)
    powers[0] = inverses[0] = 1
    return np.multiply.accumulate(powers), np.multiply.accumulate(inverses)
