"""Packets: what flows through a graph."""

from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Packet(NamedTuple, Generic[T]):
    """An immutable pair of a payload and its timestamp in microseconds.

    The payload is shared by everyone who receives the packet: a calculator must not change it in place.

    >>> payload, timestamp = Packet("hello", 40)
    """

    payload: T
    timestamp: int
