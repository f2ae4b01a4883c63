"""The state of a running graph: streams, input queues, nodes.

Plain classes with slots, since every packet passes here. The scheduler alone changes them.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from inspect import iscoroutinefunction
from typing import Any
from weakref import ref

from handheld.graph._callers import Caller
from handheld.graph.calculator import Calculator, Context
from handheld.graph.packet import Packet
from handheld.graph.policies import InputPolicy, Synchroniser
from handheld.graph.timestamp import Timestamp

# Numbers rather than an Enum, whose members take twice as long to look up and compare.
UNOPENED, OPEN, QUEUED, RUNNING, CLOSED = range(5)
"""A node waits to be opened, waits for input, waits for its turn, runs, or is closed."""

PROCESSING, OPENING, CLOSING = range(3)
"""What a node is queued for: a call with packets, or the one that opens or closes it."""

RECENT = 64
"""Timestamps that a joined stream remembers: two seconds of a camera, to find the nearest pair."""

_UNSET = int(Timestamp.UNSET)
_PRE_STREAM = int(Timestamp.PRE_STREAM)


class Stream:
    """One stream: every timestamp below ``bound`` is settled.

    ``last`` is the timestamp of its latest packet. Only of a stream that is joined with others are
    ``first`` and ``recent`` kept, the timestamps of its first packet and of the last few.
    """

    __slots__ = (
        "bound",
        "edges",
        "first",
        "header",
        "last",
        "late",
        "name",
        "packets",
        "producer",
        "recent",
    )

    def __init__(self, name: str, producer: str) -> None:
        self.name = name
        self.producer = producer
        self.bound = _PRE_STREAM
        self.packets = 0
        self.late = 0  # packets that were dropped, as they came below the bound
        self.header: Any = None
        self.edges: list[Edge] = []
        self.first = _UNSET
        self.last = _UNSET
        self.recent: deque[int] | None = None

    def restart(self) -> None:
        """Let timestamps begin anew."""
        self.bound = _PRE_STREAM
        if self.recent is not None:
            self.recent.clear()

    def remember(self) -> None:
        """Keep the timestamps of the last few packets from now on."""
        if self.recent is None:
            self.recent = deque(maxlen=RECENT)

    def note(self, timestamp: int) -> None:
        """Keep the timestamp of a packet of a stream that remembers them."""
        if self.recent is not None:
            if not self.recent:
                self.first = timestamp
            self.recent.append(timestamp)


class Edge:
    """The queue between a stream and one input port of a node.

    Where ``node`` is None, it leads to a reader outside the graph.
    """

    __slots__ = (
        "back",
        "full",
        "limit",
        "node",
        "owner",
        "peak",
        "port",
        "queue",
        "reader",
        "sources",
        "stream",
        "synchroniser",
    )

    def __init__(
        self, stream: Stream, node: "RunNode | None", port: str, *, back: bool, limit: int
    ) -> None:
        self.stream = stream
        self.node = node
        self.port = port
        self.back = back
        self.limit = limit
        self.queue: deque[Packet[Any]] = deque()
        self.peak = 0
        # Apart from the length: a packet that comes to a full queue must not hold its sources
        # back once more, since each of them counts the queues that do.
        self.full = False
        self.sources: list[PacketSource] = []
        self.owner: Caller | None = None  # of a reader: who reads
        # The reader itself, weakly: once nobody has it any more, nobody can take a packet.
        self.reader: ref[Any] | None = None
        self.synchroniser: Synchroniser | None = None  # that drops what comes to a full queue

    @property
    def is_forsaken(self) -> bool:
        """Whether it leads to a reader that nobody has any more."""
        return self.reader is not None and self.reader() is None

    def clear(self) -> None:
        """Throw away every packet; one by one, so that sources that were held back go on."""
        while self.queue:
            self.pop()

    def pop(self) -> Packet[Any]:
        """Take the oldest packet, and let the sources go on if this made room."""
        packet = self.queue.popleft()
        # It may still be too long: what was under way already comes in beyond the limit.
        if self.full and len(self.queue) < self.limit:
            self._release()
        return packet

    def block(self) -> None:
        """Hold back the sources that feed this full queue, or make room by dropping."""
        if self.synchroniser is not None and self.node is not None:
            # Once it has been decided at which timestamp the node runs next, that stays.
            if self.node.state != QUEUED:
                self.synchroniser.trim()
            return
        self.full = True
        for source in self.sources:
            source.hold()

    def grow(self) -> None:
        """Double the room, since waiting for it would take for ever."""
        self.limit *= 2
        self._release()

    def _release(self) -> None:
        self.full = False
        for source in self.sources:
            source.release()


class PacketSource:
    """Something that can be held back: a graph input, or a node without inputs.

    ``blocked`` counts the full queues below it that do.
    """

    __slots__ = ("_clock", "_held_s", "_since", "blocked", "dropped", "throttled")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since = 0.0
        self._held_s = 0.0
        self.blocked = 0
        self.throttled = 0
        self.dropped = 0  # packets that found no room

    @property
    def throttled_s(self) -> float:
        """Seconds for which it was held back, up to now."""
        if not self.blocked:
            return self._held_s
        return self._held_s + self._clock() - self._since

    def hold(self) -> None:
        """Hold the source back for one more full queue."""
        if not self.blocked:
            self.throttled += 1
            self._since = self._clock()
        self.blocked += 1

    def release(self) -> None:
        """Let it go on, if no other queue is full."""
        self.blocked -= 1
        if not self.blocked:
            self._held_s += self._clock() - self._since


class RunNode:
    """A node of a running graph. ``rank`` is its turn: nodes nearer to the output come first."""

    __slots__ = (
        "busy_s",
        "calculator",
        "calls",
        "changes",
        "close_edges",
        "context",
        "dropped",
        "error",
        "flying",
        "has_back",
        "heap",
        "inputs",
        "is_async",
        "landed",
        "lanes",
        "lone",
        "name",
        "offset",
        "opened",
        "outputs",
        "owner",
        "policy",
        "ports",
        "process",
        "process_bounds",
        "rank",
        "ready_at",
        "side_names",
        "source",
        "source_layer",
        "started_at",
        "state",
        "step",
        "sync_set",
        "sync_sets",
        "timestamp",
        "wait_s",
    )

    def __init__(self, name: str, calculator: Calculator, rank: int, context: Context) -> None:
        self.heap: list[int] = []  # the ranks of the nodes that are ready on the same executor
        self.name = name
        self.calculator = calculator
        self.rank = rank
        self.context = context
        # Looked up once, not for each packet.
        self.process: Callable[[Context], Any] = calculator.process
        self.is_async = iscoroutinefunction(calculator.process)
        self.changes: Any = None  # of options, once there was one
        self.side_names: Mapping[str, str] = context.side  # port -> side packet
        self.offset = calculator.contract.timestamp_offset
        self.process_bounds = calculator.contract.process_bounds
        self.inputs: list[Edge] = []
        self.outputs: list[Stream] = []
        self.sync_sets: list[Synchroniser] = []
        self.sync_set: Synchroniser | None = None  # whose turn it is
        self.dropped = 0  # by input policies before the last reset
        # Of a node that handles several timestamps at once: a lane for each, which runs like a
        # node, and those that are at it, in the order of their timestamps.
        self.lanes: list[RunNode] = []
        self.flying: deque[RunNode] = deque()
        self.owner: RunNode | None = None  # of a lane: its node
        self.landed = False  # of a lane: what it sends may leave when those before it have landed
        self.lone: Edge | None = None  # the only input, where there is one: the short way through
        self.close_edges: list[Edge] = []  # the node closes when these are at their end
        self.has_back = False
        self.source: PacketSource | None = None
        self.source_layer = 0
        self.state = UNOPENED
        self.step = PROCESSING
        self.opened = False
        self.timestamp = int(Timestamp.UNSTARTED)
        self.error: BaseException | None = None
        self.calls = 0
        self.busy_s = 0.0
        self.wait_s = 0.0
        self.ready_at = 0.0
        self.started_at = 0.0  # of the call that runs, or of the last

    @property
    def drops(self) -> int:
        """Packets that the calculator dropped on purpose, or its input policy."""
        now = sum(sync_set.dropped for sync_set in self.sync_sets)
        return self.context.drops + self.dropped + now

    def make_lanes(self, contexts: Sequence[Context]) -> None:
        """Let the node handle as many timestamps at once as there are contexts."""
        for context in contexts:
            lane = RunNode(self.name, self.calculator, self.rank, context)
            lane.owner = self
            self.lanes.append(lane)

    def take_counts(self, lane: "RunNode") -> None:
        """Move to the node what one of its lanes counted in a call."""
        self.calls += lane.calls
        self.busy_s += lane.busy_s
        self.wait_s += lane.wait_s
        lane.calls = 0
        lane.busy_s = 0.0
        lane.wait_s = 0.0
        context = lane.context
        self.context.drops += context.drops
        self.context.skips += context.skips
        self.context.finished |= context.finished
        context.drops = 0
        context.skips = 0

    def connect(self, policy: InputPolicy, ports: Sequence[str]) -> None:
        """Put the input edges, once they are all there, into the sync sets of a policy."""
        self.policy = policy
        self.ports = ports
        self.close_edges = [edge for edge in self.inputs if not edge.back]
        self.has_back = len(self.close_edges) < len(self.inputs)
        self._synchronise_all()

    def _synchronise_all(self) -> None:
        policy = self.policy
        self.sync_sets = []
        by_port = {edge.port: edge for edge in self.inputs}
        for group in policy.groups(self.ports):
            # Optional ports may be unconnected, and a set of such alone would never be settled.
            edges = [by_port[port] for port in group if port in by_port]
            if edges:
                self._synchronise(edges, policy.synchroniser(edges))
        # With one input there is nothing to wait for, unless bounds without packets count too.
        if len(self.inputs) == 1 and not self.has_back and not self.process_bounds:
            plain = type(self.sync_sets[0]) is Synchroniser
            self.lone = self.inputs[0] if plain else None

    def restart(self) -> None:
        """Forget everything of the run but the counts; the queues are empty."""
        self.lanes += self.flying
        self.flying.clear()
        for lane in self.lanes:
            lane.landed = False
            lane.error = None
            lane.context.forget()
        self.context.forget()
        if self.changes is not None:
            self.changes.forget_times()
        self.state = UNOPENED
        self.step = PROCESSING
        self.timestamp = int(Timestamp.UNSTARTED)
        self.error = None
        self.sync_set = None
        self.dropped += sum(sync_set.dropped for sync_set in self.sync_sets)
        self._synchronise_all()

    def joins(self) -> list[Synchroniser]:
        """Return the sets in which packets of one timestamp of several inputs come together."""
        return [one for one in self.sync_sets if one.matches_timestamps and len(one.queues) > 1]

    def _synchronise(self, edges: list[Edge], synchroniser: Synchroniser) -> None:
        self.sync_sets.append(synchroniser)
        for edge in edges:
            edge.limit = max(edge.limit, synchroniser.least_room)
        if synchroniser.drops_on_arrival:
            for edge in edges:
                edge.limit = synchroniser.drops_on_arrival
                edge.synchroniser = synchroniser
