"""A recorder: writes what streams of a running graph carry to a file."""

import logging
import os
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any

from handheld.errors import FileError, GraphRecordError
from handheld.graph._state import Edge, Stream
from handheld.graph.packet import Packet
from handheld.graph.plan import INPUT
from handheld.graph.record import tape
from handheld.graph.record.codecs import Codecs
from handheld.graph.timestamp import Timestamp, bound_after

_log = logging.getLogger(__name__)

_PRE_STREAM = int(Timestamp.PRE_STREAM)


class Recorder:
    """Writes streams to a file while their graph runs; made by :meth:`Graph.record`.

    A packet is written where it is delivered, before any node sees it: what made a node fail is in
    the file. A process that is killed leaves all up to the last flush, and the graph's own end, by
    an error too, all. A recorder that fails, as on a full disk, is taken off and logged.

    Attributes:
        path: of the file.
        skipped: packets left out, since there is no codec for their type.
        error: what ended it before its graph, if something did.

    Args:
        path: of the file, which has this name from the first packet on, as it is read after a
            crash. One that is there is replaced.
        streams: what is recorded.
        codecs: for the values.
        flush_s: seconds between two flushes; 0: after each packet.
        skips_unknown: a value without a codec is left out and counted; else it is an error of the
            graph's.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        streams: Sequence[Stream],
        *,
        codecs: Codecs,
        flush_s: float,
        skips_unknown: bool,
    ) -> None:
        self.path = Path(path)
        self.skipped = 0
        self.error: Exception | None = None
        self._codecs = codecs
        self._flush_s = flush_s
        self._skips_unknown = skips_unknown
        self._lock = threading.Lock()
        self._streams = list(streams)
        self._bounds = [_PRE_STREAM] * len(streams)  # that the file tells
        self._inputs = [n for n, stream in enumerate(streams) if stream.producer == INPUT]
        self._edges: list[Edge] = []
        # First, as it may refuse: what is there must not be replaced by nothing.
        try:
            first = tape.first_block([stream.name for stream in streams], codecs.names)
        except GraphRecordError as error:
            raise GraphRecordError(f"{self.path}: it cannot be recorded: {error}") from error
        try:
            self._file: IO[bytes] | None = self.path.open("wb")
        except OSError as error:
            raise FileError(f"{self.path}: the recording cannot be written: {error}") from error
        self._write(tape.MAGIC + first)
        for number, stream in enumerate(streams):
            if stream.header is not None:
                self._write(self._encoded(tape.HEADER, number, 0, stream.header))
            self._edges.append(_tap(stream, number, self))
        self.flush()
        self._ended = threading.Event()
        if flush_s:
            # A thread, so that the last packets of a stream that falls silent are flushed too.
            flusher = threading.Thread(target=self._keep_flushing, daemon=True)
            flusher.name = "handheld-record"
            flusher.start()

    def take(self, number: int, packet: Packet[Any]) -> None:
        """Write a packet of the stream of a number; the caller delivers it."""
        timestamp = packet[1]
        with self._lock:
            if self._file is None:
                return
            if number in self._inputs:
                # Of all of them: what was settled before this packet is fed again before it.
                self._note_bounds(self._inputs)
            else:
                # Of this one: how far others are at this moment depends on the threads.
                self._note_bounds([number])
            self._write(self._encoded(tape.PACKET, number, timestamp, packet[0]))
            self._bounds[number] = bound_after(timestamp)
            if not self._flush_s:
                self._flush()

    def reset(self) -> None:
        """Note that the graph starts anew: every timestamp is allowed again."""
        with self._lock:
            self._note_bounds(range(len(self._streams)))
            self._bounds = [_PRE_STREAM] * len(self._streams)
            self._write(tape.entry_block(tape.RESET, 0, 0))

    def flush(self) -> None:
        """Write what is still in memory."""
        with self._lock:
            self._flush()

    def close(self) -> None:
        """Write how far each stream is settled, and end the file; safe to call twice."""
        self._ended.set()
        # First: no packet may come behind the end.
        for stream, edge in zip(self._streams, self._edges, strict=True):
            stream.edges = [other for other in stream.edges if other is not edge]
        with self._lock:
            self._note_bounds(range(len(self._streams)))
            self._write(tape.entry_block(tape.END, 0, 0))
            self._flush()
            self._end()

    def forked(self) -> None:
        """Let go of the file in a fork of the program: the other one writes it."""
        self._lock = threading.Lock()
        file = self._file
        self._file = None
        if file is not None:
            # What is in its buffer would be written twice, even where it is only closed.
            with Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), file.fileno())
            file.close()

    def _keep_flushing(self) -> None:
        while not self._ended.wait(self._flush_s):
            self.flush()

    def _note_bounds(self, numbers: Iterable[int]) -> None:
        """Write which streams were settled further than their packets say."""
        for number in numbers:
            bound = self._streams[number].bound
            if bound > self._bounds[number]:
                self._bounds[number] = bound
                self._write(tape.entry_block(tape.BOUND, number, bound))

    def _encoded(self, mark: bytes, number: int, timestamp: int, value: Any) -> bytes:
        try:
            return tape.entry_block(mark, number, timestamp, self._codecs.encode(value))
        except GraphRecordError as error:
            if self._skips_unknown:
                self.skipped += 1
                return b""
            name = self._streams[number].name
            raise GraphRecordError(f"recording stream {name!r}: {error}") from error

    def _write(self, data: bytes) -> None:
        if self._file is not None and data:
            try:
                self._file.write(data)
            except OSError as error:
                self._fail(error)

    def _flush(self) -> None:
        if self._file is not None:
            try:
                self._file.flush()
            except OSError as error:
                self._fail(error)

    def _fail(self, error: OSError) -> None:
        """Go on without a file: what runs is worth more than its record."""
        _log.error("%s: the recording ends here: %s", self.path, error)
        self.error = error
        self._end()

    def _end(self) -> None:
        file = self._file
        self._file = None
        if file is not None:
            try:
                file.close()
            except OSError as error:
                self.error = self.error or error


class _Tap:
    """Stands for the queue of a reader, and keeps nothing: each packet goes to the recorder."""

    def __init__(self, number: int, recorder: Recorder) -> None:
        self._number = number
        self._recorder = recorder

    def append(self, packet: Packet[Any]) -> None:
        """Take a packet that is being delivered."""
        self._recorder.take(self._number, packet)

    def __len__(self) -> int:
        return 0


def _tap(stream: Stream, number: int, recorder: Recorder) -> Edge:
    edge = Edge(stream, None, "", back=False, limit=1)
    queue: Any = _Tap(number, recorder)
    edge.queue = queue
    # The first: what a node gets may be changed by it, and a node may fail.
    stream.edges.insert(0, edge)
    return edge
