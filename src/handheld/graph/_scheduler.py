"""The scheduler: which node may run next, and what its packets and bounds set in motion.

Knows nothing of threads. An executor calls ``pick``, ``begin``, ``invoke`` and ``finish``; all but ``invoke`` are called by one
thread at a time. A node runs when its input policy says so; among those that may, the one nearest to the output runs first,
and sources run when nothing else can, so that packets leave the graph before new ones enter.
"""

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from heapq import heappop, heappush
from typing import Any

from handheld.errors import CalculatorError, InputError, TimestampError
from handheld.graph._state import CLOSED, OPEN, QUEUED, RUNNING, Edge, Group, RunNode, Source, Stream
from handheld.graph.calculator import BOUND, Calculator, Context
from handheld.graph.config import BackEdge
from handheld.graph.packet import Packet
from handheld.graph.plan import INPUT, GraphPlan
from handheld.graph.timestamp import Timestamp, bound_after

_MIN, _MAX = int(Timestamp.MIN), int(Timestamp.MAX)
_SHORT_S, _UNKNOWN = 30e-6, 5  # seconds of a call that is not worth a thread; calls before one can tell
_END, _DONE = int(Timestamp.ONE_OVER_POST_STREAM), int(Timestamp.DONE)


class Scheduler:
    """The running state of one graph."""

    def __init__(self, plan: GraphPlan, side: Mapping[str, Any], *, max_queue_size: int, clock: Callable[[], float]) -> None:
        self.clock, self.max_queue_size = clock, max_queue_size
        self.side = dict(side)
        self.plan = plan
        self.error: Exception | None = None
        self.ready: list[int] = []  # heap of ranks
        self.by_rank: dict[int, RunNode] = {}
        self.now = clock()
        self.unclosed = 0
        self.stopped = False
        self._pending: list[RunNode] = []
        self.streams = {name: Stream(name, producer.node) for name, producer in plan.streams.items()}
        self.inputs = {name: Source(clock) for name, producer in plan.streams.items() if producer.node == INPUT}
        self.source_nodes: list[RunNode] = []
        self._sources = {name: [source] for name, source in self.inputs.items()}  # stream -> what feeds it
        self.looped: set[str] = set()  # streams below a back edge: they end when every source has, see close_loop
        for flat in plan.nodes:
            ports: dict[str, Stream | None] = dict.fromkeys(flat.contract.outputs)
            ports.update({port: self.streams[stream] for port, stream in flat.outputs.items()})
            # A copy, so that graphs which run at the same time, of one config or not, never share what open() sets.
            calculator = copy(flat.calculator)
            context = Context(flat.name, ports, flat.side_inputs, flat.contract)
            node = self.add_node(flat.name, calculator, context)
            for port, stream in flat.inputs.items():
                self.connect(node, port, stream, back=isinstance(stream, BackEdge))
            node.context._edges = {edge.port: edge for edge in node.inputs}
            node.connect(flat.policy.groups(list(flat.contract.inputs)))
            node.outputs = [stream for stream in ports.values() if stream is not None]
            if not node.inputs:
                node.source = Source(clock)
                self.source_nodes.append(node)
            if node.has_back or any(edge.stream.name in self.looped for edge in node.close_edges):
                self.looped.update(stream.name for stream in node.outputs)
            feeding = [node.source] if node.source else _union(edge.sources for edge in node.close_edges)
            self._sources.update({stream.name: feeding for stream in node.outputs})

    def add_node(self, name: str, calculator: Calculator, context: Context) -> RunNode:
        """Add a node that comes before all others in turn."""
        node = RunNode(name, calculator, -len(self.by_rank), context)
        self.by_rank[node.rank] = node
        self.unclosed += 1
        return node

    def connect(self, node: RunNode | None, port: str, stream: str, *, back: bool = False) -> Edge:
        """Let a node, or a reader outside (None), receive what comes on a stream from now on."""
        edge = Edge(self.streams[stream], node, port, back=back, limit=self.max_queue_size)
        if not back:
            edge.sources = self._sources[stream]
        self.streams[stream].edges.append(edge)
        if node is not None:
            node.inputs.append(edge)
        return edge

    def open(self, node: RunNode) -> None:
        """Call a node's ``open`` and send what it sends."""
        context = node.context
        context.side = {port: self._side_packet(node, name) for port, name in context.side.items()}
        self._call(node, node.calculator.open)
        node.opened = node.error is None
        if context._side_outbox:
            sent = next(flat.side_outputs for flat in self.plan.nodes if flat.name == node.name)
            self.side.update({sent[port]: value for port, value in context._side_outbox.items() if port in sent})
        self._flush(node)
        self._pending.append(node)
        self.settle()

    def _side_packet(self, node: RunNode, name: str) -> Any:
        if name not in self.side:
            producer = self.plan.sides[name].node
            raise InputError(f"node {node.name!r}: side packet {name!r} was not set by node {producer!r} in open()")
        return self.side[name]

    def deliver(self, stream: Stream, packet: Packet[Any]) -> None:
        """Put a packet into every queue of a stream."""
        timestamp = packet[1]
        if timestamp < stream.bound or timestamp > _MAX:
            _check_timestamp(stream, timestamp)
        stream.packets += 1
        for edge in stream.edges:
            queue = edge.queue
            queue.append(packet)
            length = len(queue)
            if length > edge.peak:
                edge.peak = length
            if length >= edge.limit and not edge.full:
                edge.block()
            node = edge.node
            if node is not None and node.state == OPEN:
                self._pending.append(node)
        # Last, because Context.bound reads without the lock: below the bound, whatever came must be in the queue.
        stream.bound = timestamp + 1 if _MIN <= timestamp < _MAX else bound_after(timestamp)

    def set_bound(self, stream: Stream, bound: int) -> None:
        """Settle every timestamp below ``bound``; a lower bound than the present one changes nothing."""
        if bound > stream.bound:
            stream.bound = bound
            self._pending.extend(edge.node for edge in stream.edges if edge.node is not None and edge.node.state == OPEN)

    def settle(self) -> None:
        """Queue each node whose input changed and that may run; pass bounds on through those that may not."""
        pending = self._pending
        while pending:
            node = pending.pop()
            if node.state != OPEN or not node.opened:
                continue
            lone = node.lone
            if lone is not None:
                if lone.queue:
                    self._enqueue(node)
                    continue
                settled = lone.stream.bound
            else:
                settled = self._settle_groups(node)
                if node.state != OPEN:
                    continue
            offset = node.offset
            if settled >= _END:
                if node.inputs:
                    self.retire(node)
            elif offset is not None and not (node.has_back and _at_end(node.close_edges)):
                bound = settled + offset if offset and _MIN < settled <= _MAX else settled
                for stream in node.outputs:
                    if bound > stream.bound:
                        self.set_bound(stream, bound)

    def _settle_groups(self, node: RunNode) -> int:
        """Choose the sync set that may run, if one may; else return the bound to which all inputs are settled."""
        first = lowest = _DONE
        told: tuple[Group, int] | None = None
        for group in node.groups:
            packet, bound = group.next()
            settled = bound
            if packet < bound:
                settled = packet
                if packet < first:
                    first, node.group = packet, group
            if settled > group.seen and told is None:
                told = group, settled
            if settled < lowest:
                lowest = settled
        if first < _DONE:
            node.timestamp = first
            self._enqueue(node)
        elif node.process_bounds and told is not None:
            node.group = None
            node.timestamp = Timestamp(min(told[1] - 1, int(Timestamp.POST_STREAM)))
            told[0].seen = told[1]
            self._enqueue(node)
        return lowest

    def retire(self, node: RunNode) -> None:
        """Queue a node to be closed."""
        node.timestamp, node.group = _DONE, None
        self._enqueue(node)

    def _enqueue(self, node: RunNode) -> None:
        node.state, node.ready_at = QUEUED, self.now
        heappush(self.ready, node.rank)

    def pick(self, *, sources: bool) -> RunNode | None:
        """Take the node whose turn it is: the ready one nearest to the output, else the source that is furthest behind."""
        if self.ready:
            return self.by_rank[heappop(self.ready)]
        free = self._free_sources() if sources else []
        if not free:
            return None
        node = min(free, key=_progress)
        node.timestamp = int(Timestamp.UNSET)
        node.ready_at = self.now
        return node

    def _free_sources(self) -> list[RunNode]:
        return [n for n in self.source_nodes if n.state == OPEN and n.opened and n.source and not n.source.blocked]

    def worth_a_thread(self, *, beyond: int = 0, sources: bool = False) -> int:
        """Count the nodes that could run now and are worth waking a thread for, ``beyond`` those that have one.

        Waking costs more than a short node takes: whoever runs now takes those one after the other.
        """
        nodes = map(self.by_rank.__getitem__, self.ready)
        long = sum(node.calls < _UNKNOWN or node.busy_s > _SHORT_S * node.calls for node in nodes)
        free = self._free_sources() if sources and self.source_nodes else []
        return max(0, long + len(free) - beyond)

    def is_fed(self) -> bool:
        """Whether more may come from outside."""
        return any(self.streams[name].bound < _END for name in self.inputs)

    def held_back(self) -> list[Source]:
        """Return the source nodes that wait for room in a full queue."""
        return [node.source for node in self.source_nodes if node.state == OPEN and node.source and node.source.blocked]

    def holding(self, sources: list[Source]) -> list[Edge]:
        """Return the full queues that hold any of these sources back."""
        edges = [edge for stream in self.streams.values() for edge in stream.edges if edge.full] if sources else []
        return [edge for edge in edges if any(source in edge.sources for source in sources)]

    def close_loop(self) -> bool:
        """Queue the first node that only its back edges keep open to be closed; return whether there was one.

        Only when nothing runs and nothing more can come: earlier, the result would depend on who came first.
        """
        if self.is_fed() or any(node.state != CLOSED for node in self.source_nodes):
            return False
        for node in self.by_rank.values():
            if node.state == OPEN and node.has_back and _at_end(node.close_edges):
                self.retire(node)
                return True
        return False

    def begin(self, node: RunNode) -> None:
        """Hand a node its packets."""
        node.state = RUNNING
        context, timestamp = node.context, node.timestamp
        if timestamp == _DONE:
            context.inputs = {}
        elif node.lone is not None:
            packet = node.lone.pop()
            timestamp = packet[1]
            context.inputs = {node.lone.port: packet}
        elif node.group is not None:
            context.inputs = node.group.take(timestamp)
            node.group.seen = timestamp + 1
        else:
            context.inputs = {}
        context.timestamp = timestamp

    def invoke(self, node: RunNode) -> None:
        """Run a node's own code. The only step that may run on several threads at once, each with another node."""
        start = self.clock()
        try:
            if node.context.timestamp == _DONE:
                node.opened = False  # before the call: one that raises is not called again by Graph.cancel
                node.calculator.close(node.context)
            else:
                node.process(node.context)
        except Exception as error:
            node.error = error
        self.now = end = self.clock()
        node.calls += 1
        node.busy_s += end - start
        node.wait_s += start - node.ready_at

    def finish(self, node: RunNode) -> None:
        """Deliver what a node sent, and find out who can run now."""
        if node.error is not None or node.context._outbox:
            self._flush(node)
        if node.context.timestamp == _DONE:
            self._closed(node)
        elif node.context.finished:
            self.retire(node)
        else:
            node.state = OPEN
            self._pending.append(node)
        self.settle()

    def _call(self, node: RunNode, method: Callable[[Context], None]) -> None:
        try:
            method(node.context)
        except Exception as error:
            node.error = error

    def _flush(self, node: RunNode) -> None:
        outbox = node.context._outbox
        error = node.error
        if error is None:
            try:
                for stream, packet in outbox:
                    if packet[0] is BOUND:
                        self.set_bound(stream, packet[1])
                    else:
                        self.deliver(stream, packet)
            except TimestampError as wrong:
                error = wrong
        outbox.clear()
        if error is not None:
            failure = CalculatorError(node.name, Timestamp(node.context.timestamp), error)
            failure.__cause__ = error
            raise failure

    def _closed(self, node: RunNode) -> None:
        node.state = CLOSED
        self.unclosed -= 1
        for edge in node.inputs:
            while edge.queue:
                edge.pop()
            edge.stream.edges = [other for other in edge.stream.edges if other is not edge]
        for stream in node.outputs:
            self.set_bound(stream, _DONE)


def _at_end(edges: list[Edge]) -> bool:
    return all(not edge.queue and edge.stream.bound >= _END for edge in edges)


def _progress(node: RunNode) -> tuple[int, int]:
    return min((stream.bound for stream in node.outputs), default=0), -node.rank


def _union(lists: Iterable[list[Source]]) -> list[Source]:
    return list({id(source): source for sources in lists for source in sources}.values())


def _check_timestamp(stream: Stream, timestamp: int) -> None:
    at, bound = Timestamp(timestamp), Timestamp(stream.bound)
    if not at.is_allowed_in_stream:
        raise TimestampError(f"stream {stream.name!r}: a packet may not be sent at {at}; give it a timestamp in microseconds")
    if at < bound:
        raise TimestampError(
            f"stream {stream.name!r}: a packet at {at} comes too late, since everything below {bound} is settled; "
            "timestamps on a stream must increase"
        )
