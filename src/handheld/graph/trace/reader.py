"""Traces as values: read from a file, whole or cut off."""

import json
import os
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from handheld.errors import InputError
from handheld.files import atomic_path
from handheld.graph.trace._render import GRAPH_EVENT, NODES, THREADS
from handheld.graph.trace.page import page_of
from handheld.graph.trace.records import GraphShape, InputShape, NodeShape
from handheld.graph.trace.values import Arrow, Count, TraceContent, TracedCall, Wait

_Event = Mapping[str, Any]
"""An event of the format, as JSON has it."""


class Trace(TraceContent):
    """What a graph did, to be looked at, written and shown."""

    def write_json(self, path: str | os.PathLike[str]) -> None:
        """Write it in Chrome's format. Raises :class:`~handheld.errors.FileError`."""
        with atomic_path(path) as temporary:
            temporary.write_text("[\n" + ",\n".join(self.lines) + "\n]\n", "utf-8")

    def write_page(self, path: str | os.PathLike[str]) -> None:
        """Write a page that shows it and needs no network.

        Raises :class:`~handheld.errors.FileError` where it cannot be written.
        """
        with atomic_path(path) as temporary:
            temporary.write_text(page_of(self), "utf-8")


def read_trace(path: str | os.PathLike[str]) -> Trace:
    """Return the trace of a file that :class:`FileTracer` wrote, cut off or whole.

    Raises :class:`InputError` where the file is missing or holds no such trace.
    """
    try:
        text = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: the trace cannot be read: {error}") from error
    if not text.startswith("["):
        raise InputError(f"{path}: expected a trace, which begins with '[', got {text[:20]!r}")
    try:
        return trace_of_lines(_lines(text))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: expected a trace of a graph of handheld's, but one of its events is none: "
            f"{error!r}"
        ) from error


def _lines(text: str) -> list[str]:
    """Return the events of a file, one a line; without the last, where it was cut off."""
    lines = []
    # A line each, as our tracers write them: so what was cut off is the last one at most.
    for line in text.split("\n")[1:]:
        event = line.rstrip().removesuffix(",")
        if event and event != "]":
            lines.append(event)
    if lines and not _is_whole(lines[-1]):
        lines.pop()
    return lines


def _is_whole(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def trace_of_lines(lines: Sequence[str]) -> Trace:
    """Return the trace of events in JSON, one a line, or several with a comma and a new line.

    Raises ``ValueError``, ``KeyError`` or ``TypeError`` for what is none.
    """
    events: list[dict[str, Any]] = json.loads("[" + ",\n".join(lines) + "]")
    threads, nodes = _track_names(events)
    described = _description(events)
    shape = _shape(described["graph"])
    calls, arrows = _calls_and_arrows(events, shape)
    waits = (event for event in events if event["ph"] == "X" and event["pid"] == NODES)
    return Trace(
        graph=shape,
        calls=tuple(_call(event, threads) for event in calls),
        arrows=tuple(arrows),
        waits=tuple(_wait(event, nodes) for event in sorted(waits, key=_began)),
        counts=tuple(_count(event) for event in events if event["ph"] == "C"),
        lost=described["lost"],
        lines=tuple(lines),
    )


def _track_names(events: Iterable[_Event]) -> tuple[dict[int, str], dict[int, str]]:
    """Return the names of threads and those of nodes, each by the number of its track."""
    threads: dict[int, str] = {}
    nodes: dict[int, str] = {}
    for event in events:
        if event["name"] != "thread_name":
            continue
        names = nodes
        if event["pid"] == THREADS:
            names = threads
        names[event["tid"]] = event["args"]["name"]
    return threads, nodes


def _description(events: Iterable[_Event]) -> Mapping[str, Any]:
    """Return what is said of the graph, and how many calls are missing."""
    described: Mapping[str, Any] = {"graph": {}, "lost": 0}
    for event in events:
        if event["name"] == GRAPH_EVENT:
            # It is written several times; the last knows all nodes, and the final counts.
            described = event["args"]
    return described


def _shape(described: Mapping[str, Any]) -> GraphShape:
    nodes = []
    for node in described.get("nodes", ()):
        inputs = tuple(InputShape(**entry) for entry in node["inputs"])
        nodes.append(NodeShape(**{**node, "inputs": inputs, "outputs": tuple(node["outputs"])}))
    return GraphShape(
        name=described.get("name", "graph"),
        inputs=tuple(described.get("inputs", ())),
        nodes=tuple(nodes),
        at_s=described.get("at_s", 0.0),
    )


def _call(event: Mapping[str, Any], threads: Mapping[int, str]) -> TracedCall:
    args = event["args"]
    return TracedCall(
        node=event["name"],
        method=event["cat"],
        thread=threads.get(event["tid"], f"thread {event['tid']}"),
        start_us=event["ts"],
        took_us=event["dur"],
        queued_us=args.get("queued", 0.0),
        timestamp=args["t"],
        error=args.get("error", ""),
    )


def _wait(event: Mapping[str, Any], nodes: Mapping[int, str]) -> Wait:
    return Wait(
        node=nodes.get(event["tid"], f"node {event['tid']}"),
        name=event["name"],
        start_us=event["ts"],
        took_us=event["dur"],
        stream=event.get("args", {}).get("for", ""),
    )


def _count(event: Mapping[str, Any]) -> Count:
    return Count(event["name"], event["ts"], event["args"]["packets"])


def _began(event: Mapping[str, Any]) -> float:
    return float(event["ts"])


def _calls_and_arrows(
    events: Iterable[_Event], shape: GraphShape
) -> tuple[list[_Event], list[Arrow]]:
    """Return the calls by when they began, and the arrows between them."""
    written, ends = _written(events)
    # Not by their number alone: threads write down at the end of a call what began before others.
    order = sorted(range(len(written)), key=lambda number: _began(written[number]))
    ranks = {number: rank for rank, number in enumerate(order)}
    calls = [written[number] for number in order]
    find = _SenderFinder(calls, shape)
    arrows = []
    for start, taker in ends:
        sender = find.sender(start)
        # Where the trace was cut off, the call behind the last arrows is missing.
        if sender is not None and taker in ranks:
            arrows.append(Arrow(sender, ranks[taker], start["name"]))
    return calls, arrows


def _written(events: Iterable[_Event]) -> tuple[list[_Event], list[tuple[_Event, int]]]:
    """Return the calls as they were written, and the arrows.

    Of an arrow: the event where it begins, and the number of the call that it leads to.
    """
    calls: list[_Event] = []
    senders: dict[int, _Event] = {}
    arrows: list[tuple[_Event, int]] = []
    for event in events:
        phase = event["ph"]
        if phase == "X" and event["pid"] == THREADS:
            calls.append(event)
        elif phase == "s":
            senders[event["id"]] = event
        elif phase == "f" and event["id"] in senders:
            # A call is written right behind the arrows that lead to it.
            arrows.append((senders.pop(event["id"]), len(calls)))
    return calls, arrows


class _SenderFinder:
    """Finds the call in which an arrow begins."""

    def __init__(self, calls: Sequence[_Event], shape: GraphShape) -> None:
        self._calls = calls
        self._starts: dict[int, list[float]] = defaultdict(list)  # track -> of its calls
        self._numbers: dict[int, list[int]] = defaultdict(list)
        for number, call in enumerate(calls):
            self._starts[call["tid"]].append(call["ts"])
            self._numbers[call["tid"]].append(number)
        self._producers = {stream: f"add {stream}" for stream in shape.inputs}
        for node in shape.nodes:
            self._producers.update(dict.fromkeys(node.outputs, node.name))

    def sender(self, start: _Event) -> int | None:
        """Return the number of the call that an arrow begins in, or None where it is not there."""
        track = start["tid"]
        producer = self._producers.get(start["name"])
        index = bisect_right(self._starts[track], start["ts"])
        # Calls that took no time begin at one moment: the producer's is the right one among them.
        while index:
            index -= 1
            number = self._numbers[track][index]
            if producer is None or self._calls[number]["name"] == producer:
                return number
        return None
