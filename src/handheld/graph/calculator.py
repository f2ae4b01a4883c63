"""Calculators: the nodes' code, and the context through which they see packets and send them."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping
from operator import index
from typing import Any

from handheld.errors import InputError, TimestampError
from handheld.graph.contract import Contract
from handheld.graph.packet import Packet
from handheld.graph.timestamp import Timestamp
from handheld.graph.types import full_type_name, runtime_classes, type_name

MaybeCoroutine = Coroutine[Any, Any, None] | None
"""What a method gives that may be a plain one or ``async``."""

BOUND = object()
"""Payload that marks an outbox entry as no packet: a bound, or without a stream a side packet."""

# Packet(...) goes through a Python function of the named tuple, which takes twice as long.
_new_packet = tuple.__new__


class Context:
    """What a calculator sees of its node during one call.

    Attributes:
        timestamp: of the packets in ``inputs``; in a call without packets (``process_bounds``), the
            last settled one.
        inputs: port -> packet; a port without a packet at this timestamp is absent.
        side: port -> payload of the side packets.
    """

    __slots__ = (
        "_classes",
        "_clock",
        "_contract",
        "_edges",
        "_node",
        "_outbox",
        "_ports",
        "drops",
        "finished",
        "inputs",
        "side",
        "skips",
        "timestamp",
    )

    def __init__(
        self,
        node: str,
        ports: Mapping[str, Any],
        side: Mapping[str, Any],
        contract: Contract,
    ) -> None:
        self.timestamp: int = Timestamp.UNSTARTED
        self.inputs: dict[str, Packet[Any]] = {}
        self.side = side
        self.drops = 0
        self.skips = 0
        self.finished = False
        self._node = node
        self._ports = ports
        self._contract = contract
        # The scheduler puts that of the graph in its place. A test's clock cannot follow a
        # calculator into a process of its own, where this one stays.
        self._clock: Callable[[], float] = time.perf_counter
        # What isinstance can tell of a payload: looked up once, since every packet is checked.
        self._classes = {port: runtime_classes(hint) for port, hint in contract.outputs.items()}
        # Set by the scheduler once the node is connected; until then every input is at its end.
        self._edges: Mapping[str, Any] = {}
        # What is sent waits here until the call is over: while it runs, on a thread of its own, it
        # may not touch the queues of others.
        self._outbox: list[tuple[Any, Any]] = []

    @property
    def contract(self) -> Contract:
        """The ports of the calculator."""
        return self._contract

    def connected_outputs(self) -> dict[str, int]:
        """Return output port -> bound, of those that are connected."""
        return {port: stream.bound for port, stream in self._ports.items() if stream is not None}

    def forget(self) -> None:
        """Start anew: nothing was sent, and nothing came."""
        self.timestamp = Timestamp.UNSTARTED
        self.inputs = {}
        self.finished = False
        self._outbox.clear()

    def begin_lane(self, node: "Context") -> None:
        """Take over what opening the node made known, with an outbox of its own."""
        self.side = node.side
        self._edges = node._edges
        self._outbox = []

    def get(self, port: str) -> Any:
        """Return the payload on an input port, or ``None`` if there is no packet at this timestamp.

        Raises :class:`InputError` for a port that the contract does not declare: a typing error
        must not look like a packet that did not come.
        """
        packet = self.inputs.get(port)
        if packet is None:
            # Only here, off the usual way: a port that has a packet is declared.
            self._require_input(port)
            return None
        return packet[0]

    def send(self, port: str, payload: Any, timestamp: int | None = None) -> None:
        """Send a packet at ``timestamp``, by default that of the inputs.

        An output that is not connected drops it. Raises :class:`InputError` where the contract
        declares no such port, or another type of payload for it.
        """
        stream = self._stream(port)
        # Before the question whether anybody listens: a wrong type is an error in any graph.
        classes = self._classes[port]
        if classes and not isinstance(payload, classes):
            raise InputError(
                f"node {self._node!r} sends {full_type_name(type(payload))} on port {port!r}, "
                f"whose contract says {type_name(self._contract.outputs[port])}"
            )
        if stream is None:
            return
        if timestamp is None:
            timestamp = self.timestamp
        elif type(timestamp) is not Timestamp:
            # index refuses 0.5, which Timestamp alone would round down.
            timestamp = Timestamp(index(timestamp))
        self._outbox.append((stream, _new_packet(Packet, (payload, timestamp))))

    def advance(self, port: str, bound: int) -> None:
        """Promise that no packet below ``bound`` will be sent on an output port."""
        stream = self._stream(port)
        if stream is not None:
            # In the outbox too, so that it takes effect after the packets sent before it.
            self._outbox.append((stream, _new_packet(Packet, (BOUND, index(bound)))))

    def bound(self, port: str) -> Timestamp:
        """Return the bound of an input.

        Every packet below it has been handed to this calculator, and no other will come.
        """
        edge = self._edges.get(port)
        if edge is None:
            self._require_input(port)
            return Timestamp.DONE
        # Before the queue, which others fill meanwhile: see Scheduler.deliver.
        bound = edge.stream.bound
        if edge.queue:
            bound = min(bound, edge.queue[0].timestamp)
        return Timestamp(bound)

    def now(self) -> float:
        """Return the time in seconds by the graph's clock, ``Graph(clock=...)``.

        Only differences mean anything. What depends on it depends on the run, unless a test says
        what time it is. On a :class:`~handheld.graph.ProcessExecutor` it is ``time.perf_counter``.
        """
        return self._clock()

    def output_bound(self, port: str) -> Timestamp:
        """Return the lowest timestamp at which a packet may still be sent on an output.

        It counts what earlier calls sent. An output that is not connected has ``DONE``.
        """
        stream = self._stream(port)
        return Timestamp.DONE if stream is None else Timestamp(stream.bound)

    def set_header(self, port: str, payload: Any) -> None:
        """Describe an output once, for whoever opens after this node. Allowed in ``open`` only."""
        if self.timestamp != Timestamp.UNSTARTED:
            raise TimestampError(f"node {self._node!r}: header {port!r} may be set in open() only")
        stream = self._stream(port)
        if stream is not None:
            stream.header = payload

    def header(self, port: str) -> Any:
        """Return what the sender of an input said of it; ``None`` if nothing, or by a back edge."""
        self._require_input(port)
        edge = self._edges.get(port)
        return None if edge is None else edge.stream.header

    def send_side(self, port: str, payload: Any) -> None:
        """Set a side output, once in a run: in ``open``, ``process`` or ``close``.

        Nodes that take it open when it is there. Raises :class:`InputError` where the contract
        declares no such side output, or another type for it.
        """
        declared = self._contract.side_outputs
        if port not in declared:
            raise InputError(
                f"node {self._node!r} sets side output {port!r}, which its contract does not "
                f"declare; it declares {sorted(declared)}"
            )
        classes = runtime_classes(declared[port])
        if classes and not isinstance(payload, classes):
            raise InputError(
                f"node {self._node!r} sets {full_type_name(type(payload))} on side output "
                f"{port!r}, whose contract says {type_name(declared[port])}"
            )
        # In the outbox too: as what is sent, it leaves when the call is over, in its turn.
        self._outbox.append((None, (BOUND, (port, payload))))

    def drop(self, count: int = 1) -> None:
        """Count packets that this calculator drops on purpose; shown by ``Graph.stats``."""
        self.drops += count

    def finish(self) -> None:
        """Say that this node is done: a source has nothing more to send."""
        self.finished = True

    def _require_input(self, port: str) -> None:
        if port not in self._contract.inputs:
            raise InputError(
                f"node {self._node!r} asks for port {port!r}, which its contract does not declare; "
                f"it declares {sorted(self._contract.inputs)}"
            )

    def _stream(self, port: str) -> Any:
        # A failed look-up costs more than a question before it, but hardly ever happens.
        try:
            return self._ports[port]
        except KeyError:
            raise InputError(
                f"node {self._node!r} sends on port {port!r}, which its contract does not declare; "
                f"it declares {sorted(self._ports)}"
            ) from None


class Calculator(ABC):
    """Base class of calculators.

    ``contract`` is a class attribute, or an attribute set in ``__init__`` where the ports depend on
    options. All state of a run is set in ``open``: each running graph works with a copy of its own
    (``copy.copy``), so that one config can run any number of times, in several threads too, but
    what ``__init__`` puts into a list or dictionary is shared by all copies. A calculator without
    inputs is a source: ``process`` is called until it says ``context.finish()``. Each of the three
    methods may be ``async def``: it is awaited on an event loop of the graph's own, and on a pool
    of threads none of these waits for it.
    """

    contract: Contract = Contract()

    def open(self, context: Context) -> MaybeCoroutine:  # noqa: B027  (few have something to do)
        """Prepare a run. ``context.side`` is known; packets may be sent."""

    @abstractmethod
    def process(self, context: Context) -> MaybeCoroutine:
        """Handle the packets of one timestamp, or produce some."""

    def set_option(self, name: str, value: Any) -> None:
        """Take a new value of one of the contract's options, between two calls of ``process``.

        By default it becomes the attribute of that name.
        """
        setattr(self, name, value)

    def reset(self, context: Context) -> MaybeCoroutine:
        """Forget the run, for :meth:`Graph.reset`; by default the node is closed and opened anew.

        Override it where opening is slow. As in ``open``, packets may be sent.
        """
        # Never called by a graph, which looks whether a class has one of its own; by super() only.
        raise NotImplementedError("a calculator without a reset of its own is closed and opened")

    def source_order(self, context: Context) -> int:
        """Say which of several sources is next: that with the lowest number.

        By default the bound of the output that is furthest behind, as in MediaPipe.
        """
        return min(map(context.output_bound, self.contract.outputs), default=0)

    def close(self, context: Context) -> MaybeCoroutine:  # noqa: B027  (as open)
        """End a run. Packets may still be sent, at timestamps that are not yet settled."""
