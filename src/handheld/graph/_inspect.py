"""What can be seen of a scheduler from outside.

That is statistics, who waits for what, and queues that have to grow.
"""

import warnings
from collections.abc import Iterable, Iterator

from handheld.errors import GraphStuckError
from handheld.graph._scheduler import Scheduler
from handheld.graph._state import CLOSED, OPEN, Edge, PacketSource, RunNode, Stream
from handheld.graph.function import FunctionCalculator
from handheld.graph.stats import (
    GraphStats,
    NodeStats,
    QueueStats,
    SourceStats,
    StreamStats,
    Waiting,
)
from handheld.graph.timestamp import Timestamp

# About as many frames as lie between a warning here and the user's call of the graph.
_STACK_LEVEL = 4


class GraphWarning(UserWarning):
    """A graph goes on, but not as it was meant to.

    A queue had to grow, or a function's inputs never met.
    """


def stats(scheduler: Scheduler) -> GraphStats:
    """Return counts, times, queues and waits as of now."""
    sources: dict[str, SourceStats] = {}
    for name, source in scheduler.inputs.items():
        sources[name] = _source_stats(source)
    for node in scheduler.source_nodes:
        if node.source is not None:
            sources[node.name] = _source_stats(node.source)
    return GraphStats(
        nodes={node.name: _node_stats(node) for node in scheduler.by_rank.values()},
        streams={name: _stream_stats(stream) for name, stream in scheduler.streams.items()},
        sources=sources,
        waiting=waiting(scheduler),
    )


def waiting(scheduler: Scheduler) -> tuple[Waiting, ...]:
    """Return who waits for which stream at which timestamp."""
    waits: list[Waiting] = []
    for node in scheduler.by_rank.values():
        if node.state == OPEN:
            waits += _waiting(node)
    return tuple(waits)


def why_stuck(scheduler: Scheduler) -> str:
    """Say in one line who waits for what."""
    waits = waiting(scheduler)
    # Packets that wait say what went wrong; a node without input may only be behind such a one.
    with_packet = [wait for wait in waits if wait.timestamp is not None]
    return "; ".join(map(str, with_packet or waits)) or "nothing waits"


def grow(scheduler: Scheduler, queues: Iterable[Edge]) -> None:
    """Give full queues more room, because nothing else could ever make some; say so.

    Raises :class:`GraphStuckError` instead where the graph's user asked for that.
    """
    for edge in queues:
        if not scheduler.grows:
            raise GraphStuckError(
                f"the queue of stream {edge.stream.name!r} is full at {edge.limit} packets and "
                f"nothing can run: {why_stuck(scheduler)}"
            )
        edge.grow()
        reader = "a reader outside the graph"
        if edge.node is not None:
            reader = f"node {edge.node.name!r}, input port {edge.port!r}"
        warnings.warn(
            f"the queue of stream {edge.stream.name!r} at {reader} is full and nothing can run; "
            f"it grows to {edge.limit} packets ({why_stuck(scheduler)})",
            GraphWarning,
            stacklevel=_STACK_LEVEL,
        )


def tell_unmet(scheduler: Scheduler) -> None:
    """Warn of each function that never ran though packets came on each input that it needs.

    For a graph that has ended: before, they may still meet.
    """
    for node in scheduler.by_rank.values():
        if inputs := _unmet(node):
            ports = [f"{edge.port!r} (stream {edge.stream.name!r})" for edge in inputs]
            warnings.warn(
                f"node {node.name!r} never ran: its inputs {' and '.join(ports)} "
                "had no timestamp in common; packets that belong together need the same timestamp, "
                "or annotate an input 'X | None' if it may be missing",
                GraphWarning,
                stacklevel=_STACK_LEVEL,
            )


def _unmet(node: RunNode) -> list[Edge]:
    """Return the inputs that a closed node needs, if each had packets and none made it run."""
    calculator = node.calculator
    if not isinstance(calculator, FunctionCalculator):
        return []
    # All calls but one were skipped: the last one closes the node.
    if not node.context.skips or node.context.skips + 1 < node.calls:
        return []
    needed = [edge for edge in node.inputs if edge.port in calculator.required]
    if not all(edge.stream.packets for edge in needed):
        return []
    return needed


def _waiting(node: RunNode) -> Iterator[Waiting]:
    edges = {edge.port: edge for edge in node.inputs}
    for sync_set in node.sync_sets:
        packet, _ = sync_set.next()
        has_packet = packet != Timestamp.DONE
        for edge in [edges[queue.port] for queue in sync_set.queues]:
            stream = edge.stream
            # Settled up to the packet, or at its end, an input is not what the node waits for.
            if edge.queue or stream.bound > min(packet, Timestamp.POST_STREAM):
                continue
            # Nothing comes around a loop into which nothing went.
            if edge.back and not has_packet:
                continue
            yield Waiting(
                node=node.name,
                port=edge.port,
                stream=stream.name,
                producer=stream.producer,
                timestamp=Timestamp(packet) if has_packet else None,
                bound=Timestamp(stream.bound),
            )


def _node_stats(node: RunNode) -> NodeStats:
    return NodeStats(
        calls=node.calls,
        busy_s=node.busy_s,
        wait_s=node.wait_s,
        drops=node.context.drops + sum(sync_set.dropped for sync_set in node.sync_sets),
        closed=node.state == CLOSED,
        queues={edge.port: _queue_stats(edge) for edge in node.inputs},
        skips=node.context.skips,
    )


def _stream_stats(stream: Stream) -> StreamStats:
    readers = [edge for edge in stream.edges if edge.node is None]
    return StreamStats(
        packets=stream.packets,
        bound=Timestamp(stream.bound),
        producer=stream.producer,
        readers=tuple(map(_queue_stats, readers)),
        late=stream.late,
    )


def _source_stats(source: PacketSource) -> SourceStats:
    return SourceStats(
        throttled=source.throttled, throttled_s=source.throttled_s, drops=source.dropped
    )


def _queue_stats(edge: Edge) -> QueueStats:
    return QueueStats(length=len(edge.queue), peak=edge.peak, limit=edge.limit)
