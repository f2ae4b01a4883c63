"""The packet resampler: any stream at a frame rate."""

from collections.abc import Iterable
from dataclasses import replace
from random import Random
from typing import Any, Literal

from handheld.errors import InputError
from handheld.graph.calculator import Calculator, Context
from handheld.graph.calculators.headers import FRAME_RATE, frame_rate_of, with_frame_rate
from handheld.graph.calculators.resampling import (
    SECOND,
    GridSampling,
    JitterSampling,
    ReflectedSampling,
    ReproducibleSampling,
    Sampling,
)
from handheld.graph.contract import Contract
from handheld.graph.packet import Packet
from handheld.graph.timestamp import Timestamp
from handheld.ranges import in_range, one_of, whole_in_range

_HEADERS = ("none", "pass", "update")


class PacketResampler(Calculator):
    """Sends what comes on ``in`` at a frame rate on ``out``: packets are left out or repeated.

    Without ``jitter`` the first packet's timestamp is the first point in time, and a period lies
    between one point and the next; each gets the packet nearest to it (of two as near, the later),
    or, where none lies within half a period, the last one before it. So a point's packet is known
    as soon as one at or behind the point has come. At the end of the stream, the point nearest to
    the last packet gets it although nothing came behind that point.

    With ``jitter`` the points are drawn at random from ``seed``, or the side input ``seed``
    (optional). Settled timestamps without a packet make no difference. Packets before or after all
    others (``PRE_STREAM``, ``POST_STREAM``) are refused. ``video_header`` (optional, in and out)
    carries a header at ``PRE_STREAM``, a mapping or dataclass with a ``frame_rate``, which is sent
    on with the rate of ``out``.
    Source: ``mediapipe/calculators/core/packet_resampler_calculator.h``. Its random numbers are
    others: MediaPipe's open version has none.

    Args:
        frame_rate: packets a second, in (0, 1_000_000].
        flush_last_packet: whether the last packet may be sent behind its timestamp; not with
            ``jitter``.
        jitter: how far points are moved, in periods, in [0, 1]; 0 moves none.
        jitter_with_reflection: one point in each period from the first packet on; at the end, what
            is left of a period gives one of its packets.
        reproducible_sampling: as with reflection, but periods are counted from ``base_timestamp``,
            so that parts of a stream give what the whole gives.
        base_timestamp: microseconds; points in time are whole periods away from it, None for the
            first packet. With ``reproducible_sampling`` where periods are counted from, None for 0;
            with other ``jitter`` it means nothing.
        start_time: microseconds; nothing is sent before; None for no limit.
        end_time: nothing is sent from there on; None for no limit.
        round_limits: whether the points nearest to the limits are sent too, up to half a period
            outside of them.
        max_frame_rate: packets a second that ``frame_rate`` is reduced to; None for no limit.
        use_input_frame_rate: the rate is that of the header on ``video_header``, once there is one.
        header: of ``out``: "none", "pass" that of ``in``, or "update" its ``frame_rate``.
        seed: of what is random.
        ports: names of the input and the output port.
    """

    contract = Contract(
        inputs={"in": object, "video_header": object},
        outputs={"out": object, "video_header": object},
        side_inputs={"seed": int | str},
        optional=frozenset({"video_header", "seed"}),
        # Timestamps are those of the points.
        timestamp_offset=None,
    )

    def __init__(  # noqa: PLR0913  # MediaPipe's options
        self,
        *,
        frame_rate: float,
        flush_last_packet: bool = True,
        jitter: float = 0.0,
        jitter_with_reflection: bool = False,
        reproducible_sampling: bool = False,
        base_timestamp: int | None = None,
        start_time: int | None = None,
        end_time: int | None = None,
        round_limits: bool = False,
        max_frame_rate: float | None = None,
        use_input_frame_rate: bool = False,
        header: Literal["none", "pass", "update"] = "none",
        seed: int | str = 0,
        ports: tuple[str, str] = ("in", "out"),
    ) -> None:
        in_range("frame_rate", frame_rate, low=0, high=SECOND, low_open=True)
        in_range("jitter", jitter, low=0, high=1)
        if max_frame_rate is not None:
            in_range("max_frame_rate", max_frame_rate, low=0, high=SECOND, low_open=True)
        one_of("header", header, _HEADERS)
        for name, value in (
            ("base_timestamp", base_timestamp),
            ("start_time", start_time),
            ("end_time", end_time),
        ):
            if value is not None:
                whole_in_range(name, value, low=Timestamp.MIN, high=Timestamp.MAX)
        self._frame_rate = frame_rate
        self._flush = flush_last_packet
        self._jitter = jitter
        self._reflects = jitter_with_reflection
        self._reproducible = reproducible_sampling
        self._base = base_timestamp
        self._start = start_time
        self._end = end_time
        self._round_limits = round_limits
        self._max_frame_rate = max_frame_rate
        self._uses_input_rate = use_input_frame_rate
        self._header = header
        self._seed = seed
        self._in, self._out = ports
        self.contract = replace(
            type(self).contract,
            inputs={self._in: object, "video_header": object},
            outputs={self._out: object, "video_header": object},
        )

    def open(self, context: Context) -> None:
        """Start anew, with the same random numbers."""
        self._used_seed = context.side.get("seed", self._seed)
        self._begin(self._frame_rate)
        self._video_header: Any = None
        self._header_sent = False
        header = context.header(self._in)
        if header is not None and self._header != "none":
            if self._header == "update":
                header = with_frame_rate(header, self._rate)
            context.set_header(self._out, header)

    def process(self, context: Context) -> None:
        """Send what is known by now."""
        if "video_header" in context.inputs:
            self._take_header(context)
        if self._in not in context.inputs:
            return
        if not Timestamp.MIN <= context.timestamp <= Timestamp.MAX:
            raise InputError(
                f"expected a packet between {Timestamp.MIN} and {Timestamp.MAX}, "
                f"got one at {context.timestamp!r}"
            )
        self._send_header(context)
        self._send(context, self._sampling.take(context.inputs[self._in]))
        context.advance(self._out, self._sampling.bound)

    def close(self, context: Context) -> None:
        """Send what the end of the stream leaves."""
        self._send(context, self._sampling.end())

    def _begin(self, rate: float) -> None:
        if self._max_frame_rate is not None:
            rate = min(rate, self._max_frame_rate)
        self._rate = rate
        self._period = int(SECOND / rate)
        self._sampling = self._make_sampling()

    def _make_sampling(self) -> Sampling:
        random = Random(self._used_seed)
        if self._reproducible:
            base = self._base or 0
            return ReproducibleSampling(self._period, self._jitter, base=base, random=random)
        if not self._jitter:
            return GridSampling(self._rate, self._base, flush=self._flush)
        make = ReflectedSampling if self._reflects else JitterSampling
        # Of its own, so that what it draws leaves the points as they are.
        reservoir_random = Random(self._used_seed)
        return make(self._period, self._jitter, random=random, reservoir_random=reservoir_random)

    def _take_header(self, context: Context) -> None:
        self._video_header = context.get("video_header")
        # Later, points have been counted at the old rate already.
        if self._uses_input_rate and context.timestamp == Timestamp.PRE_STREAM:
            rate = frame_rate_of(self._video_header)
            in_range(f"{FRAME_RATE} of the header", rate, low=0, high=SECOND, low_open=True)
            self._begin(rate)

    def _send_header(self, context: Context) -> None:
        if not self._header_sent:
            header: Any = {FRAME_RATE: self._rate}
            if self._video_header is not None:
                header = with_frame_rate(self._video_header, self._rate)
            context.send("video_header", header, Timestamp.PRE_STREAM)
            self._header_sent = True

    def _send(self, context: Context, packets: Iterable[Packet[Any]]) -> None:
        margin = 0
        if self._round_limits:
            margin = self._period // 2
        for packet in packets:
            is_early = self._start is not None and packet.timestamp < self._start - margin
            is_late = self._end is not None and packet.timestamp >= self._end + margin
            if not (is_early or is_late):
                context.send(self._out, packet.payload, packet.timestamp)
