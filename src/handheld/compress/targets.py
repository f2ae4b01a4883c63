"""What a person wants of a member: "70KB", "5ms", "94x smaller, 27x faster", "at least 92%".

Figures are compared with those of the finished file, measured on this machine or scaled to a named
device.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from handheld.errors import InputError

_UNITS = {
    "b": ("size", "1"), "kb": ("size", "1e3"), "mb": ("size", "1e6"), "kib": ("size", "1024"), "mib": ("size", "1048576"),
    "us": ("latency", "1e-6"), "\u00b5s": ("latency", "1e-6"), "\u03bcs": ("latency", "1e-6"),
    "ms": ("latency", "1e-3"), "s": ("latency", "1"), "%": ("accuracy", "0.01"),
    "x smaller": ("smaller", "1"), "x faster": ("faster", "1"), "x slower device": ("slowdown", "1"),
}  # fmt: skip
_PART = re.compile(r"(?:at (?:least|most) )?([0-9]{1,20}(?:\.[0-9]{1,40})?)\s*(\D+)")
_SOME = "70KB, 5ms, 94x smaller, 27x faster, 92%"
_KINDS = ("nested", "pruned", "sparse", "residual", "mobile", "plain", "projected")


class _Latency(Protocol):
    @property
    def median(self) -> float: ...


class _Figures(Protocol):
    @property
    def size(self) -> int: ...
    @property
    def latency(self) -> _Latency: ...
    @property
    def valid(self) -> float: ...


@dataclass(frozen=True)
class Target:
    """Limits that a member should keep; those left out do not count.

    Attributes:
        size: bytes of its file, at most.
        latency: seconds of one example on one thread, at most, on the device that is asked for.
        smaller: times smaller than the teacher's float32 file, at least.
        faster: times faster than the teacher's float32 file, at least.
        accuracy: on the validation split, at least, 0 to 1.
        kind: of network to make for it: nested (in the teacher), pruned (from the teacher), or a
            network's name.
        slowdown: latency on the device that is asked for, over that on this machine.
    """

    size: int | None = None
    latency: float | None = None
    smaller: float | None = None
    faster: float | None = None
    accuracy: float | None = None
    kind: str = "nested"
    slowdown: float = 1.0

    def __post_init__(self) -> None:
        limits = (self.size, self.latency, self.smaller, self.faster, self.accuracy)
        if all(limit is None for limit in limits):
            raise InputError(f"a target says no limit: expected one or more such as {_SOME}")
        for name, limit in zip(
            ("size", "latency", "smaller", "faster", "accuracy"), limits, strict=True
        ):
            if limit is not None and not (_is_number(limit) and 0 < limit < 1e15):
                raise InputError(f"{name} of a target: expected a number above 0, got {limit!r}")
        if self.accuracy is not None and self.accuracy > 1:
            raise InputError(
                f"expected an accuracy of at most 100 %, got {self.accuracy:.6g} (0.92 is 92 %)"
            )
        if self.kind not in _KINDS or not (_is_number(self.slowdown) and 0 < self.slowdown < 1e6):
            raise InputError(
                f"expected a kind of {', '.join(_KINDS)} and a slowdown above 0, got {self.kind!r}, {self.slowdown}"
            )

    @classmethod
    def of(cls, text: str, *, kind: str | None = None, slowdown: float = 1.0) -> "Target":
        """Read limits separated by commas, and among them a kind and how much slower than this
        machine the device is.

        What the text does not say is taken from the other arguments. ``Target.of(str(target))`` is
        ``target``.

        >>> Target.of("94x smaller, 27x faster, plain")
        Target(size=None, latency=None, smaller=94.0, faster=27.0, accuracy=None, kind='plain',
        slowdown=1.0)
        >>> str(Target.of("70 KB, 5ms, 92%"))
        '70 kB, 5 ms, 92 %, nested'

        Raises:
            InputError: for a text that is no target, or says a thing twice.
        """
        if not isinstance(text, str):
            raise InputError(f"target {text!r}: expected a text such as {_SOME}")
        values: dict[str, Any] = {}
        for part in filter(None, (part.strip() for part in text.lower().split(","))):
            name, value = ("kind", part) if part in _KINDS else _limit(part, text)
            if name in values:
                raise InputError(f"target {text!r} says its {name} twice; expected it once")
            values[name] = value
        if values.keys() <= {"kind", "slowdown"}:
            raise InputError(f"target {text!r} says no limit: expected one or more such as {_SOME}")
        return cls(**{"kind": kind or "nested", "slowdown": slowdown, **values})

    def __str__(self) -> str:
        parts = [
            "" if self.size is None else f"{_plain(self.size, -3)} kB",
            "" if self.latency is None else f"{_plain(self.latency, 3)} ms",
            "" if self.smaller is None else f"{_plain(self.smaller)}x smaller",
            "" if self.faster is None else f"{_plain(self.faster)}x faster",
            "" if self.accuracy is None else f"{_plain(self.accuracy, 2)} %",
            self.kind,
            "" if self.slowdown == 1 else f"{_plain(self.slowdown)}x slower device",
        ]
        return ", ".join(filter(None, parts))

    def misses(self, member: _Figures, teacher: _Figures) -> list[str]:
        """Say which limits a member does not keep, and by how much; an empty list if it fits."""
        found = []
        if (size := self.max_size(teacher)) is not None and member.size > size:
            found.append(f"{member.size} bytes, at most {size:.0f} asked")
        if (latency := self.max_latency(teacher)) is not None and member.latency.median > latency:
            found.append(
                f"{member.latency.median * 1e6:.4g} us here, at most {latency * 1e6:.4g} asked"
            )
        if self.accuracy is not None and member.valid < self.accuracy:
            found.append(f"{member.valid:.2%} right, {self.accuracy:.2%} asked")
        return found

    def excess(self, member: _Figures, teacher: _Figures) -> float:
        """Return the largest ratio by which a member exceeds a limit; 1 or less if it fits."""
        size, latency = self.max_size(teacher), self.max_latency(teacher)
        ratios = [
            0.0 if size is None else member.size / size,
            0.0 if latency is None else member.latency.median / latency,
        ]
        return max(
            *ratios, 0.0 if self.accuracy is None else self.accuracy / max(member.valid, 1e-9)
        )

    @property
    def is_about_speed_alone(self) -> bool:
        """Whether there is a limit of latency and none of size."""
        return (self.latency, self.faster) != (None, None) and (self.size, self.smaller) == (
            None,
            None,
        )

    def max_size(self, teacher: _Figures) -> float | None:
        """Bytes that a member's file may have."""
        limits = [float(self.size)] if self.size is not None else []
        limits += [teacher.size / self.smaller] if self.smaller is not None else []
        return min(limits, default=None)

    def max_latency(self, teacher: _Figures) -> float | None:
        """Seconds that a member may take on this machine."""
        limits = [self.latency / self.slowdown] if self.latency is not None else []
        limits += [teacher.latency.median / self.faster] if self.faster is not None else []
        return min(limits, default=None)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _limit(part: str, text: str) -> tuple[str, float]:
    found = _PART.fullmatch(part.replace("\u00d7", "x"))
    name, unit = _UNITS.get(" ".join(found[2].split()) if found else "", ("", ""))
    if not found or not name:
        raise InputError(
            f"target {text!r}: {part!r} is none of {_SOME}, 3x slower device, {', '.join(_KINDS)}"
        )
    value = Decimal(found[1]) * Decimal(
        unit
    )  # exact, so that a target's text gives the target back
    return name, round(value) if name == "size" else float(value)


def _plain(value: float, power: int = 0) -> str:
    """Write a number times a power of ten with all of its digits and no exponent."""
    return f"{Decimal(repr(float(value))).scaleb(power).normalize():f}"
