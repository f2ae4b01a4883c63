"""Subgraphs opened up into a flat list of nodes, and ports resolved to names of streams."""

import re
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from handheld.errors import GraphValidationError
from handheld.graph._suggest import suggestion
from handheld.graph.calculator import Calculator
from handheld.graph.config import BackEdge, Connections, GraphConfig, Node
from handheld.graph.contract import Contract, Ports
from handheld.graph.function import FunctionCalculator, is_generator
from handheld.graph.policies import InputPolicy


@dataclass(frozen=True)
class FlatNode:
    """A node of the expanded graph: port -> stream, with subgraph names as prefixes ``sub/``."""

    name: str
    calculator: Calculator
    contract: Contract
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    side_inputs: Mapping[str, str]
    side_outputs: Mapping[str, str]
    policy: InputPolicy
    max_in_flight: int = 1
    executor: str = ""
    source_layer: int = 0


@dataclass(frozen=True)
class SubgraphPorts:
    """What a subgraph takes, by its own declaration: port -> stream, as of :class:`FlatNode`."""

    name: str
    contract: Contract
    inputs: Mapping[str, str]
    side_inputs: Mapping[str, str]


@dataclass(frozen=True)
class FlatGraph:
    """A graph without subgraphs, and what these declared."""

    nodes: tuple[FlatNode, ...]
    subgraphs: tuple[SubgraphPorts, ...]


@dataclass(frozen=True)
class _Scope:
    """What names inside a subgraph are called in the whole graph.

    Attributes:
        prefix: of what a subgraph has for itself, such as ``sub/``; empty outside of any.
        streams: name inside -> name outside, of the streams that enter or leave.
        sides: the same of side packets.
    """

    prefix: str
    streams: Mapping[str, str]
    sides: Mapping[str, str]

    def stream(self, name: str) -> str:
        """Return the stream's name in the whole graph."""
        return self.streams.get(name, self.prefix + name)

    def side(self, name: str) -> str:
        """Return the side packet's name in the whole graph."""
        return self.sides.get(name, self.prefix + name)

    def input_stream(self, name: str) -> str:
        """Return the stream's name in the whole graph, as a back edge where it is one.

        It is one if either the node says so, or the node around it, of which this is an input.
        """
        outer = self.stream(name)
        if isinstance(name, BackEdge) or isinstance(outer, BackEdge):
            return BackEdge(outer)
        return str(outer)


@dataclass(frozen=True)
class _Wiring:
    """Port -> name in the whole graph, of one node or subgraph."""

    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    side_inputs: Mapping[str, str]
    side_outputs: Mapping[str, str]


def expand(config: GraphConfig) -> FlatGraph:
    """Return every calculator node of a graph and its subgraphs, and what subgraphs take.

    Raises :class:`GraphValidationError` for a port that does not exist or is not connected, and for
    a name used twice.
    """
    flat = _expand(config, _Scope(prefix="", streams={}, sides={}))
    # Once more for all: a node may be called as one in a subgraph is in the whole graph.
    _check_names(node.name for node in flat.nodes)
    return flat


def _expand(config: GraphConfig, scope: _Scope) -> FlatGraph:
    nodes: list[FlatNode] = []
    subgraphs: list[SubgraphPorts] = []
    for node, short_name in zip(config.nodes, _names(config.nodes), strict=True):
        name = scope.prefix + short_name
        calculator = node.calculator
        contract = _contract(calculator, name)
        wiring = _wiring(node, contract, name, scope)
        if isinstance(calculator, GraphConfig):
            _check_subgraph(node, name)
            inner = _expand_subgraph(calculator, name, wiring)
            nodes += [_placed(inner_node, node.executor) for inner_node in inner.nodes]
            ports = SubgraphPorts(name, contract, wiring.inputs, wiring.side_inputs)
            subgraphs += [ports, *inner.subgraphs]
            continue
        nodes.append(
            FlatNode(
                name=name,
                calculator=calculator,
                contract=contract,
                inputs=wiring.inputs,
                outputs=wiring.outputs,
                side_inputs=wiring.side_inputs,
                side_outputs=wiring.side_outputs,
                policy=node.policy or contract.policy,
                max_in_flight=node.max_in_flight,
                executor=node.executor,
                source_layer=node.source_layer,
            )
        )
    return FlatGraph(tuple(nodes), tuple(subgraphs))


def _expand_subgraph(config: GraphConfig, name: str, wiring: _Wiring) -> FlatGraph:
    scope = _Scope(
        prefix=f"{name}/",
        streams={**wiring.inputs, **wiring.outputs},
        sides={**wiring.side_inputs, **wiring.side_outputs},
    )
    flat = _expand(config, scope)
    sent: set[str] = set()
    for node in flat.nodes:
        sent.update(node.outputs.values())
    for output in config.outputs:
        if scope.stream(output) not in sent:
            # Passing an input straight on would need one stream with two names.
            advice = "; put a PassThrough between its input and its output"
            raise GraphValidationError(
                f"subgraph {name!r}: no node of it makes its output {output!r}"
                f"{advice if output in config.inputs else ''}"
            )
    sides: set[str] = set().union(*(node.side_outputs.values() for node in flat.nodes))
    for output in config.side_outputs:
        if scope.side(output) not in sides:
            raise GraphValidationError(
                f"subgraph {name!r}: no node of it makes its side output {output!r}"
            )
    return flat


def _check_subgraph(node: Node, name: str) -> None:
    """Refuse what a subgraph's node asks for, and nothing would do."""
    if node.policy is not None or node.max_in_flight > 1 or node.source_layer:
        raise GraphValidationError(
            f"node {name!r}: a subgraph has no policy, max_in_flight or source_layer of its own; "
            "set them on the nodes in it"
        )


def _placed(node: FlatNode, executor: str) -> FlatNode:
    """Return a node of a subgraph, on the subgraph's executor unless it has one of its own."""
    return replace(node, executor=node.executor or executor)


def _names(nodes: Sequence[Node]) -> list[str]:
    """Name each node: as it says, or after its calculator, with a number where that is taken."""
    explicit = [node.name for node in nodes if node.name]
    _check_names(explicit)
    # The names that people chose first, wherever they stand: an automatic one makes way.
    used = set(explicit)
    names = []
    for node in nodes:
        name = node.name or _unused(_default_name(node.calculator), used)
        used.add(name)
        names.append(name)
    return names


def _check_names(names: Iterable[str]) -> None:
    for name, number in Counter(names).items():
        if number > 1:
            raise GraphValidationError(f"two nodes are called {name!r}; give each its own name")


def _default_name(calculator: Any) -> str:
    # GraphConfig has a name, a function __name__, and a calculator that of its class.
    name = getattr(calculator, "name", "") or getattr(calculator, "__name__", "")
    return _snake_case(str(name or type(calculator).__name__))


def _unused(name: str, used: set[str]) -> str:
    if name not in used:
        return name
    number = 2
    while f"{name}_{number}" in used:
        number += 1
    return f"{name}_{number}"


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _contract(calculator: Any, name: str) -> Contract:
    if isinstance(calculator, GraphConfig):
        return Contract(
            inputs=calculator.inputs,
            # Of any type: its nodes check what they send themselves.
            outputs=dict.fromkeys(calculator.outputs, object),
            side_inputs=calculator.side_inputs,
            side_outputs=dict.fromkeys(calculator.side_outputs, object),
        )
    if not isinstance(calculator, Calculator):
        raise GraphValidationError(
            f"node {name!r}: expected a Calculator object, a function decorated with @calculator "
            f"or a GraphConfig, got {calculator!r}{_did_you_mean(calculator)}"
        )
    for method in (calculator.open, calculator.process, calculator.reset, calculator.close):
        # Its call would return at once, with nothing done, and nobody would say a word.
        if is_generator(method):
            raise GraphValidationError(
                f"node {name!r}: its {method.__name__}() is a generator; it must be a plain "
                "function or async"
            )
    if isinstance(calculator, FunctionCalculator) and calculator.missing:
        raise GraphValidationError(
            f"node {name!r}: {calculator.__name__}() needs the options {list(calculator.missing)}: "
            "set them by with_options(...)"
        )
    return calculator.contract


def _did_you_mean(calculator: Any) -> str:
    """Return a hint for a class given where an object of it was meant."""
    if isinstance(calculator, type) and issubclass(calculator, Calculator):
        return f"; did you mean {calculator.__name__}(...), an object of that class?"
    return ""


def _wiring(node: Node, contract: Contract, name: str, scope: _Scope) -> _Wiring:
    """Resolve what a node's ports are connected to."""
    inputs = _PortList(name, "input", contract.inputs, contract.optional)
    side_inputs = _PortList(name, "side input", contract.side_inputs, contract.optional)
    # Nobody has to take what a node makes, so all of its outputs are optional.
    outputs = _PortList(name, "output", contract.outputs, contract.outputs)
    side_outputs = _PortList(name, "side output", contract.side_outputs, contract.side_outputs)
    return _Wiring(
        inputs=_resolved(inputs.connect(node.inputs), scope.input_stream),
        outputs=_resolved(outputs.connect(node.outputs), scope.stream),
        side_inputs=_resolved(side_inputs.connect(node.side_inputs), scope.side),
        side_outputs=_resolved(side_outputs.connect(node.side_outputs), scope.side),
    )


def _resolved(names: Mapping[str, str], resolve: Callable[[str], str]) -> dict[str, str]:
    return {port: resolve(name) for port, name in names.items()}


@dataclass(frozen=True)
class _PortList:
    """The ports of a node in one direction.

    Attributes:
        node: its name.
        direction: what messages call such ports.
        ports: port -> type, in the order of the contract.
        optional: ports that may stay unconnected; may name others too.
    """

    node: str
    direction: str
    ports: Ports
    optional: Container[str]

    def connect(self, connections: Connections) -> dict[str, str]:
        """Return port -> name of its stream.

        Raises :class:`GraphValidationError` for a port that does not exist or is not connected.
        """
        names = self._by_port(connections)
        for port in names:
            if port not in self.ports:
                raise GraphValidationError(
                    f"node {self.node!r} has no {self.direction} port {port!r}"
                    f"{suggestion(port, self.ports)}"
                )
        for port in self.ports:
            if port not in names and port not in self.optional:
                raise GraphValidationError(
                    f"node {self.node!r}: {self.direction} port {port!r} is not connected; "
                    "name its stream in the Node"
                )
        return names

    def _by_port(self, connections: Connections) -> dict[str, str]:
        if isinstance(connections, Mapping):
            return {port: _plain(name) for port, name in connections.items()}
        if not isinstance(connections, Iterable):
            raise GraphValidationError(
                f"node {self.node!r}: expected the names of {self.direction} streams, "
                f"got {connections!r}"
            )
        # A string is a sequence as well, but means one stream.
        names = [connections] if isinstance(connections, str) else list(connections)
        if len(names) > len(self.ports):
            raise GraphValidationError(
                f"node {self.node!r}: {len(names)} {self.direction} streams {names}, "
                f"but its {self.direction} ports are {list(self.ports)}"
            )
        # Not strict: ports without a stream are optional, or named by the check that follows.
        return dict(zip(self.ports, map(_plain, names), strict=False))


def _plain(name: str) -> str:
    """Return a name that messages show as a string, whatever subclass of it was passed."""
    if isinstance(name, BackEdge):
        return name
    return str(name)
