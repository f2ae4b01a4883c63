"""MediaPipe's calculators of rates and orders by their names: options of the text as arguments."""

from typing import Any, Literal

from handheld.graph.calculators.packet_resampler import PacketResampler
from handheld.graph.calculators.packet_thinner import PacketThinner
from handheld.graph.calculators.sequence import SequenceShift
from handheld.graph.text.model import NodeText, PortText, canonical_names
from handheld.graph.text.options import OptionReader, read_options

_HEADERS = {"NONE": 0, "PASS_HEADER": 1, "UPDATE_VIDEO_HEADER": 2}
_HEADER: dict[str, Literal["none", "pass", "update"]] = {
    "NONE": "none",
    "PASS_HEADER": "pass",
    "UPDATE_VIDEO_HEADER": "update",
}
_THINNERS = {"ASYNC": 1, "SYNC": 2}


def packet_resampler(node: NodeText) -> PacketResampler:
    """Return the resampler of a node. Raises :class:`~handheld.errors.GraphTextError`."""
    with read_options(node, "PacketResamplerCalculatorOptions") as options:
        header = options.choice("output_header", _HEADERS, "NONE")
        flags: dict[str, Any] = {"flush_last_packet": options.flag("flush_last_packet", True)}
        for name in (
            "jitter_with_reflection",
            "reproducible_sampling",
            "round_limits",
            "use_input_frame_rate",
        ):
            flags[name] = options.flag(name)
        max_frame_rate = None
        # MediaPipe's -1 is no limit.
        if options.number("max_frame_rate", -1.0) > 0:
            max_frame_rate = options.number("max_frame_rate")
        return PacketResampler(
            # Without one, MediaPipe has -1 and an error.
            frame_rate=options.number("frame_rate", -1.0),
            jitter=options.number("jitter"),
            max_frame_rate=max_frame_rate,
            base_timestamp=_time(options, "base_timestamp"),
            start_time=_time(options, "start_time"),
            end_time=_time(options, "end_time"),
            header=_HEADER[header],
            ports=(_data(node.inputs, "in"), _data(node.outputs, "out")),
            **flags,
        )


def _data(ports: tuple[PortText, ...], otherwise: str) -> str:
    """Return the port of the packets: DATA, or the only one without a tag."""
    names = canonical_names(ports)
    for name in ("DATA", "0"):
        if name in names:
            return name
    return otherwise


def packet_thinner(node: NodeText) -> PacketThinner:
    """Return the thinner of a node. Raises :class:`~handheld.errors.GraphTextError`."""
    with read_options(node, "PacketThinnerCalculatorOptions") as options:
        # Defaults of packet_thinner_calculator.proto.
        thinner_type: Literal["async", "sync"] = "async"
        if options.choice("thinner_type", _THINNERS, "ASYNC") == "SYNC":
            thinner_type = "sync"
        return PacketThinner(
            thinner_type=thinner_type,
            period=options.whole("period", 1, low=1),
            start_time=_time(options, "start_time"),
            end_time=_time(options, "end_time"),
            sync_output_timestamps=options.flag("sync_output_timestamps", True),
            update_frame_rate=options.flag("update_frame_rate"),
        )


def sequence_shift(node: NodeText) -> SequenceShift:
    """Return the shift of a node. Raises :class:`~handheld.errors.GraphTextError`."""
    with read_options(node, "SequenceShiftCalculatorOptions") as options:
        return SequenceShift(options.whole("packet_offset", -1))


def _time(options: OptionReader, name: str) -> int | None:
    return options.whole(name) if options.has(name) else None
