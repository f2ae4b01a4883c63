"""Timestamps of packets and streams, with the special values of MediaPipe's framework."""

from typing import ClassVar

_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1


class Timestamp(int):
    """A point in time in microseconds (int64), or one of the special values below.

    In order: ``UNSET``, ``UNSTARTED``, ``PRE_STREAM`` (a packet before all others, and alone on its stream), ``MIN`` to
    ``MAX`` (ordinary packets), ``POST_STREAM`` (one packet after all others), ``ONE_OVER_POST_STREAM`` (the bound behind
    it) and ``DONE`` (nothing comes any more). Source: ``mediapipe/framework/timestamp.h``.

    >>> Timestamp(40_000).seconds
    0.04
    >>> print(Timestamp.MIN - 1)
    PreStream
    """

    __slots__ = ()

    UNSET: ClassVar["Timestamp"]
    UNSTARTED: ClassVar["Timestamp"]
    PRE_STREAM: ClassVar["Timestamp"]
    MIN: ClassVar["Timestamp"]
    MAX: ClassVar["Timestamp"]
    POST_STREAM: ClassVar["Timestamp"]
    ONE_OVER_POST_STREAM: ClassVar["Timestamp"]
    DONE: ClassVar["Timestamp"]

    @classmethod
    def from_seconds(cls, seconds: float) -> "Timestamp":
        """Return the nearest whole microsecond."""
        return cls(round(seconds * 1_000_000))

    @property
    def seconds(self) -> float:
        """The time in seconds."""
        return int(self) / 1_000_000

    @property
    def is_allowed_in_stream(self) -> bool:
        """Whether a packet may carry this timestamp."""
        return _PRE_STREAM <= self <= _POST_STREAM

    def __add__(self, other: int) -> "Timestamp":
        return Timestamp(int(self) + int(other))

    def __sub__(self, other: int) -> "Timestamp":
        return Timestamp(int(self) - int(other))

    def __str__(self) -> str:
        return _NAMES.get(int(self), int.__repr__(self))

    def __repr__(self) -> str:
        return f"Timestamp({self})"


_PRE_STREAM, _MAX, _POST_STREAM, _DONE = _INT64_MIN + 2, _INT64_MAX - 3, _INT64_MAX - 2, _INT64_MAX

_SPECIAL = {
    "UNSET": _INT64_MIN,
    "UNSTARTED": _INT64_MIN + 1,
    "PRE_STREAM": _PRE_STREAM,
    "MIN": _INT64_MIN + 3,
    "MAX": _MAX,
    "POST_STREAM": _POST_STREAM,
    "ONE_OVER_POST_STREAM": _INT64_MAX - 1,
    "DONE": _DONE,
}
_NAMES = {value: name.title().replace("_", "") for name, value in _SPECIAL.items()}
for _name, _value in _SPECIAL.items():
    setattr(Timestamp, _name, Timestamp(_value))


def bound_after(timestamp: int) -> int:
    """Return the lowest timestamp that may follow a packet at ``timestamp`` on the same stream."""
    if timestamp >= _MAX or timestamp == _PRE_STREAM:
        return _INT64_MAX - 1
    return timestamp + 1
