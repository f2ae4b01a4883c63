"""Streams of a running graph to a file and back, so that a live failure becomes a test.

``graph.record(path, streams)`` writes, :class:`GraphRecording` reads, :func:`replay` feeds another
graph with what was recorded. Values become bytes by :class:`Codecs`, to which rooms add those of
their own. The format is in docs/graph-recording.md.
"""

from handheld.graph.record.codecs import Codecs, ValueCodec, dataclass_codec, tuple_codec
from handheld.graph.record.recorder import Recorder
from handheld.graph.record.recording import (
    GraphRecording,
    RecordedBound,
    RecordedPacket,
    RecordedReset,
)
from handheld.graph.record.replaying import replay

__all__ = [
    "Codecs",
    "GraphRecording",
    "RecordedBound",
    "RecordedPacket",
    "RecordedReset",
    "Recorder",
    "ValueCodec",
    "dataclass_codec",
    "replay",
    "tuple_codec",
]
