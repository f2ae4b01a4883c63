"""What is known of a device by the times of calibration models, and results beside each other by
it.

A latency of one machine says little of another. Divided by the time that a fixed model takes on the
same machine it says more: how often the device could have done that work meanwhile. That is an
estimate and no measurement. Machines differ by kind of work (one has fast instructions for int8,
another a wide memory), so there are several calibration models, and where their answers lie apart,
no single one is right.

The interval of a ratio combines those of both times in the logarithm, by the distances of their
ends from the estimate (MOVER; Zou and Donner, Statistics in Medicine 27, 2008): each may be
lopsided, as intervals of medians are.
"""

import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from handheld.bench.metric import MetricEstimate
from handheld.config import read_config
from handheld.errors import InputError
from handheld.files import atomic_path
from handheld.ranges import in_range, whole_in_range

_LONGEST_NAME = 80
_LONGEST_TEXT = 200
_HASH_DIGITS = 64
_LONGEST = 3600.0  # seconds of one call of a calibration model
_MOST_ENTRIES = 32
_DELETE = "\x7f"  # JSON leaves it as it is, TOML does not take it


@dataclass(frozen=True, kw_only=True)
class CalibrationTime:
    """How long a calibration model took.

    Args:
        work: what the model does, such as "float convolution".
        sha256: of its file, in hexadecimal.
        median: seconds of one call, in (0, 3600].
        low: beginning of the median's 95 % interval, in (0, 3600]; None where the device tells
            none.
        high: its end, in (0, 3600]; None likewise.
        calls: that were counted, 1 or more.

    Raises:
        InputError: names what is wrong.
    """

    work: str
    sha256: str
    median: float
    low: float | None = None
    high: float | None = None
    calls: int = 1

    def __post_init__(self) -> None:
        _require_text("work", self.work, _LONGEST_NAME)
        is_hash = len(self.sha256) == _HASH_DIGITS and set(self.sha256) <= set("0123456789abcdef")
        if not is_hash:
            raise InputError(f"sha256: expected 64 hexadecimal digits, got {self.sha256!r:.100}")
        in_range("median", self.median, low=0, high=_LONGEST, low_open=True)
        whole_in_range("calls", self.calls, low=1)
        for name in ("low", "high"):
            end = getattr(self, name)
            if end is not None:
                in_range(name, end, low=0, high=_LONGEST, low_open=True)
        if not _or_nan(self.low) <= self.median <= _or_nan(self.high) and self.has_interval:
            raise InputError("low and high: expected the two ends of an interval around the median")

    @property
    def has_interval(self) -> bool:
        """Whether the device told an interval."""
        return self.low is not None or self.high is not None

    @property
    def estimate(self) -> MetricEstimate:
        """The median with its interval."""
        return MetricEstimate(self.median, _or_nan(self.low), _or_nan(self.high), self.calls)


@dataclass(frozen=True, kw_only=True)
class CalibrationProfile:
    """A device, by how long calibration models take on it.

    Args:
        name: of the device, for people.
        times: of the calibration models, one or more.
        core: number of the core that was measured, 0 or more; None: threads were free.
        threads: of the interpreter, 1 or more.
        taken: date and time with its zone, in ISO 8601.
        valid: whether every run could be trusted.
        machine: processor, system and versions, by name.

    Raises:
        InputError: names what is wrong.
    """

    name: str
    times: tuple[CalibrationTime, ...]
    core: int | None = None
    threads: int = 1
    taken: str = ""
    valid: bool = True
    machine: dict[str, str]

    def __post_init__(self) -> None:
        _require_text("name", self.name, _LONGEST_NAME)
        if not 1 <= len(self.times) <= _MOST_ENTRIES:
            raise InputError(f"times: expected 1 to {_MOST_ENTRIES}, got {len(self.times)}")
        hashes = [time.sha256 for time in self.times]
        if len(set(hashes)) < len(hashes):
            raise InputError("times: one calibration model stands there twice")
        if self.core is not None:
            whole_in_range("core", self.core, low=0)
        whole_in_range("threads", self.threads, low=1)
        _check_date(self.taken)
        if len(self.machine) > _MOST_ENTRIES:
            raise InputError(f"machine: expected at most {_MOST_ENTRIES} entries")
        for key, text in self.machine.items():
            _require_text(f"machine.{key:.40}", text, _LONGEST_TEXT)

    def time_of(self, sha256: str) -> CalibrationTime | None:
        """Return how long the calibration model of a hash took; None if it was not run."""
        for time in self.times:
            if time.sha256 == sha256:
                return time
        return None


@dataclass(frozen=True)
class NormalisedTime:
    """A time, divided by that of a calibration model on the same device.

    Args:
        work: of the calibration model.
        sha256: of its file.
        ratio: with a 95 % interval that both times' intervals make; an estimate.
    """

    work: str
    sha256: str
    ratio: MetricEstimate


def normalised(time: MetricEstimate, calibration: MetricEstimate) -> MetricEstimate:
    """Return a time as a multiple of another one, with the interval of both.

    With t the time, c the calibration's, and l and h the ends of their intervals, the ends lie
    sqrt(ln(t / l_t)^2 + ln(h_c / c)^2) below and sqrt(ln(h_t / t)^2 + ln(c / l_c)^2) above
    ln(t / c). An end is NaN where one of its two is not known.

    Args:
        time: seconds, above 0.
        calibration: likewise.

    Raises:
        InputError: a time is 0 or no number.

    >>> time = MetricEstimate(0.006, 0.006, 0.006, 100)
    >>> normalised(time, MetricEstimate(0.002, 0.001, 0.004, 100))
    MetricEstimate(value=3.0, low=1.5, high=6.0, count=100)
    """
    for name, seconds in (("time", time.value), ("calibration", calibration.value)):
        in_range(name, seconds, low=0, low_open=True)
    ratio = time.value / calibration.value
    below = math.hypot(_log(time.value, time.low), _log(calibration.high, calibration.value))
    above = math.hypot(_log(time.high, time.value), _log(calibration.value, calibration.low))
    count = min(time.count, calibration.count)
    # The exponential of a logarithm is off in its last digits: exp(log(3)) is 3.0000000000000004.
    low = round(ratio * math.exp(-below), 12)
    high = round(ratio * math.exp(above), 12)
    return MetricEstimate(ratio, low, high, count)


def _log(larger: float, smaller: float) -> float:
    """Return the distance of two times in the logarithm; infinite from 0, NaN where one is NaN."""
    if smaller == 0:
        return math.inf
    return math.log(larger / smaller)


def normalised_times(
    time: MetricEstimate, profile: CalibrationProfile | None
) -> list[NormalisedTime]:
    """Return a time as multiples of each calibration model's; none where nothing is known."""
    if profile is None or not time.value > 0:
        return []
    ratios = []
    for calibration in profile.times:
        ratio = normalised(time, calibration.estimate)
        ratios.append(NormalisedTime(calibration.work, calibration.sha256, ratio))
    return ratios


def require_alike(
    profile: CalibrationProfile, now: CalibrationProfile, *, tolerance: float
) -> None:
    """Refuse a device that is not the one of a profile, by the times of calibration models.

    Args:
        profile: as it was written.
        now: as it was measured now.
        tolerance: share by which a median may differ, in (0, 1).

    Raises:
        InputError: another one takes another time; says how much, and of which work.
    """
    in_range("tolerance", tolerance, low=0, high=1, low_open=True, high_open=True)
    for expected in profile.times:
        measured = now.time_of(expected.sha256)
        if measured is None:
            raise InputError(
                f"profile {profile.name!r} was taken with another calibration model of "
                f"{expected.work}: take it again with 'handheld bench calibrate'"
            )
        ratio = measured.median / expected.median
        # In logarithms: twice as fast is as far off as twice as slow.
        if abs(math.log(ratio)) > math.log1p(tolerance):
            raise InputError(
                f"this is not the device of profile {profile.name!r}, or something slows it: "
                f"{expected.work} takes {ratio:.2f} times as long, and {1 + tolerance:g} times "
                "are allowed either way"
            )


def read_profile(path: str | os.PathLike[str]) -> CalibrationProfile:
    """Read a profile that :func:`write_profile` wrote.

    Raises:
        InputError: it cannot be read, or an entry is wrong; names it.
    """
    return read_config(CalibrationProfile, path)


def write_profile(path: str | os.PathLike[str], profile: CalibrationProfile) -> None:
    """Write a profile as TOML.

    Raises:
        FileError: it cannot be written.
    """
    text = "\n".join(_lines(profile)) + "\n"
    with atomic_path(path) as temporary:
        temporary.write_text(text, "utf-8")


def _lines(profile: CalibrationProfile) -> Iterator[str]:
    yield "# A device, by how long calibration models take on it: 'handheld bench calibrate'."
    yield f"name = {_quoted(profile.name)}"
    yield f"taken = {_quoted(profile.taken)}"
    yield f"valid = {str(profile.valid).lower()}"
    if profile.core is not None:
        yield f"core = {profile.core}"
    yield f"threads = {profile.threads}"
    yield "\n[machine]"
    for key, text in profile.machine.items():
        yield f"{_quoted(key)} = {_quoted(text)}"
    for time in profile.times:
        yield "\n[[times]]  # seconds of one call"
        yield f"work = {_quoted(time.work)}"
        yield f"sha256 = {_quoted(time.sha256)}"
        # repr: the shortest digits that are read back as the same number.
        yield f"median = {time.median!r}"
        if time.has_interval:
            yield f"low = {time.low!r}"
            yield f"high = {time.high!r}"
        yield f"calls = {time.calls}"


def _quoted(text: str) -> str:
    """Return a text as TOML's basic string: JSON's, but for one letter."""
    return json.dumps(text, ensure_ascii=False).replace(_DELETE, "\\u007f")


def _or_nan(end: float | None) -> float:
    if end is None:
        return math.nan
    return end


def _require_text(name: str, text: str, longest: int) -> None:
    if not 1 <= len(text) <= longest:
        raise InputError(f"{name}: expected 1 to {longest} characters, got {len(text)}")


def _check_date(text: str) -> None:
    if not text:
        return
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(
            f"taken: expected a date as 2026-12-01T00:00:00Z, got {text!r:.60}"
        ) from None
    if moment.tzinfo is None:
        raise InputError(f"taken: expected a date with its zone, got {text!r}")
