"""Tracers that write on a thread of their own, so that the graph only notes what it did."""

import logging
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from handheld.errors import GraphError
from handheld.graph.trace.records import GraphShape, Record
from handheld.ranges import in_range, whole_in_range

_log = logging.getLogger(__name__)

# Records that are written at a time: what a chunk takes in memory, and what is lost where a process
# is killed in the middle of writing one.
_CHUNK = 4096

# Seconds between two descriptions of the graph, whose counts a reader goes by.
_DESCRIBED_EVERY_S = 1.0


class TraceSink(Protocol):
    """Where a trace goes; called by one thread."""

    def take(self, records: Sequence[Record]) -> None:
        """Write records, so that they survive the process."""

    def describe(self) -> None:
        """Write the graph and its counts as they are now."""

    def close(self) -> None:
        """Write what a whole trace ends with."""


class BackgroundTracer(ABC):
    """A tracer that keeps records until its thread writes them, many at a time.

    Args:
        flush_s: seconds from one writing to the next.
        max_pending: records that are kept at most; beyond it the oldest are lost.
    """

    def __init__(self, *, flush_s: float = 0.1, max_pending: int = 100_000) -> None:
        in_range("flush_s", flush_s, low=0.0, low_open=True)
        whole_in_range("max_pending", max_pending, low=1)
        self._flush_s = flush_s
        self._pending: deque[Record] = deque(maxlen=max_pending)
        # A method of the deque itself: nothing lies between the graph and the queue.
        self.record: Callable[[Record], None] = self._pending.append
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    @abstractmethod
    def open_sink(self, describe: Callable[[], GraphShape]) -> TraceSink:
        """Return where the trace of this graph goes."""

    def start(self, describe: Callable[[], GraphShape]) -> None:
        """Begin to write. Raises :class:`GraphError` while it watches another graph."""
        if self._thread is not None:
            raise GraphError("this tracer watches a graph already; make another")
        sink = self.open_sink(describe)
        self._pending.clear()
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            # Not a method: the thread would hold on to this object, and so to the graph.
            target=_write_on,
            args=(sink, self._pending, self._stopping, self._flush_s),
            name="handheld-trace",
            # A program that ends in the middle of a graph must not hang.
            daemon=True,
        )
        self._thread.start()

    def stop(self) -> None:
        """Write what is left."""
        thread = self._thread
        self._thread = None
        if thread is not None:
            self._stopping.set()
            thread.join()


def _write_on(
    sink: TraceSink, pending: "deque[Record]", stopping: threading.Event, flush_s: float
) -> None:
    """Write what comes until it is stopped; what the thread does."""
    try:
        _write_until(sink, pending, stopping, flush_s)
    except Exception:
        # Of a full disk, say. The graph goes on: what it gives is worth more than its trace.
        _log.exception("the trace ends here; the graph goes on")


def _write_until(
    sink: TraceSink, pending: "deque[Record]", stopping: threading.Event, flush_s: float
) -> None:
    since_s = 0.0
    try:
        while not stopping.wait(flush_s):
            since_s += flush_s
            if not pending:
                continue
            _drain(sink, pending)
            if since_s >= _DESCRIBED_EVERY_S:
                since_s = 0.0
                sink.describe()
        _drain(sink, pending)
    finally:
        sink.close()


def _drain(sink: TraceSink, pending: "deque[Record]") -> None:
    """Write what waits, in chunks. What comes meanwhile, too, but for the last few."""
    while count := min(len(pending), _CHUNK):
        # One by one: others append meanwhile, and what is full drops its oldest.
        sink.take([pending.popleft() for _ in range(count)])
        if count < _CHUNK:
            return
