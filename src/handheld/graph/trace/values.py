"""What a trace is made of, as values."""

from dataclasses import dataclass

from handheld.graph.trace.records import GraphShape


@dataclass(frozen=True)
class TracedCall:
    """A call of a calculator; or a packet that was put on a graph input, whose method is "add".

    Attributes:
        node: its name; "add X" for graph input X.
        method: "open", "process", "close" or "add".
        thread: name of the thread that ran it.
        start_us: microseconds since the graph began.
        took_us: microseconds.
        queued_us: microseconds for which the node was ready and waited for its turn.
        timestamp: of the packets: a number, or the name of a special value.
        error: the class of what it raised; empty where it did not.
    """

    node: str
    method: str
    thread: str
    start_us: float
    took_us: float
    queued_us: float
    timestamp: int | str
    error: str = ""


@dataclass(frozen=True)
class Arrow:
    """A packet on its way: the numbers of the calls that sent and took it, and its stream."""

    sender: int
    taker: int
    stream: str


@dataclass(frozen=True)
class Wait:
    """A time in which a node did not run: "queued", "waits" for ``stream``, or "throttled"."""

    node: str
    name: str
    start_us: float
    took_us: float
    stream: str = ""


@dataclass(frozen=True)
class Count:
    """A counter at one moment: ``queue NODE.PORT`` or ``drops NODE``."""

    name: str
    at_us: float
    value: int


@dataclass(frozen=True)
class TraceContent:
    """What a graph did.

    Attributes:
        graph: its nodes and streams, with the last counts.
        calls: by when they began.
        arrows: packets from call to call.
        waits: of nodes.
        counts: of queues and drops.
        lost: calls that were made and are not in the trace.
        lines: the events, as JSON.
    """

    graph: GraphShape
    calls: tuple[TracedCall, ...]
    arrows: tuple[Arrow, ...]
    waits: tuple[Wait, ...]
    counts: tuple[Count, ...]
    lost: int
    lines: tuple[str, ...]
