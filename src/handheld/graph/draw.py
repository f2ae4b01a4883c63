"""Graphs as pictures: Mermaid text for documents, SVG for everything else."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from handheld.graph._layout import BOX_HEIGHT, lay_out
from handheld.graph.config import BackEdge, GraphConfig
from handheld.graph.plan import GraphPlan, plan

_MARGIN, _LANE, _LETTER = 16, 26, 7.4


@dataclass(frozen=True)
class _Arrow:
    source: str
    target: str
    stream: str
    back: bool


def to_mermaid(config: GraphConfig) -> str:
    """Return the graph as a Mermaid flowchart: boxes are nodes, rounded ends are inputs and outputs, dotted arrows back edges.

    Raises :class:`~handheld.errors.GraphValidationError` for a graph that could not run.
    """
    graph = plan(config)
    arrows = _arrows(graph)
    ids = {name: f"n{number}" for number, name in enumerate(_boxes(graph, arrows))}
    lines = ["flowchart TD"]
    lines += [f"    {i}([{_quoted(n[1:])}])" if _is_end(n) else f"    {i}[{_quoted(n)}]" for n, i in ids.items()]
    for arrow in arrows:
        link = "-." if arrow.back else "--"
        lines.append(f"    {ids[arrow.source]} {link} {_quoted(arrow.stream)} {link[::-1]}> {ids[arrow.target]}")
    return "\n".join(lines) + "\n"


def to_svg(config: GraphConfig) -> str:
    """Return the graph as an SVG drawing of its own, inputs at the top, back edges dashed along the side.

    Raises :class:`~handheld.errors.GraphValidationError` for a graph that could not run.
    """
    graph = plan(config)
    arrows = _arrows(graph)
    forward = [arrow for arrow in arrows if not arrow.back]
    backward = [arrow for arrow in arrows if arrow.back]
    widths = {name: max(80.0, len(name) * _LETTER + 20) for name in _boxes(graph, arrows)}
    layout = lay_out(widths, [(arrow.source, arrow.target) for arrow in forward])
    shown: set[str] = set()  # a stream that goes to several nodes is named once
    parts = []
    for arrow, way in zip(forward, layout.ways, strict=True):
        parts.append(_svg_way(way, "" if arrow.stream in shown else arrow.stream))
        shown.add(arrow.stream)
    for number, arrow in enumerate(backward):
        lane = layout.width + _LANE * (number + 1)
        parts.append(_svg_back(layout.centres[arrow.source], layout.centres[arrow.target], lane, arrow.stream))
    parts += [_svg_box(name, *layout.centres[name], width) for name, width in widths.items()]
    longest = max((len(arrow.stream) for arrow in backward), default=0)
    width = layout.width + _LANE * len(backward) + longest * 6.2 + 2 * _MARGIN
    height = layout.height + 2 * _MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{-_MARGIN} {-_MARGIN} {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" font-family="system-ui, sans-serif" font-size="13">\n'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#567"/></marker></defs>\n'
        f'<rect x="{-_MARGIN}" y="{-_MARGIN}" width="{width:.0f}" height="{height:.0f}" fill="white"/>\n'
    ) + "\n".join([*parts, "</svg>\n"])


def _arrows(graph: GraphPlan) -> list[_Arrow]:
    arrows = [
        _Arrow(graph.streams[stream].node or "\0" + stream, node.name, stream, isinstance(stream, BackEdge))
        for node in graph.nodes
        for stream in node.inputs.values()
    ]
    sent = [(graph.streams[stream].node, stream) for stream in graph.config.outputs]
    return arrows + [_Arrow(node or "\0" + stream, "\1" + stream, stream, False) for node, stream in sent]


def _boxes(graph: GraphPlan, arrows: list[_Arrow]) -> list[str]:
    """Name every box: graph inputs, nodes in the order of the plan, graph outputs."""
    inputs = ["\0" + name for name in graph.config.inputs]
    return list(dict.fromkeys([*inputs, *(node.name for node in graph.nodes), *(arrow.target for arrow in arrows)]))


def _quoted(label: str) -> str:
    return '"' + label.replace('"', "#quot;") + '"'


def _is_end(name: str) -> bool:
    return name[0] in "\0\1"


def _svg_way(way: Sequence[tuple[float, float]], stream: str) -> str:
    """Draw a smooth line from below the first box, through waypoints, to above the last."""
    (x, y), *rest = way
    y += BOX_HEIGHT / 2
    path = f"M{x:.0f} {y:.0f}"
    for number, (next_x, centre_y) in enumerate(rest, start=1):
        next_y = centre_y - (BOX_HEIGHT / 2 if number == len(rest) else 0)
        middle = (y + next_y) / 2
        path += f"C{x:.0f} {middle:.0f} {next_x:.0f} {middle:.0f} {next_x:.0f} {next_y:.0f}"
        x, y = next_x, next_y
    return _svg_line(path, stream, (way[0][0] + 2 * way[1][0]) / 3 + 5, way[1][1] - BOX_HEIGHT / 2 - 14)


def _svg_back(source: tuple[float, float], target: tuple[float, float], lane: float, stream: str) -> str:
    """Draw a dashed line out of the bottom of one box, up along a lane at the side, into the top of another."""
    (x0, y0), (x1, y1) = source, target
    y0, y1 = y0 + BOX_HEIGHT / 2, y1 - BOX_HEIGHT / 2
    path = f"M{x0:.0f} {y0:.0f}C{x0:.0f} {y0 + 34:.0f} {lane:.0f} {y0 + 34:.0f} {lane:.0f} {y0 - 26:.0f}"
    path += f"V{y1 + 26:.0f}C{lane:.0f} {y1 - 34:.0f} {x1:.0f} {y1 - 34:.0f} {x1:.0f} {y1:.0f}"
    return _svg_line(path, stream, lane + 5, y0 - 30, dashed=True)


def _svg_line(path: str, label: str, x: float, y: float, *, dashed: bool = False) -> str:
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    text = f'<text x="{x:.0f}" y="{y:.0f}" fill="#678" font-size="11">{escape(label)}</text>' if label else ""
    return f'<path d="{path}" fill="none" stroke="#567" stroke-width="1.4" marker-end="url(#tip)"{dash}/>{text}'


def _svg_box(name: str, x: float, y: float, width: float) -> str:
    fill, radius = ("#eef6ee", BOX_HEIGHT / 2) if _is_end(name) else ("#eef2fb", 6)
    return (
        f'<rect x="{x - width / 2:.0f}" y="{y - BOX_HEIGHT / 2:.0f}" width="{width:.0f}" height="{BOX_HEIGHT:.0f}" '
        f'rx="{radius:.0f}" fill="{fill}" stroke="#9ab"/>'
        f'<text x="{x:.0f}" y="{y + 4:.0f}" text-anchor="middle" fill="#123">{escape(name.lstrip(chr(0) + chr(1)))}</text>'
    )
