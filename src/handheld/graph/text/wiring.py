"""Who sends and who takes each stream and side packet of a graph, as its text says.

Here nothing is known of calculators, so graphs can be drawn and checked that nobody could run.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from handheld.graph.text.model import (
    GeneratorText,
    GraphText,
    NodeText,
    PortText,
    StreamInfoText,
    canonical_names,
)


@dataclass(frozen=True)
class PortUse:
    """A port of a node or of the graph itself.

    Attributes:
        node: its number among :func:`all_nodes`; None for the graph itself.
        port: with the name of the stream or side packet.
        canonical: the port's name, ``TAG``, ``TAG:1`` or ``0``.
    """

    node: int | None
    port: PortText
    canonical: str


@dataclass(frozen=True)
class Wires:
    """The streams of a graph, or its side packets.

    Attributes:
        term: what messages call one.
        sent: name -> who sends it; more than one is an error.
        taken: all that take one, in the order of the text.
    """

    term: str
    sent: Mapping[str, Sequence[PortUse]]
    taken: Sequence[PortUse]


@dataclass(frozen=True)
class GraphWiring:
    """All of a graph.

    Attributes:
        nodes: see :func:`all_nodes`.
        streams: of the graph.
        sides: its side packets.
        back: inputs that are marked as back edges, by node and port.
    """

    nodes: Sequence[NodeText]
    streams: Wires
    sides: Wires
    back: frozenset[tuple[int, str]]


@dataclass(frozen=True)
class Cycle:
    """A way around through side packets and through streams that are not marked as back edges.

    Attributes:
        closing: the input that closes it.
        side: whether that is one of a side packet.
        nodes: numbers of its nodes, the one with that input first, each followed by what it feeds.
    """

    closing: PortUse
    side: bool
    nodes: tuple[int, ...]


def all_nodes(graph: GraphText) -> list[NodeText]:
    """Return the nodes, and before them the packet generators, as nodes with side packets alone."""
    generators = [_generator_node(generator, graph.source) for generator in graph.generators]
    return [*generators, *graph.nodes]


def _generator_node(generator: GeneratorText, source: str) -> NodeText:
    return NodeText(
        calculator=generator.packet_generator,
        side_inputs=generator.side_inputs,
        side_outputs=generator.side_outputs,
        options=generator.options,
        source=source,
        position=generator.position,
    )


def unique_names(names: Sequence[str], joint: str = "_") -> list[str]:
    """Return names of which none stands twice: the second ``gate`` is ``gate_2``.

    In MediaPipe several nodes may have one name.
    """
    unique: list[str] = []
    used = set(names)
    numbers: dict[str, int] = {}
    for base in names:
        name = base
        numbers[base] = numbers.get(base, 0) + 1
        if numbers[base] > 1:
            name = f"{base}{joint}{numbers[base]}"
        # A node may be called ``gate_2`` by its text: that name is its own.
        while name != base and name in used:
            numbers[base] += 1
            name = f"{base}{joint}{numbers[base]}"
        used.add(name)
        unique.append(name)
    return unique


def canonical_of(info: StreamInfoText) -> str:
    """Return the port that a note on an input is about, as ``TAG``, ``TAG:1`` or ``0``."""
    tag, _, index = info.tag_index.partition(":")
    if not tag:
        return index or "0"
    if index in ("", "0"):
        return tag
    return f"{tag}:{index}"


def wiring(graph: GraphText) -> GraphWiring:
    """Return who sends and who takes what."""
    nodes = all_nodes(graph)
    streams = _Collector("stream")
    sides = _Collector("side packet")
    # The graph sends what enters it, and at the end takes what leaves it.
    streams.sends(None, graph.inputs)
    sides.sends(None, graph.side_inputs)
    back: set[tuple[int, str]] = set()
    for number, node in enumerate(nodes):
        streams.sends(number, node.outputs)
        streams.takes(number, node.inputs)
        sides.sends(number, node.side_outputs)
        sides.takes(number, node.side_inputs)
        back.update((number, canonical_of(info)) for info in node.stream_info if info.back_edge)
    streams.takes(None, graph.outputs)
    sides.takes(None, graph.side_outputs)
    return GraphWiring(nodes, streams.wires(), sides.wires(), frozenset(back))


@dataclass
class _Collector:
    term: str
    sent: dict[str, list[PortUse]] = field(default_factory=dict)
    taken: list[PortUse] = field(default_factory=list)

    def sends(self, node: int | None, ports: Sequence[PortText]) -> None:
        for use in _uses(node, ports):
            self.sent.setdefault(use.port.name, []).append(use)

    def takes(self, node: int | None, ports: Sequence[PortText]) -> None:
        self.taken += _uses(node, ports)

    def wires(self) -> Wires:
        return Wires(self.term, self.sent, self.taken)


def _uses(node: int | None, ports: Sequence[PortText]) -> list[PortUse]:
    named = zip(ports, canonical_names(ports), strict=True)
    return [PortUse(node, port, name) for port, name in named]


_Arc = tuple[int, PortUse]
"""From a node to the input of another."""


def cycles(graph: GraphWiring) -> Iterator[Cycle]:
    """Yield a cycle for each input without which there would be fewer."""
    arcs = _arcs(graph)
    # By identity: a stream and a side packet may be called the same.
    sides = {id(use) for use in graph.sides.taken}
    done: set[int] = set()
    for root in range(len(graph.nodes)):
        if root not in done:
            for closing, nodes in _cycles_from(root, arcs, done):
                yield Cycle(closing, id(closing) in sides, nodes)


def _cycles_from(
    root: int, arcs: Mapping[int, Sequence[PortUse]], done: set[int]
) -> Iterator[tuple[PortUse, tuple[int, ...]]]:
    """Go depth first from a node, with a stack of our own: a chain may be long."""
    path: dict[int, None] = {root: None}  # ordered, and a node is found in it at once
    stack: list[Iterator[PortUse]] = [iter(arcs.get(root, ()))]
    while stack:
        use = next(stack[-1], None)
        if use is None or use.node is None:
            stack.pop()
            last, _ = path.popitem()
            done.add(last)
        elif use.node in path:
            # It leads back to a node that we came through.
            nodes = list(path)
            yield use, tuple(nodes[nodes.index(use.node) :])
        elif use.node not in done:
            path[use.node] = None
            stack.append(iter(arcs.get(use.node, ())))


def _arcs(graph: GraphWiring) -> dict[int, list[PortUse]]:
    """Return node -> the inputs that it feeds, back edges aside."""
    arcs: dict[int, list[PortUse]] = {}
    for use in graph.streams.taken:
        if (use.node, use.canonical) not in graph.back:
            _add_arcs(arcs, graph.streams, use)
    for use in graph.sides.taken:
        _add_arcs(arcs, graph.sides, use)
    return arcs


def _add_arcs(arcs: dict[int, list[PortUse]], wires: Wires, use: PortUse) -> None:
    """Add an input to what those feed that send what it takes."""
    if use.node is None:
        return
    for sender in wires.sent.get(use.port.name, ()):
        if sender.node is not None:
            arcs.setdefault(sender.node, []).append(use)
