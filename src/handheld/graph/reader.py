"""Readers: how packets leave a graph."""

import threading
from typing import Any, Self

from handheld.errors import GraphStuckError
from handheld.graph._executors import Executor
from handheld.graph._inspect import why_stuck
from handheld.graph._scheduler import Scheduler
from handheld.graph._state import Edge
from handheld.graph.packet import Packet
from handheld.graph.timestamp import Timestamp

_END = int(Timestamp.ONE_OVER_POST_STREAM)


class PacketReader:
    """An iterator over the packets of one stream; ends when the stream does.

    On the calling thread ``next`` runs the graph until there is a packet, and raises
    :class:`GraphStuckError` if there can be none before more input comes. On a thread pool it waits
    (at most ``timeout`` seconds, then the same error) while an input is open, since another thread
    may feed it. A reader that is not read holds back the graph like any full queue.
    """

    def __init__(
        self, scheduler: Scheduler, executor: Executor, edge: Edge, *, timeout: float | None
    ) -> None:
        self._scheduler = scheduler
        self._executor = executor
        self._edge = edge
        self._timeout = timeout
        # Until another thread reads, this one is expected to.
        edge.owner = threading.current_thread()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Packet[Any]:
        edge = self._edge
        scheduler = self._scheduler
        with self._executor.lock:
            edge.owner = threading.current_thread()
            if not self._has_news():
                # A stream below a back edge ends only when every source has, so all of them run.
                is_looped = edge.stream.name in scheduler.looped
                sources = None if is_looped else edge.sources
                self._executor.wait_for(self._has_news, sources=sources, timeout=self._timeout)
            # What came before an error is still read.
            if edge.queue:
                return self._pop()
            if scheduler.error is not None:
                raise scheduler.error
            if self._ended():
                raise StopIteration
            raise GraphStuckError(
                f"no packet on stream {edge.stream.name!r}: {why_stuck(scheduler)}"
            )

    def drain(self) -> list[Packet[Any]]:
        """Return the packets that are there now, without waiting."""
        with self._executor.lock:
            # Their number first: taking one may let more in.
            return [self._pop() for _ in range(len(self._edge.queue))]

    def _pop(self) -> Packet[Any]:
        was_full = self._edge.full
        packet = self._edge.pop()
        if was_full:
            # The sources that it held back may run again.
            self._executor.work()
        return packet

    def _has_news(self) -> bool:
        return bool(self._edge.queue) or self._ended()

    def _ended(self) -> bool:
        return self._edge.stream.bound >= _END or self._scheduler.stopped
