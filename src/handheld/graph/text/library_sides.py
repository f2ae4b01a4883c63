"""MediaPipe's calculators of side packets by their names: options of the text as arguments."""

from collections.abc import Mapping
from typing import Any

from handheld.errors import GraphTextError
from handheld.graph.calculators.side_packets import ConstantSidePacket, Moment, SidePacketToStream
from handheld.graph.text.library_ports import ports_of
from handheld.graph.text.model import NodeText
from handheld.graph.text.options import OptionReader, read_options
from handheld.graph.text.tokens import located

_MOMENTS: Mapping[str, Moment] = {
    "AT_PRESTREAM": "prestream",
    "AT_POSTSTREAM": "poststream",
    "AT_ZERO": "zero",
    "AT_TICK": "tick",
    "AT_FIRST_TICK": "first_tick",
    "AT_TIMESTAMP": "timestamp",
}
_INT32 = (-(2**31), 2**31 - 1)
_INT64 = (-(2**63), 2**63 - 1)
_UINT64 = (0, 2**64 - 1)
_WHOLES = {"int_value": _INT32, "int64_value": _INT64, "uint64_value": _UINT64}
_NUMBERS = ("float_value", "double_value")


def constant_side_packet(node: NodeText) -> ConstantSidePacket:
    """Return the constants of a node. Raises :class:`~handheld.errors.GraphTextError`."""
    with read_options(node, "ConstantSidePacketCalculatorOptions") as options:
        values = [_value(entry) for entry in options.messages("packet")]
    ports = ports_of(node.side_outputs, "PACKET")
    if len(ports) != len(values):
        reason = (
            f"{node.title}: expected an output side packet PACKET for each packet of the options, "
            f"got {len(ports)} for {len(values)}"
        )
        raise located(reason, node.source, node.position)
    return ConstantSidePacket(dict(zip(ports, values, strict=True)))


def _value(options: OptionReader) -> Any:
    """Return the one value of a packet of the options."""
    names = options.names()
    if len(names) != 1:
        raise _wrong(options, names)
    with options:
        return _value_of(options, names[0])


def _value_of(options: OptionReader, name: str) -> Any:
    if name in _WHOLES:
        low, high = _WHOLES[name]
        return options.whole(name, low=low, high=high)
    if name in _NUMBERS:
        return options.number(name)
    if name == "bool_value":
        return options.flag(name)
    if name == "string_value":
        return options.text(name)
    if name == "string_vector_value":
        with options.message(name) as strings:
            return list(strings.texts("string_value"))
    raise _wrong(options, [name])


def _wrong(options: OptionReader, names: list[str]) -> GraphTextError:
    expected = [*_WHOLES, *_NUMBERS, "bool_value", "string_value", "string_vector_value"]
    name = names[0] if names else ""
    came = ", ".join(names) or "none"
    return options.located(name, f"expected one of {', '.join(expected)}, got {came}")


def side_packet_to_stream(node: NodeText) -> SidePacketToStream:
    """Return the sender of a node. Raises :class:`~handheld.errors.GraphTextError`."""
    read_options(node).finish()
    tags = sorted({port.tag for port in node.outputs})
    if len(tags) != 1 or tags[0] not in _MOMENTS:
        reason = f"{node.title}: expected output streams of one tag of {', '.join(_MOMENTS)}"
        raise located(reason, node.source, node.position)
    outputs = ports_of(node.outputs, tags[0])
    sides = ports_of(node.side_inputs, "")
    if len(outputs) != len(sides):
        reason = (
            f"{node.title} has {len(sides)} input side packets without a tag and {len(outputs)} "
            "output streams; it sends each on the output of the same number"
        )
        raise located(reason, node.source, node.position)
    return SidePacketToStream(_MOMENTS[tags[0]], dict(zip(sides, outputs, strict=True)))
