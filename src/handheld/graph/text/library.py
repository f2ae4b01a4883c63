"""The names of MediaPipe's general calculators, and of ours: one registration each."""

from collections.abc import Mapping
from typing import Literal

from handheld.graph.calculators.control import Gate, Merge, Mux, PacketCloner, PassThrough
from handheld.graph.calculators.flow_limiter import FlowLimiter
from handheld.graph.calculators.loop import BeginLoop, EndLoop
from handheld.graph.calculators.previous_loopback import PreviousLoopback
from handheld.graph.text.model import NodeText, PortText, canonical_names
from handheld.graph.text.options import read_options
from handheld.graph.text.registry import Registry
from handheld.graph.text.tokens import located

_CONTROLS = ("ALLOW", "DISALLOW")  # of a gate
_GATE_STATES = {"UNSPECIFIED": 0, "GATE_UNINITIALIZED": 1, "GATE_ALLOW": 2, "GATE_DISALLOW": 3}
_IS_OPEN: Mapping[str, bool] = {"GATE_ALLOW": True, "GATE_DISALLOW": False}


def stream_pairs(node: NodeText, tag: str = "") -> dict[str, str]:
    """Return input port -> output port of the streams of a tag, which go through one by one.

    Args:
        node: with as many outputs of that tag as inputs.
        tag: empty for streams without one.

    Raises:
        GraphTextError: their numbers differ.
    """
    inputs = ports_of(node.inputs, tag)
    outputs = ports_of(node.outputs, tag)
    if inputs != outputs:
        term = f"tagged {tag}" if tag else "without a tag"
        reason = (
            f"{node.title} has {len(inputs)} input streams {term} and {len(outputs)} output streams"
            "; it passes each on to the output of the same number"
        )
        raise located(reason, node.source, node.position)
    return dict(zip(inputs, outputs, strict=True))


def ports_of(ports: tuple[PortText, ...], tag: str) -> list[str]:
    """Return the ports of a tag in the order of their indices, as ``TAG`` and ``TAG:1``."""
    indices: dict[str, int] = {}
    for name, port in zip(canonical_names(ports), ports, strict=True):
        if port.tag == tag:
            indices[name] = (port.index or 0) if tag else int(name)
    return sorted(indices, key=indices.__getitem__)


def ordered_ports(ports: tuple[PortText, ...]) -> list[str]:
    """Return all ports as MediaPipe numbers them: by tag, those without first, then by index."""
    tags = sorted({port.tag for port in ports})
    ordered: list[str] = []
    for tag in tags:
        ordered += ports_of(ports, tag)
    return ordered


def _pass_through(node: NodeText) -> PassThrough:
    read_options(node).finish()
    tags = sorted({port.tag for port in node.inputs})
    streams: dict[str, str] = {}
    for tag in tags:
        streams |= stream_pairs(node, tag)
    return PassThrough(streams)


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
    return Merge(_some(node, ordered_ports(node.inputs)))


def _mux(node: NodeText) -> Mux:
    read_options(node).finish()
    by_side = "SELECT" in canonical_names(node.side_inputs)
    return Mux(_some(node, ports_of(node.inputs, "INPUT")), by_side=by_side)


def _some(node: NodeText, ports: list[str]) -> list[str]:
    if not ports:
        reason = f"{node.title}: expected an input stream"
        raise located(reason, node.source, node.position)
    return ports


def _packet_cloner(node: NodeText) -> PacketCloner:
    with read_options(node, "PacketClonerCalculatorOptions") as options:
        waits = options.flag("output_only_when_all_inputs_received")
        # The same of us: the timestamps of outputs are settled by the tick's either way.
        waits |= options.flag("output_packets_only_when_all_inputs_received")
    *inputs, tick = _some(node, ordered_ports(node.inputs))
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
        timeout = options.whole("in_flight_timeout", 0, low=0)
    return FlowLimiter(
        max_in_flight=in_flight,
        max_in_queue=in_queue,
        in_flight_timeout=timeout,
        streams=stream_pairs(node) or _missing_stream(node),
    )


def _missing_stream(node: NodeText) -> dict[str, str]:
    reason = f"{node.title}: expected an input stream without a tag"
    raise located(reason, node.source, node.position)


def _begin_loop(node: NodeText) -> BeginLoop:
    read_options(node).finish()
    return BeginLoop(stream_pairs(node, "CLONE"))


LIBRARY = (
    Registry()
    .add("PassThroughCalculator", _pass_through)
    .add("GateCalculator", _gate)
    .add("MergeCalculator", _merge)
    .add("MuxCalculator", _mux, ports={"OUTPUT": "out"})
    .add("PacketClonerCalculator", _packet_cloner)
    .add("PreviousLoopbackCalculator", PreviousLoopback, ports={"PREV_LOOP": "previous"})
    .add("FlowLimiterCalculator", _flow_limiter)
    .add("BeginLoop*Calculator", _begin_loop, ports={"ITERABLE": "items"})
    .add("EndLoop*Calculator", EndLoop, ports={"ITERABLE": "items"})
    # Ours, under their own names: tags are their ports in upper case.
    .add("PassThrough", PassThrough)
    .add("Gate", Gate)
    .add("Merge", Merge)
    .add("Mux", Mux)
    .add("PacketCloner", PacketCloner)
    .add("PreviousLoopback", PreviousLoopback)
    .add("FlowLimiter", FlowLimiter)
    .add("BeginLoop", BeginLoop)
    .add("EndLoop", EndLoop)
)
"""Calculators that any graph needs, by MediaPipe's names and by ours."""
