"""What a network reads of a text: rows of a table, bits, or words in their order; and how its card says which."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.projection.features import Bag, Features
from handheld.projection.hashing import Numbers
from handheld.projection.kept import decoded, encoded
from handheld.projection.ngrams import NGrams
from handheld.projection.signs import Signs
from handheld.projection.words import Texts, words_of

_HALF = np.uint64(32)


@dataclass(frozen=True)
class Rows:
    """The rows of a table that a text's features fall on (Weinberger et al., "Feature Hashing", arXiv 0902.2206).

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
        if not (1 <= self.rows < 1 << 31 and 1 <= self.length <= 1 << 16):
            raise InputError(f"expected 1 row or more and a length of 1 to 65536, got {self.rows} and {self.length}")

    def of(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """Return (texts, length) row numbers; places that are left over hold ``rows``."""
        numbers, offsets = self.flat(texts)
        found = np.full((len(texts), self.length), self.rows, np.int32)
        found[np.arange(self.length) < np.diff(offsets)[:, None]] = numbers
        return found

    def flat(self, texts: Texts) -> tuple[Numbers, Numbers]:
        """Return the row numbers of all texts, one text after another, and (texts + 1,) where each begins."""
        bag = self.features.of(texts)
        return thinned(self.numbers(bag), bag.offsets, self.length)

    def numbers(self, bag: Bag) -> Numbers:
        """Return (features,) row numbers."""
        return ((bag.hashes >> _HALF) * np.uint64(self.rows) >> _HALF).astype(np.intp)

    def card(self) -> dict[str, Any]:
        """Return the entry ``text`` of a model's card."""
        return {"reads": "rows", **asdict(self.features), "rows": self.rows, "length": self.length}


@dataclass(frozen=True)
class Parts:
    """The rows of several tables side by side, each with features of its own.

    Attributes:
        parts: one or more.
    """

    parts: tuple[Rows, ...]

    def __post_init__(self) -> None:
        if not self.parts:
            raise InputError("expected one table or more")

    def of(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """Return (texts, sum of the lengths) row numbers, one table's after another's."""
        return np.concatenate([part.of(texts) for part in self.parts], axis=1)

    def card(self) -> dict[str, Any]:
        """Return the entry ``text`` of a model's card."""
        return {"reads": "parts", "parts": [part.card() for part in self.parts]}


@dataclass(frozen=True)
class Bits:
    """The signs of a text's random projections.

    Attributes:
        features: that are counted.
        signs: the projections.
    """

    features: Features
    signs: Signs

    def of(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (texts, T * d) of -1 and 1."""
        return self.signs.of(self.features.of(texts)).astype(np.float32) * 2 - 1

    def card(self) -> dict[str, Any]:
        """Return the entry ``text`` of a model's card."""
        return {"reads": "signs", **asdict(self.features), **asdict(self.signs)}


@dataclass(frozen=True)
class WordNumbers:
    """A text's words in their order, by numbers that come from their fingerprints, so that there is no vocabulary.

    Attributes:
        length: words that are read; of a longer text its beginning.
        buckets: largest number of a word.
        folding: version of the case folding, 1 or 2: see :func:`handheld.projection.words.words_of`.

    Raises:
        InputError: numbers below 1.
    """

    length: int = 32
    buckets: int = 20_000
    folding: int = 1

    def __post_init__(self) -> None:
        if not (1 <= self.length <= 1 << 16 and 1 <= self.buckets < 1 << 31):
            raise InputError(f"expected a length of 1 to 65536 and 1 bucket or more, got {self.length} and {self.buckets}")

    def of(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """Return (texts, length) numbers of words, 1 to ``buckets``; 0 behind the last word."""
        words = words_of(texts, self.folding)
        numbers = ((words.hashes >> _HALF) * np.uint64(self.buckets) >> _HALF).astype(np.int32) + 1
        found = np.zeros((len(texts), self.length), np.int32)
        for text, (start, end) in enumerate(zip(words.offsets[:-1].tolist(), words.offsets[1:].tolist(), strict=True)):
            count = min(self.length, end - start)
            found[text, :count] = numbers[start : start + count]
        return found

    def card(self) -> dict[str, Any]:
        """Return the entry ``text`` of a model's card."""
        return {"reads": "words", **asdict(self)}


@dataclass(frozen=True, eq=False)
class Picked:
    """The rows of those n-grams that a file has rows for; it knows no others.

    Attributes:
        ngrams: that are counted.
        buckets: (n,) numbers of the n-grams' buckets that have a row, rising.
        length: n-grams of a text that are read, 1 to 65,536; of more, so many are taken at even distances.
        shared_rows: that the buckets take in turn, 1 to n; None: a row for each.

    Raises:
        InputError: numbers outside of these.
    """

    ngrams: NGrams
    buckets: Numbers
    length: int = 1024
    shared_rows: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.length <= 1 << 16:
            raise InputError(f"length is {self.length}, expected 1 to 65536")
        if self.shared_rows is not None and not 1 <= self.shared_rows <= len(self.buckets):
            raise InputError(f"shared_rows is {self.shared_rows}, expected 1 to {len(self.buckets)}, the number of buckets")
        if not len(self.buckets) or not 0 <= self.buckets[0] <= self.buckets[-1] < 1 << self.ngrams.bits:
            raise InputError(f"expected buckets of 0 to {(1 << self.ngrams.bits) - 1}, one or more")

    @property
    def rows(self) -> int:
        """How many rows there are; one more, of zeros, stands for nothing."""
        return self.shared_rows or len(self.buckets)

    @cached_property
    def row_of(self) -> NDArray[np.int32]:
        """(buckets,) row of each bucket, -1 for those that have none."""
        rows = np.full(1 << self.ngrams.bits, -1, np.int32)
        rows[self.buckets] = np.arange(len(self.buckets), dtype=np.int32) % self.rows
        return rows

    def of(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """Return (texts, length) row numbers; places that are left over hold ``rows``."""
        numbers, offsets = self.flat(texts)
        padded = np.full((len(texts), self.length), self.rows, np.int32)
        padded[np.arange(self.length) < np.diff(offsets)[:, None]] = numbers
        return padded

    def flat(self, texts: Sequence[str]) -> tuple[Numbers, Numbers]:
        """Return the row numbers of all texts, one text after another, and (texts + 1,) where each begins."""
        bag = self.ngrams.of(texts)
        return self.rows_in(bag)

    def rows_in(self, bag: Bag) -> tuple[Numbers, Numbers]:
        """Return :meth:`flat` of texts whose buckets are known."""
        rows = self.row_of.take(bag.hashes.view(np.int64))
        kept = rows >= 0
        before = np.zeros(len(rows) + 1, np.intp)
        kept.cumsum(out=before[1:])
        return thinned(rows[kept].astype(np.intp), before.take(bag.offsets), self.length)

    def card(self) -> dict[str, Any]:
        """Return the entry ``text`` of a model's card."""
        return {"reads": "picked", **asdict(self.ngrams), "rows": self.rows, "length": self.length}

    def content(self) -> bytes:
        """Return the buckets as the file keeps them, in its entry :data:`BUCKETS` beside the card."""
        return encoded(self.buckets, 1 << self.ngrams.bits)


BUCKETS = "handheld.buckets"
"""Name of the entry of a file that says which buckets have rows."""


def thinned(numbers: Numbers, offsets: Numbers, length: int) -> tuple[Numbers, Numbers]:
    """Return at most ``length`` numbers of each text, taken at even distances where there are more."""
    counts = offsets[1:] - offsets[:-1]
    if counts.max(initial=0) <= length:
        return numbers, offsets
    kept = np.minimum(counts, length)
    fewer = np.zeros(len(offsets), np.intp)
    kept.cumsum(out=fewer[1:])
    place = np.arange(fewer[-1]) - fewer[:-1].repeat(kept)
    return numbers[offsets[:-1].repeat(kept) + place * counts.repeat(kept) // kept.repeat(kept)], fewer


Reader = Rows | Parts | Bits | WordNumbers | Picked


def reader_of(entry: Any, metadata: Mapping[str, bytes] | None = None) -> Reader:
    """Return what the entry ``text`` of a card describes, with the entries that lie beside the card.

    Raises:
        InputError: an entry that is missing or wrong; it is named.
    """
    if not isinstance(entry, Mapping) or entry.get("reads") not in ("rows", "parts", "signs", "words", "picked"):
        raise InputError("no entry text that says what is read of a text: rows, parts, signs, words or picked")
    if entry["reads"] == "picked":
        return _picked(entry, metadata or {})
    if entry["reads"] == "parts":
        found = [reader_of(part) for part in _items(entry, "parts", Mapping)]
        if not all(isinstance(part, Rows) for part in found):
            raise InputError("entry text.parts: expected each to read rows")
        return Parts(tuple(part for part in found if isinstance(part, Rows)))
    if entry["reads"] == "words":
        return WordNumbers(_whole(entry, "length"), _whole(entry, "buckets"), _folding(entry))
    letters = tuple(_items(entry, "letters", int))
    features = Features(_whole(entry, "words"), _whole(entry, "skips"), letters, _folding(entry))
    if entry["reads"] == "rows":
        return Rows(features, _whole(entry, "rows"), _whole(entry, "length"))
    return Bits(features, Signs(_whole(entry, "functions"), _whole(entry, "bits"), _whole(entry, "seed")))


def _picked(entry: Mapping[str, Any], metadata: Mapping[str, bytes]) -> Picked:
    if BUCKETS not in metadata:
        raise InputError(f"no entry {BUCKETS} that says which n-grams have rows")
    ngrams = NGrams(
        _whole(entry, "words"), tuple(_items(entry, "letters", int)), _whole(entry, "bits"), _whole(entry, "longest")
    )
    buckets = decoded(metadata[BUCKETS], 1 << ngrams.bits)
    rows = _whole(entry, "rows")
    if not 1 <= rows <= len(buckets):
        raise InputError(f"entry text.rows is {rows}, but {BUCKETS} has {len(buckets)}")
    return Picked(ngrams, buckets, _whole(entry, "length"), rows)


def _folding(entry: Mapping[str, Any]) -> int:
    """Return the version of the case folding; files of before there were two do not say it."""
    return _whole(entry, "folding") if "folding" in entry else 1


def _whole(entry: Mapping[str, Any], key: str) -> int:
    if type(value := entry.get(key)) is not int:
        raise InputError(f"entry text.{key} is {value!r}, expected a whole number")
    return value


def _items(entry: Mapping[str, Any], key: str, kind: type) -> list[Any]:
    value = entry.get(key)
    if not isinstance(value, list) or any(not isinstance(each, kind) or isinstance(each, bool) for each in value):
        what = "whole numbers" if kind is int else "entries"
        raise InputError(f"entry text.{key} is {value!r}, expected a list of {what}")
    return value
