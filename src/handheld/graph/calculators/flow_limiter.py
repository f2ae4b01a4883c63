"""The flow limiter: keeps a live graph from falling behind.

It drops what the graph cannot handle in time.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from handheld.graph.calculator import Calculator, Context
from handheld.graph.calculators.headers import pass_headers
from handheld.graph.contract import Contract
from handheld.graph.packet import Packet
from handheld.graph.policies import ImmediatePolicy
from handheld.graph.timestamp import Timestamp
from handheld.ranges import one_of, whole_in_range

_SECOND = 1_000_000  # microseconds


class _UnderWay(NamedTuple):
    """A packet that was let through and is not done with.

    Attributes:
        timestamp: its own.
        since: microseconds of the clock by which it is given up.
    """

    timestamp: int
    since: float


class FlowLimiter(Calculator):
    """Lets a few packets be under way at a time, lets a few wait, and drops the oldest beyond that.

    ``finished`` is a back edge from the stream whose packet, or settled bound, at t says that t is
    done. ``allow`` tells at each timestamp whether its packet was let through. Dropped packets are
    counted (``Graph.stats().drops``).
    Source: ``mediapipe/calculators/core/flow_limiter_calculator.cc``.

    Args:
        max_in_flight: packets between this node and ``finished``; the side input ``max_in_flight``
            (optional) says otherwise.
        max_in_queue: packets that wait here for one to finish.
        in_flight_timeout: microseconds after which a packet under way is given up; 0 for never.
        clock: of the timeout: "packets" for their own time, as in MediaPipe, when a packet comes
            that is so much later; "graph" for the graph's clock, since the packet was let through,
            looked at when anything comes.
        streams: input port -> output port, for several streams. Of the first it is decided what
            passes. What the others have at a timestamp shares the fate of the first one's packet
            there or, where it has none, of its last one before; what comes before its first passes.
    """

    contract = Contract(
        inputs={"in": object, "finished": object},
        outputs={"out": object, "allow": bool},
        side_inputs={"max_in_flight": int},
        optional=frozenset({"max_in_flight"}),
        # Not the default: that would let a packet wait for what finishes at its own timestamp.
        policy=ImmediatePolicy(),
        # What waits is sent later, at its own timestamp, so nothing can be promised of the present.
        timestamp_offset=None,
        # A packet that came to nothing downstream settles its timestamp, and is finished too.
        process_bounds=True,
    )

    def __init__(
        self,
        *,
        max_in_flight: int = 1,
        max_in_queue: int = 1,
        in_flight_timeout: int = 0,
        clock: Literal["packets", "graph"] = "packets",
        streams: Mapping[str, str] | None = None,
    ) -> None:
        whole_in_range("max_in_flight", max_in_flight, low=1)
        whole_in_range("max_in_queue", max_in_queue, low=0)
        whole_in_range("in_flight_timeout", in_flight_timeout, low=0)
        self._max_in_flight = max_in_flight
        self._max_in_queue = max_in_queue
        one_of("clock", clock, ("packets", "graph"))
        self._timeout = in_flight_timeout
        self._by_graph = clock == "graph"
        streams = dict(streams or {"in": "out"})
        self._main, *others = streams.items()
        self._others = dict(others)
        self.contract = replace(
            type(self).contract,
            inputs={**dict.fromkeys(streams, object), "finished": object},
            outputs={**dict.fromkeys(streams.values(), object), "allow": bool},
        )

    def open(self, context: Context) -> None:
        """Start with nothing under way."""
        self._limit = self._max_in_flight
        if "max_in_flight" in context.side:
            self._limit = context.side["max_in_flight"]
            whole_in_range("side packet max_in_flight", self._limit, low=1)
        self._in_flight: deque[_UnderWay] = deque()
        self._queue: deque[Packet[Any]] = deque()
        self._waiting: dict[str, deque[Packet[Any]]] = {port: deque() for port in self._others}
        # At which timestamps it was decided, and what: as long as another stream may ask.
        self._decided_at: list[int] = []
        self._decisions: list[bool] = []
        pass_headers(context, dict([self._main]) | self._others)

    def process(self, context: Context) -> None:
        """Take note of what finished, let packets through, drop the oldest of those that wait."""
        done = context.bound("finished")
        while self._in_flight and self._in_flight[0].timestamp < done:
            self._in_flight.popleft()
        self._take(context)
        # Before any is dropped: what there is room for need not wait.
        while self._queue and len(self._in_flight) < self._limit:
            self._begin(context, self._queue.popleft())
        # The oldest: of a live stream, the newest is worth most.
        while len(self._queue) > self._max_in_queue:
            packet = self._queue.popleft()
            context.drop()
            self._decide(context, packet, allowed=False)
        self._settle(context)

    def close(self, context: Context) -> None:
        """Let through what still waits: there is no newer packet to make room for."""
        while self._queue:
            self._let_through(context, self._queue.popleft())
        for port in self._others:
            self._follow(context, port, Timestamp.DONE)

    def _take(self, context: Context) -> None:
        """Keep the packets that came; of what is under way, give up what is too old by now."""
        main, _ = self._main
        if main in context.inputs:
            packet = context.inputs[main]
            self._queue.append(packet)
            if not self._by_graph:
                self._give_up(packet.timestamp)
        if self._by_graph and self._timeout:
            self._give_up(context.now() * _SECOND)
        for port, waiting in self._waiting.items():
            if port in context.inputs:
                waiting.append(context.inputs[port])

    def _begin(self, context: Context, packet: Packet[Any]) -> None:
        """Let a packet through that is under way from now on, by the clock of the timeout."""
        since: float = packet.timestamp
        if self._by_graph:
            since = context.now() * _SECOND
        self._in_flight.append(_UnderWay(packet.timestamp, since))
        self._let_through(context, packet)

    def _give_up(self, now: float) -> None:
        """Forget what has been under way for too long."""
        while self._timeout and self._in_flight and now - self._in_flight[0].since > self._timeout:
            self._in_flight.popleft()

    def _let_through(self, context: Context, packet: Packet[Any]) -> None:
        _, output = self._main
        context.send(output, packet.payload, packet.timestamp)
        self._decide(context, packet, allowed=True)

    def _decide(self, context: Context, packet: Packet[Any], *, allowed: bool) -> None:
        context.send("allow", allowed, packet.timestamp)
        if self._others:
            self._decided_at.append(packet.timestamp)
            self._decisions.append(allowed)

    def _is_allowed(self, timestamp: int) -> bool:
        """Return what was decided at a timestamp, or last before it."""
        number = bisect_right(self._decided_at, timestamp)
        # Before the first packet nothing was too much.
        return number == 0 or self._decisions[number - 1]

    def _forget_decisions(self, lowest: int) -> None:
        """Forget what was decided before the decision that holds at a timestamp."""
        number = bisect_right(self._decided_at, lowest) - 1
        if number > 0:
            del self._decided_at[:number]
            del self._decisions[:number]

    def _settle(self, context: Context) -> None:
        """Promise that nothing comes before the packet that waits longest."""
        main, output = self._main
        settled: int = context.bound(main)
        if self._queue:
            settled = self._queue[0].timestamp
        context.advance(output, settled)
        context.advance("allow", settled)
        for port in self._others:
            self._follow(context, port, settled)
        if self._others:
            self._forget_decisions(min(self._earliest(context, port) for port in self._others))

    def _earliest(self, context: Context, port: str) -> int:
        """Return the first timestamp at which another stream may still have a packet to send."""
        waiting = self._waiting[port]
        if waiting:
            return waiting[0].timestamp
        bound: int = context.bound(port)
        return bound

    def _follow(self, context: Context, port: str, settled: int) -> None:
        """Send of another stream what is allowed, as far as that is decided."""
        waiting = self._waiting[port]
        while waiting and waiting[0].timestamp < settled:
            packet = waiting.popleft()
            if self._is_allowed(packet.timestamp):
                context.send(self._others[port], packet.payload, packet.timestamp)
            else:
                context.drop()
        if settled < Timestamp.DONE:
            context.advance(self._others[port], min(self._earliest(context, port), settled))
