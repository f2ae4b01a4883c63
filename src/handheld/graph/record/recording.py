"""A recording that was read: its streams, packets and bounds."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from handheld.errors import FileError, GraphRecordError
from handheld.graph.packet import Packet
from handheld.graph.record import tape
from handheld.graph.record.codecs import Codecs
from handheld.graph.timestamp import Timestamp, bound_after


@dataclass(frozen=True)
class RecordedPacket:
    """A packet of a stream."""

    stream: str
    packet: Packet[Any]


@dataclass(frozen=True)
class RecordedBound:
    """From here on, a stream was settled below ``bound``."""

    stream: str
    bound: Timestamp


@dataclass(frozen=True)
class RecordedReset:
    """Here the graph was reset."""


RecordedEvent = RecordedPacket | RecordedBound | RecordedReset


class GraphRecording:
    """The streams of a file; iterating it reads events one by one, in the order of the run.

    Only what is asked for is in memory. A file whose end is missing, as of a process that was
    killed, gives what came before, and ``damage`` then says what is wrong.

    Args:
        path: of the file.
        codecs: for its values.

    Attributes:
        streams: names, in the order in which they were recorded.
        headers: stream -> header.
        damage: why the file is not whole; empty for one that is. Known once it was read to its end,
            by iterating or by :meth:`check`.

    Raises:
        FileError: the file cannot be read.
        GraphRecordError: it is no recording, or of another version.
    """

    def __init__(self, path: str | os.PathLike[str], codecs: Codecs | None = None) -> None:
        self.path = Path(path)
        self.headers: dict[str, Any] = {}
        self.damage = ""
        self._codecs = codecs or Codecs()
        with self._open() as file:
            try:
                self.streams, self.codecs = tape.read_first(file)
            except GraphRecordError as error:
                raise GraphRecordError(f"{self.path}: {error}") from error
            self._start = file.tell()

    def __iter__(self) -> Iterator[RecordedEvent]:
        for entry in self._entries():
            name = self.streams[entry.stream]
            if entry.mark == tape.RESET:
                yield RecordedReset()
            elif entry.mark == tape.BOUND:
                yield RecordedBound(name, Timestamp(entry.timestamp))
            elif entry.mark == tape.PACKET:
                value = self._decode(entry)
                yield RecordedPacket(name, Packet(value, Timestamp(entry.timestamp)))
            elif entry.mark == tape.HEADER:
                self.headers[name] = self._decode(entry)

    def packets(self, stream: str) -> list[Packet[Any]]:
        """Return the packets of one stream.

        Raises :class:`GraphRecordError` for a stream that was not recorded, or a value that cannot
        be read.
        """
        return [
            Packet(self._decode(entry), Timestamp(entry.timestamp))
            for entry in self._packets_of(stream)
        ]

    def encoded(self, stream: str) -> list[tuple[int, bytes]]:
        """Return timestamp and bytes of the packets of one stream, which no codec looks at."""
        return [(entry.timestamp, bytes(entry.data)) for entry in self._packets_of(stream)]

    def check(self) -> dict[str, "StreamSummary"]:
        """Read all without decoding a value; return what each stream holds, and set ``damage``."""
        counts = [_Count() for _ in self.streams]
        for entry in self._entries():
            if entry.mark == tape.PACKET:
                counts[entry.stream].add(entry.timestamp, len(entry.data))
        return {name: count.summary() for name, count in zip(self.streams, counts, strict=True)}

    def _packets_of(self, stream: str) -> Iterator[tape.TapeEntry]:
        if stream not in self.streams:
            raise GraphRecordError(f"{self.path}: no stream {stream!r}; it holds {self.streams}")
        number = self.streams.index(stream)
        for entry in self._entries():
            if entry.mark == tape.PACKET and entry.stream == number:
                yield entry

    def _entries(self) -> Iterator[tape.TapeEntry]:
        """Yield entries up to the end or the damage."""
        self.damage = "it has no end: the process that wrote it was killed, or runs still"
        bounds = [int(Timestamp.PRE_STREAM)] * len(self.streams)
        with self._open() as file:
            file.seek(self._start)
            try:
                for data in tape.read_blocks(file):
                    entry = tape.parse_entry(data, len(self.streams))
                    _check_order(entry, bounds)
                    if entry.mark == tape.END:
                        self.damage = ""
                    else:
                        yield entry
            except GraphRecordError as error:
                self.damage = str(error)

    def _decode(self, entry: tape.TapeEntry) -> Any:
        try:
            return self._codecs.decode(entry.data)
        except GraphRecordError as error:
            at = f"{self.streams[entry.stream]!r} at {Timestamp(entry.timestamp)}"
            raise GraphRecordError(f"{self.path}: stream {at}: {error}") from error

    def _open(self) -> IO[bytes]:
        try:
            return self.path.open("rb")
        except OSError as error:
            raise FileError(f"{self.path}: the recording cannot be read: {error}") from error


@dataclass(frozen=True)
class StreamSummary:
    """What a recording holds of one stream.

    Attributes:
        packets: number of them.
        first: timestamp of the first; None without packets.
        last: of the last.
        size: bytes of their values.
    """

    packets: int
    first: Timestamp | None
    last: Timestamp | None
    size: int


class _Count:
    def __init__(self) -> None:
        self._packets = 0
        self._size = 0
        self._first: Timestamp | None = None
        self._last: Timestamp | None = None

    def add(self, timestamp: int, size: int) -> None:
        self._packets += 1
        self._size += size
        self._last = Timestamp(timestamp)
        if self._first is None:
            self._first = self._last

    def summary(self) -> StreamSummary:
        return StreamSummary(self._packets, self._first, self._last, self._size)


def _check_order(entry: tape.TapeEntry, bounds: list[int]) -> None:
    """Refuse what no stream can carry, before somebody feeds it to a graph."""
    number = entry.stream
    if entry.mark == tape.RESET:
        bounds[:] = [int(Timestamp.PRE_STREAM)] * len(bounds)
    elif entry.mark == tape.BOUND:
        bounds[number] = max(bounds[number], entry.timestamp)
    elif entry.mark == tape.PACKET:
        at = Timestamp(entry.timestamp)
        if not at.is_allowed_in_stream or entry.timestamp < bounds[number]:
            raise GraphRecordError(
                f"a packet at {at}, where {Timestamp(bounds[number])} is the earliest possible"
            )
        bounds[number] = bound_after(entry.timestamp)
