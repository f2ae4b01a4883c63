"""How data is read, as far as somebody says it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from handheld.data._checks import is_real, require_flag, require_names, require_text, require_whole
from handheld.data.dataset import Dataset, Skipped
from handheld.errors import InputError

FIRST, LAST = "first", "last"
_MOST_PIXELS = (
    1 << 26
)  # of a size that is asked for: 8192 x 8192; a slip of the keyboard would fill the memory


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
        require_flag("grey", self.grey)
        require_text("label_column", self.label_column)
        require_names("text_columns", self.text_columns)
        if self.channels not in (None, FIRST, LAST):
            raise InputError(f"channels: expected {FIRST!r} or {LAST!r}, got {self.channels!r}")
        if self.white is not None and not (is_real(self.white) and 0 < self.white < float("inf")):
            raise InputError(f"white: expected a number above 0, got {self.white!r}")

    def require(self, where: str, kind: str, *known: str) -> None:
        """Raise :class:`InputError` for an option that was given and means nothing for this kind of
        data.
        """
        for field in fields(self):
            if getattr(self, field.name) != field.default and field.name not in known:
                raise InputError(f"{where}: {field.name} says nothing of {kind}: leave it out")


def _check_size(size: Any) -> None:
    if not isinstance(size, tuple | list) or len(size) != 2:
        raise InputError(f"size: expected (height, width), got {size!r}")
    for length in size:
        require_whole("size", length, least=1)
    if size[0] * size[1] > _MOST_PIXELS:
        raise InputError(
            f"size: {size[0]:,} x {size[1]:,} is more than {_MOST_PIXELS:,} pixels a picture: give less"
        )
