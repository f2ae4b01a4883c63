"""What can be seen of a scheduler from outside: statistics, who waits for what, and queues that have to grow."""

import warnings
from collections.abc import Iterable, Iterator

from handheld.graph._scheduler import Scheduler
from handheld.graph._state import CLOSED, OPEN, Edge, RunNode, Stream
from handheld.graph.function import FunctionCalculator
from handheld.graph.stats import GraphStats, NodeStats, QueueStats, SourceStats, StreamStats, Waiting
from handheld.graph.timestamp import Timestamp


class GraphWarning(UserWarning):
    """A graph goes on, but not as it was meant to: a queue had to grow, or a function's inputs never met."""


def stats(scheduler: Scheduler) -> GraphStats:
    """Return counts, times, queues and waits as of now."""
    nodes = {node.name: _node_stats(node) for node in scheduler.by_rank.values()}
    streams = {stream.name: _stream_stats(stream) for stream in scheduler.streams.values()}
    sources = scheduler.inputs | {node.name: node.source for node in scheduler.source_nodes if node.source}
    held = {name: SourceStats(source.throttled, source.throttled_s) for name, source in sources.items()}
    return GraphStats(nodes, streams, held, waiting(scheduler))


def waiting(scheduler: Scheduler) -> tuple[Waiting, ...]:
    """Return who waits for which stream at which timestamp."""
    return tuple(wait for node in scheduler.by_rank.values() if node.state == OPEN for wait in _waiting(node))


def why_stuck(scheduler: Scheduler) -> str:
    """Say in one line who waits for what; packets that wait count before nodes that only lack input."""
    waits = waiting(scheduler)
    return "; ".join(str(wait) for wait in waits if wait.timestamp is not None) or "; ".join(map(str, waits)) or "nothing waits"


def grow(scheduler: Scheduler, queues: Iterable[Edge]) -> None:
    """Give full queues more room, because nothing else could ever make some; say so."""
    for edge in queues:
        edge.grow()
        reader = f"node {edge.node.name!r}, input port {edge.port!r}" if edge.node else "a reader outside the graph"
        warnings.warn(
            f"the queue of stream {edge.stream.name!r} at {reader} is full and nothing can run; it grows to {edge.limit} "
            f"packets ({why_stuck(scheduler)})",
            GraphWarning,
            stacklevel=4,
        )


def tell_unmet(scheduler: Scheduler) -> None:
    """Warn of each function that never ran in a graph that has ended, though packets came on each input that it needs."""
    for node in scheduler.by_rank.values():
        if inputs := _unmet(node):
            ports = " and ".join(f"{edge.port!r} (stream {edge.stream.name!r})" for edge in inputs)
            warnings.warn(
                f"node {node.name!r} never ran: its inputs {ports} had no timestamp in common; packets that belong together "
                "need the same timestamp, or annotate an input 'X | None' if it may be missing",
                GraphWarning,
                stacklevel=4,
            )


def _unmet(node: RunNode) -> list[Edge]:
    """Return the inputs that a closed node needs, if each had packets and none of them made it run."""
    if not isinstance(node.calculator, FunctionCalculator) or node.context.skips + 1 < node.calls:  # one call closes it
        return []
    needed = [edge for edge in node.inputs if edge.port in node.calculator.required]
    return needed if all(edge.stream.packets for edge in needed) and node.context.skips else []


def _waiting(node: RunNode) -> Iterator[Waiting]:
    for group in node.groups:
        packet, _ = group.next()
        at = None if packet == Timestamp.DONE else Timestamp(packet)
        for edge in group.edges:
            stream = edge.stream
            lacks = not edge.queue and stream.bound <= min(packet, Timestamp.POST_STREAM)
            if lacks and not (edge.back and at is None):
                yield Waiting(node.name, edge.port, stream.name, stream.producer, at, Timestamp(stream.bound))


def _node_stats(node: RunNode) -> NodeStats:
    queues = {edge.port: _queue_stats(edge) for edge in node.inputs}
    return NodeStats(node.calls, node.busy_s, node.wait_s, node.context.drops, node.state == CLOSED, queues, node.context.skips)


def _stream_stats(stream: Stream) -> StreamStats:
    readers = tuple(_queue_stats(edge) for edge in stream.edges if edge.node is None)
    return StreamStats(stream.packets, Timestamp(stream.bound), stream.producer, readers)


def _queue_stats(edge: Edge) -> QueueStats:
    return QueueStats(len(edge.queue), edge.peak, edge.limit)
