"""Traces: what every node of a graph did, when, on which thread, and with which packets.

``Graph(config, trace="run.json")`` writes one while the graph runs; a :class:`MemoryTracer` keeps
the last of it. :func:`read_trace` reads it back, ``Trace.write_page`` makes a page of it. The graph
is watched by ``instrument``, a scheduler of its own; all that can be worked out later, is.
"""

from handheld.graph.trace.chrome import FileTracer
from handheld.graph.trace.memory import MemoryTracer
from handheld.graph.trace.reader import Trace, read_trace
from handheld.graph.trace.records import (
    CallEvent,
    FedEvent,
    GraphShape,
    InputShape,
    NodeShape,
    Record,
    ResetEvent,
    SentPacket,
    ThrottledEvent,
    TraceEvent,
    Tracer,
    event,
)
from handheld.graph.trace.values import Arrow, Count, TraceContent, TracedCall, Wait

__all__ = [
    "Arrow",
    "CallEvent",
    "Count",
    "FedEvent",
    "FileTracer",
    "GraphShape",
    "InputShape",
    "MemoryTracer",
    "NodeShape",
    "Record",
    "ResetEvent",
    "SentPacket",
    "ThrottledEvent",
    "Trace",
    "TraceContent",
    "TraceEvent",
    "TracedCall",
    "Tracer",
    "Wait",
    "event",
    "read_trace",
]
