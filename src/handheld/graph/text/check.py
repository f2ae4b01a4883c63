"""All that is wrong with a graph's text, not only the first of it."""

import os
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Literal

from handheld.errors import GraphTextError
from handheld.graph._suggest import suggestion
from handheld.graph.executors import INLINE
from handheld.graph.text.files import is_table, read_graph_file
from handheld.graph.text.load import problems_of_nodes
from handheld.graph.text.message import TextField, parse_message
from handheld.graph.text.model import GraphText, NodeText, PortText
from handheld.graph.text.read import inspect_graph, read_text
from handheld.graph.text.registry import Registry
from handheld.graph.text.settings import run_settings
from handheld.graph.text.switches import contained_nodes
from handheld.graph.text.tokens import TextPosition
from handheld.graph.text.wiring import Cycle, GraphWiring, PortUse, Wires, cycles, wiring

# As MediaPipe's validate_name.cc has it.
_MEDIAPIPE_NAME = re.compile(r"[a-z_][a-z0-9_]*")
# More would be a page for each, and a text of a hostile graph could have a million.
_MOST_CYCLES = 100
_MOST_NAMED = 12  # nodes of a cycle
# Names among which one is looked for that was misspelt: it takes 20 microseconds for each.
_MOST_KNOWN = 1_000
# Executors that nobody declares: MediaPipe makes one for the GPU, and we the other.
_MADE_EXECUTORS = ("", "gpu", INLINE)


Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class GraphFinding:
    """Something about a graph's text.

    Attributes:
        severity: with an error the graph cannot run; with a warning it can, but hardly as meant; a
            note says what is easily overlooked.
        reason: what was expected, and what stands there.
        source: file or other name of the text.
        line: from 1; 0 where it is about the whole text.
        column: from 1.
    """

    severity: Severity
    reason: str
    source: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        location = f"{self.source or '<text>'}:{self.line}:{self.column}"
        return f"{location}: {self.severity}: {self.reason}"


@dataclass(frozen=True)
class ListedNode:
    """A node by its calculator.

    Attributes:
        calculator: as the text has it.
        registered: the name under which a registry has it, which may be a pattern; empty if it has
            none.
        line: from 1.
        column: from 1.
    """

    calculator: str
    registered: str
    line: int
    column: int


@dataclass(frozen=True)
class GraphCheck:
    """What a check says.

    Attributes:
        findings: in the order of the text.
        nodes: all of them, packet generators among them; of what switch containers contain, what is
            not registered.
        graph: as far as it could be read; None for what is no text of that format.
    """

    findings: Sequence[GraphFinding]
    nodes: Sequence[ListedNode]
    graph: GraphText | None

    @property
    def ok(self) -> bool:
        """Whether there is no error; what is not registered is none."""
        return not any(finding.severity == "error" for finding in self.findings)

    @property
    def unregistered(self) -> list[ListedNode]:
        """The nodes whose calculators are not registered."""
        return [node for node in self.nodes if not node.registered]


def check_file(path: str | os.PathLike[str], registry: Registry) -> GraphCheck:
    """Check a file in MediaPipe's text format, JSON or TOML, see :func:`check_text`.

    That it cannot be read is a finding too.
    """
    source = os.fspath(path)
    try:
        if is_table(path):
            return _checked(read_graph_file(path), [], registry)
        text = read_text(path)
    except GraphTextError as error:
        return GraphCheck([_error(error)], [], None)
    return check_text(text, registry, source)


def check_text(text: str, registry: Registry, source: str = "") -> GraphCheck:
    """Check a graph: fields, names, who sends and takes what, cycles, options and ports.

    >>> from handheld.graph.text.library import LIBRARY
    >>> check = check_text("node { calculator: 'Mine' input_stream: 'a' }", LIBRARY, "my.pbtxt")
    >>> print(*check.findings, sep="\\n")
    my.pbtxt:1:41: error: unknown stream 'a' (Mine); there are none
    >>> [node.calculator for node in check.unregistered]
    ['Mine']

    Args:
        text: in MediaPipe's format.
        registry: of what it names the calculators that are not there; the options and ports of
            those that are, it checks.
        source: file or other name.
    """
    try:
        message = parse_message(text, source)
    except GraphTextError as error:
        return GraphCheck([_error(error)], [], None)
    graph, wrong = inspect_graph(message, source)
    return _checked(graph, wrong, registry)


def _checked(graph: GraphText, wrong: Sequence[GraphTextError], registry: Registry) -> GraphCheck:
    findings = list(map(_error, wrong))
    # Where fields are misspelt, nodes may be missing for that alone.
    if graph.nodes or not wrong:
        findings += check_graph(graph, registry)
    # Stable: what stands at one place comes in the order in which it was looked for.
    findings.sort(key=lambda finding: (finding.line, finding.column))
    nodes: list[ListedNode] = []
    for node in wiring(graph).nodes:
        registered = registry.resolve(node.calculator, graph.package)
        nodes.append(ListedNode(node.calculator, registered, *node.position))
    nodes += [
        ListedNode(node.calculator, "", *node.position)
        for node in contained_nodes(graph, registry)
        if not registry.resolve(node.calculator, graph.package)
    ]
    return GraphCheck(findings, nodes, graph)


def check_graph(graph: GraphText, registry: Registry) -> Iterator[GraphFinding]:
    """Yield what is wrong with a graph that could be read, in no order."""
    wires = wiring(graph)
    if not wires.nodes:
        yield GraphFinding("error", "a graph without nodes", graph.source)
    for check in _CHECKS:
        yield from check(graph, wires)
    for error in problems_of_nodes(graph, registry):
        yield _error(error)


def _two_senders(graph: GraphText, wires: GraphWiring) -> Iterator[GraphFinding]:
    for family in (wires.streams, wires.sides):
        for name, senders in family.sent.items():
            for second in senders[1:]:
                first = senders[0]
                reason = (
                    f"{family.term} {name!r} has two producers: {_title(wires, first)} in line "
                    f"{first.port.position.line}, and {_title(wires, second)}"
                )
                yield _at(graph, "error", reason, second.port.position)


def _unknown_names(graph: GraphText, wires: GraphWiring) -> Iterator[GraphFinding]:
    for use in wires.streams.taken:
        if use.port.name not in wires.streams.sent:
            reason = (
                f"unknown stream {use.port.name!r} ({_title(wires, use)})"
                f"{_hint(use.port.name, wires.streams.sent)}"
            )
            yield _at(graph, "error", reason, use.port.position)
    for use in wires.sides.taken:
        if use.port.name not in wires.sides.sent:
            # As MediaPipe's: declaring what comes from outside is left to the author.
            reason = (
                f"side packet {use.port.name!r} ({_title(wires, use)}) has to come from outside; "
                "no input_side_packet of the graph says so"
            )
            yield _at(graph, "note", reason, use.port.position)


def _hint(name: str, known: Collection[str]) -> str:
    return suggestion(name, known) if len(known) <= _MOST_KNOWN else ""


def _unused_names(graph: GraphText, wires: GraphWiring) -> Iterator[GraphFinding]:
    for family in (wires.streams, wires.sides):
        taken = {use.port.name for use in family.taken}
        for name, senders in family.sent.items():
            if name not in taken:
                reason = f"nobody takes {family.term} {name!r} of {_title(wires, senders[0])}"
                yield _at(graph, "warning", reason, senders[0].port.position)


def _cycles(graph: GraphText, wires: GraphWiring) -> Iterator[GraphFinding]:
    for cycle in islice(cycles(wires), _MOST_CYCLES):
        yield _at(graph, "error", _cycle(wires, cycle), cycle.closing.port.position)


def _cycle(wires: GraphWiring, cycle: Cycle) -> str:
    around = [wires.nodes[number].title for number in (*cycle.nodes, cycle.nodes[0])]
    if len(around) > _MOST_NAMED:
        half = _MOST_NAMED // 2
        around = [*around[:half], f"{len(around) - 2 * half} more", *around[-half:]]
    names = " -> ".join(around)
    if cycle.side:
        return (
            f"a cycle: {names}, closed by side packet {cycle.closing.port.name!r}, without which "
            "its node does not open; a stream of the cycle can be a back edge"
        )
    canonical = cycle.closing.canonical
    tag_index = f":{canonical}" if canonical.isdigit() else canonical
    return (
        f"a cycle: {names}, closed by stream {cycle.closing.port.name!r}; if it is meant, say "
        f'input_stream_info {{ tag_index: "{tag_index}" back_edge: true }}'
    )


def _indices(graph: GraphText, wires: GraphWiring) -> Iterator[GraphFinding]:
    """Find tags whose indices leave some out, which MediaPipe refuses."""
    groups: dict[tuple[int | None, str, bool], list[PortUse]] = {}
    for use, sends in _all_uses(wires):
        groups.setdefault((use.node, use.port.tag, sends), []).append(use)
    for uses in groups.values():
        indices = sorted(_index(use) for use in uses)
        if indices != list(range(len(uses))):
            tag = uses[0].port.tag or "ports without a tag"
            reason = f"indices of {tag} are {indices}, expected 0 to {len(uses) - 1}"
            yield _at(graph, "error", reason, uses[0].port.position)


def _all_uses(wires: GraphWiring) -> Iterator[tuple[PortUse, bool]]:
    """Yield each use of a stream, and whether it is one that sends."""
    for use in wires.streams.taken:
        yield use, False
    for senders in wires.streams.sent.values():
        for use in senders:
            yield use, True


def _index(use: PortUse) -> int:
    if use.canonical.isdigit():
        return int(use.canonical)
    return use.port.index or 0


def _names(graph: GraphText, wires: GraphWiring) -> Iterator[GraphFinding]:
    seen: set[str] = set()
    for family in (wires.streams, wires.sides):
        for port in _ports(family):
            if port.name not in seen and not _MEDIAPIPE_NAME.fullmatch(port.name):
                reason = (
                    f"{port.name!r}: MediaPipe itself takes names of lower-case letters, digits "
                    "and _ alone"
                )
                yield _at(graph, "warning", reason, port.position)
            seen.add(port.name)


def _ports(family: Wires) -> Iterator[PortText]:
    for senders in family.sent.values():
        for use in senders:
            yield use.port
    for use in family.taken:
        yield use.port


def _option_forms(graph: GraphText, wires: GraphWiring) -> Iterator[GraphFinding]:
    """Find options in the brackets of the other form, which we read and MediaPipe refuses."""
    for node in graph.nodes:
        for entry in node.options:
            if "/" in entry.name:
                reason = _other_form(node, entry, "options", "[package.XOptions.ext]")
                yield _at(graph, "warning", reason, entry.position)
        for entry in chain.from_iterable(node.node_options):
            if entry.name.startswith("[") and "/" not in entry.name:
                expected = "[type.googleapis.com/package.XOptions]"
                reason = _other_form(node, entry, "node_options", expected)
                yield _at(graph, "warning", reason, entry.position)


def _other_form(node: NodeText, entry: TextField, name: str, expected: str) -> str:
    return f"{node.title}: {name} have the form {expected} in MediaPipe, got {entry.name}"


def _executors(graph: GraphText, wires: GraphWiring) -> Iterator[GraphFinding]:
    try:
        run_settings(graph)
    except GraphTextError as error:
        # MediaPipe has more types of them, and programs their own.
        yield replace(_error(error), severity="warning")
    names = [executor.name for executor in graph.executors]
    for node in graph.nodes:
        if node.executor not in (*names, *_MADE_EXECUTORS):
            reason = f"{node.title}: the graph has no executor {node.executor!r}"
            reason += suggestion(node.executor, filter(None, names))
            yield _at(graph, "error", reason, node.position)


_CHECKS: Sequence[Callable[[GraphText, GraphWiring], Iterator[GraphFinding]]] = (
    _two_senders,
    _unknown_names,
    _unused_names,
    _cycles,
    _indices,
    _names,
    _option_forms,
    _executors,
)


def _title(wires: GraphWiring, use: PortUse) -> str:
    if use.node is None:
        return "the graph itself"
    return wires.nodes[use.node].title


def _error(error: GraphTextError) -> GraphFinding:
    return GraphFinding("error", error.reason, error.source, error.line, error.column)


def _at(
    graph: GraphText,
    severity: Severity,
    reason: str,
    position: TextPosition,
) -> GraphFinding:
    return GraphFinding(severity, reason, graph.source, position.line, position.column)
