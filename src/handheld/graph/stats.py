"""What a running graph tells about itself."""

from collections.abc import Mapping
from dataclasses import dataclass

from handheld.graph.timestamp import Timestamp


@dataclass(frozen=True)
class Waiting:
    """A node that cannot run, and why.

    Attributes:
        node: its name.
        port: of the input that it waits for.
        stream: that is connected to it.
        producer: the node that sends it; empty for an input of the graph.
        timestamp: of the packet that waits on another input; ``None`` if no packet waits and the
            node only lacks input.
        bound: the stream is settled below it.
    """

    node: str
    port: str
    stream: str
    producer: str
    timestamp: Timestamp | None
    bound: Timestamp

    def __str__(self) -> str:
        producer = f"node {self.producer!r}" if self.producer else "the graph's own input"
        purpose = "for more packets"
        if self.timestamp is not None:
            purpose = f"at timestamp {self.timestamp}"
        return (
            f"node {self.node!r}, port {self.port!r} waits for stream {self.stream!r} "
            f"(from {producer}) {purpose}; it is settled below {self.bound}"
        )


@dataclass(frozen=True)
class QueueStats:
    """One input queue.

    Attributes:
        length: packets in it now.
        peak: the most it held.
        limit: packets at which it holds back its sources.
    """

    length: int
    peak: int
    limit: int


@dataclass(frozen=True)
class NodeStats:
    """One node.

    Attributes:
        calls: of its code, that which closes it among them.
        busy_s: seconds in its code.
        wait_s: seconds it was ready but waited for its turn.
        drops: packets that it dropped on purpose.
        closed: whether it has ended.
        queues: port -> queue.
        skips: calls in which a function was not run, since an input that it needs had no packet at
            that timestamp.
    """

    calls: int
    busy_s: float
    wait_s: float
    drops: int
    closed: bool
    queues: Mapping[str, QueueStats]
    skips: int = 0


@dataclass(frozen=True)
class StreamStats:
    """One stream.

    Attributes:
        packets: sent so far.
        bound: below which it is settled.
        producer: the node that sends it; empty for an input of the graph.
        readers: queues of readers outside the graph.
        late: packets that came below the bound and were dropped.
    """

    packets: int
    bound: Timestamp
    producer: str
    readers: tuple[QueueStats, ...] = ()
    late: int = 0


@dataclass(frozen=True)
class SourceStats:
    """A graph input, or a node without inputs.

    Attributes:
        throttled: how often a full queue below held it back.
        throttled_s: for how many seconds, up to now.
        drops: packets that found no room and were dropped.
    """

    throttled: int
    throttled_s: float
    drops: int = 0


@dataclass(frozen=True)
class GraphStats:
    """The whole graph at one moment.

    Attributes:
        nodes: name -> node, observers among them.
        streams: name -> stream.
        sources: name -> graph input or source node.
        waiting: the nodes that lack input, and what they wait for.
    """

    nodes: Mapping[str, NodeStats]
    streams: Mapping[str, StreamStats]
    sources: Mapping[str, SourceStats]
    waiting: tuple[Waiting, ...]

    @property
    def drops(self) -> int:
        """Packets dropped by all nodes."""
        return sum(node.drops for node in self.nodes.values())
