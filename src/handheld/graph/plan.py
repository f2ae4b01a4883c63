"""Validation: from the description of a graph to a plan that can run, or an error that names the place and the fix."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from handheld.errors import GraphValidationError
from handheld.graph._suggest import suggestion
from handheld.graph.config import BackEdge, GraphConfig
from handheld.graph.expand import FlatNode, expand
from handheld.graph.types import accepts, type_name

INPUT = ""
"""The producer of a stream that comes from outside the graph."""


@dataclass(frozen=True)
class Producer:
    """Who sends a stream: a node's name (``INPUT`` from outside), its port and the type of the payload."""

    node: str
    port: str
    type: Any

    def __str__(self) -> str:
        return f"node {self.node!r}, output port {self.port!r}" if self.node else "the graph's own input"


@dataclass(frozen=True)
class Plan:
    """A valid graph: nodes in an order in which every producer precedes its consumers, back edges aside."""

    nodes: tuple[FlatNode, ...]
    streams: Mapping[str, Producer]
    sides: Mapping[str, Producer]
    config: GraphConfig


def plan(config: GraphConfig) -> Plan:
    """Check a graph and return the plan to run it.

    Raises :class:`GraphValidationError` naming node, port and stream for: an unknown port or stream, two producers of one
    stream, types that do not fit, a port left open, a sync set that names an unknown port, and a cycle without a back edge.
    """
    nodes = expand(config)
    streams = _producers(nodes, config.inputs, "stream", "outputs")
    sides = _producers(nodes, config.side_inputs, "side packet", "side_outputs")
    for node in nodes:
        _check_inputs(node, node.inputs, node.contract.inputs, streams, "stream")
        _check_inputs(node, node.side_inputs, node.contract.side_inputs, sides, "side packet")
        _check_policy(node)
    for stream in config.outputs:
        if stream not in streams:
            raise GraphValidationError(f"the graph's output {stream!r} is no stream of the graph{suggestion(stream, streams)}")
    return Plan(_topological(nodes, streams, sides), streams, sides, config)


def _producers(nodes: list[FlatNode], inputs: Mapping[str, Any], kind: str, attribute: str) -> dict[str, Producer]:
    producers = {name: Producer(INPUT, name, hint) for name, hint in inputs.items()}
    for node in nodes:
        for port, stream in getattr(node, attribute).items():
            if stream in producers:
                raise GraphValidationError(
                    f"{kind} {stream!r} has two producers: {producers[stream]}, and node {node.name!r}, output port {port!r}; "
                    "rename one of them (Merge or Mux joins two streams into one)"
                )
            producers[stream] = Producer(node.name, port, getattr(node.contract, attribute)[port])
    return producers


def _check_inputs(
    node: FlatNode, connections: Mapping[str, str], ports: Mapping[str, Any], known: Mapping[str, Producer], kind: str
) -> None:
    for port, stream in connections.items():
        where = f"node {node.name!r}, input port {port!r}"
        if stream not in known:
            raise GraphValidationError(f"{where}: unknown {kind} {str(stream)!r}{suggestion(stream, known)}")
        producer = known[stream]
        if not accepts(ports[port], producer.type):
            raise GraphValidationError(
                f"{where} takes {type_name(ports[port])}, but {kind} {str(stream)!r} carries {type_name(producer.type)} "
                f"({producer}); connect another {kind}, or put a calculator between them that converts"
            )


def _check_policy(node: FlatNode) -> None:
    ports = list(node.contract.inputs)
    named = [port for group in node.policy.groups(ports) for port in group]
    if unknown := set(named) - set(ports):
        raise GraphValidationError(
            f"node {node.name!r}: its input policy names port {min(unknown)!r}{suggestion(min(unknown), ports)}"
        )
    if len(named) != len(set(named)):
        raise GraphValidationError(f"node {node.name!r}: its input policy puts a port into two sync sets")


def _topological(nodes: list[FlatNode], streams: Mapping[str, Producer], sides: Mapping[str, Producer]) -> tuple[FlatNode, ...]:
    """Order nodes depth first, with a stack of our own: a chain of ten thousand nodes would exhaust Python's."""
    needs = {}
    for node in nodes:
        forward = [(streams[s].node, s) for s in node.inputs.values() if not isinstance(s, BackEdge)]
        needs[node.name] = forward + [(sides[s].node, s) for s in node.side_inputs.values()]
    by_name = {node.name: node for node in nodes}
    order: dict[str, None] = {}
    path: dict[str, None] = {}  # from a root to the node at hand
    leave = ""  # stands on the stack below what a node needs
    stack = [(node.name, "") for node in reversed(nodes)]
    while stack:
        name, stream = stack.pop()
        if name == leave:
            order[path.popitem()[0]] = None
        elif name in path:
            raise GraphValidationError(_cycle([*path], name, by_name[[*path][-1]], stream))
        elif name not in order:
            path[name] = None
            stack.append((leave, ""))
            stack.extend((producer, s) for producer, s in reversed(needs[name]) if producer != INPUT)
    return tuple(by_name[name] for name in order)


def _cycle(path: list[str], first: str, taker: FlatNode, stream: str) -> str:
    members = path[path.index(first) :]
    port = next(port for port, name in (*taker.inputs.items(), *taker.side_inputs.items()) if name == stream)
    return (
        f"nodes form a cycle: {' <- '.join([*members, first])}, closed by stream {str(stream)!r} at node {taker.name!r}, input "
        f"port {port!r}; if it is meant, mark the input that takes the earlier result with BackEdge({str(stream)!r}), usually "
        "on a PreviousLoopback or FlowLimiter"
    )


def stream_names(config: GraphConfig) -> tuple[str, ...]:
    """Return the names of all streams of a graph: its inputs first, then in the order of the nodes. Raises as :func:`plan`."""
    return tuple(plan(config).streams)
