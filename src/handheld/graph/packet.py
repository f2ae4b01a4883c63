"""Packets: what flows through a graph."""

from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


# A named tuple rather than a frozen dataclass: one is made for every packet, and in half the time.
class Packet(NamedTuple, Generic[T]):
    """An immutable pair of a payload and its timestamp in microseconds.

    The payload is shared by everyone who receives the packet: a calculator must not change it in
    place.

    >>> payload, timestamp = Packet("hello", 40)
    """

    payload: T
    timestamp: int
