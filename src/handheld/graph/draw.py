"""Graphs as pictures: Mermaid text for documents, SVG for everything else."""

import re
from collections.abc import Sequence
from html import escape

from handheld.graph._layout import BOX_HEIGHT, GraphLayout, Point, lay_out
from handheld.graph._picture import (
    Picture,
    StreamArrow,
    input_box,
    is_end,
    label,
    output_box,
    picture,
)
from handheld.graph.config import BackEdge, GraphConfig
from handheld.graph.plan import INPUT, GraphPlan, plan

# Pixels of a letter in a box (13 px) and at an arrow (11 px): both 0.57 of the font's size, which
# is rather too wide than too narrow for the fonts that system-ui stands for.
_BOX_LETTER = 7.4
_ARROW_LETTER = 6.2

_BOX_PADDING = 20.0
_NARROWEST_BOX = 80.0
_MARGIN = 16
_LANE = 26  # between two back edges at the side
_BEND = 34  # how far a back edge swings out of its box ...
_TURN = 26  # ... and how far it has come back where it is upright in its lane

# Controls, halves of surrogate pairs and what is no character: XML forbids them.
_UNSEEN = re.compile("[\0-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")

_NODE_STYLE = ("#eef2fb", 6.0)  # fill, and radius of the corners
_END_STYLE = ("#eef6ee", BOX_HEIGHT / 2)


def to_mermaid(config: GraphConfig) -> str:
    """Return the graph as a Mermaid flowchart.

    Boxes are nodes, rounded ends are inputs and outputs, dotted arrows back edges and side packets
    that one node sets for another.

    Raises :class:`~handheld.errors.GraphValidationError` for a graph that could not run.
    """
    return mermaid_of(picture_of(config))


def to_svg(config: GraphConfig) -> str:
    """Return the graph as an SVG drawing of its own.

    Inputs are at the top, back edges dashed along the side, dashed as well side packets that one
    node sets for another.

    Raises :class:`~handheld.errors.GraphValidationError` for a graph that could not run.
    """
    return svg_of(picture_of(config))


def picture_of(config: GraphConfig) -> Picture:
    """Return what is drawn of a graph.

    Raises :class:`~handheld.errors.GraphValidationError` for a graph that could not run.
    """
    graph = plan(config)
    arrows: list[StreamArrow] = []
    for node in graph.nodes:
        for stream in node.inputs.values():
            back = isinstance(stream, BackEdge)
            arrows.append(StreamArrow(_sender(graph, stream), node.name, stream, back))
        for name in node.side_inputs.values():
            producer = graph.sides[name].node
            # Not from outside: those are known before there is a graph.
            if producer != INPUT:
                arrows.append(StreamArrow(producer, node.name, name, back=False, side=True))
    outputs = [
        StreamArrow(_sender(graph, stream), output_box(stream), stream, back=False)
        for stream in config.outputs
    ]
    names = [node.name for node in graph.nodes]
    return picture(config.inputs, names, arrows + outputs)


def _sender(graph: GraphPlan, stream: str) -> str:
    return graph.streams[stream].node or input_box(stream)


def mermaid_of(drawn: Picture) -> str:
    """Return a picture as a Mermaid flowchart, see :func:`to_mermaid`."""
    lines = ["flowchart TD"]
    # Mermaid's own names are letters and digits only: numbers stand for ours.
    ids: dict[str, str] = {}
    for number, box in enumerate(drawn.boxes):
        ids[box] = f"n{number}"
        shape = f"[{_quoted(label(box))}]"
        if is_end(box):
            shape = f"({shape})"
        lines.append(f"    {ids[box]}{shape}")
    for arrow in drawn.arrows:
        start, tip = ("-.", ".->") if arrow.back or arrow.side else ("--", "-->")
        source = ids[arrow.source]
        target = ids[arrow.target]
        lines.append(f"    {source} {start} {_quoted(arrow.stream)} {tip} {target}")
    return "\n".join(lines) + "\n"


def svg_of(drawn: Picture) -> str:
    """Return a picture as an SVG drawing, see :func:`to_svg`."""
    forward: list[StreamArrow] = []
    backward: list[StreamArrow] = []
    for arrow in drawn.arrows:
        direction = backward if arrow.back else forward
        direction.append(arrow)
    widths = {box: _box_width(box) for box in drawn.boxes}
    layout = lay_out(widths, [(arrow.source, arrow.target) for arrow in forward])
    elements = [
        *_svg_forward(forward, layout),
        *_svg_backward(backward, layout),
        # Last, so that they lie above the lines.
        *(_svg_box(box, layout.centres[box], width) for box, width in widths.items()),
    ]
    # The names of back edges stand to the right of the last lane.
    longest = max((len(arrow.stream) for arrow in backward), default=0)
    side = _LANE * len(backward) + longest * _ARROW_LETTER
    return _svg(elements, layout.width + side + 2 * _MARGIN, layout.height + 2 * _MARGIN)


def _seen(name: str) -> str:
    """Return a label in one line, of letters that a file can hold and XML allows."""
    return _UNSEEN.sub("\ufffd", " ".join(name.split()))


def _quoted(name: str) -> str:
    return '"' + _seen(name).replace('"', "#quot;") + '"'


def _escaped(name: str) -> str:
    return escape(_seen(name))


def _box_width(name: str) -> float:
    return max(_NARROWEST_BOX, len(name) * _BOX_LETTER + _BOX_PADDING)


def _svg(elements: Sequence[str], width: float, height: float) -> str:
    begin = (
        f'<svg xmlns="http://www.w3.org/2000/svg" '
        f'viewBox="{-_MARGIN} {-_MARGIN} {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" '
        'font-family="system-ui, sans-serif" font-size="13">\n'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" '
        'markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#567"/></marker></defs>\n'
        f'<rect x="{-_MARGIN}" y="{-_MARGIN}" '
        f'width="{width:.0f}" height="{height:.0f}" fill="white"/>\n'
    )
    return begin + "\n".join([*elements, "</svg>\n"])


def _svg_forward(arrows: Sequence[StreamArrow], layout: GraphLayout) -> list[str]:
    elements = []
    labelled: set[tuple[bool, str]] = set()
    for arrow, route in zip(arrows, layout.routes, strict=True):
        # A stream that goes to several nodes is named once; a side packet may be called like it.
        named = (arrow.side, arrow.stream)
        name = "" if named in labelled else arrow.stream
        labelled.add(named)
        elements.append(_svg_route(route, name, dashed=arrow.side))
    return elements


def _svg_backward(arrows: Sequence[StreamArrow], layout: GraphLayout) -> list[str]:
    elements = []
    for number, arrow in enumerate(arrows, start=1):
        source = layout.centres[arrow.source]
        target = layout.centres[arrow.target]
        lane = layout.width + _LANE * number
        elements.append(_svg_back(source, target, lane, arrow.stream))
    return elements


def _svg_route(route: Sequence[Point], name: str, *, dashed: bool) -> str:
    """Draw a smooth line from below the first box, through waypoints, to above the last."""
    points = list(route)
    first_x, first_y = points[0]
    last_x, last_y = points[-1]
    points[0] = (first_x, first_y + BOX_HEIGHT / 2)
    points[-1] = (last_x, last_y - BOX_HEIGHT / 2)
    x, y = points[0]
    path = f"M{x:.0f} {y:.0f}"
    for next_x, next_y in points[1:]:
        # Both handles half way down: the line leaves and enters each point upright.
        middle = (y + next_y) / 2
        path += f"C{x:.0f} {middle:.0f} {next_x:.0f} {middle:.0f} {next_x:.0f} {next_y:.0f}"
        x = next_x
        y = next_y
    # Near the second point, above its layer, where lines of one box have parted already.
    second_x, second_y = route[1]
    label_x = (first_x + 2 * second_x) / 3 + 5
    label_y = second_y - BOX_HEIGHT / 2 - 14
    return _svg_line(path, name, label_x, label_y, dashed=dashed)


def _svg_back(source: Point, target: Point, lane: float, name: str) -> str:
    """Draw a dashed line out of the bottom of one box, up along a lane, into the top of another."""
    x0, y0 = source
    x1, y1 = target
    bottom = y0 + BOX_HEIGHT / 2
    top = y1 - BOX_HEIGHT / 2
    below = bottom + _BEND
    above = top - _BEND
    path = (
        f"M{x0:.0f} {bottom:.0f}"
        f"C{x0:.0f} {below:.0f} {lane:.0f} {below:.0f} {lane:.0f} {bottom - _TURN:.0f}"
        f"V{top + _TURN:.0f}"
        f"C{lane:.0f} {above:.0f} {x1:.0f} {above:.0f} {x1:.0f} {top:.0f}"
    )
    return _svg_line(path, name, lane + 5, bottom - 30, dashed=True)


def _svg_line(path: str, name: str, x: float, y: float, *, dashed: bool = False) -> str:
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    line = (
        f'<path d="{path}" fill="none" stroke="#567" stroke-width="1.4" '
        f'marker-end="url(#tip)"{dash}/>'
    )
    if not name:
        return line
    return f'{line}<text x="{x:.0f}" y="{y:.0f}" fill="#678" font-size="11">{_escaped(name)}</text>'


def _svg_box(name: str, centre: Point, width: float) -> str:
    x, y = centre
    fill, radius = _END_STYLE if is_end(name) else _NODE_STYLE
    return (
        f'<rect x="{x - width / 2:.0f}" y="{y - BOX_HEIGHT / 2:.0f}" '
        f'width="{width:.0f}" height="{BOX_HEIGHT:.0f}" '
        f'rx="{radius:.0f}" fill="{fill}" stroke="#9ab"/>'
        f'<text x="{x:.0f}" y="{y + 4:.0f}" text-anchor="middle" fill="#123">'
        f"{_escaped(label(name))}</text>"
    )
