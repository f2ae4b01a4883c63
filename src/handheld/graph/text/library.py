"""The names of MediaPipe's general calculators, and of ours: one registration each."""

from collections.abc import Mapping
from typing import Literal

from handheld.graph.calculators.control import Gate, Merge, Mux, PacketCloner, PassThrough
from handheld.graph.calculators.flow_limiter import FlowLimiter
from handheld.graph.calculators.loop import BeginLoop, EndLoop
from handheld.graph.calculators.packet_resampler import PacketResampler
from handheld.graph.calculators.packet_thinner import PacketThinner
from handheld.graph.calculators.presence import DefaultValue, PacketPresence
from handheld.graph.calculators.previous_loopback import PreviousLoopback
from handheld.graph.calculators.routing import ImmediateMux, PacketInnerJoin, RoundRobinDemux
from handheld.graph.calculators.sequence import Counter, CountingSource, SequenceShift
from handheld.graph.calculators.side_packets import (
    DefaultSidePacket,
    SidePacketToStream,
    StreamToSidePacket,
)
from handheld.graph.calculators.throttle import RealTimeThrottle
from handheld.graph.calculators.vectors import (
    ClipVectorSize,
    ConcatenateVector,
    GetVectorItem,
    VectorHasMinSize,
    VectorSize,
)
from handheld.graph.text.library_lists import (
    clip_vector_size,
    concatenate_vector,
    counting_vector_size,
    get_vector_item,
    split_vector,
    vector_has_min_size,
)
from handheld.graph.text.library_ports import (
    missing_stream,
    ordered_ports,
    ports_of,
    some,
    stream_pairs,
)
from handheld.graph.text.library_sides import constant_side_packet, side_packet_to_stream
from handheld.graph.text.library_time import packet_resampler, packet_thinner, sequence_shift
from handheld.graph.text.model import NodeText, canonical_names
from handheld.graph.text.options import read_options
from handheld.graph.text.registry import Registry
from handheld.graph.text.switches import switch_container_text, switch_demux, switch_mux
from handheld.graph.text.tokens import located

# Microseconds: MediaPipe's default, in flow_limiter_calculator.proto.
_IN_FLIGHT_TIMEOUT = 1_000_000
_CONTROLS = ("ALLOW", "DISALLOW")  # of a gate
_GATE_STATES = {"UNSPECIFIED": 0, "GATE_UNINITIALIZED": 1, "GATE_ALLOW": 2, "GATE_DISALLOW": 3}
_IS_OPEN: Mapping[str, bool] = {"GATE_ALLOW": True, "GATE_DISALLOW": False}


def _pass_through(node: NodeText) -> PassThrough:
    # As in MediaPipe, which lets any options stand here.
    tags = sorted({port.tag for port in node.inputs})
    streams: dict[str, str] = {}
    for tag in tags:
        streams |= stream_pairs(node, tag)
    sides = canonical_names(node.side_inputs)
    return PassThrough(streams, sides=dict(zip(sides, sides, strict=True)))


def _gate(node: NodeText) -> Gate:
    with read_options(node, "GateCalculatorOptions") as options:
        # MediaPipe's gate forgets what was said before; ours by its own name remembers.
        empty: Literal["open", "closed"] = "closed"
        if options.flag("empty_packets_as_allow"):
            empty = "open"
        allow = options.flag("allow")
        initial = options.choice("initial_gate_state", _GATE_STATES, "GATE_UNINITIALIZED")
    control, inverted = _gate_control(node)
    return Gate(
        open_at_first=allow,
        streams=stream_pairs(node),
        control=control,
        inverted=inverted,
        empty=empty,
        initial=_IS_OPEN.get(initial),
    )


def _gate_control(node: NodeText) -> tuple[Literal["stream", "side", "none"], bool]:
    """Return what controls a gate, and whether true closes it."""
    streams = [port for port in node.inputs if port.tag in _CONTROLS]
    sides = [port for port in node.side_inputs if port.tag in _CONTROLS]
    controls = [*streams, *sides]
    if len(controls) > 1:
        reason = f"{node.title}: expected one of ALLOW and DISALLOW, as a stream or a side packet"
        raise located(reason, node.source, node.position)
    if not controls:
        return "none", False
    return "stream" if streams else "side", controls[0].tag == "DISALLOW"


def _merge(node: NodeText) -> Merge:
    # By their numbers, whatever their tags: MediaPipe asks for no names.
    read_options(node).finish()
    return Merge(some(node, ordered_ports(node.inputs)))


def _mux(node: NodeText) -> Mux:
    read_options(node).finish()
    by_side = "SELECT" in canonical_names(node.side_inputs)
    return Mux(some(node, ports_of(node.inputs, "INPUT")), by_side=by_side)


def _packet_cloner(node: NodeText) -> PacketCloner:
    with read_options(node, "PacketClonerCalculatorOptions") as options:
        waits = options.flag("output_only_when_all_inputs_received")
        # The same of us: the timestamps of outputs are settled by the tick's either way.
        waits |= options.flag("output_packets_only_when_all_inputs_received")
    *inputs, tick = some(node, ordered_ports(node.inputs))
    outputs = ordered_ports(node.outputs)
    if len(inputs) != len(outputs):
        reason = (
            f"{node.title}: expected an output stream for each input stream but the last, the tick"
        )
        raise located(reason, node.source, node.position)
    streams = dict(zip(inputs, outputs, strict=True))
    return PacketCloner(streams, tick=tick, wait_for_all=waits)


def _flow_limiter(node: NodeText) -> FlowLimiter:
    # MediaPipe's defaults, which are not ours: it lets none wait.
    with read_options(node, "FlowLimiterCalculatorOptions") as options:
        in_flight = options.whole("max_in_flight", 1, low=1)
        in_queue = options.whole("max_in_queue", 0, low=0)
        timeout = options.whole("in_flight_timeout", _IN_FLIGHT_TIMEOUT, low=0)
    return FlowLimiter(
        max_in_flight=in_flight,
        max_in_queue=in_queue,
        in_flight_timeout=timeout,
        streams=stream_pairs(node) or missing_stream(node),
    )


def _real_time_flow_limiter(node: NodeText) -> FlowLimiter:
    """Return a limiter as it was before it had options: what comes too early is dropped."""
    read_options(node).finish()
    for port in node.outputs:
        if port.tag == "ALLOW":
            reason = f"{node.title}: ALLOW, at timestamps that count its changes, is not supported"
            raise located(reason, node.source, port.position)
    return FlowLimiter(max_in_queue=0, streams=stream_pairs(node) or missing_stream(node))


def _immediate_mux(node: NodeText) -> ImmediateMux:
    with read_options(node, "ImmediateMuxCalculatorOptions") as options:
        bounds = options.flag("process_timestamp_bounds")
    ports = some(node, ordered_ports(node.inputs))
    # Of the outputs, whatever their tags, the second tells what has finished.
    out, finished = [*ordered_ports(node.outputs), "out", "finished"][:2]
    return ImmediateMux(
        ports,
        outputs=(out, finished),
        # Its input policy is the default one, where the text names no other.
        immediate=False,
        process_timestamp_bounds=bounds,
    )


def _round_robin_demux(node: NodeText) -> RoundRobinDemux:
    read_options(node).finish()
    ports = ports_of(node.outputs, "OUTPUT")
    if not ports:
        reason = f"{node.title}: expected an output stream OUTPUT"
        raise located(reason, node.source, node.position)
    return RoundRobinDemux(ports)


def _inner_join(node: NodeText) -> PacketInnerJoin:
    read_options(node).finish()
    inputs = some(node, ordered_ports(node.inputs))
    outputs = ordered_ports(node.outputs)
    if len(inputs) != len(outputs):
        reason = f"{node.title}: expected an output stream for each input stream"
        raise located(reason, node.source, node.position)
    return PacketInnerJoin(dict(zip(inputs, outputs, strict=True)))


def _presence(node: NodeText) -> PacketPresence:
    read_options(node).finish()
    return PacketPresence(ticks="TICK" in canonical_names(node.inputs))


def _begin_loop(node: NodeText) -> BeginLoop:
    read_options(node).finish()
    return BeginLoop(stream_pairs(node, "CLONE"))


LIBRARY = (
    Registry()
    .add("PassThroughCalculator", _pass_through)
    .add("GateCalculator", _gate)
    .add("MergeCalculator", _merge)
    .add("MuxCalculator", _mux, ports={"OUTPUT": "out"})
    .add("ImmediateMuxCalculator", _immediate_mux)
    .add("RoundRobinDemuxCalculator", _round_robin_demux, ports={"SELECT": "select"})
    .add("PacketInnerJoinCalculator", _inner_join)
    .add("PacketClonerCalculator", _packet_cloner)
    .add("PacketPresenceCalculator", _presence)
    .add("PacketResamplerCalculator", packet_resampler)
    .add("PacketThinnerCalculator", packet_thinner)
    .add("SequenceShiftCalculator", sequence_shift)
    .add("ValueOrDefaultCalculator", DefaultValue)
    .add("PreviousLoopbackCalculator", PreviousLoopback, ports={"PREV_LOOP": "previous"})
    .add("FlowLimiterCalculator", _flow_limiter)
    .add("RealTimeFlowLimiterCalculator", _real_time_flow_limiter)
    .add("CountingSourceCalculator", CountingSource)
    .add("ConstantSidePacketCalculator", constant_side_packet)
    .add("DefaultSidePacketCalculator", DefaultSidePacket)
    .add("SidePacketToStreamCalculator", side_packet_to_stream)
    .add("StreamToSidePacketCalculator", StreamToSidePacket)
    .add("SwitchContainer", switch_container_text)
    .add("SwitchDemuxCalculator", switch_demux)
    .add("SwitchMuxCalculator", switch_mux)
    .add("BeginLoop*Calculator", _begin_loop, ports={"ITERABLE": "items"})
    .add("EndLoop*Calculator", EndLoop, ports={"ITERABLE": "items"})
    # MediaPipe has one of these for each type of items: * is its name.
    .add("Split*Calculator", split_vector)
    .add("Concatenate*Calculator", concatenate_vector)
    .add("Clip*VectorSizeCalculator", clip_vector_size)
    .add("Get*VectorItemCalculator", get_vector_item)
    .add("Counting*VectorSizeCalculator", counting_vector_size, ports={"COUNT": "size"})
    .add("*VectorSizeCalculator", VectorSize)
    .add("*HasMinSizeCalculator", vector_has_min_size)
    # Ours, under their own names: tags are their ports in upper case.
    .add("PassThrough", PassThrough)
    .add("Gate", Gate)
    .add("Merge", Merge)
    .add("Mux", Mux)
    .add("ImmediateMux", ImmediateMux)
    .add("RoundRobinDemux", RoundRobinDemux)
    .add("PacketInnerJoin", PacketInnerJoin)
    .add("PacketCloner", PacketCloner)
    .add("PacketPresence", PacketPresence)
    .add("PacketResampler", PacketResampler)
    .add("PacketThinner", PacketThinner)
    .add("SequenceShift", SequenceShift)
    .add("DefaultValue", DefaultValue)
    .add("RealTimeThrottle", RealTimeThrottle)
    .add("PreviousLoopback", PreviousLoopback)
    .add("FlowLimiter", FlowLimiter)
    .add("Counter", Counter)
    .add("CountingSource", CountingSource)
    .add("DefaultSidePacket", DefaultSidePacket)
    .add("SidePacketToStream", SidePacketToStream)
    .add("StreamToSidePacket", StreamToSidePacket)
    .add("BeginLoop", BeginLoop)
    .add("EndLoop", EndLoop)
    .add("ConcatenateVector", ConcatenateVector)
    .add("ClipVectorSize", ClipVectorSize)
    .add("GetVectorItem", GetVectorItem)
    .add("VectorSize", VectorSize)
    .add("VectorHasMinSize", VectorHasMinSize)
)
