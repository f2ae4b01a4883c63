"""The state of a running graph: streams, input queues, nodes. Plain slots, since every packet passes here."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from handheld.graph.calculator import Calculator, Context
from handheld.graph.packet import Packet
from handheld.graph.timestamp import Timestamp

OPEN, QUEUED, RUNNING, CLOSED = range(4)
"""A node waits for input, waits for its turn, runs, or is closed."""


class Stream:
    """One stream: every timestamp below ``bound`` is settled."""

    __slots__ = ("bound", "edges", "name", "packets", "producer")

    def __init__(self, name: str, producer: str) -> None:
        self.name, self.producer = name, producer
        self.bound: int = int(Timestamp.PRE_STREAM)
        self.packets = 0
        self.edges: list[Edge] = []


class Edge:
    """The queue between a stream and one input port of a node, or a reader outside the graph (``node`` is None)."""

    __slots__ = ("back", "full", "limit", "node", "owner", "peak", "port", "queue", "sources", "stream")

    def __init__(self, stream: Stream, node: "RunNode | None", port: str, *, back: bool, limit: int) -> None:
        self.stream, self.node, self.port, self.back, self.limit = stream, node, port, back, limit
        self.queue: deque[Packet[Any]] = deque()
        self.peak, self.full = 0, False
        self.sources: list[Source] = []
        self.owner: threading.Thread | None = None  # of a reader: the thread that reads

    def pop(self) -> Packet[Any]:
        """Take the oldest packet, and let the sources go on if this made room."""
        packet = self.queue.popleft()
        if self.full and len(self.queue) < self.limit:
            self.full = False
            for source in self.sources:
                source.release()
        return packet

    def block(self) -> None:
        """Hold back the sources that feed this full queue."""
        self.full = True
        for source in self.sources:
            source.hold()

    def grow(self) -> None:
        """Double the room, since waiting for it would take for ever."""
        self.limit *= 2
        self.full = False
        for source in self.sources:
            source.release()


class Source:
    """Something that can be held back: a graph input, or a node without inputs. ``blocked`` counts full queues below."""

    __slots__ = ("_clock", "_held_s", "_since", "blocked", "throttled")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._since = clock, 0.0
        self.blocked = self.throttled = 0
        self._held_s = 0.0

    @property
    def throttled_s(self) -> float:
        """Seconds for which it was held back, up to now."""
        return self._held_s + (self._clock() - self._since if self.blocked else 0.0)

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


class Group:
    """A sync set of input edges. ``seen`` is the bound up to which the node has been told."""

    __slots__ = ("edges", "seen")

    def __init__(self, edges: list[Edge]) -> None:
        self.edges = edges
        self.seen: int = int(Timestamp.PRE_STREAM)

    def next(self) -> tuple[int, int]:
        """Return the lowest timestamp with a packet, and the lowest bound of the empty queues (``DONE`` for none)."""
        packet = bound = _DONE
        for edge in self.edges:
            queue = edge.queue
            if queue:
                timestamp = queue[0][1]
                if timestamp < packet:
                    packet = timestamp
            elif edge.stream.bound < bound:
                bound = edge.stream.bound
        return packet, bound

    def take(self, timestamp: int) -> dict[str, Packet[Any]]:
        """Remove and return the packets at ``timestamp``."""
        return {e.port: e.pop() for e in self.edges if e.queue and e.queue[0][1] == timestamp}


class RunNode:
    """A node of a running graph. ``rank`` is its turn: nodes nearer to the output come first."""

    __slots__ = (
        "busy_s", "calculator", "calls", "close_edges", "context", "error", "group", "groups", "has_back", "inputs", "lone",
        "name", "offset", "opened", "outputs", "process", "process_bounds", "rank", "ready_at", "source", "state", "timestamp",
        "wait_s",
    )  # fmt: skip

    def __init__(self, name: str, calculator: Calculator, rank: int, context: Context) -> None:
        self.name, self.calculator, self.rank, self.context = name, calculator, rank, context
        self.process: Callable[[Context], None] = calculator.process
        self.offset = calculator.contract.timestamp_offset
        self.process_bounds = calculator.contract.process_bounds
        self.inputs: list[Edge] = []
        self.outputs: list[Stream] = []
        self.groups: list[Group] = []
        self.group: Group | None = None  # whose turn it is
        self.lone: Edge | None = None  # the only input, where there is one: the short way through
        self.close_edges: list[Edge] = []  # the node closes when these are at their end
        self.has_back = False
        self.source: Source | None = None
        self.state, self.opened = OPEN, False
        self.timestamp: int = int(Timestamp.UNSTARTED)
        self.error: BaseException | None = None
        self.calls = 0
        self.busy_s = self.wait_s = self.ready_at = 0.0

    def connect(self, groups: tuple[tuple[str, ...], ...]) -> None:
        """Put the input edges, once they are all there, into their sync sets."""
        by_port = {edge.port: edge for edge in self.inputs}
        self.groups = [Group([by_port[p] for p in ports if p in by_port]) for ports in groups]
        self.groups = [group for group in self.groups if group.edges]
        self.close_edges = [edge for edge in self.inputs if not edge.back]
        self.has_back = len(self.close_edges) < len(self.inputs)
        if len(self.inputs) == 1 and self.close_edges and not self.process_bounds:
            self.lone = self.inputs[0]


_DONE = int(Timestamp.DONE)
