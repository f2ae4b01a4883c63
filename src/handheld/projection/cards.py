"""Which reader the entry ``text`` of a model's card describes; a value that is wrong is named."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from handheld.errors import InputError
from handheld.projection.features import Features
from handheld.projection.inputs import BUCKETS, Bits, Parts, Picked, Reader, Rows, WordNumbers
from handheld.projection.kept import decoded
from handheld.projection.ngrams import NGrams
from handheld.projection.signs import Signs


@dataclass(frozen=True)
class _Entry:
    """The entry ``text`` of a card, whose values are checked as they are taken.

    Attributes:
        values: by key.
        metadata: entries that lie in the file beside the card.
    """

    values: Mapping[str, Any]
    metadata: Mapping[str, bytes]

    def integer(self, key: str) -> int:
        """Return a whole number."""
        value = self.values.get(key)
        if type(value) is not int:  # not isinstance: True is no number
            raise InputError(f"entry text.{key} is {value!r}, expected a whole number")
        return value

    def integers(self, key: str) -> tuple[int, ...]:
        """Return a list of whole numbers."""
        values = self.values.get(key)
        # A text is a list of letters to a loop, and an error here.
        if not isinstance(values, list) or not all(type(value) is int for value in values):
            raise InputError(f"entry text.{key} is {values!r}, expected a list of whole numbers")
        return tuple(values)

    def entries(self, key: str) -> list[Mapping[str, Any]]:
        """Return a list of further entries."""
        values = self.values.get(key)
        if not isinstance(values, list) or not all(isinstance(value, Mapping) for value in values):
            raise InputError(f"entry text.{key} is {values!r}, expected a list of entries")
        return values

    @property
    def folding(self) -> int:
        """Version of the case folding."""
        if "folding" not in self.values:
            # files of before there were two versions
            return 1
        return self.integer("folding")

    @property
    def features(self) -> Features:
        """What is counted."""
        letters = self.integers("letters")
        return Features(self.integer("words"), self.integer("skips"), letters, self.folding)


def reader_of(entry: Any, metadata: Mapping[str, bytes] | None = None) -> Reader:
    """Return what the entry ``text`` of a card describes.

    Args:
        entry: as the card has it.
        metadata: entries that lie in the file beside the card.

    Raises:
        InputError: an entry that is missing or wrong; it is named.
    """
    name = None
    if isinstance(entry, Mapping):
        name = entry.get("reads")
    # as a text: what cannot be hashed, such as a list, would raise a TypeError
    read = _READS.get(str(name))
    if read is None:
        raise InputError(
            "no entry text that says what is read of a text: rows, parts, signs, words or picked"
        )
    return read(_Entry(entry, metadata or {}))


def _rows(entry: _Entry) -> Rows:
    return Rows(entry.features, entry.integer("rows"), entry.integer("length"))


def _parts(entry: _Entry) -> Parts:
    tables: list[Rows] = []
    for table_entry in entry.entries("parts"):
        # Without what lies beside the card: a table is read by its entry alone.
        table = reader_of(table_entry)
        if not isinstance(table, Rows):
            raise InputError("entry text.parts: expected each to read rows")
        tables.append(table)
    return Parts(tuple(tables))


def _signs(entry: _Entry) -> Bits:
    features = entry.features
    signs = Signs(entry.integer("functions"), entry.integer("bits"), entry.integer("seed"))
    return Bits(features, signs)


def _words(entry: _Entry) -> WordNumbers:
    return WordNumbers(entry.integer("length"), entry.integer("buckets"), entry.folding)


def _picked(entry: _Entry) -> Picked:
    if BUCKETS not in entry.metadata:
        raise InputError(f"no entry {BUCKETS} that says which n-grams have rows")
    ngrams = NGrams(
        entry.integer("words"),
        entry.integers("letters"),
        entry.integer("bits"),
        entry.integer("longest"),
    )
    buckets = decoded(entry.metadata[BUCKETS], 1 << ngrams.bits)
    rows = entry.integer("rows")
    # Named as the card calls it; the reader itself would speak of shared rows.
    if not 1 <= rows <= len(buckets):
        raise InputError(f"entry text.rows is {rows}, but {BUCKETS} has {len(buckets)}")
    return Picked(ngrams, buckets, entry.integer("length"), rows)


_READS: Mapping[str, Callable[[_Entry], Reader]] = {
    "rows": _rows,
    "parts": _parts,
    "signs": _signs,
    "words": _words,
    "picked": _picked,
}
