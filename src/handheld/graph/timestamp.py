"""Timestamps of packets and streams, with the special values of MediaPipe's framework."""

from typing import ClassVar

_INT64_MIN = -(2**63)
_INT64_MAX = 2**63 - 1

# The values and their order are those of mediapipe/framework/timestamp.h: a recording of
# one framework means the same in the other.
_SPECIAL = {
    "UNSET": _INT64_MIN,
    "UNSTARTED": _INT64_MIN + 1,
    "PRE_STREAM": _INT64_MIN + 2,
    "MIN": _INT64_MIN + 3,
    "MAX": _INT64_MAX - 3,
    "POST_STREAM": _INT64_MAX - 2,
    "ONE_OVER_POST_STREAM": _INT64_MAX - 1,
    "DONE": _INT64_MAX,
}
_NAMES = {value: name.title().replace("_", "") for name, value in _SPECIAL.items()}

# Plain integers, since each packet is compared with them: a Timestamp takes half as long again,
# and twenty times as long to add to.
_PRE_STREAM = _SPECIAL["PRE_STREAM"]
_MAX = _SPECIAL["MAX"]
_POST_STREAM = _SPECIAL["POST_STREAM"]
_ONE_OVER_POST_STREAM = _SPECIAL["ONE_OVER_POST_STREAM"]


class Timestamp(int):
    """A point in time in microseconds (int64), or one of the special values below.

    In order: ``UNSET``, ``UNSTARTED``, ``PRE_STREAM`` (a packet before all others, and alone on its
    stream), ``MIN`` to ``MAX`` (ordinary packets), ``POST_STREAM`` (one packet after all others),
    ``ONE_OVER_POST_STREAM`` (the bound behind it) and ``DONE`` (nothing comes any more).
    Source: ``mediapipe/framework/timestamp.h``.

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


# Inside the class they could not be made: it does not exist yet while its body runs.
for _name, _value in _SPECIAL.items():
    setattr(Timestamp, _name, Timestamp(_value))


def bound_after(timestamp: int) -> int:
    """Return the lowest timestamp that may follow a packet at ``timestamp`` on the same stream."""
    # A packet before or after all others is the only one on its stream.
    if timestamp >= _MAX or timestamp == _PRE_STREAM:
        return _ONE_OVER_POST_STREAM
    return timestamp + 1
