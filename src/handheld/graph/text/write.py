"""From a graph's description to a text that means the same."""

from collections.abc import Iterable

from handheld.graph.text.message import TextField, TextMessage, TextValue, print_message
from handheld.graph.text.model import (
    ExecutorText,
    GeneratorText,
    GraphText,
    HandlerText,
    NodeText,
    PortText,
    StreamInfoText,
)


def print_graph(graph: GraphText) -> str:
    """Return a graph in MediaPipe's text format, with the meaning that it was read with.

    Comments are not kept, and fields stand in one order; what has its default is left out.

    >>> from handheld.graph.text.read import parse_graph
    >>> print(print_graph(parse_graph("node: <calculator: 'Gate'>, num_threads: 0x4")), end="")
    num_threads: 4
    node {
      calculator: "Gate"
    }
    """
    return print_message(message_of_graph(graph))


def message_of_graph(graph: GraphText) -> TextMessage:
    """Return the message that describes a graph."""
    return _message(
        [
            ("type", _text(graph.type)),
            ("package", _text(graph.package)),
            ("num_threads", _whole(graph.num_threads)),
            ("max_queue_size", _whole(graph.max_queue_size)),
            ("report_deadlock", _flag(graph.report_deadlock)),
            ("runtime_info", _unless_empty(graph.runtime_info)),
            ("profiler_config", _unless_empty(graph.profiler_config)),
            ("input_stream_handler", _handler(graph.input_stream_handler, "input_stream_handler")),
            (
                "output_stream_handler",
                _handler(graph.output_stream_handler, "output_stream_handler"),
            ),
            ("options", _unless_empty(graph.options)),
            *_each("executor", map(_executor, graph.executors)),
            *_each("graph_options", graph.graph_options),
            *_ports("input_stream", graph.inputs),
            *_ports("output_stream", graph.outputs),
            *_ports("input_side_packet", graph.side_inputs),
            *_ports("output_side_packet", graph.side_outputs),
            *_each("packet_factory", graph.packet_factories),
            *_each("packet_generator", map(_generator, graph.generators)),
            *_each("status_handler", graph.status_handlers),
            *_each("node", map(message_of_node, graph.nodes)),
        ]
    )


def message_of_node(node: NodeText) -> TextMessage:
    """Return the message that describes a node."""
    return _message(
        [
            ("name", _text(node.name)),
            ("calculator", _text(node.calculator)),
            *_ports("input_stream", node.inputs),
            *_ports("output_stream", node.outputs),
            *_ports("input_side_packet", node.side_inputs),
            *_ports("output_side_packet", node.side_outputs),
            *_each("input_stream_info", map(_stream_info, node.stream_info)),
            ("source_layer", _whole(node.source_layer)),
            ("buffer_size_hint", _whole(node.buffer_size_hint)),
            ("executor", _text(node.executor)),
            ("max_in_flight", _whole(node.max_in_flight)),
            ("input_stream_handler", _handler(node.input_stream_handler, "input_stream_handler")),
            (
                "output_stream_handler",
                _handler(node.output_stream_handler, "output_stream_handler"),
            ),
            ("profiler_config", _unless_empty(node.profiler_config)),
            ("options", _unless_empty(node.options)),
            *_each("node_options", node.node_options),
            *_each("option_value", map(str.encode, node.option_values)),
        ]
    )


_Entry = tuple[str, TextValue | None]
"""A field's name and value. None is the default, and is left out."""


def _message(entries: Iterable[_Entry]) -> TextMessage:
    fields: list[TextField] = []
    for name, value in entries:
        if value is not None:
            fields.append(TextField(name, value))
    return TextMessage(tuple(fields))


def _each(name: str, values: Iterable[TextValue]) -> list[_Entry]:
    return [(name, value) for value in values]


def _unless_empty(message: TextMessage) -> TextMessage | None:
    return message or None


# What has its default becomes None, as protobuf writes no such field either: a number of 0, an
# empty text and an empty message are all false in Python.
def _ports(name: str, ports: Iterable[PortText]) -> list[_Entry]:
    return [(name, str(port).encode()) for port in ports]


def _text(text: str) -> bytes | None:
    return text.encode() or None


def _whole(number: int) -> int | None:
    return number or None


def _flag(flag: bool) -> str | None:
    if not flag:
        return None
    return "true"


def _handler(handler: HandlerText | None, name: str) -> TextMessage | None:
    if handler is None:
        return None
    return _message(
        [
            (name, _text(handler.type)),
            *_ports("input_side_packet", handler.side_inputs),
            ("options", _unless_empty(handler.options)),
        ]
    )


def _stream_info(info: StreamInfoText) -> TextMessage:
    return _message([("tag_index", _text(info.tag_index)), ("back_edge", _flag(info.back_edge))])


def _executor(executor: ExecutorText) -> TextMessage:
    return _message(
        [
            ("name", _text(executor.name)),
            ("type", _text(executor.type)),
            ("options", _unless_empty(executor.options)),
        ]
    )


def _generator(generator: GeneratorText) -> TextMessage:
    return _message(
        [
            ("packet_generator", _text(generator.packet_generator)),
            *_ports("input_side_packet", generator.side_inputs),
            *_ports("output_side_packet", generator.side_outputs),
            ("options", _unless_empty(generator.options)),
        ]
    )
