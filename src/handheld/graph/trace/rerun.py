"""Traces for the Rerun viewer (https://rerun.io): plots of each node beside what else is logged.

Needs ``rerun-sdk`` (extra ``rerun``), which is imported when a tracer is made.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from handheld.graph.timestamp import Timestamp
from handheld.graph.trace.background import BackgroundTracer, TraceSink
from handheld.graph.trace.records import (
    CallEvent,
    FedEvent,
    GraphShape,
    Record,
    ThrottledEvent,
    event,
)

RUN_TIME = "run"
"""Time line of the graph's own clock: seconds since it was opened."""

PACKET_TIME = "packet"
"""Time line of the packets' timestamps."""


# As parts and not as a text: names may have slashes and spaces.
_NODES = ("graph", "nodes")


class RerunTracer(BackgroundTracer):
    """Sends to Rerun how long each call took and was queued, what was dropped, and errors.

    A node's calls are at ``graph/nodes/NAME`` on the time lines ``run`` and ``packet``.

    Args:
        path: an ``.rrd`` file to write; by default whatever the recording is connected to.
        recording: a ``rerun.RecordingStream`` of one's own, so that pictures and traces are in one;
            by default a new one.
        flush_s: seconds from one sending to the next.

    Raises:
        MissingDependencyError: rerun-sdk is not installed.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        recording: Any = None,
        flush_s: float = 0.1,
    ) -> None:
        super().__init__(flush_s=flush_s)
        self._path: Path | None = None
        if path is not None:
            self._path = Path(path)
        self._rerun = _load()
        self._recording = recording

    def open_sink(self, describe: Callable[[], GraphShape]) -> TraceSink:
        """Open the recording."""
        recording = self._recording
        if recording is None:
            recording = self._rerun.RecordingStream("handheld")
        if self._path is not None:
            recording.save(str(self._path))
        return _RerunSink(self._rerun, recording, describe)


class _RerunSink:
    """Logs records to an open recording."""

    def __init__(self, rerun: Any, recording: Any, describe: Callable[[], GraphShape]) -> None:
        self._rerun = rerun
        self._recording = recording
        self._describe = describe
        self._origin_s = describe().at_s
        self._drops: dict[str, int] = {}

    def take(self, records: Sequence[Record]) -> None:
        """Log records."""
        for record in records:
            self._take(record)

    def describe(self) -> None:
        """Log how much each node dropped, where it dropped more."""
        shape = self._describe()
        self._at(shape.at_s, None)
        for node in shape.nodes:
            if node.drops != self._drops.get(node.name, 0):
                self._drops[node.name] = node.drops
                self._plot([*_NODES, node.name, "drops"], node.drops)

    def close(self) -> None:
        """Log the last counts."""
        self.describe()
        self._recording.flush()

    def _take(self, record: Record) -> None:
        happened = event(record)
        if isinstance(happened, CallEvent):
            self._call(happened)
        elif isinstance(happened, FedEvent):
            self._at(happened.at_s, happened.packet.timestamp)
            path = ["graph", "inputs", happened.packet.stream]
            self._text(path, "a packet came in", "TRACE")
        elif isinstance(happened, ThrottledEvent):
            self._at(happened.end_s, None)
            held_ms = 1000 * (happened.end_s - happened.start_s)
            self._plot(["graph", "throttled", happened.source], held_ms)

    def _call(self, call: CallEvent) -> None:
        self._at(call.end_s, call.timestamp)
        path = [*_NODES, call.node]
        self._plot([*path, "took_ms"], 1000 * (call.end_s - call.start_s))
        self._plot([*path, "queued_ms"], 1000 * (call.start_s - call.ready_s))
        if call.error:
            self._text(path, f"raised {call.error}", "ERROR")

    def _at(self, seconds: float, timestamp: Timestamp | None) -> None:
        self._recording.reset_time()
        self._recording.set_time(RUN_TIME, duration=seconds - self._origin_s)
        # Special values, such as that of a call that closes a node, are no times.
        if timestamp is not None and Timestamp.MIN <= timestamp <= Timestamp.MAX:
            self._recording.set_time(PACKET_TIME, duration=timestamp.seconds)

    def _plot(self, path: Sequence[str], value: float) -> None:
        self._recording.log(path, self._rerun.Scalars(value))

    def _text(self, path: Sequence[str], text: str, level: str) -> None:
        self._recording.log(path, self._rerun.TextLog(text, level=level))


def _load() -> Any:
    # Here, since it is large and few want it; where it is missing, the import names the extra.
    import rerun

    return rerun
