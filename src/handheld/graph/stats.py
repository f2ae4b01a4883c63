"""What a running graph tells about itself."""

from collections.abc import Iterator, Mapping, Sequence
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
    """The whole graph at one moment; printed, it is a table.

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

    def __str__(self) -> str:
        nodes = [_NODE_HEADER, *(_node_row(*item) for item in self.nodes.items())]
        streams = [_STREAM_HEADER, *(_stream_row(*item) for item in self.streams.items())]
        tables = [_table(nodes), _table(streams)]
        throttled = []
        for name, source in self.sources.items():
            if source.throttled:
                times = "once" if source.throttled == 1 else f"{source.throttled} times"
                throttled.append(f"{name!r} was held back {times}, {source.throttled_s:.3f} s")
        waits = list(map(str, self.waiting))
        blocks = [*tables, "\n".join(throttled), "\n".join(waits)]
        return "\n\n".join(filter(None, blocks))


_Row = tuple[str, ...]

_NODE_HEADER = ("node", "calls", "mean ms", "busy s", "wait s", "drops", "skips", "queues")
_STREAM_HEADER = ("stream", "packets", "settled below", "from")


def _node_row(name: str, node: NodeStats) -> _Row:
    mean = f"{1000 * node.busy_s / node.calls:.3f}" if node.calls else ""
    queues = ", ".join(
        f"{port} {queue.length} (peak {queue.peak} of {queue.limit})"
        for port, queue in node.queues.items()
    )
    return (
        f"{name} (closed)" if node.closed else name,
        str(node.calls),
        mean,
        f"{node.busy_s:.3f}",
        f"{node.wait_s:.3f}",
        str(node.drops),
        str(node.skips),
        queues,
    )


def _stream_row(name: str, stream: StreamStats) -> _Row:
    return (name, str(stream.packets), str(stream.bound), stream.producer or "(input)")


def _table(rows: Sequence[_Row]) -> str:
    """Set rows in columns: numbers to the right, the first and last column to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(_cells(row, widths)).rstrip() for row in rows)


def _cells(row: _Row, widths: Sequence[int]) -> Iterator[str]:
    last = len(row) - 1
    for number, (cell, width) in enumerate(zip(row, widths, strict=True)):
        if number in (0, last):
            yield cell.ljust(width)
        else:
            yield cell.rjust(width)
