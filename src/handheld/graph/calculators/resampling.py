"""Which packets stand for which points in time: the arithmetic of the resampler, without a graph.

Each class takes the packets of one stream in order, and says what comes out and below which
timestamp nothing more will.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from random import Random
from typing import Any

from handheld.errors import InputError
from handheld.graph.packet import Packet
from handheld.graph.timestamp import Timestamp, bound_after

SECOND = 1_000_000
"""Microseconds."""

MOST_PERIODS = 10_000_000
"""That are counted before a stream begins: about ten seconds of work, and four days at 30 Hz."""


class Sampling(ABC):
    """Chooses packets, each of which comes out at a timestamp of its own."""

    bound = int(Timestamp.PRE_STREAM)
    """Nothing more comes out below it."""

    @abstractmethod
    def take(self, packet: Packet[Any]) -> Iterator[Packet[Any]]:
        """Yield what comes out now that the next packet is there."""

    @abstractmethod
    def end(self) -> Iterator[Packet[Any]]:
        """Yield what comes out at the end of the stream."""


def _rounded(number: float) -> int:
    """Return the nearest integer; halves go away from zero, as in C++."""
    return math.floor(abs(number) + 0.5) * (1 if number >= 0 else -1)


class GridSampling(Sampling):
    """Points at equal distances, each with the packet nearest to it; of two as near, the later.

    Where no packet lies within half a period of a point, the last one before it is repeated. The
    point that is nearest to the last packet may lie behind it.

    Args:
        rate: points a second.
        base: one of the points; None for the first packet.
        flush: whether the last point gets its packet where that lies before it.
    """

    def __init__(self, rate: float, base: int | None, *, flush: bool) -> None:
        self._rate = rate
        self._base = base
        self._flush = flush
        self._first: int | None = None  # the point of number 0
        self._number = 0  # of the next point
        self._last: Packet[Any] | None = None

    def take(self, packet: Packet[Any]) -> Iterator[Packet[Any]]:
        """Yield the points that the packet decides."""
        if self._first is None:
            self._first = self._start(packet.timestamp)
            # Halfway between two points, the first packet belongs to the later one: the other is
            # before all packets, and has none.
            self._number = max(0, self._nearest(packet.timestamp))
        number = self._nearest(packet.timestamp)
        # Points that no packet is near to.
        while self._number < number and self._last is not None:
            yield self._placed(self._last)
        point = self._point(self._number)
        if number == self._number and packet.timestamp >= point:
            yield self._placed(self._nearer(packet, point))
        self.bound = self._point(self._number)
        self._last = packet

    def end(self) -> Iterator[Packet[Any]]:
        """Yield what is left."""
        last = self._last
        if self._flush and last is not None and self._nearest(last.timestamp) == self._number:
            yield self._placed(last)

    def _start(self, timestamp: int) -> int:
        if self._base is None:
            return timestamp
        number = _rounded((timestamp - self._base) / SECOND * self._rate)
        return self._base + _rounded(number / self._rate * SECOND)

    def _point(self, number: int) -> int:
        # From the first, so that the error of a period in whole microseconds does not add up.
        return (self._first or 0) + _rounded(number / self._rate * SECOND)

    def _nearest(self, timestamp: int) -> int:
        return _rounded((timestamp - (self._first or 0)) / SECOND * self._rate)

    def _nearer(self, packet: Packet[Any], point: int) -> Packet[Any]:
        last = self._last
        if last is None or packet.timestamp - point <= point - last.timestamp:
            return packet
        return last

    def _placed(self, packet: Packet[Any]) -> Packet[Any]:
        point = self._point(self._number)
        self._number += 1
        return Packet(packet.payload, Timestamp(point))


class JitterSampling(Sampling):
    """Points at random distances, each with the nearest packet; of two as near, the later.

    The first point is drawn from the first period. Each next one lies a period further, give or
    take ``jitter`` periods. A stream that ends before its first point gives one of its packets.

    Args:
        period: microseconds.
        jitter: in periods, in (0, 1].
        random: draws the points.
        reservoir_random: draws the packet of a stream without a point.
    """

    def __init__(
        self, period: int, jitter: float, *, random: Random, reservoir_random: Random
    ) -> None:
        self._period = period
        self._jitter = jitter
        self._random = random
        self._reservoir = _Reservoir(reservoir_random)
        self._last: Packet[Any] | None = None
        self._next = 0  # point

    def take(self, packet: Packet[Any]) -> Iterator[Packet[Any]]:
        """Yield the points that the packet decides."""
        if self._last is None:
            self._begin(packet.timestamp)
        self._sample(packet)
        while self._next <= packet.timestamp:
            chosen = packet
            # Of two as near, the later one.
            if self._last and packet.timestamp - self._next > self._next - self._last.timestamp:
                chosen = self._last
            yield Packet(chosen.payload, Timestamp(self._next))
            self._reservoir.clear()
            self._advance()
        self._last = packet

    def end(self) -> Iterator[Packet[Any]]:
        """Yield what is left."""
        sample = self._reservoir.sample
        if sample is not None:
            yield sample

    def _begin(self, timestamp: int) -> None:
        self._next = timestamp + int(self._period * self._random.random())
        self.bound = timestamp

    def _sample(self, packet: Packet[Any]) -> None:
        """Take a packet into account for a stream that ends too early."""
        if self.bound <= packet.timestamp and self._reservoir.enabled:
            self._reservoir.add(packet)

    def _advance(self) -> None:
        self._reservoir.enabled = False
        spread = 1 - self._jitter + 2 * self._jitter * self._random.random()
        # At least the next microsecond: with a jitter of 1 it may be no way at all.
        self._next += max(1, int(self._period * spread))
        self.bound = self._next


class ReflectedSampling(JitterSampling):
    """As :class:`JitterSampling`, with one point in each period, counted from the first packet.

    A point that would lie outside of its period is reflected at its end, so that points are
    distributed evenly (https://arxiv.org/abs/2002.01147). What is left of a period at the end gives
    one of its packets, at that packet's own timestamp.
    """

    def _begin(self, timestamp: int) -> None:
        self._next = timestamp + self._random.randrange(self._period)
        self.bound = timestamp

    def _advance(self) -> None:
        self.bound += self._period
        self._next = reflected(self._next, self.bound, self._period, self._jitter, self._random)


class ReproducibleSampling(Sampling):
    """One point in each period, counted from ``base`` whenever the stream begins.

    So parts of a stream give what the whole gives, where they are cut between two periods and a
    packet further. A period has its point even where the stream begins behind it.

    Args:
        period: microseconds.
        jitter: in periods, in [0, 1].
        base: start of the first period; packets before it are left out.
        random: draws the points.
    """

    def __init__(self, period: int, jitter: float, *, base: int, random: Random) -> None:
        self._period = period
        self._jitter = jitter
        self._random = random
        self._last: Packet[Any] | None = None
        self._start = base  # of the period
        self._next = base  # point
        self._done = False  # whether this period's packet went out

    def take(self, packet: Packet[Any]) -> Iterator[Packet[Any]]:
        """Yield the points that the packet decides."""
        timestamp = packet.timestamp
        if self._last is None:
            self._begin(timestamp)
            if self._next < timestamp:
                yield self._placed(packet)
        else:
            self._advance(timestamp)
            while not self._done and self._next <= timestamp:
                chosen = self._last
                if timestamp - self._next < self._next - self._last.timestamp:
                    chosen = packet
                yield self._placed(chosen)
                self._advance(timestamp)
        self._last = packet

    def end(self) -> Iterator[Packet[Any]]:
        """Yield what is left."""
        if self._last is not None and not self._done:
            yield self._placed(self._last)

    def _begin(self, timestamp: int) -> None:
        self._next = self._start + self._random.randrange(self._period)
        periods = (timestamp - self._start) // self._period
        if periods > MOST_PERIODS:
            raise InputError(
                f"the first packet, at {timestamp}, lies {periods:,} periods after {self._start}, "
                f"expected at most {MOST_PERIODS:,}: set base_timestamp nearer to the stream"
            )
        # One by one: each point depends on the one before it.
        while timestamp >= self._start + self._period:
            self._step()
        self.bound = self._next

    def _advance(self, timestamp: int) -> None:
        if self._done and timestamp >= self._start + self._period:
            self._step()
            self._done = False
            self.bound = self._next

    def _step(self) -> None:
        self._start += self._period
        self._next = reflected(self._next, self._start, self._period, self._jitter, self._random)

    def _placed(self, packet: Packet[Any]) -> Packet[Any]:
        self._done = True
        self.bound = bound_after(self._next)
        return Packet(packet.payload, Timestamp(self._next))


def reflected(point: int, start: int, period: int, jitter: float, random: Random) -> int:
    """Return the point of the next period, after that of the period before.

    Args:
        point: of the period before.
        start: of the next period.
        period: microseconds.
        jitter: in periods, in [0, 1].
        random: draws by how much it is moved.
    """
    reach = int(period * jitter)
    moved = point + period + random.randrange(2 * reach + 1) - reach
    if moved < start:
        return 2 * start - moved - 1
    if moved >= start + period:
        return 2 * (start + period) - moved - 1
    return moved


class _Reservoir:
    """One packet of several, each as likely as the others, which are not kept (Vitter 1985)."""

    def __init__(self, random: Random) -> None:
        self.enabled = True
        self.sample: Packet[Any] | None = None
        self._random = random
        self._count = 0

    def add(self, packet: Packet[Any]) -> None:
        """Take the place of the sample, in one of as many cases as there were packets."""
        self._count += 1
        if self._random.randrange(self._count) == 0:
            self.sample = packet

    def clear(self) -> None:
        """Forget all."""
        self._count = 0
        self.sample = None
