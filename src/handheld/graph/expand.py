"""Subgraphs opened up into a flat list of nodes, and ports resolved to names of streams."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from handheld.errors import GraphValidationError
from handheld.graph._suggest import suggestion
from handheld.graph.calculator import Calculator
from handheld.graph.config import BackEdge, Connections, GraphConfig, Node
from handheld.graph.contract import Contract, InputPolicy, Ports
from handheld.graph.function import FunctionCalculator, is_plain


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


def expand(config: GraphConfig) -> list[FlatNode]:
    """Return every calculator node of a graph and its subgraphs.

    Raises :class:`GraphValidationError` for a port that does not exist or is not connected, and for a name used twice.
    """
    return list(_expand(config, prefix="", streams={}, sides={}))


def _expand(config: GraphConfig, *, prefix: str, streams: Mapping[str, str], sides: Mapping[str, str]) -> Iterator[FlatNode]:
    def outer(table: Mapping[str, str], name: str) -> str:
        return table.get(name, prefix + name)

    for node, name in zip(config.nodes, _names(config.nodes), strict=True):
        full_name, calculator = prefix + name, node.calculator
        contract = _contract(calculator, full_name)
        inputs = _connect(node.inputs, contract.inputs, contract.optional, full_name, "input")
        outputs = _connect(node.outputs, contract.outputs, frozenset(contract.outputs), full_name, "output")
        side_in = _connect(node.side_inputs, contract.side_inputs, contract.optional, full_name, "side input")
        side_ports = contract.side_outputs
        side_out = _connect(node.side_outputs, side_ports, frozenset(side_ports), full_name, "side output")
        back = {port for port, stream in inputs.items() if BackEdge in (type(stream), type(outer(streams, stream)))}
        resolved = {port: (BackEdge if port in back else str)(outer(streams, stream)) for port, stream in inputs.items()}
        sent = {port: outer(streams, stream) for port, stream in outputs.items()}
        side_resolved = {port: outer(sides, side) for port, side in side_in.items()}
        side_sent = {port: outer(sides, side) for port, side in side_out.items()}
        if isinstance(calculator, GraphConfig):
            outer_names = {**resolved, **sent}
            inner = list(_expand(calculator, prefix=full_name + "/", streams=outer_names, sides={**side_resolved, **side_sent}))
            _check_made(calculator, inner, full_name, outer_names)
            yield from inner
        else:
            policy = node.policy or contract.policy
            yield FlatNode(full_name, calculator, contract, resolved, sent, side_resolved, side_sent, policy)


def _check_made(config: GraphConfig, inner: list[FlatNode], name: str, streams: Mapping[str, str]) -> None:
    made = {stream for node in inner for stream in node.outputs.values()}
    for port in config.outputs:
        if streams.get(port, f"{name}/{port}") not in made:
            raise GraphValidationError(
                f"subgraph {name!r}: no node of it makes its output {port!r}"
                + ("; put a PassThrough between its input and its output" if port in config.inputs else "")
            )


def _names(nodes: Sequence[Node]) -> list[str]:
    given = Counter(node.name for node in nodes if node.name)
    if twice := [name for name, count in given.items() if count > 1]:
        raise GraphValidationError(f"two nodes are called {twice[0]!r}; give each its own name")
    names, used = [], set(given)
    for node in nodes:
        base = node.name or _snake_case(getattr(node.calculator, "name", "") or _class_name(node.calculator))
        name, number = base, 1
        while not node.name and name in used:
            number += 1
            name = f"{base}_{number}"
        used.add(name)
        names.append(name)
    return names


def _class_name(calculator: Any) -> str:
    return str(getattr(calculator, "__name__", type(calculator).__name__))


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _contract(calculator: Any, name: str) -> Contract:
    if isinstance(calculator, GraphConfig):
        inputs, sides = calculator.inputs, calculator.side_inputs
        return Contract(inputs=inputs, outputs=dict.fromkeys(calculator.outputs, object), side_inputs=sides)
    if not isinstance(calculator, Calculator):
        raise GraphValidationError(
            f"node {name!r}: expected a Calculator object, a function decorated with @calculator or a GraphConfig, "
            f"got {calculator!r}{_did_you_mean(calculator)}"
        )
    if not is_plain(calculator.process):
        raise GraphValidationError(f"node {name!r}: its process() is async or a generator; it must be a plain function")
    if isinstance(calculator, FunctionCalculator) and calculator.missing:
        raise GraphValidationError(
            f"node {name!r}: {calculator.__name__}() needs the options {list(calculator.missing)}: set them by "
            "with_options(...)"
        )
    return calculator.contract


def _did_you_mean(calculator: Any) -> str:
    """Return a hint for a class given where an object of it was meant."""
    is_class = isinstance(calculator, type) and issubclass(calculator, Calculator)
    return f"; did you mean {calculator.__name__}(...), an object of that class?" if is_class else ""


def _connect(given: Connections, ports: Ports, optional: frozenset[str], node: str, kind: str) -> dict[str, str]:
    if isinstance(given, Mapping):
        connections = dict(given)
    else:
        listed = [given] if isinstance(given, str) else list(given)
        if len(listed) > len(ports):
            raise GraphValidationError(
                f"node {node!r}: {len(listed)} {kind} streams {listed}, but its {kind} ports are {list(ports)}"
            )
        connections = dict(zip(ports, listed, strict=False))
    for port in connections:
        if port not in ports:
            raise GraphValidationError(f"node {node!r} has no {kind} port {port!r}{suggestion(port, ports)}")
    for port in ports:
        if port not in connections and port not in optional:
            raise GraphValidationError(f"node {node!r}: {kind} port {port!r} is not connected; name its stream in the Node")
    return {port: stream if isinstance(stream, BackEdge) else str(stream) for port, stream in connections.items()}
