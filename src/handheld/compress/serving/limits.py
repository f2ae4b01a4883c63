"""What one job may ask for."""

from dataclasses import dataclass, fields

from handheld.errors import InputError
from handheld.ranges import in_range, whole_in_range

GIGABYTE = 10**9


@dataclass(frozen=True, kw_only=True)
class CompressLimits:
    """The most that a job may have: epochs in (0, inf), all others whole numbers of 1 or more.

    Attributes:
        epochs: of the joint training.
        width: channels of the large network's first layer.
        members: targets.
        pictures: examples in all splits together.
        side: pixels of a picture that is learned from.
        source_side: pixels of a picture in a file, which is brought to ``side`` or less.
        classes: of the data.
        unpacked_bytes: of the archive's content, and again of all pictures in memory.
        model_bytes: of the uploaded model.
    """

    epochs: float = 50
    width: int = 128
    members: int = 12
    pictures: int = 200_000
    side: int = 256
    source_side: int = 8192
    classes: int = 1000
    unpacked_bytes: int = 4 * GIGABYTE
    model_bytes: int = GIGABYTE

    def __post_init__(self) -> None:
        in_range("epochs", self.epochs, low=0, low_open=True)
        # by the types, so that a limit that is added is checked too
        for field in fields(self):
            if field.type is int:
                whole_in_range(field.name, getattr(self, field.name), low=1)

    def require(self, subject: str, value: float, name: str) -> None:
        """Raise :class:`InputError` if ``value`` is more than the limit called ``name``."""
        # not value > limit, which lets a nan pass
        if not value <= getattr(self, name):
            raise InputError(
                f"{subject}: this server takes at most {getattr(self, name):,g}, got {value:,g}"
            )
