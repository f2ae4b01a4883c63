"""From a graph's description to a graph that runs: names become calculators."""

import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from handheld.errors import GraphTextError, HandheldError
from handheld.graph._suggest import suggestion
from handheld.graph.calculator import Calculator
from handheld.graph.config import BackEdge, GraphConfig, Node
from handheld.graph.contract import Contract, Ports
from handheld.graph.policies import DefaultPolicy, InputPolicy
from handheld.graph.text.files import read_graph_file
from handheld.graph.text.model import (
    DEFAULT_OUTPUT_HANDLER,
    GraphText,
    HandlerText,
    NodeText,
    PortText,
    canonical_names,
)
from handheld.graph.text.policies import input_policy
from handheld.graph.text.registry import Registry
from handheld.graph.text.subgraph import with_options, without_inputs
from handheld.graph.text.switches import registry_with_switches, with_switches
from handheld.graph.text.tokens import located
from handheld.graph.text.wiring import all_nodes, canonical_of, unique_names, wiring

MOST_NESTED = 50
"""Subgraphs in subgraphs."""

MOST_NODES = 100_000
"""Nodes of a graph, those of its subgraphs among them: ten subgraphs of ten nodes each, ten times
in each other, would be more than memory is for.
"""

_MOST_LISTED = 100  # of what is not registered


def load_graph(
    graph: GraphText | str | os.PathLike[str],
    registry: Registry,
    *,
    left_out: Collection[str] = (),
    left_out_sides: Collection[str] | None = None,
) -> GraphConfig:
    """Make a graph that runs of its description.

    Subgraphs become graphs in nodes, inputs of ``input_stream_info`` with ``back_edge`` become
    :class:`~handheld.graph.BackEdge`, input stream handlers input policies. What the description
    says of threads, queues and executors is for :class:`~handheld.graph.Graph`, see
    :func:`~handheld.graph.text.run_settings`.

    >>> from handheld.graph import Graph
    >>> from handheld.graph.text import LIBRARY, load_graph, parse_graph
    >>> text = '''
    ... input_stream: "a"
    ... node { calculator: "PassThroughCalculator" input_stream: "a" output_stream: "b" }
    ... '''
    >>> with Graph(load_graph(parse_graph(text), LIBRARY)) as graph:
    ...     passed = graph.output("b")
    ...     graph.add("a", "hello", timestamp=0)
    ...     next(passed).payload
    'hello'

    Args:
        graph: a description, or a file: in MediaPipe's text format, ``.json`` or ``.toml``.
        registry: calculators and subgraphs by their names.
        left_out: the graph's own inputs and side inputs that nobody will feed, by port (``TAG``) or
            name, as MediaPipe allows where the calculators do.
        left_out_sides: the same of side inputs alone, where a stream has the name of one; None
            takes those of ``left_out``.

    Raises:
        GraphTextError: a name is not registered (all of them are named), options, ports or a
            handler are not those that a calculator takes; says file, line and column.
        GraphValidationError: a calculator's contract is wrong.
    """
    text = graph
    if not isinstance(text, GraphText):
        text = read_graph_file(text)
    registry = registry_with_switches(registry)
    text = with_switches(text, registry)
    # All at once: whoever ports a graph wants the whole list of what to write.
    unregistered = list(find_unregistered(text, registry))
    if unregistered:
        raise _not_registered(unregistered, registry)
    # Before any is made: a few small files, each in the next, make more nodes than memory holds.
    _count_nodes(text, registry, (), {})
    if left_out_sides is None:
        left_out_sides = left_out
    text = without_inputs(_with_side_inputs(text), left_out, left_out_sides)
    return _config(with_options(text, None), registry)


@dataclass(frozen=True)
class Unregistered:
    """A name that nobody registered.

    Attributes:
        name: of a calculator, subgraph or packet generator.
        source: file or other name of the text.
        line: where a node has it.
        column: where a node has it.
    """

    name: str
    source: str
    line: int
    column: int


def find_unregistered(graph: GraphText, registry: Registry) -> Iterator[Unregistered]:
    """Yield each name in a graph, and in its subgraphs, that a registry does not have."""
    seen: set[str] = set()
    stack = [graph]
    while stack:
        text = stack.pop()
        for name, source, position in _named(text):
            registered = registry.resolve(name, text.package)
            if not registered:
                yield Unregistered(name, source, position.line, position.column)
            elif registered in registry.subgraphs and registered not in seen:
                seen.add(registered)
                stack.append(registry.subgraphs[registered])


def _named(graph: GraphText) -> Iterator[tuple[str, str, Any]]:
    for node in graph.nodes:
        yield node.calculator, node.source, node.position
    for generator in graph.generators:
        yield generator.packet_generator, graph.source, generator.position


def _count_nodes(
    graph: GraphText, registry: Registry, above: tuple[str, ...], counts: dict[str, int]
) -> int:
    """Return the number of nodes of a graph.

    Raises :class:`GraphTextError` for a subgraph in itself, and for more than a graph may have.

    Args:
        graph: whose names are all registered.
        registry: with its subgraphs.
        above: types of the subgraphs around it.
        counts: type -> nodes, of subgraphs that were counted: each is counted once.
    """
    count = len(graph.generators)
    for node in graph.nodes:
        name = registry.resolve(node.calculator, graph.package)
        if name in registry.calculators:
            count += 1
        elif name in above or len(above) > MOST_NESTED:
            chain = " in ".join([name, *reversed(above)])
            reason = f"subgraphs in each other without end, or more than {MOST_NESTED}: {chain}"
            raise located(reason, node.source, node.position)
        else:
            if name not in counts:
                inner = registry.subgraphs[name]
                counts[name] = _count_nodes(inner, registry, (*above, name), counts)
            count += counts[name]
        if count > MOST_NODES:
            reason = f"expected a graph of at most {MOST_NODES:,} nodes"
            raise located(reason, node.source, node.position)
    return count


def _not_registered(entries: list[Unregistered], registry: Registry) -> GraphTextError:
    """Return an error that names each name once, with the lines in which it stands."""
    first = entries[0]
    lines: dict[str, list[str]] = {}
    for entry in entries:
        line = f"line {entry.line}"
        if entry.source != first.source:
            line = f"{entry.source}:{entry.line}"
        lines.setdefault(entry.name, []).append(line)
    listed = [f"{name!r} ({_shortened(numbers)})" for name, numbers in lines.items()]
    close = get_close_matches(first.name, list(registry), n=1)
    hint = ""
    if len(lines) == 1 and close:
        hint = f"; did you mean {close[0]!r}?"
    return GraphTextError(
        f"{len(lines)} not registered: {_shortened(listed, joint='; ')}{hint}",
        source=first.source,
        line=first.line,
        column=first.column,
    )


def _shortened(texts: list[str], joint: str = ", ") -> str:
    """Return a list in words, which may be long but no page."""
    listed = texts[:_MOST_LISTED]
    if len(texts) > _MOST_LISTED:
        listed.append(f"{len(texts) - _MOST_LISTED} more")
    return joint.join(listed)


def _with_side_inputs(graph: GraphText) -> GraphText:
    """Return a graph that declares every side packet which none of its nodes makes.

    As MediaPipe's, the text of a graph that runs by itself may leave them out.
    """
    sides = wiring(graph).sides
    missing: dict[str, PortText] = {}
    for use in sides.taken:
        name = use.port.name
        if name not in sides.sent:
            missing[name] = PortText(name=name, position=use.port.position)
    return replace(graph, side_inputs=(*graph.side_inputs, *missing.values()))


def problems_of_nodes(graph: GraphText, registry: Registry) -> Iterator[GraphTextError]:
    """Yield what is wrong with options, ports and handlers of the nodes that are registered.

    Args:
        graph: of which other nodes may not be registered.
        registry: calculators and subgraphs by their names.
    """
    try:
        registry = registry_with_switches(registry)
        graph = with_switches(graph, registry)
    except GraphTextError as error:
        yield error
        return
    for node in all_nodes(with_options(graph, None)):
        if graph.type and node.option_values:
            # Whoever uses the graph says what its options are.
            continue
        builder = _Builder(node, graph, registry)
        registered = registry.resolve(node.calculator, graph.package)
        try:
            if registered in registry.subgraphs:
                builder.subgraph_wires(registry.subgraphs[registered])
            elif registered:
                builder.node("")
        except GraphTextError as error:
            yield error
        except HandheldError as error:
            yield located(f"{node.title}: {error}", node.source, node.position)


def _config(graph: GraphText, registry: Registry) -> GraphConfig:
    if graph.output_stream_handler is not None:
        _require_in_order(graph.output_stream_handler, graph.source)
    names = _node_names(graph)
    nodes: list[Node] = []
    for name, node in zip(names, all_nodes(graph), strict=True):
        nodes.append(_Builder(node, graph, registry).node(name))
    return GraphConfig(
        nodes=nodes,
        inputs=_types(graph.inputs),
        outputs=[port.name for port in graph.outputs],
        side_inputs=_types(graph.side_inputs),
        side_outputs=[port.name for port in graph.side_outputs],
        name=graph.type or Path(graph.source).stem or "graph",
    )


def _types(ports: tuple[PortText, ...]) -> dict[str, Any]:
    # Of any type: the text does not say which, and the calculators behind check it.
    return {port.name: object for port in ports}


def _node_names(graph: GraphText) -> list[str]:
    """Name each node: as its text says, or after its calculator."""
    return unique_names([node.name or _snake_case(node.calculator) for node in all_nodes(graph)])


def _snake_case(calculator: str) -> str:
    name = re.split(r"[.:]", calculator.removesuffix("Calculator"))[-1] or calculator
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


@dataclass(frozen=True)
class _Builder:
    """Makes the node of a graph of its text."""

    text: NodeText
    graph: GraphText
    registry: Registry

    def node(self, name: str) -> Node:
        registered = self.registry.resolve(self.text.calculator, self.graph.package)
        if registered in self.registry.calculators:
            return self._calculator(name, registered)
        return self._subgraph(name, self.registry.subgraphs[registered])

    def _calculator(self, name: str, registered: str) -> Node:
        entry = self.registry.calculators[registered]
        calculator = entry.make(self.text)
        contract = calculator.contract
        wires = self._wires(contract, entry.ports)
        return Node(
            calculator,
            inputs=self._with_back_edges(wires.inputs),
            outputs=_stream_by_port(wires.outputs),
            side_inputs=_stream_by_port(wires.side_inputs),
            side_outputs=_stream_by_port(wires.side_outputs),
            name=name,
            policy=self._policy(calculator, entry.ports),
            **self._placement(),
        )

    def _subgraph(self, name: str, graph: GraphText) -> Node:
        text = self.text
        open_inputs = _open_ports(graph.inputs, text.inputs)
        open_sides = _open_ports(graph.side_inputs, text.side_inputs)
        graph = with_options(without_inputs(graph, open_inputs, open_sides), text)
        wires = self.subgraph_wires(graph)
        return Node(
            _config(graph, self.registry),
            inputs=_renamed(self._with_back_edges(wires.inputs), graph, graph.inputs),
            outputs=_renamed(_stream_by_port(wires.outputs), graph, graph.outputs),
            side_inputs=_renamed(_stream_by_port(wires.side_inputs), graph, graph.side_inputs),
            side_outputs=_renamed(_stream_by_port(wires.side_outputs), graph, graph.side_outputs),
            name=name,
        )

    def subgraph_wires(self, graph: GraphText) -> "_NodeWires":
        """Return what is connected to the ports of a subgraph. Raises :class:`GraphTextError`."""
        contract = Contract(
            inputs=_by_port(graph.inputs),
            outputs=_by_port(graph.outputs),
            side_inputs=_by_port(graph.side_inputs),
            side_outputs=_by_port(graph.side_outputs),
            # What nobody feeds is left out of it.
            optional=frozenset(canonical_names(graph.inputs))
            | frozenset(canonical_names(graph.side_inputs)),
        )
        return self._wires(contract, {})

    def _wires(self, contract: Contract, renamed: Mapping[str, str]) -> "_NodeWires":
        text = self.text
        wires = _NodeWires(
            inputs=self._connected("input stream", text.inputs, contract.inputs, renamed),
            outputs=self._connected("output stream", text.outputs, contract.outputs, renamed),
            side_inputs=self._connected(
                "input side packet", text.side_inputs, contract.side_inputs, renamed
            ),
            side_outputs=self._connected(
                "output side packet", text.side_outputs, contract.side_outputs, renamed
            ),
        )
        self._require("input stream", contract, contract.inputs, wires.inputs)
        self._require("input side packet", contract, contract.side_inputs, wires.side_inputs)
        return wires

    def _connected(
        self, term: str, ports: tuple[PortText, ...], declared: Ports, renamed: Mapping[str, str]
    ) -> list["_Connected"]:
        """Return the port of the calculator for each port of the text."""
        connected: dict[str, _Connected] = {}
        for canonical, port in zip(canonical_names(ports), ports, strict=True):
            name = port_name(canonical, list(declared), renamed)
            if name is None:
                reason = (
                    f"{self.text.title} has no {term} {canonical}"
                    f"{suggestion(canonical, map(str.upper, declared))}"
                )
                raise located(reason, self.text.source, port.position)
            if name in connected:
                reason = (
                    f"{self.text.title}: {term} {canonical} is the same port as "
                    f"{connected[name].canonical}"
                )
                raise located(reason, self.text.source, port.position)
            connected[name] = _Connected(canonical, name, port.name)
        return list(connected.values())

    def _require(
        self, term: str, contract: Contract, declared: Ports, connected: list["_Connected"]
    ) -> None:
        names = {entry.port for entry in connected}
        for port in declared:
            if port not in names and port not in contract.optional:
                reason = f"{self.text.title}: {term} {port.upper()} is not connected"
                raise located(reason, self.text.source, self.text.position)

    def _with_back_edges(self, inputs: list["_Connected"]) -> dict[str, str]:
        back = {canonical_of(info) for info in self.text.stream_info if info.back_edge}
        streams: dict[str, str] = {}
        for entry in inputs:
            stream = entry.stream
            if entry.canonical in back:
                stream = BackEdge(stream)
            streams[entry.port] = stream
        return streams

    def _policy(self, calculator: Calculator, renamed: Mapping[str, str]) -> InputPolicy | None:
        """Return the policy that the text says; None leaves the calculator its own."""
        if self.text.output_stream_handler is not None:
            _require_in_order(self.text.output_stream_handler, self.text.source)
        handler = self.text.input_stream_handler
        if handler is None:
            handler = self.graph.input_stream_handler
            # A calculator with a policy of its own cannot do with that of all others.
            if handler is None or not isinstance(calculator.contract.policy, DefaultPolicy):
                return None
        return input_policy(handler, self._port_of(calculator.contract, renamed), self.text.source)

    def _port_of(self, contract: Contract, renamed: Mapping[str, str]) -> Any:
        def port_of(canonical: str) -> str:
            name = port_name(canonical, list(contract.inputs), renamed)
            if name is None:
                reason = f"{self.text.title} has no input stream {canonical}"
                raise located(reason, self.text.source, self.text.position)
            return name

        return port_of

    def _placement(self) -> dict[str, Any]:
        """Return where and when it runs."""
        text = self.text
        return {
            # What is the default, MediaPipe leaves out or writes as 0.
            "max_in_flight": max(1, text.max_in_flight),
            "source_layer": max(0, text.source_layer),
            "executor": text.executor,
        }


@dataclass(frozen=True)
class _NodeWires:
    inputs: list["_Connected"]
    outputs: list["_Connected"]
    side_inputs: list["_Connected"]
    side_outputs: list["_Connected"]


@dataclass(frozen=True)
class _Connected:
    """A port in the text, the same of the calculator, and what is connected to it."""

    canonical: str
    port: str
    stream: str


def _stream_by_port(connected: list[_Connected]) -> dict[str, str]:
    return {entry.port: entry.stream for entry in connected}


def _open_ports(declared: tuple[PortText, ...], connected: tuple[PortText, ...]) -> set[str]:
    return set(canonical_names(declared)) - set(canonical_names(connected))


def _by_port(ports: tuple[PortText, ...]) -> dict[str, Any]:
    return dict.fromkeys(canonical_names(ports), object)


def _renamed(
    streams: Mapping[str, str], graph: GraphText, inner: tuple[PortText, ...]
) -> dict[str, str]:
    """Return name inside of a subgraph -> name outside. Raises :class:`GraphTextError`."""
    ports = dict(zip(canonical_names(inner), inner, strict=True))
    renamed: dict[str, str] = {}
    for canonical, stream in streams.items():
        port = ports[canonical]
        # Ours go by the stream inside, a text's by tags: two tags of one stream would be one port.
        if port.name in renamed:
            reason = (
                f"subgraph {graph.type!r}: two of its ports are {port.name!r} inside; put a "
                "PassThrough between one of them and it"
            )
            raise located(reason, graph.source, port.position)
        renamed[port.name] = stream
    return renamed


def port_name(canonical: str, declared: list[str], renamed: Mapping[str, str]) -> str | None:
    """Return the port of a calculator that a port of a text means; None if it has no such port.

    >>> port_name("IN:1", ["in0", "in1"], {}), port_name("0", ["image"], {})
    ('in1', 'image')

    Args:
        canonical: port in a text, ``TAG``, ``TAG:1``, or ``0`` for the first without a tag.
        declared: ports of the calculator.
        renamed: port in a text -> port of the calculator, where the names do not tell.
    """
    if canonical in renamed:
        return renamed[canonical]
    lower = canonical.lower().replace(":", "")
    # in0 for IN: our numbered ports begin at 0, MediaPipe's tag of index 0 has no number.
    for candidate in (canonical, lower, f"{lower}0"):
        if candidate in declared:
            return candidate
    if canonical.isdigit() and int(canonical) < len(declared):
        return declared[int(canonical)]
    return None


def _require_in_order(handler: HandlerText, source: str) -> None:
    if handler.type != DEFAULT_OUTPUT_HANDLER:
        reason = f"no output stream handler {handler.type!r}; there is {DEFAULT_OUTPUT_HANDLER!r}"
        raise located(reason, source, handler.position)
