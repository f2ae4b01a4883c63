"""Validation: from the description of a graph to a plan that can run, or an error that helps.

The error names the node, port and stream, and says what to do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from handheld.errors import GraphValidationError
from handheld.graph._suggest import suggestion
from handheld.graph.config import BackEdge, GraphConfig
from handheld.graph.contract import Ports
from handheld.graph.expand import FlatNode, SubgraphPorts, expand
from handheld.graph.types import accepts, type_name

INPUT = ""
"""The producer of a stream that comes from outside the graph."""


@dataclass(frozen=True)
class Producer:
    """Who sends a stream, and what.

    Attributes:
        node: a node's name, ``INPUT`` for a stream from outside.
        port: of the node; the stream's name for one from outside.
        type: of the payload.
    """

    node: str
    port: str
    type: Any

    def __str__(self) -> str:
        if self.node == INPUT:
            return "the graph's own input"
        return f"node {self.node!r}, output port {self.port!r}"


@dataclass(frozen=True)
class GraphPlan:
    """A valid graph.

    Attributes:
        nodes: in an order in which every producer precedes its consumers, back edges aside.
        streams: stream -> who sends it; first the graph's inputs, then in the order of the nodes.
        sides: the same of side packets.
        config: that the plan was made of.
    """

    nodes: tuple[FlatNode, ...]
    streams: Mapping[str, Producer]
    sides: Mapping[str, Producer]
    config: GraphConfig


class _ProducerTable:
    """Name -> who sends it, of all streams or of all side packets.

    Args:
        term: what messages call the ones or the others.
        inputs: name -> type, of those that come from outside the graph.
    """

    def __init__(self, term: str, inputs: Ports) -> None:
        self.term = term
        self.producers = {name: Producer(INPUT, name, hint) for name, hint in inputs.items()}

    def add(self, node: str, outputs: Mapping[str, str], types: Ports) -> None:
        """Enter what a node sends, port -> name. Raises where somebody else sends it already."""
        for port, name in outputs.items():
            if name in self.producers:
                raise GraphValidationError(
                    f"{self.term} {name!r} has two producers: {self.producers[name]}, "
                    f"and node {node!r}, output port {port!r}; "
                    "rename one of them (Merge or Mux joins two streams into one)"
                )
            self.producers[name] = Producer(node, port, types[port])

    def check(self, node: str, inputs: Mapping[str, str], types: Ports) -> None:
        """Raise where somebody sends nothing, or another type, of what a node takes."""
        for port, name in inputs.items():
            taker = f"node {node!r}, input port {port!r}"
            if name not in self.producers:
                # str, since a back edge would show its class.
                raise GraphValidationError(
                    f"{taker}: unknown {self.term} {str(name)!r}{suggestion(name, self.producers)}"
                )
            producer = self.producers[name]
            if not accepts(types[port], producer.type):
                raise GraphValidationError(
                    f"{taker} takes {type_name(types[port])}, but {self.term} {str(name)!r} "
                    f"carries {type_name(producer.type)} ({producer}); "
                    f"connect another {self.term}, or put a calculator between them that converts"
                )


def plan(config: GraphConfig) -> GraphPlan:
    """Check a graph and return the plan to run it.

    Raises :class:`GraphValidationError` naming node, port and stream for: an unknown port or
    stream, two producers of one stream, types that do not fit, a port left open, a sync set that
    names an unknown port, and a cycle without a back edge.
    """
    flat = expand(config)
    nodes = flat.nodes
    streams = _ProducerTable("stream", config.inputs)
    sides = _ProducerTable("side packet", config.side_inputs)
    # All producers before any consumer: a node may take what one further down the list sends.
    for node in nodes:
        streams.add(node.name, node.outputs, node.contract.outputs)
    for node in nodes:
        sides.add(node.name, node.side_outputs, node.contract.side_outputs)
    takers: list[FlatNode | SubgraphPorts] = [*nodes, *flat.subgraphs]
    for taker in takers:
        streams.check(taker.name, taker.inputs, taker.contract.inputs)
        sides.check(taker.name, taker.side_inputs, taker.contract.side_inputs)
    for node in nodes:
        _check_policy(node)
        if node.max_in_flight > 1 and not node.inputs:
            raise GraphValidationError(
                f"node {node.name!r}: max_in_flight is of a node with inputs; a source has none"
            )
    _check_outputs("output", config.outputs, streams)
    _check_outputs("side output", config.side_outputs, sides)
    # Last, since it takes for granted that every stream has a producer.
    order = _topological(nodes, _needs(nodes, streams.producers, sides.producers))
    return GraphPlan(order, streams.producers, sides.producers, config)


def _check_outputs(term: str, names: Sequence[str], table: _ProducerTable) -> None:
    """Raise where the graph lets something leave that is not there."""
    for name in names:
        if name not in table.producers:
            raise GraphValidationError(
                f"the graph's {term} {name!r} is no {table.term} of the graph"
                f"{suggestion(name, table.producers)}"
            )


def _check_policy(node: FlatNode) -> None:
    ports = list(node.contract.inputs)
    named = list(chain.from_iterable(node.policy.groups(ports)))
    if unknown := {*named, *node.policy.ports} - set(ports):
        # The first by name, so that the message is the same in each run.
        port = min(unknown)
        raise GraphValidationError(
            f"node {node.name!r}: its input policy names port {port!r}{suggestion(port, ports)}"
        )
    # A policy can follow an input only if somebody feeds it.
    if open_ports := set(node.policy.ports) - set(node.inputs):
        raise GraphValidationError(
            f"node {node.name!r}: its input policy needs port {min(open_ports)!r}, "
            "which is not connected"
        )
    if len(named) != len(set(named)):
        raise GraphValidationError(
            f"node {node.name!r}: its input policy puts a port into two sync sets"
        )


_Need = tuple[str, str]
"""A node that has to come first, and the stream or side packet for which it has to."""


def _needs(
    nodes: Sequence[FlatNode],
    streams: Mapping[str, Producer],
    sides: Mapping[str, Producer],
) -> dict[str, list[_Need]]:
    """Return node -> what it needs, back edges and the graph's inputs aside."""
    needs: dict[str, list[_Need]] = {}
    for node in nodes:
        own_needs: list[_Need] = []
        for name in node.inputs.values():
            producer = streams[name].node
            if producer != INPUT and not isinstance(name, BackEdge):
                own_needs.append((producer, name))
        for name in node.side_inputs.values():
            producer = sides[name].node
            if producer != INPUT:
                own_needs.append((producer, name))
        needs[node.name] = own_needs
    return needs


def _topological(
    nodes: Sequence[FlatNode], needs: Mapping[str, Sequence[_Need]]
) -> tuple[FlatNode, ...]:
    """Order nodes depth first, so that each comes after what it needs.

    Raises :class:`GraphValidationError` for a cycle.
    """
    by_name = {node.name: node for node in nodes}
    # Dictionaries stand for ordered sets, in which a name is found at once.
    order: dict[str, None] = {}
    path: dict[str, None] = {}  # from a root to the node at hand
    # A stack of our own: a chain of ten thousand nodes would exhaust Python's.
    leave = ""  # stands on the stack below what a node needs
    stack: list[_Need] = [(node.name, "") for node in reversed(nodes)]
    while stack:
        name, stream = stack.pop()
        if name == leave:
            last, _ = path.popitem()
            order[last] = None
        elif name in path:
            raise GraphValidationError(_cycle(list(path), name, by_name, stream))
        elif name not in order:
            path[name] = None
            stack.append((leave, ""))
            # Reversed, so that what a node names first comes first in the order too.
            stack.extend(reversed(needs[name]))
    return tuple(by_name[name] for name in order)


def _cycle(path: list[str], first: str, nodes: Mapping[str, FlatNode], stream: str) -> str:
    """Describe the cycle at the end of a path that leads back to one of its nodes."""
    members = path[path.index(first) :]
    taker = nodes[members[-1]]
    term = "stream"
    ports = [port for port, name in taker.inputs.items() if name == stream]
    advice = (
        "if it is meant, mark the input that takes the earlier result with "
        f"BackEdge({str(stream)!r}), usually on a PreviousLoopback or FlowLimiter"
    )
    if not ports:
        term = "side packet"
        ports = [port for port, name in taker.side_inputs.items() if name == stream]
        advice = "none of them would ever open; a stream of the cycle can be a BackEdge"
    return (
        f"nodes form a cycle: {' <- '.join([*members, first])}, closed by {term} {str(stream)!r} "
        f"at node {taker.name!r}, input port {ports[0]!r}; {advice}"
    )


def stream_names(config: GraphConfig) -> tuple[str, ...]:
    """Return the names of all streams of a graph: its inputs first, then in the order of the nodes.

    Raises as :func:`plan`.
    """
    return tuple(plan(config).streams)
