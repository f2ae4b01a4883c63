"""Graphs as pictures: Mermaid text for documents, SVG for everything else."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from handheld.graph.config import BackEdge, GraphConfig
from handheld.graph.plan import INPUT, Plan, plan

_BOX_HEIGHT, _LAYER_GAP, _BOX_GAP, _MARGIN, _LETTER = 44, 70, 36, 30, 7.6


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
    arrows = _arrows(plan(config))
    names = dict.fromkeys(name for arrow in arrows for name in (arrow.source, arrow.target))
    ids = {name: f"n{number}" for number, name in enumerate(names)}
    lines = ["flowchart TD"]
    lines += [f'    {ids[n]}(["{n[1:]}"])' if _is_end(n) else f'    {ids[n]}["{n}"]' for n in names]
    for arrow in arrows:
        link = "-." if arrow.back else "--"
        lines.append(f'    {ids[arrow.source]} {link} "{arrow.stream}" {link[::-1]}> {ids[arrow.target]}')
    return "\n".join(lines) + "\n"


def to_svg(config: GraphConfig) -> str:
    """Return the graph as an SVG drawing of its own, inputs at the top, back edges dashed along the side.

    Raises :class:`~handheld.errors.GraphValidationError` for a graph that could not run.
    """
    arrows = _arrows(plan(config))
    layers = _layers(arrows)
    centre, width = _place(layers)
    bottom = max(y for _, y in centre.values()) + _BOX_HEIGHT / 2 + _MARGIN
    lanes = sum(arrow.back for arrow in arrows)
    full_width = width + lanes * 22 + (2 * _MARGIN if lanes else 0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {full_width:.0f} {bottom:.0f}" width="{full_width:.0f}" '
        f'height="{bottom:.0f}" font-family="system-ui, sans-serif" font-size="13">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#567"/></marker></defs>',
        f'<rect width="{full_width:.0f}" height="{bottom:.0f}" fill="white"/>',
    ]
    lane = width
    for arrow in arrows:
        if arrow.back:
            lane += 22
        parts.append(_svg_arrow(arrow, centre, lane))
    parts += [_svg_box(name, *centre[name]) for layer in layers for name in layer]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _arrows(graph: Plan) -> list[_Arrow]:
    arrows = [
        _Arrow(graph.streams[stream].node or "\0" + stream, node.name, stream, isinstance(stream, BackEdge))
        for node in graph.nodes
        for stream in node.inputs.values()
    ]
    arrows += [_Arrow(graph.streams[s].node, "\1" + s, s, False) for s in graph.config.outputs if graph.streams[s].node != INPUT]
    return arrows


def _is_end(name: str) -> bool:
    return name[0] in "\0\1"


def _layers(arrows: Iterable[_Arrow]) -> list[list[str]]:
    """Give each box the layer of its longest path from an input, and order each layer by the boxes above."""
    forward = [arrow for arrow in arrows if not arrow.back]
    above = defaultdict(list)
    for arrow in forward:
        above[arrow.target].append(arrow.source)
    depth: dict[str, int] = {}
    for arrow in forward:  # in topological order of targets, since the plan is
        depth.setdefault(arrow.source, 0)
        depth[arrow.target] = max(depth.get(arrow.target, 0), depth[arrow.source] + 1)
    layers: list[list[str]] = [[] for _ in range(max(depth.values(), default=0) + 1)]
    for name, layer in depth.items():
        layers[layer].append(name)
    position: dict[str, float] = {}
    for layer in layers:
        layer.sort(key=lambda name: _mean([position[n] for n in above[name]]))
        position.update({name: (index + 0.5) / len(layer) for index, name in enumerate(layer)})
    return layers


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.5


def _box_width(name: str) -> float:
    return max(90.0, len(name) * _LETTER + 24)


def _place(layers: list[list[str]]) -> tuple[dict[str, tuple[float, float]], float]:
    widths = [sum(map(_box_width, layer)) + _BOX_GAP * (len(layer) - 1) for layer in layers]
    full = max(widths) + 2 * _MARGIN + 60
    centre = {}
    for row, (layer, width) in enumerate(zip(layers, widths, strict=True)):
        x = (full - width) / 2
        for name in layer:
            centre[name] = (x + _box_width(name) / 2, _MARGIN + _BOX_HEIGHT / 2 + row * (_BOX_HEIGHT + _LAYER_GAP))
            x += _box_width(name) + _BOX_GAP
    return centre, full


def _svg_arrow(arrow: _Arrow, centre: dict[str, tuple[float, float]], lane: float) -> str:
    (x0, y0), (x1, y1) = centre[arrow.source], centre[arrow.target]
    y0, y1 = y0 + _BOX_HEIGHT / 2, y1 - _BOX_HEIGHT / 2
    style = 'fill="none" stroke="#567" stroke-width="1.4" marker-end="url(#tip)"'
    if arrow.back:
        path = f"M{x0:.0f} {y0:.0f}C{x0:.0f} {y0 + 40:.0f} {lane:.0f} {y0 + 40:.0f} {lane:.0f} {y0 - 20:.0f}"
        path += f"V{y1 + 10:.0f}C{lane:.0f} {y1 - 40:.0f} {x1:.0f} {y1 - 40:.0f} {x1:.0f} {y1:.0f}"
        style += ' stroke-dasharray="5 4"'
        label = (lane + 4, (y0 + y1) / 2)
    else:
        middle = (y0 + y1) / 2
        path = f"M{x0:.0f} {y0:.0f}C{x0:.0f} {middle:.0f} {x1:.0f} {middle:.0f} {x1:.0f} {y1:.0f}"
        label = ((x0 + x1) / 2 + 4, middle)
    text = f'<text x="{label[0]:.0f}" y="{label[1]:.0f}" fill="#678" font-size="11">{escape(arrow.stream)}</text>'
    return f'<path d="{path}" {style}/>{text}'


def _svg_box(name: str, x: float, y: float) -> str:
    width = _box_width(name)
    end = _is_end(name)
    fill, radius = ("#eef6ee", _BOX_HEIGHT / 2) if end else ("#eef2fb", 6)
    return (
        f'<rect x="{x - width / 2:.0f}" y="{y - _BOX_HEIGHT / 2:.0f}" width="{width:.0f}" height="{_BOX_HEIGHT}" '
        f'rx="{radius:.0f}" fill="{fill}" stroke="#9ab"/>'
        f'<text x="{x:.0f}" y="{y + 4:.0f}" text-anchor="middle" fill="#123">{escape(name.lstrip(chr(0) + chr(1)))}</text>'
    )
