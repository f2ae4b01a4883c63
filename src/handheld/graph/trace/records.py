"""What a tracer is told: records of a running graph, as plain tuples.

A tuple and no object with names: one is made for each call of a calculator, a named one takes
twice as long, and the garbage collector gives plain tuples of numbers and texts up at once, however
many there are. :func:`event` gives the names.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from handheld.graph.timestamp import Timestamp

Record = tuple[Any, ...]
"""Its first field is one of the numbers below, which says what the others are.

``CALL`` and ``OPENED``: node, thread, number of the call, seconds when it was ready, began and
ended, timestamp, ports with a packet (None for all), class of its error, stream (or
None) and timestamp of the first packet that it sent, and a tuple (stream, timestamp, stream, ...)
of the others. ``FED``: stream, thread, seconds, timestamp.
``THROTTLED``: source, seconds from and to. ``RESET`` has none: all that was under way is lost.
"""

CALL, OPENED, FED, THROTTLED, RESET = range(5)

# As a plain number, which compares faster: a trace asks of each call.
_DONE = int(Timestamp.DONE)


@dataclass(frozen=True)
class InputShape:
    """One input of a node: its port, the stream that is connected, and how full its queue got.

    ``back`` tells a back edge.
    """

    port: str
    stream: str
    back: bool = False
    peak: int = 0


@dataclass(frozen=True)
class NodeShape:
    """One node of a traced graph.

    Attributes:
        name: of the node.
        inputs: in the order of its ports.
        outputs: the streams that it sends.
        calls: of its code, up to now.
        drops: packets that it dropped on purpose.
        skips: calls in which a function did not run.
    """

    name: str
    inputs: tuple[InputShape, ...]
    outputs: tuple[str, ...]
    calls: int = 0
    drops: int = 0
    skips: int = 0


@dataclass(frozen=True)
class GraphShape:
    """A traced graph.

    Attributes:
        name: of its config.
        inputs: the streams that come from outside.
        nodes: in the order of the plan, observers last.
        at_s: when this was written down, by the graph's clock.
        threads: identity -> name, of the threads that were seen so far.
    """

    name: str = "graph"
    inputs: tuple[str, ...] = ()
    nodes: tuple[NodeShape, ...] = ()
    at_s: float = 0.0
    threads: Mapping[int, str] = field(default_factory=dict)


class Tracer(Protocol):
    """Is told what a graph does; give one to :class:`~handheld.graph.Graph` as ``trace``.

    One that raises is removed and logged, and the graph goes on.
    """

    def start(self, describe: Callable[[], GraphShape]) -> None:
        """Begin, before any node opens. ``describe`` returns the graph as it is at the moment."""

    def record(self, record: Record) -> None:
        """Take a record, see :func:`event`; called on the thread of the node, by many at once.

        The graph waits for it, and nothing of the graph may be asked in it. Of a node with
        ``max_in_flight`` calls come in the order of their packets, each when all before it are
        over.
        """

    def stop(self) -> None:
        """End, after the last node was closed; called once for each ``start``."""


@dataclass(frozen=True)
class SentPacket:
    """A packet that was sent: on which stream, at which timestamp."""

    stream: str
    timestamp: Timestamp


@dataclass(frozen=True)
class CallEvent:
    """A call of a calculator's ``open``, ``process`` or ``close``.

    Attributes:
        node: its name.
        method: "open", "process" or "close".
        thread: that ran it, as ``threading.get_ident`` has it; below zero for a coroutine, whose
            thread runs others meanwhile.
        number: of the call among those of the node, from 1; 0 for ``open``.
        ready_s: when the node was ready, by the graph's clock.
        start_s: when the call began.
        end_s: when it was over.
        timestamp: of the packets.
        ports: on which a packet came; ``None`` for every input of the node.
        sent: the packets that it sent.
        error: the class of what it raised; empty where it did not.
    """

    node: str
    method: str
    thread: int
    number: int
    ready_s: float
    start_s: float
    end_s: float
    timestamp: Timestamp
    ports: tuple[str, ...] | None = None
    sent: tuple[SentPacket, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class FedEvent:
    """A packet that was put on a graph input: on which thread, and when by the graph's clock."""

    packet: SentPacket
    thread: int
    at_s: float


@dataclass(frozen=True)
class ResetEvent:
    """The graph was reset: what was under way is lost, and timestamps begin anew."""


@dataclass(frozen=True)
class ThrottledEvent:
    """A source or graph input that full queues held back, from ``start_s`` to ``end_s``."""

    source: str
    start_s: float
    end_s: float


TraceEvent = CallEvent | FedEvent | ThrottledEvent | ResetEvent
"""What :func:`event` makes of a record."""


def method_of(record_type: int, timestamp: int) -> str:
    """Return which method the call of a record was: "open", "process" or "close"."""
    if record_type == OPENED:
        return "open"
    # Packets never have this timestamp: a node is closed there.
    if timestamp == _DONE:
        return "close"
    return "process"


def event(record: Record) -> TraceEvent:
    """Return a record as a value whose fields have names."""
    record_type = record[0]
    if record_type == RESET:
        return ResetEvent()
    if record_type == THROTTLED:
        return ThrottledEvent(*record[1:])
    if record_type == FED:
        _, stream, thread, at_s, timestamp = record
        return FedEvent(SentPacket(stream, Timestamp(timestamp)), thread, at_s)
    _, node, thread, number, ready_s, start_s, end_s, timestamp, ports, error, *first, more = record
    # The first packet stands by itself: most calls send one, and no tuple is made for it.
    sent = more
    if first[0] is not None:
        sent = (*first, *more)
    return CallEvent(
        node=node,
        method=method_of(record_type, timestamp),
        thread=thread,
        number=number,
        ready_s=ready_s,
        start_s=start_s,
        end_s=end_s,
        timestamp=Timestamp(timestamp),
        ports=ports,
        sent=tuple(
            SentPacket(stream, Timestamp(at))
            for stream, at in zip(sent[::2], sent[1::2], strict=True)
        ),
        error=error,
    )
