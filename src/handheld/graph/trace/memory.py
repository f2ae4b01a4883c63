"""Traces in memory: the last records of a graph."""

from collections import deque
from collections.abc import Callable

from handheld.errors import GraphError
from handheld.graph.trace._render import ChromeRenderer
from handheld.graph.trace.reader import Trace, trace_of_lines
from handheld.graph.trace.records import GraphShape, Record, TraceEvent, event
from handheld.ranges import whole_in_range


class MemoryTracer:
    """Keeps the last records of a graph, to be looked at while it runs or afterwards.

    Args:
        max_records: that are kept.

    >>> from handheld.graph import Graph, GraphConfig, Node, PassThrough
    >>> tracer = MemoryTracer()
    >>> nodes = [Node(PassThrough(), inputs="in", outputs="out")]
    >>> with Graph(GraphConfig(inputs={"in": int}, nodes=nodes), trace=tracer) as graph:
    ...     graph.add("in", 1, timestamp=40)
    >>> [call.method for call in tracer.trace().calls]
    ['open', 'add', 'process', 'close']
    """

    def __init__(self, *, max_records: int = 100_000) -> None:
        whole_in_range("max_records", max_records, low=1)
        self._records: deque[Record] = deque(maxlen=max_records)
        # A method of the deque itself: nothing lies between the graph and the ring.
        self.record: Callable[[Record], None] = self._records.append
        self._describe: Callable[[], GraphShape] | None = None
        self._first = GraphShape()
        self._last = GraphShape()

    def start(self, describe: Callable[[], GraphShape]) -> None:
        """Forget what was kept, and begin. Raises :class:`GraphError` while it watches another."""
        if self._describe is not None:
            raise GraphError("this tracer watches a graph already; make another")
        self._records.clear()
        self._describe = describe
        self._first = describe()

    def stop(self) -> None:
        """Keep the graph's last counts, and no hold of the graph."""
        self._last = self._shape()
        self._describe = None

    def events(self) -> list[TraceEvent]:
        """Return what is kept, oldest first. May be called while the graph runs."""
        # list, which nothing can interrupt: the graph goes on appending.
        return list(map(event, list(self._records)))

    def trace(self) -> Trace:
        """Return what is kept as a trace, which can be written and shown."""
        records = list(self._records)
        # The times of a trace count from when the graph was first described.
        shapes = iter([self._first])
        renderer = ChromeRenderer(lambda: next(shapes, self._shape()))
        lines = [*renderer.header(), *renderer.render(records)]
        # Of a graph that still runs, calls are counted that came after the copy.
        lines.append(renderer.description(last=self._describe is None))
        return trace_of_lines(lines)

    def _shape(self) -> GraphShape:
        if self._describe is None:
            return self._last
        return self._describe()
