"""What a graph says when it is asked why nothing comes out of it."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from handheld.graph.stats import Waiting
from handheld.graph.timestamp import Timestamp


@dataclass(frozen=True)
class InputState:
    """One input of a node, and the stream that is connected to it.

    Attributes:
        port: of the node.
        stream: that is connected.
        producer: the node that sends it; empty for an input of the graph.
        depth: packets in the queue.
        limit: packets at which it holds back its sources.
        full: whether it does.
        oldest: timestamp of the packet that waits longest; ``None`` in an empty queue.
        packets: that the producer sent so far.
        last: timestamp of the last that it sent; ``None`` before the first.
        bound: the stream is settled below it.
    """

    port: str
    stream: str
    producer: str
    depth: int
    limit: int
    full: bool
    oldest: Timestamp | None
    packets: int
    last: Timestamp | None
    bound: Timestamp

    def __str__(self) -> str:
        queue = "nothing queued"
        if self.oldest is not None:
            queue = f"{self.depth} of {self.limit} queued, the oldest at {self.oldest}"
        sent = "which sent nothing yet"
        if self.last is not None:
            sent = f"whose last packet was at {self.last}"
        if self.bound >= Timestamp.ONE_OVER_POST_STREAM:
            sent += " and which has ended"
        return (
            f"{self.port!r} from stream {self.stream!r} of {_producer(self.producer)}, {sent}: "
            f"{queue}; settled below {self.bound}"
        )


@dataclass(frozen=True)
class AwaitedSidePacket:
    """A side packet that another node has not set yet, and without which a node does not open.

    Attributes:
        node: that takes it.
        port: of that node.
        side_packet: its name.
        producer: the node that sets it.
        ended: whether that node has closed, and so never will.
    """

    node: str
    port: str
    side_packet: str
    producer: str
    ended: bool

    def __str__(self) -> str:
        return f"node {self.node!r} {self.words()}"

    def words(self) -> str:
        """Return what it says of its node."""
        ended = ", which has closed without setting it" if self.ended else ""
        return (
            f"waits for side packet {self.side_packet!r} of node {self.producer!r} "
            f"at port {self.port!r}{ended}"
        )


@dataclass(frozen=True)
class NodeState:
    """One node.

    Attributes:
        name: of the node.
        state: "waits" for input, "queued" for its turn, "running", "throttled" (a source that a
            full queue holds back) or "closed"; a source that may run and was not asked is "idle".
        for_s: seconds for which it runs or is queued; 0 in any other state.
        calls: of its code so far.
        inputs: its inputs.
        waits: for what it waits.
        full: of a throttled source, the queues that hold it back.
        sides: of a node that is not open yet, the side packets for which it waits.
    """

    name: str
    state: str
    for_s: float
    calls: int
    inputs: tuple[InputState, ...]
    waits: tuple[Waiting, ...]
    full: tuple[str, ...] = ()
    sides: tuple[AwaitedSidePacket, ...] = ()

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        since = f" for {self.for_s:.3f} s" if self.for_s else ""
        yield f"{self.name!r}: {self.state}{since}, {counted(self.calls, 'call')}"
        for side in self.sides:
            yield f"    {side.words()}"
        for wait in self.waits:
            when = "more packets"
            if wait.timestamp is not None:
                when = f"timestamp {wait.timestamp}"
            yield f"    waits for stream {wait.stream!r} at port {wait.port!r}: {when}"
        for queue in self.full:
            yield f"    held back by the full queue of {queue}"
        for state in self.inputs:
            yield f"    {state}"


@dataclass(frozen=True)
class StreamTimes:
    """When the packets of a joined stream were.

    Attributes:
        port: of the node that joins it.
        stream: its name.
        packets: so far.
        first: timestamp of the first.
        last: timestamp of the last.
    """

    port: str
    stream: str
    packets: int
    first: Timestamp
    last: Timestamp

    def __str__(self) -> str:
        return (
            f"{self.stream!r} ({counted(self.packets, 'packet')} from {self.first} to {self.last}, "
            f"port {self.port!r})"
        )


@dataclass(frozen=True)
class UnmetInputs:
    """Two inputs of one synchronised set whose packets had no timestamp in common so far.

    Some calculators are meant so: one that merges streams, or that repeats a packet at the ticks of
    another.

    Attributes:
        node: that joins them.
        left: the one.
        right: the other.
        nearest: microseconds between the nearest two of their recent packets.
    """

    node: str
    left: StreamTimes
    right: StreamTimes
    nearest: int

    def __str__(self) -> str:
        return (
            f"node {self.node!r}: streams {self.left} and {self.right} have no timestamp in "
            f"common; their nearest packets are off by {microseconds(self.nearest)}"
        )


@dataclass(frozen=True)
class GraphExplanation:
    """Who waits for what in a graph, at one moment.

    ``str`` gives lines to read, :meth:`to_json` the same for programs.

    Attributes:
        nodes: in the order of the graph, observers last.
        throttled: graph inputs that are held back, each with the full queues that do it.
        unmet: joined inputs that have no timestamp in common.
        error: what ended the graph; empty where nothing did.
    """

    nodes: tuple[NodeState, ...]
    throttled: tuple[tuple[str, tuple[str, ...]], ...]
    unmet: tuple[UnmetInputs, ...]
    error: str = ""

    def node(self, name: str) -> NodeState:
        """Return the state of a node. Raises ``KeyError`` where there is none of the name."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def to_json(self) -> str:
        """Return all fields as JSON; timestamps are their numbers."""
        return json.dumps(asdict(self))

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        if self.error:
            yield f"the graph has failed: {self.error}"
        yield from map(str, self.unmet)
        for name, queues in self.throttled:
            for queue in queues:
                yield f"graph input {name!r}: throttled, held back by the full queue of {queue}"
        yield from map(str, self.nodes)


def counted(number: int, noun: str) -> str:
    """Return a number and what it counts.

    >>> counted(1, "call"), counted(2, "call")
    ('1 call', '2 calls')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def microseconds(distance: int) -> str:
    """Return a distance in words.

    >>> microseconds(1), microseconds(7)
    ('1 microsecond', '7 microseconds')
    """
    return counted(distance, "microsecond")


def _producer(name: str) -> str:
    return f"node {name!r}" if name else "the graph's own input"
