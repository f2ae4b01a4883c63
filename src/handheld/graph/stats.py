"""What a running graph tells about itself."""

from collections.abc import Mapping
from dataclasses import dataclass

from handheld.graph.timestamp import Timestamp


@dataclass(frozen=True)
class Waiting:
    """A node that cannot run, and why.

    ``timestamp`` is that of the packet that waits on another input; ``None`` if no packet waits and the node only lacks
    input. ``bound``: the stream is settled below it.
    """

    node: str
    port: str
    stream: str
    producer: str
    timestamp: Timestamp | None
    bound: Timestamp

    def __str__(self) -> str:
        producer = f"node {self.producer!r}" if self.producer else "the graph's own input"
        at = "for more packets" if self.timestamp is None else f"at timestamp {self.timestamp}"
        return (
            f"node {self.node!r}, port {self.port!r} waits for stream {self.stream!r} (from {producer}) {at}; "
            f"it is settled below {self.bound}"
        )


@dataclass(frozen=True)
class QueueStats:
    """One input queue: packets in it now, the most it held, and the limit at which it holds back its sources."""

    length: int
    peak: int
    limit: int


@dataclass(frozen=True)
class NodeStats:
    """One node: calls, seconds in its code, seconds it was ready but waited for its turn, packets it dropped, its queues.

    ``skips`` counts the calls in which a function was not run, since an input that it needs had no packet at that timestamp.
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
    """One stream: packets sent so far, the bound below which it is settled, and the queues of readers outside the graph."""

    packets: int
    bound: Timestamp
    producer: str
    readers: tuple[QueueStats, ...] = ()


@dataclass(frozen=True)
class SourceStats:
    """A graph input or a node without inputs: how often, and for how many seconds, a full queue below held it back."""

    throttled: int
    throttled_s: float


@dataclass(frozen=True)
class GraphStats:
    """The whole graph at one moment. ``waiting`` lists the nodes that lack input, and what they wait for."""

    nodes: Mapping[str, NodeStats]
    streams: Mapping[str, StreamStats]
    sources: Mapping[str, SourceStats]
    waiting: tuple[Waiting, ...]

    @property
    def drops(self) -> int:
        """Packets dropped by all nodes."""
        return sum(node.drops for node in self.nodes.values())
