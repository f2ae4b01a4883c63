"""What a network reads of a text: rows of a table, bits, or words in their order.

Each reader says on a model's card what it is; ``cards`` reads that entry.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.projection.features import Bag, Features
from handheld.projection.hashing import Floats, Numbers, reduced
from handheld.projection.kept import encoded
from handheld.projection.ngrams import NGrams
from handheld.projection.ragged import filtered, padded, thinned
from handheld.projection.signs import Signs
from handheld.projection.words import Texts, words_of
from handheld.ranges import whole_in_range

# So many rows of at most 127 add up to less than 2^24: exactly, in float32.
_MAX_LENGTH = 1 << 16
_MAX_ROWS = (1 << 31) - 1  # numbers of rows are int32


@dataclass(frozen=True)
class Rows:
    """The rows of a table that a text's features fall on.

    Weinberger et al., "Feature Hashing", arXiv 0902.2206.

    Attributes:
        features: that are counted.
        rows: of the table, 1 or more. One more, of zeros, stands for nothing.
        length: features of a text that are read; of more, so many are taken at even distances.

    Raises:
        InputError: numbers outside of these.
    """

    features: Features
    rows: int
    length: int = 256

    def __post_init__(self) -> None:
        whole_in_range("rows", self.rows, low=1, high=_MAX_ROWS)
        whole_in_range("length", self.length, low=1, high=_MAX_LENGTH)

    def of(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """Return (texts, length) row numbers; behind a text's last stands ``rows``."""
        return padded(*self.flat(texts), self.length, self.rows)

    def flat(self, texts: Texts) -> tuple[Numbers, Numbers]:
        """Return the row numbers of all texts, and (texts + 1,) where each text begins."""
        bag = self.features.of(texts)
        return thinned(self.numbers(bag), bag.offsets, self.length)

    def numbers(self, bag: Bag) -> Numbers:
        """Return (features,) row numbers."""
        return reduced(bag.hashes, self.rows).astype(np.intp)

    def card(self) -> dict[str, Any]:
        """Return the entry ``text`` of a model's card."""
        return {
            "reads": "rows",
            **asdict(self.features),
            "rows": self.rows,
            "length": self.length,
        }


@dataclass(frozen=True)
class Parts:
    """The rows of several tables side by side, each with features of its own.

    Attributes:
        tables: what each reads, one or more.
    """

    tables: tuple[Rows, ...]

    def __post_init__(self) -> None:
        if not self.tables:
            raise InputError("expected one table or more")

    def of(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """Return (texts, sum of the lengths) row numbers, one table's after another's."""
        return np.concatenate([table.of(texts) for table in self.tables], axis=1)

    def card(self) -> dict[str, Any]:
        """Return the entry ``text`` of a model's card."""
        return {"reads": "parts", "parts": [table.card() for table in self.tables]}


@dataclass(frozen=True)
class Bits:
    """The signs of a text's random projections.

    Attributes:
        features: that are counted.
        signs: the projections.
    """

    features: Features
    signs: Signs

    def of(self, texts: Sequence[str]) -> Floats:
        """Return (texts, T * d) of -1 and 1."""
        bits = self.signs.of(self.features.of(texts))
        # -1 in place of 0: a linear layer learns as much from a bit that is not set
        return bits.astype(np.float32) * 2 - 1

    def card(self) -> dict[str, Any]:
        """Return the entry ``text`` of a model's card."""
        return {"reads": "signs", **asdict(self.features), **asdict(self.signs)}


@dataclass(frozen=True)
class WordNumbers:
    """A text's words in their order, by numbers of their fingerprints: there is no vocabulary.

    Attributes:
        length: words that are read; of a longer text its beginning.
        buckets: largest number of a word.
        folding: version of the case folding, 1 or 2: see
            :func:`handheld.projection.words.words_of`.

    Raises:
        InputError: numbers below 1.
    """

    length: int = 32
    buckets: int = 20_000
    folding: int = 1

    def __post_init__(self) -> None:
        whole_in_range("length", self.length, low=1, high=_MAX_LENGTH)
        whole_in_range("buckets", self.buckets, low=1, high=_MAX_ROWS)
        whole_in_range("folding", self.folding, low=1, high=2)

    def of(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """Return (texts, length) numbers of words, 1 to ``buckets``; 0 behind the last word."""
        words = words_of(texts, self.folding)
        # From 1 on: 0 is the padding.
        numbers = reduced(words.hashes, self.buckets).astype(np.int32) + 1
        rows = np.zeros((len(texts), self.length), np.int32)
        for text, start in enumerate(words.offsets[:-1].tolist()):
            end = min(start + self.length, words.offsets[text + 1])
            rows[text, : end - start] = numbers[start:end]
        return rows

    def card(self) -> dict[str, Any]:
        """Return the entry ``text`` of a model's card."""
        return {"reads": "words", **asdict(self)}


@dataclass(frozen=True, eq=False)
class Picked:
    """The rows of those n-grams that a file has rows for; it knows no others.

    Attributes:
        ngrams: that are counted.
        buckets: (n,) numbers of the n-grams' buckets that have a row, rising.
        length: n-grams of a text that are read, in [1, 65536]; of more, so many are taken at even
            distances.
        shared_rows: that the buckets take in turn, 1 to n; None: a row for each.

    Raises:
        InputError: numbers outside of these.
    """

    ngrams: NGrams
    buckets: Numbers
    length: int = 1024
    shared_rows: int | None = None

    def __post_init__(self) -> None:
        whole_in_range("length", self.length, low=1, high=_MAX_LENGTH)
        count = len(self.buckets)
        if self.shared_rows is not None:
            whole_in_range("shared_rows", self.shared_rows, low=1, high=count)
        universe = 1 << self.ngrams.bits
        if not count or not 0 <= self.buckets[0] <= self.buckets[-1] < universe:
            raise InputError(f"buckets: expected one or more, each in [0, {universe - 1}]")

    @property
    def rows(self) -> int:
        """How many rows there are; one more, of zeros, stands for nothing."""
        return self.shared_rows or len(self.buckets)

    @cached_property
    def row_of(self) -> NDArray[np.int32]:
        """(buckets,) row of each bucket, -1 for those that have none."""
        # A table of all buckets, 4 MB for 20 bits: a look-up for each n-gram in place of a
        # search.
        rows = np.full(1 << self.ngrams.bits, -1, np.int32)
        rows[self.buckets] = np.arange(len(self.buckets), dtype=np.int32) % self.rows
        return rows

    def of(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """Return (texts, length) row numbers; behind a text's last stands ``rows``."""
        return padded(*self.flat(texts), self.length, self.rows)

    def flat(self, texts: Sequence[str]) -> tuple[Numbers, Numbers]:
        """Return the row numbers of all texts, and (texts + 1,) where each text begins."""
        return self.rows_in(self.ngrams.of(texts))

    def rows_in(self, bag: Bag) -> tuple[Numbers, Numbers]:
        """Return :meth:`flat` of texts whose buckets are known."""
        # A view, since buckets are small: the index of a take is signed.
        rows = self.row_of.take(bag.hashes.view(np.int64))
        has_row = rows >= 0
        numbers = rows[has_row].astype(np.intp)
        return thinned(numbers, filtered(bag.offsets, has_row), self.length)

    def card(self) -> dict[str, Any]:
        """Return the entry ``text`` of a model's card."""
        return {
            "reads": "picked",
            **asdict(self.ngrams),
            "rows": self.rows,
            "length": self.length,
        }

    def content(self) -> bytes:
        """Return the buckets as the file's entry :data:`BUCKETS` beside the card keeps them."""
        return encoded(self.buckets, 1 << self.ngrams.bits)


BUCKETS = "handheld.buckets"
"""Name of the entry of a file that says which buckets have rows."""

Reader = Rows | Parts | Bits | WordNumbers | Picked
