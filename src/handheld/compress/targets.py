"""What a person wants of a member: "70KB", "5ms", "94x smaller, 27x faster", "at least 92%".

Figures are compared with those of the finished file, measured on this machine or scaled to a named
device.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from handheld.errors import InputError
from handheld.ranges import in_range

_UNITS = {
    "b": ("size", "1"),
    "kb": ("size", "1e3"),
    "mb": ("size", "1e6"),
    "kib": ("size", "1024"),
    "mib": ("size", "1048576"),
    "us": ("latency", "1e-6"),
    # The micro sign, and the Greek letter that looks like it.
    "\u00b5s": ("latency", "1e-6"),
    "\u03bcs": ("latency", "1e-6"),
    "ms": ("latency", "1e-3"),
    "s": ("latency", "1"),
    "%": ("accuracy", "0.01"),
    "x smaller": ("smaller", "1"),
    "x faster": ("faster", "1"),
    "x slower device": ("slowdown", "1"),
}
"""Unit -> the figure that it is of, and how many of the figure's own unit it is."""

# Of few digits: converting numbers of thousands of digits takes quadratic time.
_LIMIT = re.compile(r"(?:at (?:least|most) )?([0-9]{1,20}(?:\.[0-9]{1,40})?)\s*(\D+)")
_SOME = "70KB, 5ms, 94x smaller, 27x faster, 92%"  # for errors
_KINDS = ("nested", "pruned", "sparse", "residual", "mobile", "plain", "projected")
_FIGURES = ("size", "latency", "smaller", "faster", "accuracy")
# Above any file, time or ratio; beyond it floats no longer count in ones.
_MOST = 10**15
_MOST_SLOWDOWN = 10**6
MOST_MEMBERS = 16
"""Of a family for which a number of members is said: each is half as large as the one before."""

_LEAST_SHARE = 1e-9  # of right answers, to divide by


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
        accuracy: on the validation split, at least, in (0, 1].
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
        limits = {name: getattr(self, name) for name in _FIGURES}
        # any member would keep it, so that it says nothing of what is wanted
        if all(limit is None for limit in limits.values()):
            raise InputError(f"a target says no limit: expected one or more such as {_SOME}")
        for name, limit in limits.items():
            if limit is not None:
                highest: float = _MOST
                if name == "accuracy":
                    highest = 1
                in_range(name, limit, low=0, high=highest, low_open=True)
        if self.kind not in _KINDS:
            raise InputError(f"kind: expected one of {', '.join(_KINDS)}, got {self.kind!r}")
        in_range("slowdown", self.slowdown, low=0, high=_MOST_SLOWDOWN, low_open=True)

    @classmethod
    def of(cls, text: str, *, default_kind: str = "nested", slowdown: float = 1.0) -> "Target":
        """Read limits separated by commas, and among them a kind and how much slower than this
        machine the device is.

        ``Target.of(str(target))`` is ``target``.

        Args:
            text: limits, and maybe a kind and a slowdown.
            default_kind: where the text names none.
            slowdown: likewise.

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
        words = [word.strip() for word in text.lower().split(",")]
        for word in filter(None, words):
            name, value = _read(word, text)
            # "70KB, 50KB" is a slip, of which nobody knows which one is meant
            if name in values:
                raise InputError(f"target {text!r} says its {name} twice; expected it once")
            values[name] = value
        if values.keys() <= {"kind", "slowdown"}:
            raise InputError(f"target {text!r} says no limit: expected one or more such as {_SOME}")
        return cls(**{"kind": default_kind, "slowdown": slowdown, **values})

    def __str__(self) -> str:
        words = []
        if self.size is not None:
            words.append(f"{_plain(self.size, -3)} kB")
        if self.latency is not None:
            words.append(f"{_plain(self.latency, 3)} ms")
        if self.smaller is not None:
            words.append(f"{_plain(self.smaller)}x smaller")
        if self.faster is not None:
            words.append(f"{_plain(self.faster)}x faster")
        if self.accuracy is not None:
            words.append(f"{_plain(self.accuracy, 2)} %")
        # always said: a text without it would be read as nested
        words.append(self.kind)
        if self.slowdown != 1:
            words.append(f"{_plain(self.slowdown)}x slower device")
        return ", ".join(words)

    def misses(self, member: _Figures, teacher: _Figures) -> list[str]:
        """Say which limits a member does not keep, and by how much; an empty list if it fits."""
        size = self.max_size(teacher)
        latency = self.max_latency(teacher)
        misses = []
        if size is not None and member.size > size:
            misses.append(f"{member.size} bytes, at most {size:.0f} asked")
        if latency is not None and member.latency.median > latency:
            here = member.latency.median * 1e6
            misses.append(f"{here:.4g} us here, at most {latency * 1e6:.4g} asked")
        if self.accuracy is not None and member.valid < self.accuracy:
            misses.append(f"{member.valid:.2%} right, {self.accuracy:.2%} asked")
        return misses

    def excess(self, member: _Figures, teacher: _Figures) -> float:
        """Return the largest ratio by which a member exceeds a limit; 1 or less if it fits."""
        size = self.max_size(teacher)
        latency = self.max_latency(teacher)
        ratios = []
        if size is not None:
            ratios.append(member.size / size)
        if latency is not None:
            ratios.append(member.latency.median / latency)
        if self.accuracy is not None:
            # the other way round: more is better
            ratios.append(self.accuracy / max(member.valid, _LEAST_SHARE))
        return max(ratios)  # a target has one limit at least

    @property
    def is_about_speed_alone(self) -> bool:
        """Whether there is a limit of latency and none of size."""
        limits_latency = self.latency is not None or self.faster is not None
        return limits_latency and self.size is None and self.smaller is None

    def max_size(self, teacher: _Figures) -> float | None:
        """Bytes that a member's file may have."""
        limits = []
        if self.size is not None:
            limits.append(float(self.size))
        if self.smaller is not None:
            limits.append(teacher.size / self.smaller)
        return min(limits, default=None)

    def max_latency(self, teacher: _Figures) -> float | None:
        """Seconds that a member may take on this machine."""
        limits = []
        if self.latency is not None:
            limits.append(self.latency / self.slowdown)
        if self.faster is not None:
            # The teacher is slower on a slower device, too.
            limits.append(teacher.latency.median / self.faster)
        return min(limits, default=None)


def _read(word: str, text: str) -> tuple[str, Any]:
    """Return what a word of a target's text says, and the value that it says."""
    if word in _KINDS:
        return "kind", word
    return _limit(word, text)


def _limit(word: str, text: str) -> tuple[str, float]:
    # also the sign that is made for it, as people copy it from tables
    match = _LIMIT.fullmatch(word.replace("\u00d7", "x"))
    unit = ""
    if match is not None:
        unit = " ".join(match[2].split())
    if match is None or unit not in _UNITS:
        raise InputError(
            f"target {text!r}: {word!r} is none of {_SOME}, 3x slower device, {', '.join(_KINDS)}"
        )
    name, factor = _UNITS[unit]
    # Exact, so that a target's text gives the target back.
    value = Decimal(match[1]) * Decimal(factor)
    if name == "size":
        # there are no parts of a byte
        return name, round(value)
    return name, float(value)


def _plain(value: float, power: int = 0) -> str:
    """Write a number times a power of ten with all of its digits and no exponent."""
    return f"{Decimal(repr(float(value))).scaleb(power).normalize():f}"
