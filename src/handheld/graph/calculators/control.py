"""Calculators that let packets through, hold them back or choose among them."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from handheld.errors import InputError
from handheld.graph.calculator import Calculator, Context
from handheld.graph.contract import Contract
from handheld.ranges import whole_in_range

# The one stream of a calculator that could have several: input port -> output port.
_ONE_STREAM = {"in": "out"}


class PassThrough(Calculator):
    """Sends what comes.

    Args:
        streams: input port -> output port, for several streams.
    """

    contract = Contract(inputs={"in": object}, outputs={"out": object})

    def __init__(self, streams: Mapping[str, str] | None = None) -> None:
        self._streams = dict(streams or _ONE_STREAM)
        # Of one stream, which is usual, every call has its packet: a loop takes 0.15 microseconds.
        self._is_plain = self._streams == _ONE_STREAM
        self.contract = Contract(
            inputs=dict.fromkeys(self._streams, object),
            outputs=dict.fromkeys(self._streams.values(), object),
        )

    def process(self, context: Context) -> None:
        """Send the packets on."""
        if self._is_plain:
            context.send("out", context.inputs["in"].payload)
            return
        for port, packet in context.inputs.items():
            context.send(self._streams[port], packet.payload)


class Gate(Calculator):
    """Sends what comes on ``in`` where ``allow`` at the same timestamp is true.

    Without a packet there, as the last one said. What does not pass is counted as dropped.
    ``state_change`` tells at which timestamps the gate opens (true) and closes (false).
    Source: ``mediapipe/calculators/core/gate_calculator.cc``, whose gate does not remember: see
    ``empty``.

    Args:
        open_at_first: whether packets pass before the first packet on ``allow``, or always where
            nothing controls the gate.
        streams: input port -> output port, for several streams.
        control: what says whether packets pass: the input ``allow``, the side input ``allow``, or
            nothing.
        inverted: the control is called ``disallow``, and true there closes the gate.
        empty: what a timestamp without a packet on ``allow`` means: as the last packet said, open
            or closed.
        initial: state before the first timestamp, for ``state_change``; None tells of no change at
            the first.
    """

    contract = Contract(
        inputs={"in": object, "allow": bool},
        outputs={"out": object, "state_change": bool},
    )

    def __init__(
        self,
        *,
        open_at_first: bool = False,
        streams: Mapping[str, str] | None = None,
        control: Literal["stream", "side", "none"] = "stream",
        inverted: bool = False,
        empty: Literal["last", "open", "closed"] = "last",
        initial: bool | None = None,
    ) -> None:
        self._open_at_first = open_at_first
        self._streams = dict(streams or _ONE_STREAM)
        self._control = "disallow" if inverted else "allow"
        self._by_side = control == "side"
        self._inverted = inverted
        # None leaves it as it was.
        self._empty = {"last": None, "open": True, "closed": False}[empty]
        if control != "stream":
            self._empty = None
        self._initial = initial
        controls: dict[str, Any] = {}
        if control == "stream":
            controls = {self._control: bool}
        self.contract = Contract(
            inputs={**dict.fromkeys(self._streams, object), **controls},
            outputs={**dict.fromkeys(self._streams.values(), object), "state_change": bool},
            side_inputs={self._control: bool} if self._by_side else {},
        )

    def open(self, context: Context) -> None:
        """Start as told."""
        self._allowed = self._open_at_first
        if self._by_side:
            self._allowed = bool(context.side[self._control]) != self._inverted
        self._told = self._initial

    def process(self, context: Context) -> None:
        """Send or swallow."""
        # First, since what is said at a timestamp holds for the packet at that timestamp.
        if self._control in context.inputs:
            self._allowed = bool(context.get(self._control)) != self._inverted
        elif self._empty is not None:
            self._allowed = self._empty
        if self._told is not None and self._told != self._allowed:
            context.send("state_change", self._allowed)
        self._told = self._allowed
        for port, output in self._streams.items():
            if port not in context.inputs:
                continue
            if self._allowed:
                context.send(output, context.get(port))
            else:
                context.drop()


class Merge(Calculator):
    """At each timestamp sends the packet of the first input that has one.

    Those of the others are counted as dropped.

    Args:
        inputs: number of input ports, named ``in0``, ``in1``, ..., or their names.
    """

    def __init__(self, inputs: int | Sequence[str] = 2) -> None:
        self._ports = _numbered(inputs)
        self.contract = Contract(
            inputs=dict.fromkeys(self._ports, object),
            outputs={"out": object},
        )

    def process(self, context: Context) -> None:
        """Send the first."""
        # By the order of the ports: that of context.inputs is up to the input policy.
        first, *others = (port for port in self._ports if port in context.inputs)
        context.send("out", context.get(first))
        context.drop(len(others))


class Mux(Calculator):
    """At each timestamp sends the packet of the input whose number is on ``select``.

    Those of the others are counted as dropped. Without a packet on ``select`` all are; a number out
    of range is an error.

    Args:
        inputs: number of input ports, named ``in0``, ``in1``, ..., or their names.
        by_side: ``select`` is a side input, the same for all timestamps.
    """

    def __init__(self, inputs: int | Sequence[str] = 2, *, by_side: bool = False) -> None:
        self._ports = _numbered(inputs)
        self._by_side = by_side
        data = dict.fromkeys(self._ports, object)
        select = {"select": int}
        self.contract = Contract(
            inputs=data if by_side else {**select, **data},
            outputs={"out": object},
            side_inputs=select if by_side else {},
        )

    def process(self, context: Context) -> None:
        """Send the selected."""
        select = context.side["select"] if self._by_side else context.get("select")
        selected = None
        if select is not None:
            # Asked before the list is, which would take -1 for its last.
            if not 0 <= select < len(self._ports):
                raise InputError(f"select must be 0 to {len(self._ports) - 1}, got {select}")
            selected = self._ports[select]
        for port in self._ports:
            if port not in context.inputs:
                continue
            if port == selected:
                context.send("out", context.get(port))
            else:
                context.drop()


class PacketCloner(Calculator):
    """At each packet on ``tick`` sends the latest packet of ``in`` again, at the tick's timestamp.

    Before the first there is nothing to send.
    Source: ``mediapipe/calculators/core/packet_cloner_calculator.cc``.

    Args:
        streams: input port -> output port, for several streams.
        tick: name of the port ``tick``.
        wait_for_all: whether nothing is sent before each of several streams had a packet.
    """

    contract = Contract(
        inputs={"in": object, "tick": object},
        outputs={"out": object},
    )

    def __init__(
        self,
        streams: Mapping[str, str] | None = None,
        *,
        tick: str = "tick",
        wait_for_all: bool = False,
    ) -> None:
        self._streams = dict(streams or _ONE_STREAM)
        self._tick = tick
        self._wait_for_all = wait_for_all
        self.contract = Contract(
            inputs={**dict.fromkeys(self._streams, object), tick: object},
            outputs=dict.fromkeys(self._streams.values(), object),
        )

    def open(self, context: Context) -> None:
        """Forget the last run."""
        # A port that had no packet is absent, since None is a payload like any other.
        self._latest: dict[str, Any] = {}

    def process(self, context: Context) -> None:
        """Remember, repeat."""
        for port in self._streams:
            if port in context.inputs:
                self._latest[port] = context.get(port)
        is_early = self._wait_for_all and len(self._latest) < len(self._streams)
        if self._tick not in context.inputs or is_early:
            return
        for port, payload in self._latest.items():
            context.send(self._streams[port], payload)


def _numbered(inputs: int | Sequence[str]) -> list[str]:
    if isinstance(inputs, Sequence):
        return list(inputs)
    whole_in_range("inputs", inputs, low=1)
    return [f"in{number}" for number in range(inputs)]
