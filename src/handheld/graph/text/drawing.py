"""Graphs drawn of their texts alone: nothing has to be registered, and nothing has to fit."""

from collections.abc import Collection, Iterator

from handheld.errors import GraphTextError
from handheld.graph._picture import Picture, StreamArrow, input_box, output_box, picture
from handheld.graph.draw import mermaid_of, svg_of
from handheld.graph.text.model import GraphText
from handheld.graph.text.wiring import GraphWiring, PortUse, cycles, unique_names, wiring

MOST_DRAWN = 5_000
"""Arrows of a drawing: more would take minutes to place, and nobody could follow them."""


def text_to_mermaid(graph: GraphText) -> str:
    """Return a graph as a Mermaid flowchart.

    Boxes are nodes, rounded ends inputs, outputs and streams that nobody sends, dotted arrows back
    edges, marked as such or closing a cycle, and side packets that one node sets for another.

    Raises:
        GraphTextError: it has more than 5,000 nodes or connections.
    """
    return mermaid_of(picture_of_text(graph))


def text_to_svg(graph: GraphText) -> str:
    """Return a graph as an SVG drawing, see :func:`text_to_mermaid`."""
    return svg_of(picture_of_text(graph))


def picture_of_text(graph: GraphText) -> Picture:
    """Return what is drawn of a graph, see :func:`text_to_mermaid`."""
    wires = wiring(graph)
    connections = len(wires.streams.taken) + len(wires.sides.taken)
    if max(len(wires.nodes), connections) > MOST_DRAWN:
        raise GraphTextError(
            f"expected at most {MOST_DRAWN:,} nodes and connections to draw", source=graph.source
        )
    names = unique_names([node.name or node.calculator for node in wires.nodes], joint=" ")
    # By identity: a port of a node may be as that of another.
    closing = {id(cycle.closing) for cycle in cycles(wires)}
    arrows = [
        *_stream_arrows(wires, names, closing),
        *_side_arrows(wires, names, closing),
    ]
    return picture([port.name for port in graph.inputs], names, arrows)


def _stream_arrows(
    wires: GraphWiring, names: list[str], closing: Collection[int]
) -> Iterator[StreamArrow]:
    for use in wires.streams.taken:
        stream = use.port.name
        back = id(use) in closing or (use.node, use.canonical) in wires.back
        target = output_box(stream) if use.node is None else names[use.node]
        yield StreamArrow(_source(wires, use, names), target, stream, back)


def _side_arrows(
    wires: GraphWiring, names: list[str], closing: Collection[int]
) -> Iterator[StreamArrow]:
    """Yield those between nodes: side packets from outside would be arrows from everywhere."""
    for use in wires.sides.taken:
        senders = wires.sides.sent.get(use.port.name, ())
        if use.node is None or not senders or senders[0].node is None:
            continue
        sender = names[senders[0].node]
        back = id(use) in closing
        yield StreamArrow(sender, names[use.node], use.port.name, back, side=True)


def _source(wires: GraphWiring, use: PortUse, names: list[str]) -> str:
    # Of two that send it, the first; the other is an error, which a check tells.
    for sender in wires.streams.sent.get(use.port.name, ()):
        if sender.node is not None:
            return names[sender.node]
    return input_box(use.port.name)
