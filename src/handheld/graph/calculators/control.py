"""Calculators that let packets through, hold them back or choose among them."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from handheld.errors import InputError
from handheld.graph.calculator import Calculator, Context
from handheld.graph.calculators.headers import pass_headers
from handheld.graph.contract import Contract
from handheld.graph.policies import ImmediatePolicy, MuxPolicy
from handheld.ranges import whole_in_range

# The one stream of a calculator that could have several: input port -> output port.
_ONE_STREAM = {"in": "out"}


class PassThrough(Calculator):
    """Sends what comes, headers too.

    Source: ``mediapipe/calculators/core/pass_through_calculator.cc``.

    Args:
        streams: input port -> output port, for several streams.
        sides: side input -> side output, for side packets that pass too.
    """

    contract = Contract(inputs={"in": object}, outputs={"out": object})

    def __init__(
        self,
        streams: Mapping[str, str] | None = None,
        *,
        sides: Mapping[str, str] | None = None,
    ) -> None:
        self._streams = dict(_ONE_STREAM)
        if streams is not None:
            self._streams = dict(streams)
        self._sides = dict(sides or {})
        # Of one stream, which is usual, every call has its packet: a loop takes 0.15 microseconds.
        self._is_plain = self._streams == _ONE_STREAM
        self.contract = Contract(
            inputs=dict.fromkeys(self._streams, object),
            outputs=dict.fromkeys(self._streams.values(), object),
            side_inputs=dict.fromkeys(self._sides, object),
            side_outputs=dict.fromkeys(self._sides.values(), object),
        )

    def open(self, context: Context) -> None:
        """Hand the headers and side packets on."""
        pass_headers(context, self._streams)
        for side, output in self._sides.items():
            context.send_side(output, context.side[side])

    def process(self, context: Context) -> None:
        """Send the packets on."""
        if self._is_plain:
            context.send("out", context.inputs["in"].payload)
            return
        if not self._streams:
            # Of side packets alone: without inputs it counts as a source, which is done.
            context.finish()
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
        pass_headers(context, self._streams)
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
        self._ports = numbered("inputs", inputs, "in")
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

    It waits for that input alone, see :class:`~handheld.graph.MuxPolicy`, and closes when
    ``select`` has ended. What the others have is counted as dropped. Without a packet on
    ``select`` all are; a number out of range is an error.
    Source: ``mediapipe/calculators/core/mux_calculator.cc``.

    Args:
        inputs: number of input ports, named ``in0``, ``in1``, ..., or their names.
        by_side: ``select`` is a side input, the same for all timestamps.
    """

    def __init__(self, inputs: int | Sequence[str] = 2, *, by_side: bool = False) -> None:
        self._ports = numbered("inputs", inputs, "in")
        self._by_side = by_side
        data = dict.fromkeys(self._ports, object)
        if by_side:
            self.contract = Contract(
                inputs=data,
                outputs={"out": object},
                side_inputs={"select": int},
                # A policy does not see side packets: what is settled, the calculator says.
                policy=ImmediatePolicy(),
                timestamp_offset=None,
                process_bounds=True,
            )
        else:
            self.contract = Contract(
                inputs={"select": int, **data},
                outputs={"out": object},
                policy=MuxPolicy("select"),
            )

    def open(self, context: Context) -> None:
        """Look which input is selected for good, if one is."""
        self._selected: str | None = None
        if self._by_side:
            self._selected = self._port(context.side["select"])
            pass_headers(context, {self._selected: "out"})

    def process(self, context: Context) -> None:
        """Send the selected."""
        if not self._by_side:
            # None is not asked for: with another policy than MuxPolicy, select may be absent.
            select = context.get("select")
            self._selected = None if select is None else self._port(select)
        for port in self._ports:
            if port not in context.inputs:
                continue
            if port == self._selected:
                context.send("out", context.get(port))
            else:
                context.drop()
        if self._by_side and self._selected is not None:
            context.advance("out", context.bound(self._selected))

    def _port(self, select: int) -> str:
        # Asked before the list is, which would take -1 for its last.
        if not 0 <= select < len(self._ports):
            raise InputError(f"select must be 0 to {len(self._ports) - 1}, got {select}")
        return self._ports[select]


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
        pass_headers(context, self._streams)
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


def numbered(name: str, ports: int | Sequence[str], prefix: str) -> list[str]:
    """Return the names of ports of which only the number may be known.

    Args:
        name: of the argument, for messages.
        ports: their names, or how many there are, at least 1.
        prefix: of names that are made: ``in`` for ``in0``, ``in1``, ...
    """
    if isinstance(ports, Sequence):
        return list(ports)
    whole_in_range(name, ports, low=1)
    return [f"{prefix}{number}" for number in range(ports)]
