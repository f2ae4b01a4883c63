"""The switch container of a text: opened up into its nodes, between a demultiplexer and a
multiplexer.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from handheld.errors import GraphTextError
from handheld.graph.calculator import Calculator
from handheld.graph.calculators.switch import Control, SwitchDemux, SwitchMux
from handheld.graph.text.model import GraphText, NodeText, PortText, canonical_names
from handheld.graph.text.options import read_options
from handheld.graph.text.read import node_of_message
from handheld.graph.text.registry import Registry
from handheld.graph.text.tokens import located

_OPTIONS = "SwitchContainerOptions"
_CHANNEL = re.compile(r"C([0-9]{1,4})__")
_CONTROLS = ("SELECT", "ENABLE")
_SELECTED = "SELECTED"


def switch_container_text(node: NodeText) -> Calculator:
    """Raise :class:`GraphTextError`: a switch is opened up before calculators are made."""
    raise located(f"{node.title} is no calculator", node.source, node.position)


def with_switches(graph: GraphText, registry: Registry) -> GraphText:
    """Return a graph with the nodes that its switch containers contain.

    Each is between a ``SwitchDemuxCalculator`` and a ``SwitchMuxCalculator``, as in MediaPipe, and
    in the graph itself, where what a switch contains is named after it.

    Args:
        graph: of any nodes.
        registry: where a switch container is something else, it stays as it is.

    Raises:
        GraphTextError: a switch contains no node, or its options are not those that it takes.
    """
    if not any(_is_switch(node, graph, registry) for node in graph.nodes):
        return graph
    nodes: list[NodeText] = []
    for number, node in enumerate(graph.nodes):
        if _is_switch(node, graph, registry):
            inner = _opened(node, f"{node.name or 'switch'}_{number}")
            # What is contained may be a switch itself.
            nodes += with_switches(replace(graph, nodes=tuple(inner)), registry).nodes
        else:
            nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def contained_nodes(graph: GraphText, registry: Registry) -> Iterator[NodeText]:
    """Yield the nodes in the switch containers of a graph, and in those that they contain.

    Those of a switch that cannot be read are left out.
    """
    nodes = list(graph.nodes)
    while nodes:
        node = nodes.pop()
        if not _is_switch(node, graph, registry):
            continue
        try:
            messages = read_options(node, _OPTIONS).raw("contained_node")
            inner = [node_of_message(message, node.source) for message in messages]
        except GraphTextError:
            continue
        yield from inner
        nodes += inner


def registry_with_switches(registry: Registry) -> Registry:
    """Return a registry whose subgraphs have no switch containers, see :func:`with_switches`."""
    subgraphs = {name: with_switches(graph, registry) for name, graph in registry.subgraphs.items()}
    return Registry(registry.calculators, subgraphs)


def _is_switch(node: NodeText, graph: GraphText, registry: Registry) -> bool:
    name = registry.resolve(node.calculator, graph.package)
    entry = registry.calculators.get(name)
    return entry is not None and entry.factory is switch_container_text


def _opened(node: NodeText, prefix: str) -> list[NodeText]:
    """Return the nodes that stand for a switch."""
    # Not asked for the rest: the demultiplexer, which gets the same options, does.
    messages = read_options(node, _OPTIONS).raw("contained_node")
    if not messages:
        reason = f"{node.title}: expected at least one contained_node"
        raise located(reason, node.source, node.position)
    data_inputs = _data(node.inputs)
    data_sides = _data(node.side_inputs)
    channels = range(len(messages))
    demux = replace(
        node,
        calculator="SwitchDemuxCalculator",
        name=f"{prefix}_demux",
        outputs=_of_channels(data_inputs, prefix, channels),
        side_outputs=_of_channels(data_sides, prefix, channels),
    )
    mux_controls = _controls(node.inputs)
    if mux_controls and _is_async(node):
        # The mux follows what the demux did, see SwitchDemux.
        stream = f"{prefix}_selected"
        demux = replace(demux, outputs=(*demux.outputs, PortText(name=stream, tag=_SELECTED)))
        mux_controls = (PortText(name=stream, tag="SELECT"),)
    mux = replace(
        node,
        calculator="SwitchMuxCalculator",
        name=f"{prefix}_mux",
        inputs=(*mux_controls, *_of_channels(node.outputs, prefix, channels)),
        side_inputs=(
            *_controls(node.side_inputs),
            *_of_channels(node.side_outputs, prefix, channels),
        ),
        # A back edge into a switch is one of its demultiplexer.
        stream_info=(),
    )
    nodes = [demux]
    for channel, message in enumerate(messages):
        inner = node_of_message(message, node.source)
        nodes.append(
            replace(
                inner,
                name=f"{prefix}_{inner.name or channel}",
                inputs=_inside(data_inputs, prefix, channel),
                outputs=_inside(node.outputs, prefix, channel),
                side_inputs=_inside(data_sides, prefix, channel),
                side_outputs=_inside(node.side_outputs, prefix, channel),
                executor=inner.executor or node.executor,
            )
        )
    return [*nodes, mux]


def _controls(ports: Iterable[PortText]) -> tuple[PortText, ...]:
    return tuple(port for port in ports if port.tag in _CONTROLS)


def _data(ports: Iterable[PortText]) -> tuple[PortText, ...]:
    return tuple(port for port in ports if port.tag not in _CONTROLS)


def _inside(ports: Sequence[PortText], prefix: str, channel: int) -> tuple[PortText, ...]:
    """Return the ports of a contained node: as those of the switch, with streams of its own."""
    return tuple(replace(port, name=_stream(port, prefix, channel)) for port in ports)


def _of_channels(
    ports: Sequence[PortText], prefix: str, channels: Iterable[int]
) -> tuple[PortText, ...]:
    """Return the ports of all channels, tagged C0__TAG as in MediaPipe."""
    named: list[PortText] = []
    # Said of each: behind its new tag, a port without an index would be index 0.
    indexed = [
        replace(port, index=_index(name))
        for name, port in zip(canonical_names(ports), ports, strict=True)
    ]
    for channel in channels:
        for port in indexed:
            tag = f"C{channel}__{port.tag}"
            named.append(replace(port, tag=tag, name=_stream(port, prefix, channel)))
    return tuple(named)


def _index(canonical: str) -> int:
    """Return the index of a port by its name: ``TAG``, ``TAG:1`` or ``1``."""
    last = canonical.rpartition(":")[2]
    if not last.isdigit():
        return 0
    return int(last)


def _stream(port: PortText, prefix: str, channel: int) -> str:
    return f"{prefix}_c{channel}__{port.name}"


def switch_demux(node: NodeText) -> SwitchDemux:
    """Return the demultiplexer of a node. Raises :class:`~handheld.errors.GraphTextError`."""
    channels = _count([*node.outputs, *node.side_outputs], node)
    inputs = _names(_data(node.inputs))
    sides = _names(_data(node.side_inputs))
    return SwitchDemux(
        channels,
        inputs,
        sides=sides,
        async_selection=_is_async(node),
        **_selection(node, channels)._asdict(),
    )


def switch_mux(node: NodeText) -> SwitchMux:
    """Return the multiplexer of a node. Raises :class:`~handheld.errors.GraphTextError`."""
    channels = _count([*_data(node.inputs), *_data(node.side_inputs)], node)
    outputs = _names(node.outputs)
    sides = _names(node.side_outputs)
    return SwitchMux(channels, outputs, sides=sides, **_selection(node, channels)._asdict())


def _names(ports: Sequence[PortText]) -> list[str]:
    """Return names of ports: ``image1`` for ``IMAGE:1``, so that ``c0__image1`` is a channel's."""
    return [name.lower().replace(":", "") for name in canonical_names(ports)]


def _count(ports: Iterable[PortText], node: NodeText) -> int:
    """Return the number of channels, by the tags of their ports; contained nodes count as well."""
    count = len(read_options(node, _OPTIONS).raw("contained_node"))
    for port in ports:
        if port.tag == _SELECTED:
            continue
        matched = _CHANNEL.match(port.tag)
        if matched is None:
            reason = f"{node.title}: expected tags such as C0__IMAGE, got {port.tag!r}"
            raise located(reason, node.source, port.position)
        count = max(count, 1 + int(matched[1]))
    return max(count, 1)


class _Selection(NamedTuple):
    """What both ends of a switch take, see :class:`SwitchDemux`."""

    control: Control | None
    side_control: Control | None
    initial: int


def _selection(node: NodeText, channels: int) -> _Selection:
    with read_options(node, _OPTIONS) as options:
        # Ours waits for the selected channel alone, and loses nothing of it, whatever these say.
        options.ignore("contained_node", "synchronize_io", "tick_input_stream")
        options.flag("async_selection")  # of the demultiplexer
        initial = options.whole("select", 0, low=0, high=channels - 1)
        if options.has("select") and options.has("enable"):
            raise options.located("enable", "expected one of select and enable")
        if options.flag("enable"):
            initial = 1
        if initial >= channels:
            raise options.located("enable", "expected two channels")
        return _Selection(
            control=_control(node, node.inputs),
            side_control=_control(node, node.side_inputs),
            initial=initial,
        )


def _is_async(node: NodeText) -> bool:
    return read_options(node, _OPTIONS).flag("async_selection")


def _control(node: NodeText, ports: Iterable[PortText]) -> Control | None:
    controls = _controls(ports)
    if len(controls) > 1:
        reason = f"{node.title}: expected one of SELECT and ENABLE"
        raise located(reason, node.source, controls[1].position)
    if not controls:
        return None
    if controls[0].tag == "SELECT":
        return "select"
    return "enable"
