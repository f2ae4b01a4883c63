"""How data is read, as far as somebody says it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import NamedTuple

from handheld.data.dataset import Dataset, Skipped
from handheld.errors import InputError

FIRST, LAST = "first", "last"


class RawSplits(NamedTuple):
    """What was found on disk.

    Attributes:
        parts: split name (train, valid or test) -> data.
        skipped: what was left out.
        notes: what somebody should know of it.
    """

    parts: Mapping[str, Dataset]
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reading:
    """Options of ``load``; each counts for some forms of data, and is refused for others.

    Attributes:
        size: (height, width) to bring pictures of files to.
        grey: whether pictures of files become grey, one channel.
        channels: which axis of an array's pictures has the channels, "first" or "last"; None: seen by their numbers.
        white: the number that is white in arrays; None: seen by their type and largest number.
        label_column, text_columns: of tables and saved data sets; see ``read_table``.
    """

    size: tuple[int, int] | None = None
    grey: bool = False
    channels: str | None = None
    white: float | None = None
    label_column: str | None = None
    text_columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.size is not None and (len(self.size) != 2 or min(self.size) < 1):
            raise InputError(f"size: expected height and width of 1 or more, got {list(self.size)}")
        if self.channels not in (None, FIRST, LAST):
            raise InputError(f"channels: expected {FIRST!r} or {LAST!r}, got {self.channels!r}")
        if self.white is not None and not 0 < self.white < float("inf"):
            raise InputError(f"white: expected a number above 0, got {self.white}")

    def require(self, where: str, kind: str, *known: str) -> None:
        """Raise :class:`InputError` for an option that was given and means nothing for this kind of data."""
        for field in fields(self):
            if getattr(self, field.name) != field.default and field.name not in known:
                raise InputError(f"{where}: {field.name} says nothing of {kind}: leave it out")
