"""The packet thinner: at most one packet in a period."""

from typing import Any, Literal

from handheld.errors import InputError
from handheld.graph.calculator import Calculator, Context
from handheld.graph.calculators.headers import frame_rate_of, with_frame_rate
from handheld.graph.calculators.resampling import SECOND
from handheld.graph.contract import Contract
from handheld.graph.packet import Packet
from handheld.graph.timestamp import Timestamp
from handheld.ranges import one_of, whole_in_range


class PacketThinner(Calculator):
    """Sends at most one packet of ``in`` in a period; the others are counted as dropped.

    ``async``: a packet that is sent keeps back what comes within a period after it. ``sync``: time
    is cut into periods around ``start_time``, ``start_time + period``, ...; of each the packet that
    is nearest to its middle is sent (of two as near, the later), once one of another period has
    come or the stream has ended. Packets before ``start_time`` and from ``end_time`` on are
    dropped, those before or after all others (``PRE_STREAM``, ``POST_STREAM``) among them; at the
    first from ``end_time`` on, ``out`` ends. Settled timestamps pass with ``async`` alone. The side
    input ``period`` (optional) says otherwise than the option.
    Source: ``mediapipe/calculators/core/packet_thinner_calculator.cc``.

    Args:
        thinner_type: "async" or "sync".
        period: microseconds, 1 or more.
        start_time: microseconds; None for 0 with "sync" and no limit with "async".
        end_time: microseconds, later than ``start_time``; None for no limit.
        sync_output_timestamps: whether "sync" sends at the middles of the periods, rather than at
            the packets' own timestamps.
        update_frame_rate: whether the ``frame_rate`` of the stream's header becomes what is left of
            it; else the header is handed on as it is.
    """

    def __init__(  # MediaPipe's options
        self,
        *,
        thinner_type: Literal["async", "sync"] = "async",
        period: int = 1,
        start_time: int | None = None,
        end_time: int | None = None,
        sync_output_timestamps: bool = True,
        update_frame_rate: bool = False,
    ) -> None:
        one_of("thinner_type", thinner_type, ("async", "sync"))
        whole_in_range("period", period, low=1)
        self._is_sync = thinner_type == "sync"
        self._period_option = period
        self._start = int(Timestamp.MIN)
        if self._is_sync:
            self._start = 0
        if start_time is not None:
            whole_in_range("start_time", start_time, low=Timestamp.MIN, high=Timestamp.MAX)
            self._start = start_time
        self._end = int(Timestamp.MAX)
        if end_time is not None:
            whole_in_range("end_time", end_time, low=Timestamp.MIN, high=Timestamp.MAX)
            self._end = end_time
        if self._start >= self._end:
            raise InputError(
                f"end_time: expected a time after start_time, {self._start}, got {self._end}"
            )
        self._sends_middles = sync_output_timestamps
        self._updates_rate = update_frame_rate
        self.contract = Contract(
            inputs={"in": object},
            outputs={"out": object},
            side_inputs={"period": int},
            optional=frozenset({"period"}),
            # What sync sends comes later than its own timestamp's packets.
            timestamp_offset=None if self._is_sync else 0,
        )

    def open(self, context: Context) -> None:
        """Start before the first packet."""
        self._period: int = context.side.get("period", self._period_option)
        whole_in_range("side packet period", self._period, low=1)
        self._next = self._start  # async: what is earlier is dropped
        self._saved: Packet[Any] | None = None  # sync: the best of the present period
        context.advance("out", self._start)
        header = context.header("in")
        if header is not None:
            if self._updates_rate:
                header = with_frame_rate(header, self._thinned(frame_rate_of(header)))
            context.set_header("out", header)

    def process(self, context: Context) -> None:
        """Send, save or drop one packet."""
        if context.timestamp >= self._end:
            self._send_saved(context)
            context.drop()
            context.advance("out", Timestamp.DONE)
        elif context.timestamp < self._start:
            context.drop()
        elif self._is_sync:
            self._take_sync(context)
        else:
            self._take_async(context)

    def close(self, context: Context) -> None:
        """Send what waits for a better one."""
        self._send_saved(context)

    def _take_async(self, context: Context) -> None:
        if context.timestamp < self._next:
            context.drop()
            return
        context.send("out", context.get("in"))
        self._next = context.timestamp + self._period
        context.advance("out", min(self._next, Timestamp.ONE_OVER_POST_STREAM))

    def _take_sync(self, context: Context) -> None:
        packet = context.inputs["in"]
        middle = self._middle(packet.timestamp)
        if self._saved is not None:
            if self._middle(self._saved.timestamp) == middle:
                self._choose(context, packet, middle)
                return
            self._send_saved(context)
        self._saved = packet
        context.advance("out", middle if self._sends_middles else packet.timestamp)

    def _choose(self, context: Context, packet: Packet[Any], middle: int) -> None:
        """Keep the better of the saved packet and one of the same period."""
        context.drop()
        if self._saved is None or self._distance(packet, middle) <= self._distance(
            self._saved, middle
        ):
            self._saved = packet

    def _distance(self, packet: Packet[Any], middle: int) -> int:
        return abs(packet.timestamp - middle)

    def _send_saved(self, context: Context) -> None:
        packet = self._saved
        if packet is None:
            return
        timestamp = packet.timestamp
        if self._sends_middles:
            timestamp = self._middle(timestamp)
        context.send("out", packet.payload, timestamp)
        self._saved = None

    def _middle(self, timestamp: int) -> int:
        """Return the middle of the period in which a timestamp lies."""
        periods = (timestamp - self._start + self._period // 2) // self._period
        return self._start + periods * self._period

    def _thinned(self, rate: float) -> float:
        """Return about how many frames a second are left."""
        if self._is_sync:
            return min(rate, SECOND / self._period)
        skipped = -(-rate * self._period // SECOND)  # rounded up
        return rate / skipped
