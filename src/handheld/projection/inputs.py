"""What a network reads of a text: rows of a table, or bits; and how its card says which."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.projection.features import Bag, Features
from handheld.projection.hashing import Numbers
from handheld.projection.signs import Signs

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
        bag = self.features.of(texts)
        found = np.full((len(texts), self.length), self.rows, np.int32)
        numbers = self.numbers(bag)
        for text, (start, end) in enumerate(zip(bag.offsets[:-1].tolist(), bag.offsets[1:].tolist(), strict=True)):
            count = end - start
            if count <= self.length:
                found[text, :count] = numbers[start:end]
            else:
                found[text] = numbers[start + np.arange(self.length) * count // self.length]
        return found

    def numbers(self, bag: Bag) -> Numbers:
        """Return (features,) row numbers."""
        return ((bag.hashes >> _HALF) * np.uint64(self.rows) >> _HALF).astype(np.intp)

    def card(self) -> dict[str, Any]:
        """Return the entry ``text`` of a model's card."""
        return {"reads": "rows", **asdict(self.features), "rows": self.rows, "length": self.length}


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


def reader_of(entry: Any) -> Rows | Bits:
    """Return what the entry ``text`` of a card describes. Raises :class:`InputError` for what is missing or wrong."""
    if not isinstance(entry, Mapping) or entry.get("reads") not in ("rows", "signs"):
        raise InputError("no entry text that says what is read of a text: rows or signs")
    features = Features(_whole(entry, "words"), _whole(entry, "skips"), tuple(_list(entry, "letters")))
    if entry["reads"] == "rows":
        return Rows(features, _whole(entry, "rows"), _whole(entry, "length"))
    return Bits(features, Signs(_whole(entry, "functions"), _whole(entry, "bits"), _whole(entry, "seed")))


def _whole(entry: Mapping[str, Any], key: str) -> int:
    if type(value := entry.get(key)) is not int:
        raise InputError(f"entry text.{key} is {value!r}, expected a whole number")
    return value


def _list(entry: Mapping[str, Any], key: str) -> list[int]:
    value = entry.get(key)
    if not isinstance(value, list) or any(type(each) is not int for each in value):
        raise InputError(f"entry text.{key} is {value!r}, expected a list of whole numbers")
    return value
