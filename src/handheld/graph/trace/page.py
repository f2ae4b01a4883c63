"""A trace as a page: a time line and the drawn graph, in one file that needs no network."""

import html
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from handheld.graph._layout import BOX_HEIGHT, GraphLayout, Point, lay_out
from handheld.graph.trace.records import GraphShape, NodeShape
from handheld.graph.trace.values import TraceContent, TracedCall

# Pixels of a letter of a name (13 px) and of a node's figures (11 px).
_NAME_LETTER = 7.4
_FIGURES_LETTER = 6.2
_BOX_PADDING = 24.0
_NARROWEST_BOX = 84.0

_LANE = 26.0  # between two back edges at the side
_BEND = 34.0  # how far a back edge swings out of its box ...
_TURN = 26.0  # ... and how far it has come back where it is upright in its lane

# Before the name of a graph's input, which a node may have too.
_INPUT = "\0"

_MARK = re.compile("@@([a-z]+)@@")

# Characters that could end the element that the data stands in, or the line that they stand in.
_ESCAPES = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}


def page_of(trace: TraceContent) -> str:
    """Return the page of a trace, as HTML."""
    values = {
        "title": html.escape(f"Trace of {trace.graph.name}"),
        "style": _file("viewer.css"),
        "script": _file("viewer.js"),
        "data": _data(trace),
    }
    # In one pass: nothing that stands in a value is taken for a mark.
    return _MARK.sub(lambda mark: values[mark.group(1)], _file("viewer.html"))


def _file(name: str) -> str:
    return (resources.files(__package__) / "viewer" / name).read_text("utf-8")


def _data(trace: TraceContent) -> str:
    text = json.dumps(_tables(trace), separators=(",", ":"))
    for character, escape in _ESCAPES.items():
        text = text.replace(character, escape)
    return text


class _Names:
    """Names by number, each once: a trace has few names and many calls."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, name: str) -> int:
        if name not in self._numbers:
            self._numbers[name] = len(self.names)
            self.names.append(name)
        return self._numbers[name]


def _tables(trace: TraceContent) -> dict[str, Any]:
    """Return what the page shows, as lists of numbers."""
    names = _Names()
    totals = _totals(trace)
    calls = [_call_row(call, names) for call in trace.calls]
    arrows = [[arrow.sender, arrow.taker, names.number(arrow.stream)] for arrow in trace.arrows]
    waits = []
    for wait in trace.waits:
        stream = names.number(wait.stream)
        row = [names.number(wait.node), names.number(wait.name), wait.start_us, wait.took_us]
        waits.append([*row, stream])
    counters: dict[str, list[list[float]]] = defaultdict(list)
    for count in trace.counts:
        counters[count.name].append([count.at_us, count.value])
    return {
        "graph": trace.graph.name,
        "lost": trace.lost,
        "calls": calls,
        "arrows": arrows,
        "waits": waits,
        "counters": counters,
        "nodes": [_node_row(total) for total in totals.values()],
        "picture": _picture(trace.graph, totals),
        "names": names.names,
    }


def _call_row(call: TracedCall, names: _Names) -> list[Any]:
    return [
        names.number(call.node),
        names.number(call.method),
        names.number(call.thread),
        call.start_us,
        call.took_us,
        call.queued_us,
        call.timestamp,
        names.number(call.error),
    ]


@dataclass
class _NodeTotal:
    """What a node did in the whole trace."""

    shape: NodeShape
    calls: int = 0
    busy_us: float = 0.0
    queued_us: float = 0.0
    errors: int = 0

    @property
    def mean_us(self) -> float:
        """Microseconds of a call; 0 where there was none."""
        return self.busy_us / max(1, self.calls)

    @property
    def peak(self) -> int:
        """The most packets that one of its queues held."""
        return max((entry.peak for entry in self.shape.inputs), default=0)

    def figures(self) -> str:
        """Say in a few words how it fared, for its box."""
        words = [f"{self.calls:,} calls, {_duration(self.mean_us)}"]
        if self.shape.drops:
            words.append(f"{self.shape.drops:,} dropped")
        if self.peak > 1:
            words.append(f"queue {self.peak}")
        return ", ".join(words)


def _duration(us: float) -> str:
    """Return a time in three digits."""
    for unit, size in (("s", 1e6), ("ms", 1e3)):
        if us >= size:
            return f"{us / size:.3g} {unit}"
    return f"{us:.3g} µs"


def _totals(trace: TraceContent) -> dict[str, _NodeTotal]:
    totals = {node.name: _NodeTotal(node) for node in trace.graph.nodes}
    for call in trace.calls:
        total = totals.get(call.node)
        # A graph input may be called as a node is; and what opens a node is no call of its work.
        if total is None or call.method in ("add", "open"):
            continue
        total.calls += 1
        total.busy_us += call.took_us
        total.queued_us += call.queued_us
        total.errors += bool(call.error)
    return totals


def _node_row(total: _NodeTotal) -> dict[str, Any]:
    return {
        "name": total.shape.name,
        "calls": total.calls,
        "mean": total.mean_us,
        "busy": total.busy_us,
        "queued": total.queued_us / max(1, total.calls),
        "drops": total.shape.drops,
        "skips": total.shape.skips,
        "errors": total.errors,
        "peak": total.peak,
    }


@dataclass(frozen=True)
class _Connection:
    source: str
    target: str
    stream: str
    back: bool


def _picture(graph: GraphShape, totals: Mapping[str, _NodeTotal]) -> dict[str, Any]:
    """Return boxes and lines of the drawn graph."""
    figures = {name: total.figures() for name, total in totals.items()}
    widths = _widths(graph, figures)
    connections = list(_connections(graph))
    # Back edges have no part in the layout, which needs an order: they run along lanes beside it.
    forward = [connection for connection in connections if not connection.back]
    backward = [connection for connection in connections if connection.back]
    layout = lay_out(widths, [(one.source, one.target) for one in forward])
    longest = max((len(one.stream) for one in backward), default=0)
    return {
        "boxes": [_box(name, layout.centres[name], widths[name], figures) for name in widths],
        "lines": [*_forward(forward, layout), *_backward(backward, layout)],
        "width": layout.width + _LANE * len(backward) + longest * _FIGURES_LETTER,
        "height": layout.height,
    }


def _widths(graph: GraphShape, figures: Mapping[str, str]) -> dict[str, float]:
    """Return the width of each box: of graph inputs, then of nodes."""
    widths: dict[str, float] = {}
    for stream in graph.inputs:
        widths[_INPUT + stream] = _width(stream, "")
    for node in graph.nodes:
        widths[node.name] = _width(node.name, figures[node.name])
    return widths


def _connections(graph: GraphShape) -> Iterator[_Connection]:
    senders = {stream: _INPUT + stream for stream in graph.inputs}
    for node in graph.nodes:
        senders.update(dict.fromkeys(node.outputs, node.name))
    for node in graph.nodes:
        for entry in node.inputs:
            if entry.stream in senders:
                yield _Connection(senders[entry.stream], node.name, entry.stream, entry.back)


def _width(name: str, figures: str) -> float:
    letters = max(len(name) * _NAME_LETTER, len(figures) * _FIGURES_LETTER)
    return max(_NARROWEST_BOX, letters + _BOX_PADDING)


def _box(name: str, centre: Point, width: float, figures: Mapping[str, str]) -> dict[str, Any]:
    x, y = centre
    return {
        "name": name.removeprefix(_INPUT),
        "input": name.startswith(_INPUT),
        "figures": figures.get(name, ""),
        "x": round(x - width / 2, 1),
        "y": round(y - BOX_HEIGHT / 2, 1),
        "width": round(width, 1),
        "height": BOX_HEIGHT,
    }


def _forward(connections: Iterable[_Connection], layout: GraphLayout) -> Iterator[dict[str, Any]]:
    labelled: set[str] = set()
    for one, route in zip(connections, layout.routes, strict=True):
        points = list(route)
        first_x, first_y = points[0]
        last_x, last_y = points[-1]
        points[0] = (first_x, first_y + BOX_HEIGHT / 2)
        points[-1] = (last_x, last_y - BOX_HEIGHT / 2)
        second_x, second_y = route[1]
        # A stream that goes to several nodes is named once, where its lines have parted.
        label = ""
        if one.stream not in labelled:
            label = one.stream
        labelled.add(one.stream)
        yield {
            "path": _curve(points),
            "label": label,
            "x": round((first_x + 2 * second_x) / 3 + 5),
            "y": round(second_y - BOX_HEIGHT / 2 - 14),
            "back": False,
        }


def _curve(points: list[Point]) -> str:
    x, y = points[0]
    path = f"M{x:.0f} {y:.0f}"
    for next_x, next_y in points[1:]:
        # Both handles half way down: the line leaves and enters each point upright.
        middle = (y + next_y) / 2
        path += f"C{x:.0f} {middle:.0f} {next_x:.0f} {middle:.0f} {next_x:.0f} {next_y:.0f}"
        x = next_x
        y = next_y
    return path


def _backward(connections: Iterable[_Connection], layout: GraphLayout) -> Iterator[dict[str, Any]]:
    """Lead each back edge out of the bottom of one box, up along a lane, into another's top."""
    for number, one in enumerate(connections, start=1):
        x0, y0 = layout.centres[one.source]
        x1, y1 = layout.centres[one.target]
        lane = layout.width + _LANE * number
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
        yield {
            "path": path,
            "label": one.stream,
            "x": round(lane + 5),
            "y": round(bottom - 30),
            "back": True,
        }
