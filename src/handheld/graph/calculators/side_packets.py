"""Calculators of side packets: values, defaults, and side packets to streams and back."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from handheld.errors import InputError
from handheld.graph.calculator import Calculator, Context
from handheld.graph.calculators.control import numbered
from handheld.graph.contract import Contract
from handheld.graph.timestamp import Timestamp
from handheld.ranges import one_of

Moment = Literal["prestream", "poststream", "zero", "tick", "first_tick", "timestamp"]

_MOMENTS = ("prestream", "poststream", "zero", "tick", "first_tick", "timestamp")
_FIXED: Mapping[str, Timestamp] = {
    "prestream": Timestamp.PRE_STREAM,
    "poststream": Timestamp.POST_STREAM,
    "zero": Timestamp(0),
}


class ConstantSidePacket(Calculator):
    """Sets side outputs to values.

    Source: ``mediapipe/calculators/core/constant_side_packet_calculator.cc``.

    Args:
        packets: side output -> value, any; or values of ``packet0``, ``packet1``, ...
    """

    def __init__(self, packets: Mapping[str, Any] | Sequence[Any]) -> None:
        if isinstance(packets, Mapping):
            self._packets = dict(packets)
        else:
            names = numbered("packets", len(packets), "packet")
            self._packets = dict(zip(names, packets, strict=True))
        self.contract = Contract(side_outputs=dict.fromkeys(self._packets, object))

    def open(self, context: Context) -> None:
        """Set them."""
        for port, value in self._packets.items():
            context.send_side(port, value)

    def process(self, context: Context) -> None:
        """Be done: without inputs it counts as a source."""
        context.finish()


class DefaultSidePacket(Calculator):
    """Sets the side output ``value`` to ``optional_value``, or where that is not connected to
    ``default_value``.

    Source: ``mediapipe/calculators/core/default_side_packet_calculator.cc``.
    """

    contract = Contract(
        side_inputs={"optional_value": object, "default_value": object},
        side_outputs={"value": object},
        optional=frozenset({"optional_value"}),
    )

    def open(self, context: Context) -> None:
        """Choose."""
        value = context.side["default_value"]
        if "optional_value" in context.side:
            value = context.side["optional_value"]
        context.send_side("value", value)

    def process(self, context: Context) -> None:
        """Be done: without inputs it counts as a source."""
        context.finish()


class SidePacketToStream(Calculator):
    """Sends side packets on streams: ``packet0`` on ``out0``, ``packet1`` on ``out1``, ...

    Source: ``mediapipe/calculators/core/side_packet_to_stream_calculator.cc``.

    Args:
        at: when. "prestream" and "poststream" before and after all other packets, "zero" at
            timestamp 0, "timestamp" at that of the side input ``timestamp`` (microseconds); "tick"
            at each packet on the input ``tick``, "first_tick" at its first one, after which the
            outputs end.
        packets: number of side packets, or side input -> output port.
    """

    def __init__(self, at: Moment, packets: int | Mapping[str, str] = 1) -> None:
        one_of("at", at, _MOMENTS)
        self._at = at
        if isinstance(packets, Mapping):
            self._streams = dict(packets)
        else:
            sides = numbered("packets", packets, "packet")
            outputs = numbered("packets", packets, "out")
            self._streams = dict(zip(sides, outputs, strict=True))
        self._has_ticks = at in ("tick", "first_tick")
        inputs: dict[str, Any] = {}
        if self._has_ticks:
            inputs = {"tick": object}
        sides_of_at: dict[str, Any] = {}
        if at == "timestamp":
            sides_of_at = {"timestamp": int}
        # With ticks as inputs, what is settled there is settled here; a source has no inputs.
        offset = None
        if self._has_ticks:
            offset = 0
        self.contract = Contract(
            inputs=inputs,
            outputs=dict.fromkeys(self._streams.values(), object),
            side_inputs={**dict.fromkeys(self._streams, object), **sides_of_at},
            timestamp_offset=offset,
        )

    def open(self, context: Context) -> None:
        """Look at which timestamp they are sent."""
        self._is_over = False
        if self._at == "timestamp":
            timestamp = Timestamp(context.side["timestamp"])
            if not timestamp.is_allowed_in_stream:
                raise InputError(f"side packet timestamp: no packet may be sent at {timestamp}")

    def process(self, context: Context) -> None:
        """Send them."""
        if self._has_ticks:
            if not self._is_over:
                self._send(context, context.timestamp)
            return
        at = _FIXED.get(self._at)
        if at is None:
            at = Timestamp(context.side["timestamp"])
        self._send(context, at)
        context.finish()

    def _send(self, context: Context, timestamp: int) -> None:
        for side, output in self._streams.items():
            context.send(output, context.side[side], timestamp)
            if self._at == "first_tick":
                self._is_over = True
                context.advance(output, Timestamp.DONE)


class StreamToSidePacket(Calculator):
    """Sets the side output ``packet`` to the only packet that comes.

    Nodes that take it open then; what comes to them before waits. A second packet is an error.
    Source: ``mediapipe/calculators/core/stream_to_side_packet_calculator.cc``.
    """

    contract = Contract(inputs={"in": object}, side_outputs={"packet": object})

    def process(self, context: Context) -> None:
        """Set it."""
        context.send_side("packet", context.get("in"))
