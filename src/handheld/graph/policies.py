"""Input policies: which packets of a node's inputs come in one call, and when that call may be.

A policy is a value, part of a calculator's contract or of a :class:`~handheld.graph.Node`; in a
run it makes a :class:`Synchroniser` for each set of inputs that belong together. To write one more,
derive both: the synchroniser says in ``next`` at which timestamp it could run and how far it is
settled, and hands the packets over in ``take``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from handheld.errors import GraphError
from handheld.graph.packet import Packet
from handheld.graph.timestamp import Timestamp
from handheld.ranges import whole_in_range

_DONE = int(Timestamp.DONE)
_END = int(Timestamp.ONE_OVER_POST_STREAM)
_PRE_STREAM = int(Timestamp.PRE_STREAM)


class _BoundedStream(Protocol):
    """A stream: every timestamp below ``bound`` is settled."""

    bound: int


class InputQueue(Protocol):
    """The packets that wait at one input port; taken by ``pop`` alone."""

    port: str

    @property
    def queue(self) -> Sequence[Packet[Any]]:
        """The packets, oldest first."""
        ...

    @property
    def stream(self) -> _BoundedStream:
        """What the port is connected to; below its ``bound`` all is in the queue or was."""
        ...

    def pop(self) -> Packet[Any]:
        """Take the oldest packet."""
        ...


class Synchroniser:
    """Inputs that are synchronised with each other, in one run.

    This one is that of the default policy: all packets of the lowest timestamp that is settled on
    every input. ``dropped`` counts what a policy throws away; the scheduler takes it from there.

    Args:
        queues: of the inputs, in the order of the contract.
    """

    drops_on_arrival = 0
    """Packets in a queue at which ``trim`` is called, rather than the sources be held back."""

    least_room = 1
    """Packets that each queue has to hold for a call to come."""

    matches_timestamps = True
    """Whether what comes in one call has one timestamp; else none is missed where they differ."""

    def __init__(self, queues: Sequence[InputQueue]) -> None:
        self.queues = queues
        self.seen = _PRE_STREAM  # the bound up to which the node has been told
        self.dropped = 0

    def next(self) -> tuple[int, int]:
        """Return the timestamp that may be handled next, and the bound below which all is settled.

        The node may run where the first is below the second. The first is ``DONE`` where no packet
        waits; the second too where no queue is empty, and beyond ``POST_STREAM`` where the node is
        to be closed.
        """
        # A loop without min() and without names of the packet's fields: it runs for each packet.
        packet = _DONE
        bound = _DONE
        for edge in self.queues:
            queue = edge.queue
            if queue:
                timestamp = queue[0][1]
                if timestamp < packet:
                    packet = timestamp
            elif edge.stream.bound < bound:
                bound = edge.stream.bound
        return packet, bound

    def take(self, timestamp: int) -> dict[str, Packet[Any]]:
        """Remove and return the packets of the call at ``timestamp``, by port."""
        return {
            edge.port: edge.pop()
            for edge in self.queues
            if edge.queue and edge.queue[0][1] == timestamp
        }

    def trim(self) -> None:
        """Throw away what no call will need; see ``drops_on_arrival``."""

    def drop_below(self, bound: int) -> None:
        """Throw away the packets below a timestamp, on every input alike."""
        for edge in self.queues:
            self._drop(edge, bound)

    def _drop(self, edge: InputQueue, bound: int) -> None:
        while edge.queue and edge.queue[0][1] < bound:
            edge.pop()
            self.dropped += 1


class InputPolicy:
    """Says which input ports are synchronised with each other, and how."""

    def groups(self, ports: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """Return the sets of ports that are synchronised, each by itself; by default one of all."""
        return (tuple(ports),)

    def synchroniser(self, queues: Sequence[InputQueue]) -> Synchroniser:
        """Return what one set of inputs is synchronised by in one run."""
        return Synchroniser(queues)

    @property
    def ports(self) -> tuple[str, ...]:
        """The ports that the policy names; a graph checks that they exist."""
        return ()


@dataclass(frozen=True)
class DefaultPolicy(InputPolicy):
    """Process at t once t is settled on every input: deterministic, drops nothing.

    Args:
        batch_size: timestamps that are gathered before the node is called for each of them in a
            row; at the end of the inputs what is left is handled.

    Source: ``mediapipe/framework/stream_handler/default_input_stream_handler.cc``.
    """

    batch_size: int = 1

    def __post_init__(self) -> None:
        whole_in_range("batch_size", self.batch_size, low=1)

    def synchroniser(self, queues: Sequence[InputQueue]) -> Synchroniser:
        """Return that of one timestamp at a time, or of batches."""
        if self.batch_size == 1:
            return Synchroniser(queues)
        return _Batches(queues, self.batch_size)


class _Batches(Synchroniser):
    def __init__(self, queues: Sequence[InputQueue], size: int) -> None:
        super().__init__(queues)
        self._size = size
        self.least_room = size
        self._due = 0  # timestamps of the present batch that are still to be handled

    def next(self) -> tuple[int, int]:
        packet, bound = super().next()
        if self._due or packet >= bound:
            return packet, bound
        # Not that bound, which holds for the lowest packet alone: a queue with packets counts for
        # nothing there, and what comes on it after them may still lie between those of the others.
        settled = min(edge.stream.bound for edge in self.queues)
        ready = _settled_timestamps(self.queues, settled)
        # What is left at the end of the inputs is a batch too.
        if len(ready) < self._size and not _all_ended(self.queues):
            return _DONE, packet
        self._due = min(self._size, len(ready))
        return packet, bound

    def take(self, timestamp: int) -> dict[str, Packet[Any]]:
        self._due -= 1
        return super().take(timestamp)


@dataclass(frozen=True)
class ImmediatePolicy(InputPolicy):
    """Process each packet as it comes, whatever the other inputs do.

    The order over inputs depends on the run.
    Source: ``mediapipe/framework/stream_handler/immediate_input_stream_handler.cc``.
    """

    def groups(self, ports: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """Return one set for each port."""
        return tuple((port,) for port in ports)


@dataclass(frozen=True)
class SyncSetPolicy(InputPolicy):
    """Synchronise within each set of ports, not between sets. Ports in no set form one more.

    Source: ``mediapipe/framework/stream_handler/sync_set_input_stream_handler.cc``.
    """

    sets: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        # A string is a sequence of strings too: "ab" would be taken for the two ports a and b.
        if not _is_list(self.sets) or not all(map(_is_list, self.sets)):
            raise GraphError(
                'expected SyncSetPolicy((("a", "b"), ("c",))), one tuple of port names '
                f"for each set, got {self.sets!r}"
            )
        object.__setattr__(self, "sets", tuple(map(tuple, self.sets)))

    def groups(self, ports: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """Return the sets, and behind them the set of the ports that they leave out."""
        named = set().union(*self.sets)
        unnamed = tuple(port for port in ports if port not in named)
        if not unnamed:
            return self.sets
        return (*self.sets, unnamed)


@dataclass(frozen=True)
class FixedSizePolicy(InputPolicy):
    """Keep the queues short: throw the oldest away, the same timestamps on every input.

    So a slow node gets fresh inputs that still belong together, and never holds back its sources.

    Args:
        trigger_queue_size: packets in a queue at which the oldest go.
        target_queue_size: packets that stay in it; less than the trigger.
        fixed_min_size: throw away only when every queue has ``trigger_queue_size`` packets.

    Source: ``mediapipe/framework/stream_handler/fixed_size_input_stream_handler.cc``.
    """

    trigger_queue_size: int = 2
    target_queue_size: int = 1
    fixed_min_size: bool = False

    def __post_init__(self) -> None:
        whole_in_range("trigger_queue_size", self.trigger_queue_size, low=2)
        high = self.trigger_queue_size - 1
        whole_in_range("target_queue_size", self.target_queue_size, low=1, high=high)

    def synchroniser(self, queues: Sequence[InputQueue]) -> Synchroniser:
        """Return one that drops."""
        return _FixedSize(queues, self)


class _FixedSize(Synchroniser):
    def __init__(self, queues: Sequence[InputQueue], policy: FixedSizePolicy) -> None:
        super().__init__(queues)
        self._policy = policy
        self._kept = _PRE_STREAM  # packets below it are thrown away, those still to come too
        self.drops_on_arrival = policy.trigger_queue_size

    def next(self) -> tuple[int, int]:
        # One timestamp that may be settled on every input stays, however late some of them are.
        self._trim(min(edge.stream.bound for edge in self.queues) - 1)
        return super().next()

    def trim(self) -> None:
        self._trim(_DONE)

    def _trim(self, highest: int) -> None:
        trigger = self._policy.trigger_queue_size
        full = [edge for edge in self.queues if len(edge.queue) >= trigger]
        # All or none: what one input waits for must not be thrown away on the others.
        if self._policy.fixed_min_size and len(full) < len(self.queues):
            full = []
        behind = [1 + self._newest_dropped(edge) for edge in full]
        if behind:
            choose = min if self._policy.fixed_min_size else max
            self._kept = max(self._kept, min(choose(behind), highest))
        self.drop_below(self._kept)

    def _newest_dropped(self, edge: InputQueue) -> int:
        return int(edge.queue[-1 - self._policy.target_queue_size][1])


@dataclass(frozen=True)
class EarlyClosePolicy(InputPolicy):
    """As the default, but the node closes as soon as any of its inputs has ended, not all.

    Source: ``mediapipe/framework/stream_handler/early_close_input_stream_handler.cc``.
    """

    def synchroniser(self, queues: Sequence[InputQueue]) -> Synchroniser:
        """Return one that ends with the first input."""
        return _EarlyClose(queues)


class _EarlyClose(Synchroniser):
    def next(self) -> tuple[int, int]:
        packet, bound = super().next()
        if any(map(_has_ended, self.queues)):
            return _DONE, _END
        return packet, bound


@dataclass(frozen=True)
class BarrierPolicy(InputPolicy):
    """Take the oldest packet of each input as soon as every input has one, whatever their times.

    The call is at the lowest of their timestamps. The node closes when any input has ended.
    Source: ``mediapipe/framework/stream_handler/barrier_input_stream_handler.cc``.
    """

    def synchroniser(self, queues: Sequence[InputQueue]) -> Synchroniser:
        """Return one that waits for a packet on every input."""
        return _Barrier(queues)


class _Barrier(Synchroniser):
    matches_timestamps = False

    def next(self) -> tuple[int, int]:
        if any(map(_has_ended, self.queues)):
            return _DONE, _END
        lowest = min(map(_first_or_bound, self.queues))
        if all(edge.queue for edge in self.queues):
            return lowest, _DONE
        return _DONE, lowest

    def take(self, timestamp: int) -> dict[str, Packet[Any]]:
        return {edge.port: edge.pop() for edge in self.queues}


@dataclass(frozen=True)
class MuxPolicy(InputPolicy):
    """Wait for the control input and the one input that it selects, for no other.

    The payload of ``select`` is the number of an input among the others, in the order of the
    contract. What the others have up to that timestamp is thrown away; the node closes when
    ``select`` has ended. The calculator gets the control packet and the selected one.
    Source: ``mediapipe/framework/stream_handler/mux_input_stream_handler.cc``.
    """

    select: str = "select"

    def synchroniser(self, queues: Sequence[InputQueue]) -> Synchroniser:
        """Return one that follows ``select``."""
        return _Mux(queues, self.select)

    @property
    def ports(self) -> tuple[str, ...]:
        """The control port."""
        return (self.select,)


class _Mux(Synchroniser):
    matches_timestamps = False

    def __init__(self, queues: Sequence[InputQueue], select: str) -> None:
        super().__init__(queues)
        self._control = next(edge for edge in queues if edge.port == select)
        self._data = [edge for edge in queues if edge is not self._control]

    def next(self) -> tuple[int, int]:
        timestamp = _first_or_bound(self._control)
        if not self._control.queue:
            if timestamp >= _END:
                # Nothing will be selected any more: counted as dropped rather than forgotten.
                self._drop_data(_DONE)
            return _DONE, timestamp
        self._drop_data(timestamp)
        selected = self._selected()
        # A number that is out of range waits for nothing: the calculator says what is wrong.
        if selected is None or selected.queue or selected.stream.bound > timestamp:
            return timestamp, _DONE
        return _DONE, timestamp

    def take(self, timestamp: int) -> dict[str, Packet[Any]]:
        selected = self._selected()
        packets = {self._control.port: self._control.pop()}
        if selected is not None and selected.queue and selected.queue[0][1] == timestamp:
            packets[selected.port] = selected.pop()
        self._drop_data(1 + timestamp)
        return packets

    def _selected(self) -> InputQueue | None:
        number = self._control.queue[0][0]
        return self._data[number] if 0 <= number < len(self._data) else None

    def _drop_data(self, bound: int) -> None:
        for edge in self._data:
            self._drop(edge, bound)


@dataclass(frozen=True)
class TimestampAlignPolicy(InputPolicy):
    """Join inputs whose clocks have the same unit and different origins.

    Until every input has had a packet, those of ``base`` come alone; then the first waiting packets
    count as simultaneous, and the timestamps of the other inputs are moved by the difference. The
    calculator sees the timestamps of ``base``.
    Source: ``mediapipe/framework/stream_handler/timestamp_align_input_stream_handler.cc``.
    """

    base: str

    def synchroniser(self, queues: Sequence[InputQueue]) -> Synchroniser:
        """Return one that moves timestamps."""
        return _TimestampAlign(queues, self.base)

    @property
    def ports(self) -> tuple[str, ...]:
        """The port whose clock counts."""
        return (self.base,)


class _TimestampAlign(Synchroniser):
    matches_timestamps = False

    def __init__(self, queues: Sequence[InputQueue], base: str) -> None:
        super().__init__(queues)
        self._base = next(edge for edge in queues if edge.port == base)
        self._offsets: dict[str, int] = {}  # port -> what is added to its timestamps

    def next(self) -> tuple[int, int]:
        if not self._offsets:
            if not all(edge.queue for edge in self.queues):
                return self._next_of_base()
            first = _first_or_bound(self._base)
            for edge in self.queues:
                self._offsets[edge.port] = first - _first_or_bound(edge)
        packet = _DONE
        bound = _DONE
        for edge in self.queues:
            timestamp = self._moved(edge, _first_or_bound(edge))
            if edge.queue:
                packet = min(packet, timestamp)
            else:
                bound = min(bound, timestamp)
        return packet, bound

    def take(self, timestamp: int) -> dict[str, Packet[Any]]:
        packets = {}
        for edge in self.queues:
            if not edge.queue or self._moved(edge, edge.queue[0][1]) != timestamp:
                continue
            if edge is self._base or self._offsets:
                packets[edge.port] = Packet(edge.pop().payload, Timestamp(timestamp))
        return packets

    def _next_of_base(self) -> tuple[int, int]:
        timestamp = _first_or_bound(self._base)
        if self._base.queue:
            return timestamp, _DONE
        return _DONE, timestamp

    def _moved(self, edge: InputQueue, timestamp: int) -> int:
        # Special values, an ended stream's among them, are the same on every clock.
        if not Timestamp.MIN <= timestamp <= Timestamp.MAX:
            return timestamp
        return timestamp + self._offsets.get(edge.port, 0)


def _first_or_bound(edge: InputQueue) -> int:
    """Return the timestamp of the oldest packet, or below which none comes."""
    if edge.queue:
        return int(edge.queue[0][1])
    return edge.stream.bound


def _has_ended(edge: InputQueue) -> bool:
    return not edge.queue and edge.stream.bound >= _END


def _all_ended(queues: Sequence[InputQueue]) -> bool:
    return all(edge.stream.bound >= _END for edge in queues)


def _settled_timestamps(queues: Sequence[InputQueue], bound: int) -> set[int]:
    """Return the timestamps below a bound at which some packet waits."""
    timestamps: set[int] = set()
    for edge in queues:
        timestamps.update(packet[1] for packet in edge.queue if packet[1] < bound)
    return timestamps


def _is_list(value: object) -> bool:
    return isinstance(value, tuple | list)
