"""The flow limiter: keeps a live graph from falling behind.

It drops what the graph cannot handle in time.
"""

from collections import deque
from typing import Any

from handheld.graph.calculator import Calculator, Context
from handheld.graph.contract import Contract
from handheld.graph.packet import Packet
from handheld.graph.policies import ImmediatePolicy
from handheld.ranges import whole_in_range


class FlowLimiter(Calculator):
    """Lets a few packets be under way at a time, lets a few wait, and drops the oldest beyond that.

    ``finished`` is a back edge from the stream whose packet, or settled bound, at t says that t is
    done. ``allow`` tells at each timestamp whether its packet was let through. Dropped packets are
    counted (``Graph.stats().drops``).
    Source: ``mediapipe/calculators/core/flow_limiter_calculator.cc``.

    Args:
        max_in_flight: packets between this node and ``finished``.
        max_in_queue: packets that wait here for one to finish.
    """

    contract = Contract(
        inputs={"in": object, "finished": object},
        outputs={"out": object, "allow": bool},
        # Not the default: that would let a packet wait for what finishes at its own timestamp.
        policy=ImmediatePolicy(),
        # What waits is sent later, at its own timestamp, so nothing can be promised of the present.
        timestamp_offset=None,
        # A packet that came to nothing downstream settles its timestamp, and is finished too.
        process_bounds=True,
    )

    def __init__(self, *, max_in_flight: int = 1, max_in_queue: int = 1) -> None:
        whole_in_range("max_in_flight", max_in_flight, low=1)
        whole_in_range("max_in_queue", max_in_queue, low=0)
        self._max_in_flight = max_in_flight
        self._max_in_queue = max_in_queue

    def open(self, context: Context) -> None:
        """Start with nothing under way."""
        self._in_flight: deque[int] = deque()
        self._queue: deque[Packet[Any]] = deque()

    def process(self, context: Context) -> None:
        """Take note of what finished, let packets through, drop the oldest of those that wait."""
        done = context.bound("finished")
        while self._in_flight and self._in_flight[0] < done:
            self._in_flight.popleft()
        if "in" in context.inputs:
            self._queue.append(context.inputs["in"])
        # Before any is dropped: what there is room for need not wait.
        while self._queue and len(self._in_flight) < self._max_in_flight:
            packet = self._queue.popleft()
            self._in_flight.append(packet.timestamp)
            _let_through(context, packet)
        # The oldest: of a live stream, the newest is worth most.
        while len(self._queue) > self._max_in_queue:
            packet = self._queue.popleft()
            context.drop()
            context.send("allow", False, packet.timestamp)
        self._settle(context)

    def close(self, context: Context) -> None:
        """Let through what still waits: there is no newer packet to make room for."""
        for packet in self._queue:
            _let_through(context, packet)

    def _settle(self, context: Context) -> None:
        """Promise that nothing comes before the packet that waits longest."""
        settled: int = context.bound("in")
        if self._queue:
            settled = self._queue[0].timestamp
        context.advance("out", settled)
        context.advance("allow", settled)


def _let_through(context: Context, packet: Packet[Any]) -> None:
    context.send("out", packet.payload, packet.timestamp)
    context.send("allow", True, packet.timestamp)
