"""From records to events of Chrome's trace format, one line of JSON each.

The format: "Trace Event Format" (Google, 2016), which Perfetto reads. A call is a complete event
("X") on the track of its thread. What waits has a track for each node. A packet is an arrow ("s" to
"f") from the call that sent it to the call that took it; how long a queue is is a counter ("C").

Everything here is derived: the graph itself only said when its calls began and ended.
"""

import json
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from math import isfinite
from typing import Any

from handheld.graph.timestamp import Timestamp
from handheld.graph.trace.records import (
    CALL,
    FED,
    OPENED,
    THROTTLED,
    GraphShape,
    NodeShape,
    Record,
    method_of,
)

THREADS = 1
"""Process number of the tracks of threads."""

NODES = 2
"""Process number of the tracks of nodes, on which they wait, and of the counters."""

GRAPH_EVENT = "handheld_graph"
"""Name of the metadata event that describes the graph."""

# Microseconds below which there is no slice for it. Queued: a node waits about so long for the
# scheduler itself, and the call's "queued" is exact. Waiting for input: of a node that runs as
# often nobody asks why it waits, and each slice costs as much to write as a call.
_SHORTEST_QUEUED = 100.0
_SHORTEST_WAIT = 5000.0

# An arrow begins this long before the end of a call, in microseconds: at its end it would be
# outside of it.
_INSIDE = 0.001

# Numbers that a reader in JavaScript takes for others.
_INEXACT = 2**53


class _Queue:
    """What is known of an input queue: who sent the packets in it, and how long it is said to be.

    ``sent`` has of each packet its timestamp, and the sender's track and time as they are written.
    """

    __slots__ = ("arrow_in", "arrow_out", "counter", "label", "sent", "shown", "stream")

    def __init__(self, taker: str, port: str, stream: str) -> None:
        self.stream = stream
        self.label = json.dumps(stream)
        self.counter = json.dumps(f"queue {taker}.{port}")
        # What is the same of each arrow, made once.
        packet = f'"name":{self.label},"cat":"packet","pid":{THREADS},"id":'
        self.arrow_out = f'{{"ph":"s",{packet}'
        self.arrow_in = f'{{"ph":"f","bp":"e",{packet}'
        self.sent: deque[tuple[int, str]] = deque()
        self.shown = 0


class _Node:
    """What is known of a node: its queues by port, and its track."""

    __slots__ = (
        "calls",
        "drops",
        "ended_us",
        "heads",
        "last_number",
        "lone",
        "name",
        "queues",
        "track",
    )

    def __init__(self, shape: NodeShape, track: int) -> None:
        self.name = json.dumps(shape.name)
        self.track = track
        self.queues: dict[str, _Queue] = {}
        for entry in shape.inputs:
            self.queues[entry.port] = _Queue(shape.name, entry.port, entry.stream)
        self.lone = tuple(self.queues)
        # What a call's line begins with, by method.
        self.heads = {
            method: f'{{"ph":"X","pid":{THREADS},"name":{self.name},"cat":"{method}","tid":'
            for method in ("open", "process", "close")
        }
        self.calls = 0
        self.last_number = 0
        self.drops = 0
        self.ended_us = 0.0

    def count_call(self, number: int) -> None:
        """Count a call that is in the trace, by its number among those of the node."""
        self.calls += 1
        # Several threads may call a node at once, and what began first may be written last.
        if number > self.last_number:
            self.last_number = number


class ChromeRenderer:
    """Makes lines of records, in the order in which they came.

    Args:
        describe: returns the graph as it is.
    """

    def __init__(self, describe: Callable[[], GraphShape]) -> None:
        self._describe = describe
        self._shape = describe()
        self._origin_s = self._shape.at_s
        self._nodes: dict[str, _Node] = {}
        self._takers: dict[str, list[_Queue]] = {}  # stream -> queues that it leads to
        self._tracks: dict[int, int] = {}  # thread -> track
        self._arrows = 0
        self._lines: list[str] = []
        self._learn(self._shape)

    def header(self) -> list[str]:
        """Return the lines that a trace begins with."""
        name = json.dumps(self._shape.name)
        lines = [
            f'{{"ph":"M","pid":{THREADS},"name":"process_name","args":{{"name":{name}}}}}',
            f'{{"ph":"M","pid":{NODES},"name":"process_name","args":{{"name":"nodes"}}}}',
            *self._lines,
            self.description(),
        ]
        self._lines = []
        return lines

    def description(self, *, last: bool = False) -> str:
        """Return a line with the graph as it is now, and how many calls are not in the trace.

        ``last`` where every record was rendered.
        """
        self._learn(self._describe())
        lost = 0
        for entry in self._shape.nodes:
            node = self._nodes[entry.name]
            counted = node.last_number
            # Before, some calls that the graph has counted may still wait to be rendered.
            if last:
                counted = max(counted, entry.calls)
            lost += max(0, counted - node.calls)
        shape = asdict(replace(self._shape, threads={}))  # which the tracks tell
        described = json.dumps({"graph": shape, "lost": lost}, separators=(",", ":"))
        return f'{{"ph":"M","pid":{THREADS},"name":"{GRAPH_EVENT}","args":{described}}}'

    def render(self, records: Iterable[Record]) -> list[str]:
        """Return lines of some records."""
        for record in records:
            record_type = record[0]
            if record_type in (CALL, OPENED):
                self._call(record)
            elif record_type == FED:
                self._fed(record)
            elif record_type == THROTTLED:
                self._throttled(record)
            else:
                self._reset()
        self._settle_counters()
        lines = self._lines
        self._lines = []
        return lines

    def _learn(self, shape: GraphShape) -> None:
        """Take note of nodes that are new, and of drops."""
        self._shape = shape
        for entry in shape.nodes:
            node = self._nodes.get(entry.name)
            if node is None:
                node = self._add(entry)
            if entry.drops != node.drops:
                node.drops = entry.drops
                self._count(f'"drops {node.name[1:]}', entry.drops, self._us(shape.at_s))

    def _add(self, entry: NodeShape) -> _Node:
        node = _Node(entry, len(self._nodes) + 1)
        self._nodes[entry.name] = node
        for queue in node.queues.values():
            self._takers.setdefault(queue.stream, []).append(queue)
        self._lines.append(_thread_name(NODES, node.track, node.name))
        return node

    def _node(self, name: str) -> _Node:
        node = self._nodes.get(name)
        if node is None:  # an observer that came later
            self._learn(self._describe())
            node = self._nodes.get(name) or self._add(NodeShape(name, (), ()))
        return node

    def _us(self, seconds: float) -> float:
        time_us = (seconds - self._origin_s) * 1e6
        return time_us if isfinite(time_us) else 0.0

    def _track(self, thread: int, node: str) -> int:
        track = self._tracks.get(thread)
        if track is None:
            track = len(self._tracks) + 1
            self._tracks[thread] = track
            name = json.dumps(self._name_of(thread, node))
            self._lines.append(_thread_name(THREADS, track, name))
        return track

    def _name_of(self, thread: int, node: str) -> str:
        if thread < 0:
            return f"event loop, {node}"
        if thread not in self._shape.threads:
            self._learn(self._describe())
        return self._shape.threads.get(thread, f"thread {len(self._tracks)}")

    def _call(self, record: Record) -> None:
        (
            record_type,
            name,
            thread,
            number,
            ready_s,
            start_s,
            end_s,
            timestamp,
            ports,
            error,
            sent,
            sent_at,
            more,
        ) = record
        node = self._nodes.get(name) or self._node(name)
        track = self._tracks.get(thread) or self._track(thread, name)
        start = (start_s - self._origin_s) * 1e6
        took = (end_s - start_s) * 1e6
        queued = (start_s - ready_s) * 1e6
        if not isfinite(start + took + queued):
            return  # by a clock that told no time, for which JSON has no number
        # Formatted once, for the call and for the arrows to it: that takes most of the time here.
        location = f'{track},"ts":{start:.3f}'
        method = method_of(record_type, timestamp)
        came = ""
        if method == "process":
            came = self._take_all(node, ports, timestamp, location, start)
        if record_type == CALL:
            node.count_call(number)
        wrong = ""
        if error:
            wrong = f',"error":{json.dumps(error)}'
        self._lines.append(
            f'{node.heads[method]}{location},"dur":{took:.3f},'
            f'"args":{{"t":{_json_time(timestamp)},"queued":{queued:.3f}{wrong}}}}}'
        )
        if start - node.ended_us >= _SHORTEST_QUEUED:
            self._waited(node, start, queued, came)
        end = start + took
        node.ended_us = end
        if sent is not None or more:
            at = start
            if took > _INSIDE:
                at = end - _INSIDE
            self._send_all(sent, sent_at, more, track, at)

    def _take_all(
        self,
        node: _Node,
        ports: Iterable[str] | None,
        timestamp: int,
        location: str,
        start: float,
    ) -> str:
        """Draw the arrows to a call, on all ports where it is None; return the last's stream."""
        if ports is None:
            ports = node.lone
        came = ""
        for port in ports:
            came = self._take(node, port, timestamp, location, start) or came
        return came

    def _send_all(
        self, sent: str | None, sent_at: int, more: Sequence[Any], track: int, at: float
    ) -> None:
        """Note the packets that a call sent, as its record has them."""
        location = f'{track},"ts":{at:.3f}'
        if sent is not None:
            self._send(sent, sent_at, location, at)
        for index in range(0, len(more), 2):
            self._send(more[index], more[index + 1], location, at)

    def _waited(self, node: _Node, start: float, queued: float, came: str) -> None:
        """Say what a node waited for before a call, where that was long."""
        if queued >= _SHORTEST_QUEUED:
            self._wait(node, "queued", start - queued, start, "")
        # Before its first call it did not wait, it only was not there yet.
        if start - queued - node.ended_us >= _SHORTEST_WAIT and node.ended_us:
            self._wait(node, "waits", node.ended_us, start - queued, came)

    def _wait(self, node: _Node, name: str, start: float, end: float, stream: str) -> None:
        args = ""
        if stream:
            args = f',"args":{{"for":{stream}}}'
        self._lines.append(
            f'{{"ph":"X","pid":{NODES},"tid":{node.track},"ts":{start:.3f},"dur":{end - start:.3f},'
            f'"name":"{name}","cat":"{name}"{args}}}'
        )

    def _send(self, stream: str, timestamp: int, location: str, at: float) -> None:
        """Note of a packet where it was sent: ``location`` is the track and time as written."""
        for queue in self._takers.get(stream, ()):
            waiting = queue.sent
            waiting.append((timestamp, location))
            if len(waiting) > queue.shown:
                queue.shown = len(waiting)
                self._count(queue.counter, queue.shown, at)

    def _take(self, node: _Node, port: str, timestamp: int, location: str, start: float) -> str:
        """Draw an arrow to a call from where its packet was sent; return the stream."""
        queue = node.queues.get(port)
        if queue is None:
            return ""
        waiting = queue.sent
        depth = len(waiting)
        if not waiting:
            return ""
        sent_at, sender = waiting.popleft()
        if sent_at != timestamp:
            sender = _skip_to(waiting, timestamp) or sender
        if depth < queue.shown:
            queue.shown = depth
            self._count(queue.counter, depth, start)
        self._arrows += 1
        number = self._arrows
        self._lines.append(
            f'{queue.arrow_out}{number},"tid":{sender}}},\n{queue.arrow_in}{number},"tid":{location}}}'
        )
        return queue.label

    def _fed(self, record: Record) -> None:
        _, stream, thread, at_s, timestamp = record
        track = self._tracks.get(thread) or self._track(thread, stream)
        at = self._us(at_s)
        location = f'{track},"ts":{at:.3f}'
        name = json.dumps(f"add {stream}")
        # Without a length: the graph may run inside of it, and arrows need a slice to begin at.
        self._lines.append(
            f'{{"ph":"X","pid":{THREADS},"tid":{location},"dur":0,'
            f'"name":{name},"cat":"add","args":{{"t":{_json_time(timestamp)}}}}}'
        )
        self._send(stream, timestamp, location, at)

    def _throttled(self, record: Record) -> None:
        _, source, start_s, end_s = record
        start = self._us(start_s)
        node = self._nodes.get(source)
        if node is None:  # a graph input, which has a track of its own from now on
            node = self._add(NodeShape(source, (), ()))
        self._wait(node, "throttled", start, self._us(end_s), "")

    def _reset(self) -> None:
        """Forget what was in the queues."""
        for node in self._nodes.values():
            for queue in node.queues.values():
                queue.sent.clear()

    def _count(self, name: str, value: int, at: float) -> None:
        self._lines.append(
            f'{{"ph":"C","pid":{NODES},"ts":{at:.3f},"name":{name},"args":{{"packets":{value}}}}}'
        )

    def _settle_counters(self) -> None:
        """Let the counters of queues that are shorter by now say so."""
        at = self._us(self._shape.at_s)
        for node in self._nodes.values():
            at = max(at, node.ended_us)
        for node in self._nodes.values():
            for queue in node.queues.values():
                depth = len(queue.sent)
                if depth < queue.shown:
                    queue.shown = depth
                    self._count(queue.counter, depth, at)


def _skip_to(waiting: deque[tuple[int, str]], timestamp: int) -> str:
    """Drop packets that the queue dropped, and take the one of a timestamp; return its sender.

    Nothing where there is none of the timestamp: some policies join packets of different ones.
    """
    for index, (sent_at, sender) in enumerate(waiting):
        if sent_at == timestamp:
            for _ in range(index + 1):
                waiting.popleft()
            return sender
    return ""


def _json_time(timestamp: int) -> str:
    if -_INEXACT < timestamp < _INEXACT:
        return int.__repr__(timestamp)
    return f'"{Timestamp(timestamp)}"'


def _thread_name(process: int, track: int, name: str) -> str:
    return (
        f'{{"ph":"M","pid":{process},"tid":{track},"name":"thread_name","args":{{"name":{name}}}}}'
    )
