"""Streams of a running graph to a file and back, so that a live failure becomes a test.

``graph.record(path, streams)`` writes, :class:`Recording` reads, :func:`replay` feeds another graph
with what was recorded. Values become bytes by :class:`Codecs`, to which rooms add those of their
own. The format is in docs/graph-recording.md.
"""

from handheld.graph.record.codecs import Codecs, ValueCodec, dataclass_codec, tuple_codec
from handheld.graph.record.recorder import Recorder
from handheld.graph.record.recording import RecordedBound, RecordedPacket, RecordedReset, Recording
from handheld.graph.record.replaying import replay

__all__ = [
    "Codecs",
    "RecordedBound",
    "RecordedPacket",
    "RecordedReset",
    "Recorder",
    "Recording",
    "ValueCodec",
    "dataclass_codec",
    "replay",
    "tuple_codec",
]
