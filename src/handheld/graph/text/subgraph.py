"""A subgraph as one node uses it: without what that node leaves open, with the options it gives."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from handheld.graph.text.message import NO_MESSAGE, TextField, TextMessage
from handheld.graph.text.model import (
    GraphText,
    NodeText,
    PortText,
    StreamInfoText,
    canonical_names,
)
from handheld.graph.text.options import OWN_TYPE, option_fields, option_type
from handheld.graph.text.wiring import canonical_of

_GRAPH_OPTIONS = "options"
_NODE_OPTIONS = "OPTIONS"


def without_inputs(
    graph: GraphText, inputs: Collection[str], side_inputs: Collection[str]
) -> GraphText:
    """Return a graph without some inputs, and its nodes without what they took from these.

    As in MediaPipe, a subgraph may be used with some of its inputs open.

    Args:
        graph: a graph.
        inputs: ports of streams to leave out, as ``TAG`` or ``TAG:1``, or names of streams.
        side_inputs: the same of side packets.
    """
    streams = _names(graph.inputs, inputs)
    sides = _names(graph.side_inputs, side_inputs)
    if not streams and not sides:
        return graph
    generators = []
    for generator in graph.generators:
        kept = _without(generator.side_inputs, sides)
        generators.append(replace(generator, side_inputs=kept))
    return replace(
        graph,
        inputs=_without(graph.inputs, streams),
        side_inputs=_without(graph.side_inputs, sides),
        nodes=tuple(_node_without(node, streams, sides) for node in graph.nodes),
        generators=tuple(generators),
    )


def _names(ports: tuple[PortText, ...], left_out: Collection[str]) -> set[str]:
    named = zip(canonical_names(ports), ports, strict=True)
    return {port.name for name, port in named if name in left_out or port.name in left_out}


def _without(ports: Iterable[PortText], names: Collection[str]) -> tuple[PortText, ...]:
    return tuple(port for port in ports if port.name not in names)


def _node_without(node: NodeText, streams: Collection[str], sides: Collection[str]) -> NodeText:
    inputs = _without(node.inputs, streams)
    return replace(
        node,
        inputs=inputs,
        side_inputs=_without(node.side_inputs, sides),
        stream_info=tuple(_kept_info(node, inputs)),
    )


def _kept_info(node: NodeText, inputs: Collection[PortText]) -> Iterator[StreamInfoText]:
    """Yield what is said of the inputs that are kept; those without a tag move up."""
    old_names = dict(zip(node.inputs, canonical_names(node.inputs), strict=True))
    old_names = {port: name for port, name in old_names.items() if port in inputs}
    moved = dict(zip(old_names.values(), canonical_names(old_names), strict=True))
    for info in node.stream_info:
        name = moved.get(canonical_of(info))
        if name is not None:
            # Without a tag, the text has the index alone: ``:1``.
            if name.isdigit():
                name = f":{name}"
            yield replace(info, tag_index=name)


def with_options(graph: GraphText, user: NodeText | None) -> GraphText:
    """Return a graph whose nodes have the options that they take from it (``option_value``).

    Args:
        graph: its own options are defaults.
        user: the node that uses it as a subgraph, whose options come before these; None for a
            graph that runs by itself.
    """
    # Most graphs take nothing.
    if not any(node.option_values for node in graph.nodes):
        return graph
    defaults = option_fields(graph.options, graph.graph_options)
    given_options = []
    if user is not None:
        given_options = option_fields(user.options, user.node_options)
    options = NO_MESSAGE
    # Of all types together: the path of an option value names none.
    for entry in [*defaults, *given_options]:
        if isinstance(entry.value, TextMessage):
            options = _merged(options, entry.value)
    return replace(graph, nodes=tuple(_node_with(node, options) for node in graph.nodes))


def _node_with(node: NodeText, options: TextMessage) -> NodeText:
    """Return a node with the options that it takes from those of its graph."""
    taken = _taken(node, options)
    if not taken:
        return node
    fields = option_fields(node.options, node.node_options)
    if not fields:
        entry = TextField(f"[{OWN_TYPE}.ext]", taken, node.position, node.position)
        return replace(node, options=TextMessage((entry,)))
    # Into the first alone: an option value names a field, and no type that would tell which one.
    first = fields[0]
    if isinstance(first.value, TextMessage):
        fields[0] = replace(first, value=_merged(first.value, taken))
    # As extensions all: both forms mean the same.
    merged = [replace(entry, name=f"[{option_type(entry.name)}.ext]") for entry in fields]
    return replace(node, options=TextMessage(tuple(merged)), node_options=())


def _taken(node: NodeText, options: TextMessage) -> TextMessage:
    """Return what the option values of a node (``name:path``) take from options of its graph."""
    taken = NO_MESSAGE
    for text in node.option_values:
        name, _, path = text.partition(":")
        steps = [step for step in path.split("/") if step and step != _GRAPH_OPTIONS]
        entries = _at(options, steps)
        if name != _NODE_OPTIONS:
            entries = [replace(entry, name=name) for entry in entries]
        taken = _merged(taken, TextMessage(tuple(entries)))
    return taken


def _at(options: TextMessage, steps: list[str]) -> list[TextField]:
    """Return the fields that a path leads to; without steps, all fields."""
    if not steps:
        return list(options.fields)
    for step in steps[:-1]:
        messages = [value for value in options.values(step) if isinstance(value, TextMessage)]
        options = next(iter(messages), NO_MESSAGE)
    return options.named(steps[-1])


def _merged(message: TextMessage, later: TextMessage) -> TextMessage:
    """Return the fields of two messages; of a name that both have, those of the later one."""
    names = {entry.name for entry in later}
    kept = [entry for entry in message if entry.name not in names]
    return replace(message, fields=(*kept, *later.fields))
