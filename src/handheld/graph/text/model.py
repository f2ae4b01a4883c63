"""A graph as its text says it: values without a calculator in them.

The names of fields follow ours where they mean the same (``inputs``, ``side_outputs``), else those
of MediaPipe's ``calculator.proto``. Two values are equal if their texts mean the same.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from handheld.errors import InputError
from handheld.graph.text.message import NO_MESSAGE, TextMessage
from handheld.graph.text.tokens import NOWHERE, TextPosition
from handheld.ranges import whole_in_range

_TAG = re.compile(r"[A-Z_][A-Z0-9_]*")
# MediaPipe takes [a-z_][a-z0-9_]* alone. Streams of ours may be called otherwise; a check warns.
_NAME = re.compile(r"[^\s:\"'%@\0]+")
_INDEX = re.compile(r"0|[1-9][0-9]{0,4}")
MOST_INDEX = 10_000
"""The largest index of a tag, as in MediaPipe."""

DEFAULT_HANDLER = "DefaultInputStreamHandler"
DEFAULT_OUTPUT_HANDLER = "InOrderOutputStreamHandler"


@dataclass(frozen=True, kw_only=True)
class PortText:
    """A stream or side packet where a node or a graph names it: ``TAG:index:name``.

    Attributes:
        name: of the stream or side packet.
        tag: in upper case; empty for one that goes by its order.
        index: among those of one tag; None where the text has none, which means 0 behind a tag,
            and the next number without one.
        position: in the text.

    Raises:
        InputError: ``index`` is outside [0, 10000].
    """

    name: str
    tag: str = ""
    index: int | None = None
    position: TextPosition = field(default=NOWHERE, compare=False)

    def __post_init__(self) -> None:
        if self.index is not None:
            whole_in_range("index", self.index, low=0, high=MOST_INDEX)

    def __str__(self) -> str:
        if self.index is not None:
            return f"{self.tag}:{self.index}:{self.name}"
        if self.tag:
            return f"{self.tag}:{self.name}"
        return self.name


def parse_port(text: str, position: TextPosition = NOWHERE) -> PortText:
    """Read ``name``, ``TAG:name`` or ``TAG:index:name``.

    >>> parse_port("CLONE:1:image")
    PortText(name='image', tag='CLONE', index=1, position=TextPosition(line=0, column=0))

    Raises:
        InputError: it is none of these.
    """
    pieces = text.split(":")
    tag = ""
    if len(pieces) > 1:
        tag = pieces[0]
    # Not "": an index that is left out is right, one that is empty is not.
    index = "0"
    if len(pieces) == 3:
        index = pieces[1]
    is_port = len(pieces) <= 3 and _NAME.fullmatch(pieces[-1])
    if not is_port or not _is_tag_index(tag, index):
        advice = ""
        if "%" in text or "@" in text:
            advice = "; templates, which MediaPipe fills in, are not read"
        raise InputError(
            f"expected name, TAG:name or TAG:index:name, got {text[:80]!r}{advice}; tags have "
            f"upper-case letters, digits and _, indices are at most {MOST_INDEX}"
        )
    explicit = None
    if len(pieces) == 3:
        explicit = int(index)
    return PortText(name=pieces[-1], tag=tag, index=explicit, position=position)


def parse_tag_index(text: str) -> tuple[str, int]:
    """Read ``TAG``, ``TAG:index``, ``:index`` or nothing. Raises :class:`InputError`."""
    tag, colon, index = text.partition(":")
    if not _is_tag_index(tag, index if colon else "0"):
        raise InputError(f"expected TAG, TAG:index or :index, got {text[:80]!r}")
    return tag, int(index or 0)


def _is_tag_index(tag: str, index: str) -> bool:
    has_tag = not tag or _TAG.fullmatch(tag)
    return bool(has_tag and _INDEX.fullmatch(index) and int(index) <= MOST_INDEX)


@dataclass(frozen=True)
class StreamInfoText:
    """What is said of an input beside its name.

    Attributes:
        tag_index: ``TAG``, ``TAG:index`` or ``:index``; empty for the first without a tag.
        back_edge: whether it takes from further down the graph.
        position: in the text.
    """

    tag_index: str = ""
    back_edge: bool = False
    position: TextPosition = field(default=NOWHERE, compare=False)


@dataclass(frozen=True)
class HandlerText:
    """The handler of inputs (our input policy) or outputs of a node or of all nodes.

    Attributes:
        type: name of the handler.
        options: messages in brackets.
        side_inputs: of a handler of outputs.
        position: in the text.
    """

    type: str = DEFAULT_HANDLER
    options: TextMessage = NO_MESSAGE
    side_inputs: tuple[PortText, ...] = ()
    position: TextPosition = field(default=NOWHERE, compare=False)


@dataclass(frozen=True)
class ExecutorText:
    """An executor, to which nodes refer by its name; the one without a name is for the others."""

    name: str = ""
    type: str = ""
    options: TextMessage = NO_MESSAGE
    position: TextPosition = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, kw_only=True)
class NodeText:
    """A node: a calculator or subgraph by its registered name, and what it is connected to.

    Attributes:
        calculator: registered name of a calculator or subgraph.
        name: of the node; may be empty.
        inputs: input streams.
        outputs: output streams.
        side_inputs: input side packets.
        side_outputs: output side packets.
        stream_info: which inputs are back edges.
        options: messages in brackets, each ``[package.XOptions.ext] {}``.
        node_options: messages, each ``{[type.googleapis.com/package.XOptions] {}}``.
        option_values: ``field:path`` of options taken from those of the graph around.
        source_layer: of a source: those of lower layers come to their end first.
        buffer_size_hint: packets that it gathers before it sends any.
        input_stream_handler: its input policy; None for that of the graph.
        output_stream_handler: None for that of the graph.
        executor: name of its executor.
        max_in_flight: calls at a time; 0 is 1.
        profiler_config: as it stands.
        source: file or other name of the text.
        position: in the text.
    """

    calculator: str
    name: str = ""
    inputs: tuple[PortText, ...] = ()
    outputs: tuple[PortText, ...] = ()
    side_inputs: tuple[PortText, ...] = ()
    side_outputs: tuple[PortText, ...] = ()
    stream_info: tuple[StreamInfoText, ...] = ()
    options: TextMessage = NO_MESSAGE
    node_options: tuple[TextMessage, ...] = ()
    option_values: tuple[str, ...] = ()
    source_layer: int = 0
    buffer_size_hint: int = 0
    input_stream_handler: HandlerText | None = None
    output_stream_handler: HandlerText | None = None
    executor: str = ""
    max_in_flight: int = 0
    profiler_config: TextMessage = NO_MESSAGE
    source: str = field(default="", compare=False)
    position: TextPosition = field(default=NOWHERE, compare=False)

    @property
    def title(self) -> str:
        """Return what messages call it."""
        if self.name:
            return f"{self.calculator} {self.name!r}"
        return self.calculator


@dataclass(frozen=True, kw_only=True)
class GeneratorText:
    """A packet generator, the older form of a calculator with side packets alone."""

    packet_generator: str
    side_inputs: tuple[PortText, ...] = ()
    side_outputs: tuple[PortText, ...] = ()
    options: TextMessage = NO_MESSAGE
    position: TextPosition = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, kw_only=True)
class GraphText:
    """A graph as its text says it.

    Attributes:
        nodes: in the order of the text.
        inputs: streams that enter.
        outputs: streams that leave.
        side_inputs: side packets that enter.
        side_outputs: side packets that leave.
        type: name by which other graphs use it as a subgraph.
        package: in which the names of its calculators are looked up first.
        executors: by name, for nodes.
        num_threads: 0 leaves it to whoever runs it.
        max_queue_size: packets; 0 is the default (100), -1 is no limit.
        report_deadlock: full queues with nothing to run are an error; else they grow.
        input_stream_handler: the input policy of nodes without one.
        output_stream_handler: as that of nodes.
        generators: packet generators.
        options: messages in brackets.
        graph_options: messages; the defaults of what a node that uses this graph may say.
        packet_factories: as they stand.
        status_handlers: as they stand.
        runtime_info: as it stands.
        profiler_config: as it stands.
        source: file or other name of the text.
    """

    nodes: tuple[NodeText, ...] = ()
    inputs: tuple[PortText, ...] = ()
    outputs: tuple[PortText, ...] = ()
    side_inputs: tuple[PortText, ...] = ()
    side_outputs: tuple[PortText, ...] = ()
    type: str = ""
    package: str = ""
    executors: tuple[ExecutorText, ...] = ()
    num_threads: int = 0
    max_queue_size: int = 0
    report_deadlock: bool = False
    input_stream_handler: HandlerText | None = None
    output_stream_handler: HandlerText | None = None
    generators: tuple[GeneratorText, ...] = ()
    options: TextMessage = NO_MESSAGE
    graph_options: tuple[TextMessage, ...] = ()
    packet_factories: tuple[TextMessage, ...] = ()
    status_handlers: tuple[TextMessage, ...] = ()
    runtime_info: TextMessage = NO_MESSAGE
    profiler_config: TextMessage = NO_MESSAGE
    source: str = field(default="", compare=False)


def canonical_names(ports: Iterable[PortText]) -> tuple[str, ...]:
    """Return the port of each stream: ``TAG`` for index 0, ``TAG:1`` for others.

    Those without a tag are ``0``, ``1``, ... Contracts of calculators that stand under MediaPipe's
    names call their ports so.

    >>> canonical_names(map(parse_port, ["a", "IMAGE:b", "IMAGE:1:c", "d"]))
    ('0', 'IMAGE', 'IMAGE:1', '1')
    """
    names: list[str] = []
    untagged = 0
    for port in ports:
        if port.tag:
            names.append(canonical_name(port.tag, port.index or 0))
            continue
        index = untagged
        if port.index is not None:
            index = port.index
        names.append(canonical_name("", index))
        # One that says its index moves the count for those behind it.
        untagged = index + 1
    return tuple(names)


def canonical_name(tag: str, index: int) -> str:
    """Return the name of a port, see :func:`canonical_names`."""
    if not tag:
        return str(index)
    # Index 0 is left out, so that ``TAG`` and ``TAG:0`` are one port.
    if index == 0:
        return tag
    return f"{tag}:{index}"
