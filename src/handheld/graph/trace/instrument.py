"""The scheduler of a traced graph: tells a tracer of each call, packet from outside and hold-up.

A subclass and no hook, so that a graph without a tracer runs nothing more than before. It says only
what is known already; whoever writes the trace works out the rest.
"""

import logging
import threading
from math import isfinite
from threading import get_ident
from typing import Any

from handheld.graph._scheduler import Scheduler
from handheld.graph._state import OPENING, PacketSource, RunNode, Stream
from handheld.graph.calculator import BOUND
from handheld.graph.packet import Packet
from handheld.graph.timestamp import Timestamp
from handheld.graph.trace.records import (
    CALL,
    FED,
    OPENED,
    RESET,
    THROTTLED,
    GraphShape,
    InputShape,
    NodeShape,
    Record,
    Tracer,
)

_log = logging.getLogger(__name__)

_NOTHING: tuple[Any, ...] = ()


class TracedScheduler(Scheduler):
    """A scheduler whose tracer hears of everything. One that raises is removed and logged.

    Args:
        plan: as of :class:`Scheduler`, and the other arguments too.
        side: as there.
        tracer: that is told.
        options: as there.
    """

    def __init__(self, *plan: Any, tracer: Tracer, **options: Any) -> None:
        self._tracer: Tracer | None = tracer
        # Looked up once: it is called for each call of a calculator.
        self._record = tracer.record
        # What is known of a graph that is still being built is in its description.
        self._sources_traced: list[_TracedSource] = []
        self._threads: dict[int, str] = {}
        # Calls of lanes that are over: told when they land, in the order of their packets. In that
        # of their ends a packet that was overtaken would be taken for one that was dropped.
        self._landing: dict[RunNode, Record] = {}
        super().__init__(*plan, **options)

    def make_source(self, name: str) -> PacketSource:
        """Return a source that says when it was held back."""
        source = _TracedSource(name, self)
        self._sources_traced.append(source)
        return source

    def describe(self) -> GraphShape:
        """Return the graph as it is now. Any thread may ask, without the lock."""
        # list, which nothing can interrupt: an observer may be added meanwhile.
        nodes = tuple(map(_shape_of, list(self.by_rank.values())))
        name = self.plan.config.name
        self._see_threads()
        at_s = self.clock()
        if not isfinite(at_s):
            at_s = 0.0  # of a clock that tells no time; JSON has no such numbers
        return GraphShape(name, tuple(self.inputs), nodes, at_s, dict(self._threads))

    def _see_threads(self) -> None:
        """Take note of the names of threads: of one that ended, nobody knows it."""
        for thread in threading.enumerate():
            if thread.ident is not None:
                self._threads[thread.ident] = thread.name

    def started(self) -> None:
        """Start the tracer.

        What it raises is raised: nothing runs yet, and a path can be mended.
        """
        if self._tracer is not None:
            self._tracer.start(self.describe)

    def ended(self) -> None:
        """Say what is still held back, and stop the tracer."""
        self._tell_flying()
        for source in self._sources_traced:
            source.end()
        tracer = self._tracer
        self._tracer = None
        self._record = _ignore
        if tracer is not None:
            _stop(tracer)

    def tell(self, record: Record) -> None:
        """Give the tracer a record."""
        try:
            self._record(record)
        except Exception as error:
            self._remove(error)

    def open_now(self, node: RunNode) -> None:
        """Open a node, and say so."""
        before = [stream.packets for stream in node.outputs]
        start = self.clock()
        failure = ""
        try:
            super().open_now(node)
        except Exception as error:
            failure = type(error.__cause__ or error).__name__
            raise
        finally:
            sent: list[Any] = []
            for stream, packets in zip(node.outputs, before, strict=True):
                # The last alone, where there were several: no other is known any more.
                if stream.packets > packets:
                    sent += [stream.name, stream.last]
            self._tell_call(OPENED, node, 0, start, tuple(sent), failure)

    def feed(self, stream: Stream, packet: Packet[Any]) -> None:
        """Take a packet from outside, and say so, unless it came too late."""
        packets = stream.packets
        self.deliver(stream, packet)
        if stream.packets > packets:
            self.tell((FED, stream.name, get_ident(), self.now, +packet[1]))

    def invoke(self, node: RunNode) -> None:
        """Run a node's own code, and say when, on which thread, with what and what it sent."""
        busy = node.busy_s
        Scheduler.invoke(self, node)  # not by super(), which takes twice as long
        if node.step == OPENING:
            failure = "" if node.error is None else type(node.error).__name__
            sent = _packets(node.context._outbox)
            self._tell_call(OPENED, node, 0, node.started_at, sent, failure)
        else:
            self._tell_invoked(node, busy, get_ident())

    async def invoke_async(self, node: RunNode) -> None:
        """Run the coroutine of a node, and say so as :meth:`invoke` does."""
        busy = node.busy_s
        await super().invoke_async(node)
        # Coroutines that wait run side by side on one thread, where slices must not cross: each
        # node, or lane of one, has a number of its own in place of a thread's.
        self._tell_invoked(node, busy, -id(node))

    def reset(self) -> None:
        """Let every node start anew, and say so: before nodes that open anew send something."""
        self._tell_flying()
        self.tell((RESET,))
        super().reset()

    def _land_first(self, lane: RunNode, node: RunNode) -> None:
        self._tell_landing(lane, node)
        super()._land_first(lane, node)

    def _tell_flying(self) -> None:
        """Tell of the calls of lanes that are over and will not land any more."""
        for node in self.by_rank.values():
            for lane in node.flying:
                self._tell_landing(lane, node)
                node.take_counts(lane)

    def _tell_landing(self, lane: RunNode, node: RunNode) -> None:
        record = self._landing.pop(lane, None)
        if record is not None:
            # A lane counts its own calls, since it landed last.
            record_type, name, thread, number, *others = record
            self.tell((record_type, name, thread, node.calls + number, *others))

    def _tell_invoked(self, node: RunNode, busy: float, thread: int) -> None:
        """Tell of a call that is over; ``busy`` is the node's time before it.

        Before anybody can take what it sent, so that whoever takes it comes later in the trace.
        """
        context = node.context
        outbox = context._outbox
        sent = None
        at = 0
        more = _NOTHING
        if outbox:
            # The short way of most calls: one packet, for which no tuple is made.
            stream, packet = outbox[0]
            if packet[0] is not BOUND:
                sent = stream.name
                at = +packet[1]
            if len(outbox) > 1:
                more = _packets(outbox[1:])
        start = node.started_at
        ports = None
        inputs = context.inputs
        # A lane has the packets, and its node the inputs.
        if len(inputs) < len((node.owner or node).inputs):
            ports = tuple(inputs)
        record = (
            CALL,
            node.name,
            thread,
            node.calls,
            node.ready_at,
            start,
            # Of its own times: asking the clock again would take longer than to add.
            start + node.busy_s - busy,
            # A plain int: the garbage collector would go through each tuple with a
            # Timestamp in it again and again.
            +context.timestamp,
            ports,
            "" if node.error is None else type(node.error).__name__,
            sent,
            at,
            more,
        )
        if node.owner is None:
            self.tell(record)
        else:
            self._landing[node] = record

    def _closed(self, node: RunNode) -> None:
        super()._closed(node)
        # The threads of a pool end soon after the last node was closed.
        self._see_threads()

    def close_stopped(self, node: RunNode) -> None:
        """Close a node of a graph that was stopped, and say so."""
        start = self.clock()
        super().close_stopped(node)
        self._tell_call(CALL, node, node.calls + 1, start, (), "")

    def _tell_call(  # the fields of a record
        self,
        record_type: int,
        node: RunNode,
        number: int,
        start: float,
        sent: tuple[Any, ...],
        error: str,
    ) -> None:
        """Tell of a call that nobody queued and that is over."""
        end = self.clock()
        timestamp = Timestamp.DONE
        if record_type == OPENED:
            timestamp = Timestamp.UNSTARTED
        call = (
            record_type,
            node.name,
            get_ident(),
            number,
            start,
            start,
            end,
            timestamp,
            (),
            error,
        )
        self.tell((*call, None, 0, sent))

    def _remove(self, error: Exception) -> None:
        """Go on without a tracer that raised."""
        tracer = self._tracer
        self._tracer = None
        self._record = _ignore
        if tracer is None:  # another thread met its error first
            return
        _log.error("the trace ends: %r raised; the graph goes on", tracer, exc_info=error)
        _stop(tracer)


class _TracedSource(PacketSource):
    """A source that says for how long it was held back."""

    __slots__ = ("_from_s", "_name", "_scheduler")

    def __init__(self, name: str, scheduler: TracedScheduler) -> None:
        super().__init__(scheduler.clock)
        self._name = name
        self._scheduler = scheduler
        self._from_s = 0.0

    def hold(self) -> None:
        if not self.blocked:
            self._from_s = self._scheduler.clock()
        super().hold()

    def release(self) -> None:
        super().release()
        if not self.blocked:
            self._tell()

    def end(self) -> None:
        """Tell of what holds it back at the end of the graph."""
        if self.blocked:
            self._tell()

    def _tell(self) -> None:
        scheduler = self._scheduler
        scheduler.tell((THROTTLED, self._name, self._from_s, scheduler.clock()))


def _packets(outbox: list[tuple[Any, Packet[Any]]]) -> tuple[Any, ...]:
    """Return stream, timestamp, stream, timestamp, ... of the packets among what was sent."""
    sent = []
    for stream, packet in outbox:
        if packet[0] is not BOUND:
            sent.append(stream.name)
            sent.append(+packet[1])
    return tuple(sent)


def _shape_of(node: RunNode) -> NodeShape:
    return NodeShape(
        name=node.name,
        inputs=tuple(
            InputShape(edge.port, edge.stream.name, edge.back, edge.peak) for edge in node.inputs
        ),
        outputs=tuple(stream.name for stream in node.outputs),
        calls=node.calls,
        drops=node.drops,
        skips=node.context.skips,
    )


def _ignore(record: Record) -> None:
    """Stand in for a tracer that was removed."""


def _stop(tracer: Tracer) -> None:
    try:
        tracer.stop()
    except Exception:
        _log.exception("the trace may be incomplete: %r raised when it was stopped", tracer)
