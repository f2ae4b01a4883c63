"""Tools to test calculators and graphs with: one node alone, a clock that is told the time.

Recorded streams are the third: :mod:`handheld.graph.record`.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from heapq import heappop, heappush
from itertools import zip_longest
from types import TracebackType
from typing import Any, Self

from handheld.errors import CalculatorError
from handheld.graph.calculator import Calculator, Context
from handheld.graph.config import GraphConfig, Node
from handheld.graph.contract import Contract
from handheld.graph.graph import Graph
from handheld.graph.packet import Packet
from handheld.graph.policies import InputPolicy
from handheld.graph.record.recording import GraphRecording
from handheld.graph.timestamp import Timestamp
from handheld.ranges import in_range, whole_in_range

_IN = "in:{}"
_OUT = "out:{}"


class NodeRunner:
    """One calculator alone: packets in, packets out, by the names of its ports.

    What the calculator raises is raised as it is. Entering the block opens it, leaving closes it.

    Args:
        calculator: under test.
        inputs: the ports that are connected; by default all.
        side: side input -> payload.
        headers: input port -> header.
        policy: instead of the contract's.
        clock: seconds, such as a :class:`SimulatedClock`.

    >>> from handheld.graph import PacketCloner
    >>> with NodeRunner(PacketCloner()) as runner:
    ...     runner.add("in", "a", 0)
    ...     runner.add("tick", None, 5)
    ...     runner.set_bound("in", 10)
    ...     runner.take("out")
    [Packet(payload='a', timestamp=Timestamp(5))]
    """

    def __init__(  # options by keyword, each by itself
        self,
        calculator: Calculator,
        *,
        inputs: Iterable[str] | None = None,
        side: Mapping[str, Any] | None = None,
        headers: Mapping[str, Any] | None = None,
        policy: InputPolicy | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        contract = calculator.contract
        connected = list(contract.inputs if inputs is None else inputs)
        side = side or {}
        self._sides = _streams(_OUT, contract.side_outputs)
        # Streams with names of their own: an output port may be called as an input port is.
        node = Node(
            calculator,
            inputs=_streams(_IN, connected),
            outputs=_streams(_OUT, contract.outputs),
            side_inputs=_streams(_IN, side),
            side_outputs=self._sides,
            name="node",
            policy=policy,
        )
        # Nodes, as no reader could be there when the calculator opens.
        self._sent: dict[str, list[Packet[Any]]] = {port: [] for port in contract.outputs}
        collectors = [
            Node(_Collector(sent), inputs=_OUT.format(port)) for port, sent in self._sent.items()
        ]
        times: dict[str, Any] = {} if clock is None else {"clock": clock}
        self._graph = Graph(
            GraphConfig(
                nodes=[node, *collectors],
                inputs=_outside(contract.inputs, connected),
                side_inputs=_outside(contract.side_inputs, side),
            ),
            side=_outside(side, side),
            headers=_outside(headers or {}, headers or {}),
            **times,
        )

    def __enter__(self) -> Self:
        with _as_they_are():
            self._graph.__enter__()
            # Settles nothing, but lets go on what opening sent.
            for stream in self._graph.config.inputs:
                self._graph.set_bound(stream, Timestamp.PRE_STREAM)
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with _as_they_are():
            self._graph.__exit__(error_type, error, trace)

    def add(self, port: str, payload: Any, timestamp: int) -> None:
        """Put a packet on an input port; the calculator runs if its policy says so."""
        with _as_they_are():
            self._graph.add(_IN.format(port), payload, timestamp)

    def set_bound(self, port: str, bound: int) -> None:
        """Settle every timestamp of an input below ``bound``."""
        with _as_they_are():
            self._graph.set_bound(_IN.format(port), bound)

    def finish(self) -> None:
        """End every input, and let the calculator close."""
        with _as_they_are():
            self._graph.wait()

    def take(self, port: str) -> list[Packet[Any]]:
        """Return the packets that an output sent since this was asked last."""
        packets = self._sent[port][:]
        del self._sent[port][: len(packets)]
        return packets

    def bound(self, port: str) -> Timestamp:
        """Return the timestamp below which an output is settled."""
        return self._graph.stats().streams[_OUT.format(port)].bound

    def side_packets(self) -> dict[str, Any]:
        """Return the side outputs that the calculator has set, by port."""
        sides = self._graph.side_packets()
        return {port: sides[name] for port, name in self._sides.items() if name in sides}

    @property
    def drops(self) -> int:
        """Packets that the calculator dropped on purpose."""
        return self._graph.stats().nodes["node"].drops

    def run(
        self, inputs: Mapping[str, Iterable[Packet[Any] | tuple[Any, int]]]
    ) -> dict[str, list[Packet[Any]]]:
        """Feed whole streams, in the order of their timestamps, to their end.

        Args:
            inputs: port -> (payload, timestamp) of its packets.

        Returns:
            Output port -> packets, those of opening and closing among them.
        """
        packets: list[tuple[int, str, Any]] = []
        for port, stream in inputs.items():
            packets += [(timestamp, port, payload) for payload, timestamp in stream]
        # Stable: of one timestamp in the order of the ports.
        for timestamp, port, payload in sorted(packets, key=lambda packet: packet[0]):
            self.add(port, payload, timestamp)
        self.finish()
        return {port: self.take(port) for port in self._sent}


def _streams(form: str, ports: Iterable[str]) -> dict[str, str]:
    """Return port -> name of its stream or side packet."""
    return {port: form.format(port) for port in ports}


def _outside(values: Mapping[str, Any], ports: Iterable[str]) -> dict[str, Any]:
    """Return what belongs to input ports, by the names that the graph has for them."""
    return {_IN.format(port): values[port] for port in ports}


class _Collector(Calculator):
    contract = Contract(inputs={"in": object})

    def __init__(self, packets: list[Packet[Any]]) -> None:
        self._packets = packets

    def process(self, context: Context) -> None:
        self._packets.append(context.inputs["in"])


@contextmanager
def _as_they_are() -> Iterator[None]:
    """Raise what a calculator raised, rather than that it did."""
    try:
        yield
    except CalculatorError as error:
        if error.__cause__ is None:
            raise
        raise error.__cause__ from None


class SimulatedClock:
    """A clock that goes on only when it is told to: for ``Graph(clock=...)`` and for sleepers.

    >>> clock = SimulatedClock()
    >>> clock.advance(1.5)
    >>> clock()
    1.5

    Args:
        start: seconds at first.
        sleepers: where so many threads sleep at once, all that there are, time jumps to the first
            that wakes; 0: only :meth:`advance` moves it.
    """

    def __init__(self, start: float = 0.0, *, sleepers: int = 0) -> None:
        in_range("start", start)
        whole_in_range("sleepers", sleepers, low=0)
        self._now = float(start)
        self._sleepers = sleepers
        self._wakes: list[float] = []  # heap of the times at which threads wake
        self._changed = threading.Condition()

    def __call__(self) -> float:
        """Return the time in seconds."""
        with self._changed:
            return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass, and wake whoever slept until now."""
        in_range("seconds", seconds, low=0.0)
        with self._changed:
            self._move(self._now + seconds)

    def sleep(self, seconds: float) -> None:
        """Wait until so much time has passed on this clock."""
        in_range("seconds", seconds, low=0.0)
        with self._changed:
            until = self._now + seconds
            if self._now >= until:
                return
            heappush(self._wakes, until)
            if 0 < self._sleepers <= len(self._wakes):
                self._move(self._wakes[0])
            while self._now < until:
                self._changed.wait()

    def _move(self, now: float) -> None:
        self._now = now
        while self._wakes and self._wakes[0] <= now:
            heappop(self._wakes)
        self._changed.notify_all()


def first_difference(ours: GraphRecording, theirs: GraphRecording) -> str:
    """Say where two recordings differ first, stream by stream; empty where they are the same.

    What was settled when is not compared, nor how the streams alternate, as both may depend on
    the run where the packets do not.
    """
    if set(ours.streams) != set(theirs.streams):
        return f"streams {ours.streams} and {theirs.streams}"
    for stream in ours.streams:
        # Their bytes, as values such as arrays cannot say whether they are equal.
        pairs = zip_longest(ours.encoded(stream), theirs.encoded(stream))
        for number, (our_packet, their_packet) in enumerate(pairs):
            if our_packet != their_packet:
                words = [_words(recording, stream, number) for recording in (ours, theirs)]
                return f"stream {stream!r}, packet {number}: {' and '.join(words)}"
    return ""


def _words(recording: GraphRecording, stream: str, number: int) -> str:
    packets = recording.packets(stream)
    if number >= len(packets):
        return "nothing"
    return f"{packets[number].payload!r} at {packets[number].timestamp}"


__all__ = ["NodeRunner", "SimulatedClock", "first_difference"]
