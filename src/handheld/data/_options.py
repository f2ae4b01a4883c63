"""How data is read, as far as somebody says it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from handheld.data._checks import require_names, require_text
from handheld.data.dataset import Dataset, Skipped
from handheld.errors import InputError
from handheld.ranges import flag, in_range, whole_in_range

# What ``channels`` may be.
FIRST = "first"
LAST = "last"

# 8192 x 8192, of a size that is asked for: a slip of the keyboard would fill the memory.
_MAX_PIXELS = 1 << 26


class RawSplits(NamedTuple):
    """Splits as they lie on disk.

    Attributes:
        data: split name (train, valid or test) -> data.
        skipped: what was left out.
        notes: what somebody should know of it.
    """

    data: Mapping[str, Dataset]
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class LoadOptions:
    """Options of ``load``; each counts for some forms of data, and is refused for others.

    Attributes:
        size: (height, width) to bring pictures of files to.
        grey: whether pictures of files become grey, one channel.
        channels: which axis of an array's pictures has the channels, "first" or "last"; None: seen
            by their numbers.
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
        if self.size is not None:
            _check_size(self.size)
        flag("grey", self.grey)
        require_text("label_column", self.label_column)
        require_names("text_columns", self.text_columns)
        if self.channels not in (None, FIRST, LAST):
            raise InputError(f"channels: expected {FIRST!r} or {LAST!r}, got {self.channels!r}")
        if self.white is not None:
            in_range("white", self.white, low=0, low_open=True)

    def require(self, location: str, form: str, *known: str) -> None:
        """Raise :class:`InputError` for an option that means nothing for this form of data.

        Args:
            location: of messages: the file or folder.
            form: of the data, in words.
            known: options that mean something for it.
        """
        for field in fields(self):
            # Not "is not None": some defaults are False or empty.
            is_set = getattr(self, field.name) != field.default
            if is_set and field.name not in known:
                raise InputError(f"{location}: {field.name} says nothing of {form}: leave it out")


def _check_size(size: Any) -> None:
    if not isinstance(size, tuple | list) or len(size) != 2:
        raise InputError(f"size: expected (height, width), got {size!r}")
    for length in size:
        whole_in_range("size", length, low=1)
    height, width = size
    if height * width > _MAX_PIXELS:
        raise InputError(
            f"size: {height:,} x {width:,} is more than {_MAX_PIXELS:,} pixels a picture: give less"
        )
