"""What can be seen of a scheduler from outside.

That is statistics, who waits for what, and queues that have to grow.
"""

import logging
import warnings
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import chain

from handheld.errors import GraphStuckError
from handheld.graph._explain import explain, unmet_inputs, waits_of
from handheld.graph._scheduler import Scheduler
from handheld.graph._state import CLOSED, OPEN, UNOPENED, Edge, PacketSource, RunNode, Stream
from handheld.graph.explanation import GraphExplanation, UnmetInputs, microseconds
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

_log = logging.getLogger(__name__)

# About as many frames as lie between a warning here and the user's call of the graph.
_STACK_LEVEL = 4

_NEVER_RAN = "never ran"


class GraphWarning(UserWarning):
    """A graph goes on, but not as it was meant to.

    A queue had to grow, or the inputs of a node never met.
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
        if node.state in (OPEN, UNOPENED):
            waits += waits_of(node)
    return tuple(waits)


def why_stuck(scheduler: Scheduler) -> str:
    """Say in one line who waits for what; the log has the state of every node."""
    explanation = explain(scheduler)
    # Once as a warning: a program may go on asking for packets that do not come.
    level = logging.DEBUG if scheduler.told_stuck else logging.WARNING
    scheduler.told_stuck = True
    _log.log(level, "the graph stands still\n%s", explanation)
    return _in_short(scheduler, explanation)


def _in_short(scheduler: Scheduler, explanation: GraphExplanation) -> str:
    sides = chain.from_iterable(node.sides for node in explanation.nodes)
    # What is downstream of a node that cannot open waits for nothing else.
    return "; ".join(map(str, sides)) or _waits_in_short(scheduler, explanation)


def _waits_in_short(scheduler: Scheduler, explanation: GraphExplanation) -> str:
    waits = waiting(scheduler)
    # Packets that wait say what went wrong; a node without input may only be behind such a one.
    with_packet = [wait for wait in waits if wait.timestamp is not None]
    words = list(map(str, with_packet or waits)) or ["nothing waits"]
    # Only where that may be why nothing comes: some calculators join what never meets.
    fruitless = {node.name for node in scheduler.by_rank.values() if _outcome(node)}
    unmet = [str(pair) for pair in explanation.unmet if pair.node in fruitless]
    return "; ".join([*words, *unmet])


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


def unasked_sources(scheduler: Scheduler) -> list[str]:
    """Return the sources that were never called, though somebody used the graph."""
    is_watched = len(scheduler.by_rank) > len(scheduler.plan.nodes)
    if not is_watched and not any(scheduler.streams[name].packets for name in scheduler.inputs):
        return []
    # Those without outputs set side packets, when they are opened.
    sources = [node for node in scheduler.source_nodes if node.outputs]
    return [node.name for node in sources if node.state == OPEN and not node.calls]


def tell_unasked(sources: Sequence[str]) -> None:
    """Warn of sources that ended before they began: what they would have sent is missing."""
    if sources:
        names = ", ".join(map(repr, sources))
        warnings.warn(
            f"the graph ends before its sources {names} ran: they run while somebody waits, so "
            "call wait() first, or read an output",
            GraphWarning,
            stacklevel=_STACK_LEVEL,
        )


def tell_unmet(scheduler: Scheduler) -> None:
    """Warn of each node that gave nothing since its inputs had no timestamp in common.

    That is a function that never ran, or a calculator that joins inputs and sent nothing, though
    packets came on each input that it needs. For a graph that has ended: before, they may still
    meet.
    """
    for node in scheduler.by_rank.values():
        outcome = _outcome(node)
        pairs = unmet_inputs(node)
        if outcome == _NEVER_RAN or (outcome and pairs):
            warnings.warn(
                f"node {node.name!r} {outcome}: {_without_common(node, pairs)}",
                GraphWarning,
                stacklevel=_STACK_LEVEL,
            )


def _outcome(node: RunNode) -> str:
    """Say in two words if a node gave nothing; nothing if it did."""
    if isinstance(node.calculator, FunctionCalculator):
        return _NEVER_RAN if _never_ran(node) else ""
    return "sent nothing" if _sent_nothing(node) else ""


def _never_ran(node: RunNode) -> bool:
    """Whether a function was called for no packet, though each input that it needs had some."""
    # All calls were skipped, but for the last one, which closes the node.
    if not node.context.skips or node.context.skips + (node.state == CLOSED) < node.calls:
        return False
    return all(edge.stream.packets for edge in _needed(node))


def _sent_nothing(node: RunNode) -> bool:
    """Whether a calculator sent nothing to anybody, and dropped nothing on purpose.

    One without outputs may have done its work all the same, and one in a loop waits for itself.
    """
    if node.has_back or node.drops or not node.outputs:
        return False
    return not any(stream.packets for stream in node.outputs)


def _needed(node: RunNode) -> list[Edge]:
    calculator = node.calculator
    if not isinstance(calculator, FunctionCalculator):
        return node.inputs
    return [edge for edge in node.inputs if edge.port in calculator.required]


def _without_common(node: RunNode, pairs: list[UnmetInputs]) -> str:
    ports = [f"{edge.port!r} (stream {edge.stream.name!r})" for edge in _needed(node)]
    # Whether any other calculator needs them together, only its author knows.
    advice = "; where it needs them together, they need the same timestamp"
    if isinstance(node.calculator, FunctionCalculator):
        advice = (
            "; packets that belong together need the same timestamp"
            ", or annotate an input 'X | None' if it may be missing"
        )
    nearest = ""
    if pairs:
        distance = min(pair.nearest for pair in pairs)
        nearest = f"; the nearest are off by {microseconds(distance)}"
    return f"its inputs {' and '.join(ports)} had no timestamp in common{advice}{nearest}"


def _node_stats(node: RunNode) -> NodeStats:
    return NodeStats(
        calls=node.calls,
        busy_s=node.busy_s,
        wait_s=node.wait_s,
        drops=node.drops,
        closed=node.state == CLOSED,
        queues={edge.port: _queue_stats(edge) for edge in node.inputs},
        skips=node.context.skips,
    )


def _stream_stats(stream: Stream) -> StreamStats:
    # A recorder is none: what stands for its queue is always empty.
    readers = [e for e in stream.edges if e.node is None and isinstance(e.queue, deque)]
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
