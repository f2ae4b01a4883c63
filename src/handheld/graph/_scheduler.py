"""The scheduler: which node may run next, and what its packets and bounds set in motion.

Knows nothing of threads. An executor calls ``pick``, ``begin``, ``invoke`` and ``finish``; all but
``invoke`` are called by one thread at a time. A node runs when its input policy says so; among
those that may, the one nearest to the output runs first, and sources run when nothing else can, so
that packets leave the graph before new ones enter.
"""

import logging
from collections.abc import Callable, Mapping
from copy import copy
from heapq import heappop, heappush
from operator import index
from typing import Any

from handheld.errors import CalculatorError, GraphError, InputError, TimestampError
from handheld.graph._event_loop import EventLoop
from handheld.graph._processes import RemoteCalculator
from handheld.graph._state import (
    CLOSED,
    CLOSING,
    OPEN,
    OPENING,
    PROCESSING,
    QUEUED,
    RUNNING,
    UNOPENED,
    Edge,
    PacketSource,
    RunNode,
    Stream,
)
from handheld.graph.calculator import BOUND, Calculator, Context
from handheld.graph.config import BackEdge
from handheld.graph.executors import INLINE, NodeExecutor, ProcessExecutor
from handheld.graph.expand import FlatNode
from handheld.graph.packet import Packet
from handheld.graph.plan import INPUT, GraphPlan
from handheld.graph.policies import Synchroniser
from handheld.graph.timestamp import Timestamp, bound_after

_log = logging.getLogger(__name__)

# Plain integers: a Timestamp takes half as long again to compare, and everything here is compared.
_UNSET = int(Timestamp.UNSET)
_UNSTARTED = int(Timestamp.UNSTARTED)
_PRE_STREAM = int(Timestamp.PRE_STREAM)
_MIN = int(Timestamp.MIN)
_MAX = int(Timestamp.MAX)
_POST_STREAM = int(Timestamp.POST_STREAM)
_END = int(Timestamp.ONE_OVER_POST_STREAM)
_DONE = int(Timestamp.DONE)

# Seconds of a call below which it is not worth a thread: waking one takes about as long.
_SHORT_S = 30e-6
# Calls of a node before one can tell how long they are; until then it counts as long.
_UNKNOWN = 5


class Scheduler:
    """The running state of one graph."""

    def __init__(  # noqa: PLR0913  # options by keyword, each by itself
        self,
        plan: GraphPlan,
        side: Mapping[str, Any],
        *,
        max_queue_size: int,
        clock: Callable[[], float],
        drops_late: bool = False,
        grows: bool = True,
        threads: int = 0,
        executors: Mapping[str, NodeExecutor] | None = None,
    ) -> None:
        self.clock = clock
        self.max_queue_size = max_queue_size
        self.drops_late = drops_late  # rather than raise
        self.grows = grows  # full queues, rather than raise
        self.side = dict(side)
        self._side_inputs = dict(side)
        self.loop = EventLoop()
        self.plan = plan
        self.error: Exception | None = None
        self.executors = dict(executors or {})
        # Executor -> heap of the ranks of its nodes that are ready; those of a graph without
        # threads of its own run inside its callers' calls.
        self.heaps: dict[str, list[int]] = {name: [] for name in (INLINE, *self.executors)}
        self.heaps[""] = [] if threads else self.heaps[INLINE]
        self.by_rank: dict[int, RunNode] = {}
        # Time of the last call's end, which is when the nodes that it fed became ready: asking the
        # clock for each of them would cost as much as running it.
        self.now = clock()
        self.unclosed = 0
        self.stopped = False
        self.told_stuck = False  # in the log, which says it once
        # Nodes whose input changed. A list rather than recursion, which a long chain would exhaust.
        self._pending: list[RunNode] = []
        self.streams: dict[str, Stream] = {}
        self.inputs: dict[str, PacketSource] = {}
        self.source_nodes: list[RunNode] = []
        self._sources: dict[str, list[PacketSource]] = {}  # stream -> what feeds it
        self._side_outputs: dict[str, Mapping[str, str]] = {}  # node -> port -> side packet
        # By name, those that were to be opened and lack something for it.
        self._unopened: dict[str, RunNode] = {}
        self.looped: set[str] = set()  # streams below a back edge: see close_loop
        self._loop_nodes: list[RunNode] = []
        for name, producer in plan.streams.items():
            self.streams[name] = Stream(name, producer.node)
            if producer.node == INPUT:
                self.inputs[name] = self.make_source(name)
                self._sources[name] = [self.inputs[name]]
        # In the order of the plan, so that what feeds a node is known when it is connected.
        for flat in plan.nodes:
            self._add_planned(flat)

    def _add_planned(self, flat: FlatNode) -> None:
        """Add a node of the plan, and connect it."""
        ports: dict[str, Stream | None] = dict.fromkeys(flat.contract.outputs)
        for port, stream in flat.outputs.items():
            ports[port] = self.streams[stream]
        # A copy, so that graphs that run at the same time, of one config or not, never share what
        # open() sets.
        calculator = copy(flat.calculator)
        if isinstance(self.executors.get(flat.executor), ProcessExecutor):
            calculator = RemoteCalculator(flat.name, calculator, copies=flat.max_in_flight)
        context = Context(flat.name, ports, flat.side_inputs, flat.contract)
        node = self.add_node(flat.name, calculator, context)
        node.heap = self.heaps[flat.executor]
        self._side_outputs[flat.name] = flat.side_outputs
        edges: dict[str, Edge] = {}
        for port, stream in flat.inputs.items():
            edges[port] = self.connect(node, port, stream, back=isinstance(stream, BackEdge))
        context._edges = edges
        if flat.max_in_flight > 1:
            node.make_lanes([copy(context) for _ in range(flat.max_in_flight)])
        node.connect(flat.policy, list(flat.contract.inputs))
        _remember_joined(node)
        node.outputs = [stream for stream in ports.values() if stream is not None]
        if node.has_back:
            self._loop_nodes.append(node)
        if not node.inputs:
            node.source = self.make_source(flat.name)
            node.source_layer = flat.source_layer
            self.source_nodes.append(node)
        self._trace(node)

    def _trace(self, node: RunNode) -> None:
        """Note of a node's outputs which sources feed them, and whether a back edge does."""
        # A dictionary for an ordered set: each source once, in an order that no run changes.
        feeding: dict[PacketSource, None] = {}
        looped = node.has_back
        if node.source is not None:
            feeding[node.source] = None
        for edge in node.close_edges:
            feeding.update(dict.fromkeys(edge.sources))
            looped = looped or edge.stream.name in self.looped
        for stream in node.outputs:
            self._sources[stream.name] = list(feeding)
            if looped:
                self.looped.add(stream.name)

    def make_source(self, name: str) -> PacketSource:
        """Return what holds back a graph input or a node without inputs, of this name."""
        return PacketSource(self.clock)

    def add_node(self, name: str, calculator: Calculator, context: Context) -> RunNode:
        """Add a node that comes before all others in turn."""
        context._clock = self.clock
        node = RunNode(name, calculator, -len(self.by_rank), context)
        node.heap = self.heaps[""]
        self.by_rank[node.rank] = node
        self.unclosed += 1
        return node

    def connect(self, node: RunNode | None, port: str, stream: str, *, back: bool = False) -> Edge:
        """Let a node, or a reader outside (None), receive what comes on a stream from now on."""
        edge = Edge(self.streams[stream], node, port, back=back, limit=self.max_queue_size)
        # A full queue at a back edge must not hold back the very nodes that would empty it.
        if not back:
            edge.sources = self._sources[stream]
        self.streams[stream].edges.append(edge)
        if node is not None:
            node.inputs.append(edge)
        return edge

    def open(self, node: RunNode) -> None:
        """Open a node, or let it wait until all is there that it needs to open."""
        if self._can_open(node):
            self.open_now(node)
        else:
            self._unopened[node.name] = node

    def open_now(self, node: RunNode) -> None:
        """Call a node's ``open`` and send what it sends; or ``reset``, of one that is open."""
        try:
            self._call_open(node)
        except Exception as error:
            node.error = error
        self._flush(node)
        self._opened(node)
        self.settle()

    def _can_open(self, node: RunNode) -> bool:
        """Whether a node's side packets are there, and what feeds it is open.

        As in MediaPipe: else it would miss the headers of its inputs.
        """
        if any(edge.stream.producer in self._unopened for edge in node.close_edges):
            return False
        return all(name in self.side for name in node.side_names.values())

    def _call_open(self, node: RunNode) -> None:
        context = node.context
        context.side = {port: self.side[name] for port, name in node.side_names.items()}
        begin = node.calculator.reset if node.opened else node.calculator.open
        # Before the call: what did not open is not closed either.
        node.opened = False
        self.loop.complete(begin(context))
        node.opened = True

    def _opened(self, node: RunNode) -> None:
        """Let a node take packets, and those open that have waited for that."""
        node.step = PROCESSING
        node.state = OPEN
        for lane in node.lanes:
            lane.context.begin_lane(node.context)
        self._pending.append(node)
        if self._unopened.pop(node.name, None) is not None:
            self._queue_to_open()

    def _queue_to_open(self) -> None:
        """Queue each node that waited to be opened and that lacks nothing any more."""
        for node in self._unopened.values():
            if node.state == UNOPENED and self._can_open(node):
                node.step = OPENING
                node.timestamp = _UNSTARTED
                self._enqueue(node)

    def missing_sides(self, node: RunNode) -> dict[str, str]:
        """Return side input -> side packet, of those without which a node does not open."""
        return {port: name for port, name in node.side_names.items() if name not in self.side}

    def _take_side_packet(self, node: RunNode, port: str, payload: Any) -> None:
        name = self._side_outputs[node.name].get(port)
        if name is None:  # nobody takes it
            return
        if name in self.side:
            raise InputError(
                f"node {node.name!r}: side output {port!r} (side packet {name!r}) was set before; "
                "there is one in a run"
            )
        self.side[name] = payload
        self._queue_to_open()

    def deliver(self, stream: Stream, packet: Packet[Any]) -> None:
        """Put a packet into every queue of a stream."""
        timestamp = packet[1]
        if (timestamp < stream.bound or timestamp > _MAX) and not self._admits(stream, timestamp):
            return
        stream.packets += 1
        stream.last = timestamp
        if stream.recent is not None:
            stream.note(timestamp)
        for edge in stream.edges:
            queue = edge.queue
            queue.append(packet)
            length = len(queue)
            if length > edge.peak:
                edge.peak = length
            if length >= edge.limit and not edge.full:
                self._block(edge)
            node = edge.node
            if node is not None and node.state == OPEN:
                self._pending.append(node)
        # Last, because Context.bound reads without the lock: below the bound, whatever came must
        # be in the queue. Not timestamp + 1: Timestamp's own + takes twenty times as long.
        if _MIN <= timestamp < _MAX:
            stream.bound = 1 + timestamp
        else:
            stream.bound = bound_after(timestamp)

    def _block(self, edge: Edge) -> None:
        if edge.is_forsaken:
            self._disconnect(edge)
            return
        try:
            edge.block()
        except Exception as error:
            if edge.node is None:  # a reader has no policy that could raise
                raise
            raise self._policy_failed(edge.node, error) from error

    def _policy_failed(self, node: RunNode, error: Exception) -> CalculatorError:
        """Return what tells that a node's policy raised, and end the graph with it.

        Packets and bounds that it did not look at would be lost without a word.
        """
        failure = CalculatorError(node.name, Timestamp(node.timestamp), error)
        failure.add_note(f"its {type(node.policy).__name__} raised this, or its source_order")
        self.error = self.error or failure
        return failure

    # A packet from outside: a name of its own, so that whoever watches the graph can tell.
    feed = deliver

    def _admits(self, stream: Stream, timestamp: int) -> bool:
        """Whether a packet of an unusual timestamp may be delivered; raises where it is wrong."""
        at = Timestamp(timestamp)
        if self.drops_late and at.is_allowed_in_stream and timestamp < stream.bound:
            if not stream.late:
                _log.warning(
                    "stream %r: a packet at %s comes too late and is dropped, as all below %s will "
                    "be; Graph.stats() counts them",
                    stream.name,
                    at,
                    Timestamp(stream.bound),
                )
            stream.late += 1
            return False
        _check_timestamp(stream, at)
        return True

    def is_in_time(self, stream: Stream, timestamp: Timestamp) -> bool:
        """Whether a packet of this timestamp would be delivered.

        Raises where it would be refused; counts it where it would be dropped.
        """
        return stream.bound <= timestamp <= _MAX or self._admits(stream, timestamp)

    def set_bound(self, stream: Stream, bound: int) -> None:
        """Settle every timestamp below ``bound``; a bound below the present one changes nothing."""
        if bound > stream.bound:
            stream.bound = bound
            for edge in stream.edges:
                node = edge.node
                if node is not None and node.state == OPEN:
                    self._pending.append(node)

    def settle(self) -> None:
        """Queue each node whose input changed and that may run; pass bounds on through others."""
        pending = self._pending
        while pending:
            node = pending.pop()
            if node.state != OPEN:
                continue
            lone = node.lone
            if lone is None:
                try:
                    settled = self._settle_sets(node)
                except Exception as error:
                    raise self._policy_failed(node, error) from error
            elif not lone.queue:
                settled = lone.stream.bound
            else:
                # The short way of most calls: what comes on the only input may be taken at once.
                self._enqueue(node)
                continue
            if node.state == OPEN:
                self._pass_on(node, settled)

    def _pass_on(self, node: RunNode, settled: int) -> None:
        """Settle the outputs of a node that has no packet below the bound of its inputs."""
        if node.flying:
            # What is under way is not settled, and nothing closes before it has landed.
            settled = min(settled, node.flying[0].context.timestamp)
        if settled >= _END:
            if node.inputs:  # a source says itself when it ends
                self.retire(node)
            return
        offset = node.offset
        if offset is None:
            return
        # Its loop alone keeps it open, and what still comes around may be at any timestamp.
        if node.has_back and _at_end(node.close_edges):
            return
        if offset:
            settled = _moved(settled, offset)
        for stream in node.outputs:
            if settled > stream.bound:
                self.set_bound(stream, settled)

    def _settle_sets(self, node: RunNode) -> int:
        """Queue a node if one of its sync sets may run; return the bound that all inputs reached.

        Among sets that may, the one with the earliest packet runs, whatever their order.
        """
        earliest = _DONE
        lowest = _DONE
        untold: Synchroniser | None = None  # settled further than the node has been told
        untold_bound = _DONE
        for sync_set in node.sync_sets:
            packet, settled = sync_set.next()
            if packet < settled:
                settled = packet
                if packet < earliest:
                    earliest = packet
                    node.sync_set = sync_set
            if settled > sync_set.seen and untold is None:
                untold = sync_set
                untold_bound = settled
            if settled < lowest:
                lowest = settled
        if earliest < _DONE:
            node.timestamp = earliest
            self._enqueue(node)
        elif node.process_bounds and untold is not None:
            untold.seen = untold_bound
            node.sync_set = None
            node.timestamp = Timestamp(min(untold_bound - 1, _POST_STREAM))
            self._enqueue(node)
        return lowest

    def retire(self, node: RunNode) -> None:
        """Queue a node to be closed."""
        node.step = CLOSING
        node.timestamp = _DONE
        self._enqueue(node)

    def _enqueue(self, node: RunNode) -> None:
        node.state = QUEUED
        node.ready_at = self.now
        heappush(node.heap, node.rank)

    def pick(self, heap: list[int], *, sources: bool) -> RunNode | None:
        """Take the node of one executor whose turn it is.

        That is the ready one nearest to the output, else the source that is furthest behind.
        """
        if heap:
            return self.by_rank[heappop(heap)]
        free = self.free_sources(heap) if sources else []
        if not free:
            return None
        node = min(free, key=self._progress)
        node.timestamp = _UNSET
        node.ready_at = self.now
        return node

    def _progress(self, node: RunNode) -> tuple[int, int]:
        """Return how far a source is, as it says; of two as far, the first in the graph."""
        try:
            return index(node.calculator.source_order(node.context)), -node.rank
        except Exception as error:
            raise self._policy_failed(node, error) from error

    def free_sources(self, heap: list[int]) -> list[RunNode]:
        """Return the sources of one executor that may run now."""
        if not self.source_nodes:  # as in most graphs, and this is asked often
            return []
        unclosed = [node for node in self.source_nodes if node.state != CLOSED]
        layer = min((node.source_layer for node in unclosed), default=0)
        # Those of the lowest layer that is not at its end, and which no full queue holds back.
        return [
            node
            for node in unclosed
            if node.heap is heap and node.source_layer == layer and _may_run(node)
        ]

    def worth_a_thread(self, heap: list[int], *, beyond: int = 0, sources: bool = False) -> int:
        """Count the nodes of one executor that could run now and are worth waking a thread for.

        ``beyond`` are left out, which have a thread already. Waking costs more than a short node
        takes: whoever runs now takes those one after the other.
        """
        nodes = map(self.by_rank.__getitem__, heap)
        long = sum(node.calls < _UNKNOWN or node.busy_s > _SHORT_S * node.calls for node in nodes)
        if sources and self.source_nodes:
            long += len(self.free_sources(heap))
        return max(0, long - beyond)

    def is_fed(self) -> bool:
        """Whether more may come from outside."""
        return any(self.streams[name].bound < _END for name in self.inputs)

    def held_back(self) -> list[PacketSource]:
        """Return the source nodes that wait for room in a full queue."""
        held = []
        for node in self.source_nodes:
            source = node.source
            if node.state == OPEN and source is not None and source.blocked:
                held.append(source)
        return held

    def holding(self, sources: list[PacketSource]) -> list[Edge]:
        """Return the full queues that hold any of these sources back."""
        if not sources:  # as nearly always
            return []
        any_of = set(sources)
        full: list[Edge] = []
        for stream in self.streams.values():
            full += [e for e in stream.edges if e.full and not any_of.isdisjoint(e.sources)]
        return full

    def close_loop(self) -> bool:
        """Queue the first node that only its back edges keep open to be closed.

        Returns whether there was one. Only when nothing runs and nothing more can come: earlier,
        the result would depend on who came first.
        """
        if not self._loop_nodes:  # as in most graphs, and this is asked for each packet
            return False
        # A source that is not open waits for a side packet, which a node may set in its close.
        over = (CLOSED, UNOPENED)
        if self.is_fed() or any(node.state not in over for node in self.source_nodes):
            return False
        for node in self._loop_nodes:
            if node.state == OPEN and _at_end(node.close_edges):
                self.retire(node)
                return True
        return False

    def begin(self, node: RunNode) -> RunNode:
        """Hand a node its packets; return what is to be invoked: the node or one of its lanes."""
        node.state = RUNNING
        context = node.context
        timestamp = node.timestamp
        if node.step:
            context.inputs = {}
            context.timestamp = timestamp
            return node
        if node.lone is not None:
            packet = node.lone.pop()
            timestamp = packet[1]
            context.inputs = {node.lone.port: packet}
        elif node.sync_set is not None:
            try:
                context.inputs = node.sync_set.take(timestamp)
            except Exception as error:
                raise self._policy_failed(node, error) from error
            node.sync_set.seen = 1 + timestamp  # not + 1: see deliver
        else:
            context.inputs = {}
        context.timestamp = timestamp
        if node.lanes:
            return self._begin_lane(node)
        return node

    def _begin_lane(self, node: RunNode) -> RunNode:
        """Move the packets of a node on to one of its lanes, and let it take more."""
        lane = node.lanes.pop()
        lane.ready_at = node.ready_at
        lane.context.inputs = node.context.inputs
        lane.context.timestamp = node.context.timestamp
        node.flying.append(lane)
        if node.lanes:
            # The next timestamp need not wait for this one.
            node.state = OPEN
            self._pending.append(node)
            self.settle()
        return lane

    def invoke(self, node: RunNode) -> None:
        """Run a node's own code.

        The only step that may run on several threads at once, each with another node.
        """
        start = self.clock()
        node.started_at = start
        try:
            if not node.step:
                result = node.process(node.context)
                if result is not None:  # a coroutine
                    self.loop.complete(result)
            elif node.step == CLOSING:
                # Before the call: one that raises is not called again by Graph.cancel.
                node.opened = False
                self.loop.complete(node.calculator.close(node.context))
            else:
                self._call_open(node)
                if self.stopped:
                    # It may have been cancelled by this very call, before it could be closed.
                    self.close_stopped(node)
        except Exception as error:
            node.error = error  # raised by finish, under the lock
        end = self.clock()
        self.now = end
        if node.step == OPENING:  # which counts as no call, late or not
            return
        node.calls += 1
        node.busy_s += end - start
        node.wait_s += start - node.ready_at

    async def invoke_async(self, node: RunNode) -> None:
        """Run the coroutine of a node, as :meth:`invoke` does, on the event loop."""
        start = self.clock()
        node.started_at = start
        try:
            await node.process(node.context)
        # A coroutine that is cancelled ends too.
        except BaseException as error:
            node.error = error
        end = self.clock()
        self.now = end
        node.calls += 1
        node.busy_s += end - start
        node.wait_s += start - node.ready_at

    def interrupt(self) -> None:
        """End what is under way where that can be done: nobody waits for what it sends."""
        self.loop.cancel_all()
        for node in self.by_rank.values():
            if isinstance(node.calculator, RemoteCalculator):
                node.calculator.interrupt()

    def forked(self) -> None:
        """Let go of what belongs to the program of which this one is a copy."""
        self.stopped = True
        self.error = GraphError(
            "the graph belongs to the program of which this one is a fork; make one here"
        )
        self.loop.forked()
        for node in self.by_rank.values():
            if isinstance(node.calculator, RemoteCalculator):
                node.calculator.forked()

    def under_way(self) -> list[str]:
        """Return the names of the nodes whose calls are not over."""
        return [n.name for n in self.by_rank.values() if n.state == RUNNING or n.flying]

    def close_stopped(self, node: RunNode) -> None:
        """Close a node of a graph that was stopped.

        What it sends is lost, and its own error must not hide the first one.
        """
        node.state = CLOSED
        # If it runs, as what cancels its graph does, its call is its last.
        node.step = CLOSING
        node.context.timestamp = Timestamp.DONE
        try:
            self.loop.complete(node.calculator.close(node.context))
        except Exception:
            _log.exception("node %r failed while the graph was being stopped", node.name)

    def started(self) -> None:
        """Take note that the graph is about to open its nodes; for those that watch it."""

    def ended(self) -> None:
        """Take note that every node is closed; for those that watch the graph."""

    def finish(self, node: RunNode) -> None:
        """Deliver what a node sent, and find out who can run now."""
        if node.owner is not None:
            self._land(node, node.owner)
            return
        if node.error is not None or node.context._outbox:
            self._flush(node)
        if node.step:
            self._opened_or_closed(node)
        elif node.context.finished:
            self.retire(node)
        else:
            node.state = OPEN
            if node.lone is None or node.lone.queue:
                self._settle_past(node, node.context.timestamp)
            # More packets may wait for it already.
            self._pending.append(node)
        self.settle()

    def _opened_or_closed(self, node: RunNode) -> None:
        if node.step == CLOSING:
            self._closed(node)
            return
        self._opened(node)
        if node.context.finished:  # as all sources are when the graph is closed
            self.retire(node)

    def _settle_past(self, node: RunNode, timestamp: int) -> None:
        """Settle the outputs of a node behind a call in which it sent nothing there.

        Those of a node that has nothing more to do are settled as far as its inputs. But where more
        waits for it, nodes below must not wait until all of that is handled too.
        """
        if node.offset is None:
            return
        settled = 1 + timestamp  # not + 1: see deliver
        for stream in node.outputs:
            if stream.bound < settled:
                break
        else:
            return  # as nearly always
        if len(node.sync_sets) > 1:
            # Other sets of inputs may be further behind.
            for sync_set in node.sync_sets:
                settled = min(settled, *sync_set.next())
        if settled < _END:  # else it closes, which is found out where all its inputs are looked at
            self._pass_on(node, settled)

    def _land(self, lane: RunNode, node: RunNode) -> None:
        """Deliver what lanes sent, once all before them have; the node may go on."""
        lane.landed = True
        while node.flying and node.flying[0].landed:
            self._land_first(node.flying.popleft(), node)
        if node.context.finished:
            if not node.flying:
                self.retire(node)
        elif node.lanes:
            # Else all of them wait for the first.
            if node.state == RUNNING:
                node.state = OPEN
            self._pending.append(node)
        self.settle()

    def _land_first(self, lane: RunNode, node: RunNode) -> None:
        lane.landed = False
        node.lanes.append(lane)
        node.take_counts(lane)
        self._flush(lane)
        self._settle_past(node, lane.context.timestamp)

    def _flush(self, node: RunNode) -> None:
        """Deliver what a node sent, or raise what went wrong in its call."""
        outbox = node.context._outbox
        error = node.error
        if error is None:
            try:
                for stream, packet in outbox:
                    if packet[0] is not BOUND:
                        self.deliver(stream, packet)
                    elif stream is not None:
                        self.set_bound(stream, packet[1])
                    else:
                        self._take_side_packet(node, *packet[1])
            except (TimestampError, InputError) as wrong:
                error = wrong
        # After an error too: it must not be sent by the next call.
        outbox.clear()
        if error is not None:
            timestamp = Timestamp(node.context.timestamp)
            raise CalculatorError(node.name, timestamp, error) from error

    def _closed(self, node: RunNode) -> None:
        node.state = CLOSED
        self.unclosed -= 1
        for edge in node.inputs:
            self._disconnect(edge)
        for stream in node.outputs:
            self.set_bound(stream, _DONE)

    def _disconnect(self, edge: Edge) -> None:
        """Throw away what waits in a queue from which nobody takes anything any more."""
        edge.clear()
        # It must not fill up again. A new list, as the old one may be gone through right now.
        edge.stream.edges = [other for other in edge.stream.edges if other is not edge]

    def forget_readers(self) -> bool:
        """Disconnect readers that nobody has any more; return whether there was one.

        Else each would fill its queue, and hold the graph back for ever. Asked for rather than
        done when a reader is collected: that may be in the middle of anything.
        """
        forsaken: list[Edge] = []
        for stream in self.streams.values():
            forsaken += [edge for edge in stream.edges if edge.is_forsaken]
        for edge in forsaken:
            self._disconnect(edge)
        return bool(forsaken)

    def reset(self) -> None:
        """Let every node start anew, as if nothing had ever come. Nothing runs meanwhile.

        Readers and observers stay; what is under way is lost. Raises as :meth:`open`.
        """
        nodes = list(self.by_rank.values())
        for node in reversed(nodes):
            if node.opened and not _resets_itself(node):
                self._close_for_reset(node)
        self._pending.clear()
        for heap in self.heaps.values():
            heap.clear()
        for stream in self.streams.values():
            for edge in stream.edges:
                edge.clear()
            stream.restart()
        # First all of them: a node that opens may send to any other.
        for node in nodes:
            self._reconnect(node)
            node.restart()
        self._unopened.clear()
        self.side = dict(self._side_inputs)
        self.error = None
        self.unclosed = len(nodes)
        for node in nodes:
            self.open(node)

    def _close_for_reset(self, node: RunNode) -> None:
        node.opened = False
        node.context.timestamp = Timestamp.DONE
        try:
            self.loop.complete(node.calculator.close(node.context))
        except Exception:
            # As when a graph is cancelled: what it raises would hide what comes after.
            _log.exception("node %r failed while the graph was being reset", node.name)

    def _reconnect(self, node: RunNode) -> None:
        """Let a node that was closed receive packets again."""
        for edge in node.inputs:
            edge.clear()
            if edge not in edge.stream.edges:
                edge.stream.edges.append(edge)


def _resets_itself(node: RunNode) -> bool:
    calculator = node.calculator
    if isinstance(calculator, RemoteCalculator):
        return calculator.resets_itself
    return type(calculator).reset is not Calculator.reset


def _remember_joined(node: RunNode) -> None:
    """Let streams that are joined remember when their packets were: to tell why they never meet."""
    joined: set[str] = set()
    for sync_set in node.joins():
        joined.update(queue.port for queue in sync_set.queues)
    for edge in node.inputs:
        if edge.port in joined:
            edge.stream.remember()


def _may_run(source: RunNode) -> bool:
    """Whether a source is open, waits for its turn, and nothing holds it back."""
    if source.source is None or source.source.blocked:
        return False
    return source.state == OPEN


def _moved(bound: int, offset: int) -> int:
    # Special values have no neighbours to be moved to.
    if _MIN < bound <= _MAX:
        return min(max(bound + offset, _MIN), _MAX)
    return bound


def _at_end(edges: list[Edge]) -> bool:
    return all(not edge.queue and edge.stream.bound >= _END for edge in edges)


def _check_timestamp(stream: Stream, at: Timestamp) -> None:
    bound = Timestamp(stream.bound)
    if not at.is_allowed_in_stream:
        raise TimestampError(
            f"stream {stream.name!r}: a packet may not be sent at {at}; "
            "give it a timestamp in microseconds"
        )
    if at < bound:
        raise TimestampError(
            f"stream {stream.name!r}: a packet at {at} comes too late, "
            f"since everything below {bound} is settled; timestamps on a stream must increase"
        )
