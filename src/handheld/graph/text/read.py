"""From a text to a graph's description."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from handheld.errors import GraphTextError, InputError
from handheld.graph.text.message import (
    MOST_LETTERS,
    NO_MESSAGE,
    TextField,
    TextMessage,
    parse_message,
)
from handheld.graph.text.model import (
    DEFAULT_HANDLER,
    DEFAULT_OUTPUT_HANDLER,
    ExecutorText,
    GeneratorText,
    GraphText,
    HandlerText,
    NodeText,
    PortText,
    StreamInfoText,
    canonical_names,
    parse_port,
    parse_tag_index,
)
from handheld.graph.text.schema import GRAPH, NODE, as_flag, as_text, problems
from handheld.graph.text.tokens import located
from handheld.untrusted import require_file

Value = TypeVar("Value")


def read_graph(path: str | os.PathLike[str]) -> GraphText:
    """Read a file in MediaPipe's text format (``.pbtxt``, a ``CalculatorGraphConfig``).

    Raises:
        GraphTextError: it cannot be read, is not in UTF-8, or is no graph; names file, line and
            column.
    """
    return parse_graph(read_text(path), os.fspath(path))


def parse_graph(text: str, source: str = "") -> GraphText:
    """Read a graph from a text in MediaPipe's format.

    >>> graph = parse_graph('node { calculator: "Gate" input_stream: "ALLOW:yes" }')
    >>> graph.nodes[0].inputs[0].tag
    'ALLOW'

    Args:
        text: of at most four million letters.
        source: file or other name, for errors.

    Raises:
        GraphTextError: the first thing that is wrong, with its position; templates are refused.
    """
    return graph_of_message(parse_message(text, source), source)


def graph_of_message(message: TextMessage, source: str = "") -> GraphText:
    """Return the graph that a message describes. Raises :class:`GraphTextError`."""
    reader = _Reader(source, list(problems(message, GRAPH, source)))
    graph = reader.graph(message)
    if reader.wrong:
        # A field that is misspelt comes before what is missing therefore.
        raise reader.wrong[0]
    return graph


def node_of_message(message: TextMessage, source: str = "") -> NodeText:
    """Return a node that stands in another's options, as those of a switch.

    Raises :class:`GraphTextError`.
    """
    # Whoever asks for it has its options' schema; of the node itself we have it.
    reader = _Reader(source, list(problems(message, NODE, source)))
    node = reader.node(message)
    if reader.wrong:
        raise reader.wrong[0]
    return node


def inspect_graph(message: TextMessage, source: str = "") -> tuple[GraphText, list[GraphTextError]]:
    """Return the graph that a message describes, and all that is wrong with it.

    What is wrong is left out of the graph.
    """
    reader = _Reader(source, list(problems(message, GRAPH, source)))
    graph = reader.graph(message)
    return graph, sorted(reader.wrong, key=lambda error: (error.line, error.column))


def read_text(path: str | os.PathLike[str]) -> str:
    """Return what a file says, of at most four million letters in UTF-8.

    Raises:
        GraphTextError: it is missing, no file, too large or not in UTF-8; names the line.
    """
    source = os.fspath(path)
    try:
        # A pipe or a device under that name would never end.
        require_file(path)
        with Path(path).open("rb") as file:
            content = file.read(MOST_LETTERS + 1)
    except OSError as error:
        raise GraphTextError(f"cannot be read: {error.strerror or error}", source=source) from error
    if len(content) > MOST_LETTERS:
        reason = f"expected a file of at most {MOST_LETTERS:,} bytes"
        raise GraphTextError(reason, source=source)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line_start = content.rfind(b"\n", 0, error.start) + 1
        raise GraphTextError(
            "not in UTF-8: save it in that encoding (a graph in binary form is not read)",
            source=source,
            line=content.count(b"\n", 0, error.start) + 1,
            column=error.start - line_start + 1,
        ) from error


@dataclass
class _Reader:
    """Makes values of messages; what is wrong is noted and left out."""

    source: str
    wrong: list[GraphTextError] = field(default_factory=list)

    def graph(self, message: TextMessage) -> GraphText:
        return GraphText(
            nodes=tuple(map(self.node, _messages(message, "node"))),
            inputs=self.ports(message, "input_stream"),
            outputs=self.ports(message, "output_stream"),
            side_inputs=self.ports(message, "input_side_packet"),
            side_outputs=self.ports(message, "output_side_packet"),
            type=_text(message, "type"),
            package=_text(message, "package"),
            executors=tuple(map(_executor, _messages(message, "executor"))),
            num_threads=_whole(message, "num_threads"),
            max_queue_size=_whole(message, "max_queue_size"),
            report_deadlock=_flag(message, "report_deadlock"),
            input_stream_handler=self.handler(message, "input_stream_handler"),
            output_stream_handler=self.handler(message, "output_stream_handler"),
            generators=tuple(map(self.generator, _messages(message, "packet_generator"))),
            options=_message(message, "options"),
            graph_options=_messages(message, "graph_options"),
            packet_factories=_messages(message, "packet_factory"),
            status_handlers=_messages(message, "status_handler"),
            runtime_info=_message(message, "runtime_info"),
            profiler_config=_message(message, "profiler_config"),
            source=self.source,
        )

    def node(self, message: TextMessage) -> NodeText:
        calculator = _text(message, "calculator")
        if not calculator:
            self._note("a node without a calculator: name one", message)
        node = NodeText(
            calculator=calculator,
            name=_text(message, "name"),
            inputs=self.ports(message, "input_stream"),
            outputs=self.ports(message, "output_stream"),
            # The older name of the same.
            side_inputs=self.ports(message, "input_side_packet", "external_input"),
            side_outputs=self.ports(message, "output_side_packet"),
            stream_info=tuple(map(_stream_info, _messages(message, "input_stream_info"))),
            options=_message(message, "options"),
            node_options=_messages(message, "node_options"),
            option_values=tuple(_texts(message, "option_value")),
            source_layer=_whole(message, "source_layer"),
            buffer_size_hint=_whole(message, "buffer_size_hint"),
            input_stream_handler=self.handler(message, "input_stream_handler"),
            output_stream_handler=self.handler(message, "output_stream_handler"),
            executor=_text(message, "executor"),
            max_in_flight=_whole(message, "max_in_flight"),
            profiler_config=_message(message, "profiler_config"),
            source=self.source,
            position=message.position,
        )
        self._check_stream_info(node)
        return node

    def generator(self, message: TextMessage) -> GeneratorText:
        name = _text(message, "packet_generator")
        if not name:
            self._note("a packet generator without its name", message)
        return GeneratorText(
            packet_generator=name,
            side_inputs=self.ports(message, "input_side_packet", "external_input"),
            side_outputs=self.ports(message, "output_side_packet", "external_output"),
            options=_message(message, "options"),
            position=message.position,
        )

    def handler(self, message: TextMessage, name: str) -> HandlerText | None:
        entries = _messages(message, name)
        if not entries:
            return None
        default = DEFAULT_HANDLER
        if name == "output_stream_handler":
            default = DEFAULT_OUTPUT_HANDLER
        return HandlerText(
            type=_text(entries[0], name) or default,
            options=_message(entries[0], "options"),
            side_inputs=self.ports(entries[0], "input_side_packet"),
            position=entries[0].position,
        )

    def ports(self, message: TextMessage, *names: str) -> tuple[PortText, ...]:
        """Read streams or side packets, and note those whose tag and index stand twice."""
        ports: list[PortText] = []
        for entry in _entries(message, names):
            text = _decoded(entry)
            if text is None:
                continue
            try:
                ports.append(parse_port(text, entry.value_position))
            except InputError as error:
                self.wrong.append(located(str(error), self.source, entry.value_position))
        self._check_twice(ports)
        return tuple(ports)

    def _check_twice(self, ports: list[PortText]) -> None:
        first: dict[str, PortText] = {}
        for name, port in zip(canonical_names(ports), ports, strict=True):
            if name in first:
                reason = (
                    f"{str(port)!r} is connected where {str(first[name])!r} is; number them: "
                    f"{port.tag}:0:{first[name].name}, {port.tag}:1:{port.name}"
                )
                self.wrong.append(located(reason, self.source, port.position))
            first.setdefault(name, port)

    def _check_stream_info(self, node: NodeText) -> None:
        inputs = canonical_names(node.inputs)
        for info in node.stream_info:
            try:
                tag, index = parse_tag_index(info.tag_index)
            except InputError as error:
                self.wrong.append(located(str(error), self.source, info.position))
                continue
            name = f"{tag}:{index}" if tag and index else tag or str(index)
            if name not in inputs:
                reason = (
                    f"input_stream_info of {info.tag_index!r}, but {node.title} has no such input "
                    f"stream; it has {list(inputs)}"
                )
                self.wrong.append(located(reason, self.source, info.position))

    def _note(self, reason: str, message: TextMessage) -> None:
        self.wrong.append(located(reason, self.source, message.position))


def _stream_info(message: TextMessage) -> StreamInfoText:
    return StreamInfoText(
        tag_index=_text(message, "tag_index"),
        back_edge=_flag(message, "back_edge"),
        position=message.position,
    )


def _executor(message: TextMessage) -> ExecutorText:
    return ExecutorText(
        name=_text(message, "name"),
        type=_text(message, "type"),
        options=_message(message, "options"),
        position=message.position,
    )


# What follows takes what fits and leaves the rest: what does not fit is among the problems already.


def _entries(message: TextMessage, names: Iterable[str]) -> list[TextField]:
    entries: list[TextField] = []
    for name in names:
        entries += message.named(name)
    return entries


def _messages(message: TextMessage, name: str) -> tuple[TextMessage, ...]:
    values = message.values(name)
    return tuple(value for value in values if isinstance(value, TextMessage))


def _message(message: TextMessage, name: str) -> TextMessage:
    return _first(_messages(message, name), NO_MESSAGE)


def _decoded(entry: TextField) -> str | None:
    if isinstance(entry.value, bytes):
        return as_text(entry.value)
    return None


def _texts(message: TextMessage, name: str) -> list[str]:
    texts = map(_decoded, message.named(name))
    return [text for text in texts if text is not None]


def _text(message: TextMessage, name: str) -> str:
    return _first(_texts(message, name), "")


def _whole(message: TextMessage, name: str) -> int:
    values = message.values(name)
    return _first([value for value in values if type(value) is int], 0)


def _flag(message: TextMessage, name: str) -> bool:
    return bool(_first(list(map(as_flag, message.values(name))), False))


def _first(values: Iterable[Value], default: Value) -> Value:
    return next(iter(values), default)
