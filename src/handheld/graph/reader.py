"""Readers: how packets leave a graph."""

from threading import current_thread
from typing import Any, Self
from weakref import ref

from handheld.errors import GraphStuckError
from handheld.graph._callers import current_task
from handheld.graph._executors import Executor
from handheld.graph._inspect import why_stuck
from handheld.graph._scheduler import Scheduler
from handheld.graph._state import Edge, PacketSource
from handheld.graph.packet import Packet
from handheld.graph.timestamp import Timestamp

_END = int(Timestamp.ONE_OVER_POST_STREAM)


class PacketReader:
    """An iterator over the packets of one stream; ends when the stream does.

    On the calling thread ``next`` runs the graph until there is a packet, and raises
    :class:`GraphStuckError` if there can be none before more input comes. On a thread pool it waits
    (at most ``timeout`` seconds, then the same error) while an input is open, since another thread
    may feed it. A reader that is not read holds back the graph like any full queue; one that nobody
    has any more is forgotten. ``async for`` waits in the same way, and on a pool leaves the event
    loop to others meanwhile.
    """

    def __init__(
        self, scheduler: Scheduler, executor: Executor, edge: Edge, *, timeout: float | None
    ) -> None:
        self._scheduler = scheduler
        self._executor = executor
        self._edge = edge
        self._timeout = timeout
        # Until another thread reads, this one is expected to.
        edge.owner = current_thread()
        edge.reader = ref(self)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Packet[Any]:
        edge = self._edge
        with self._executor.lock:
            edge.owner = current_thread()
            # Asked here first, since a packet that is there already is the usual case.
            if edge.queue:
                return self._pop()
            if not self._ended():
                sources = self._sources()
                self._executor.wait_for(self._has_news, sources=sources, timeout=self._timeout)
            return self._take(StopIteration)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Packet[Any]:
        with self._executor.lock:
            self._edge.owner = current_task()
            has_news = self._has_news()
        if not has_news:
            await self._executor.wait_for_async(
                self._has_news, sources=self._sources(), timeout=self._timeout
            )
        with self._executor.lock:
            return self._take(StopAsyncIteration)

    def _sources(self) -> list[PacketSource] | None:
        """Return what has to run for a packet to come; None for all."""
        # A stream below a back edge ends only when every source has, so all of them run.
        if self._edge.stream.name in self._scheduler.looped:
            return None
        return self._edge.sources

    def _take(self, end: type[Exception]) -> Packet[Any]:
        """Return the packet that came; raises ``end`` at the end of the stream."""
        scheduler = self._scheduler
        # What came before an error is still read.
        if self._edge.queue:
            return self._pop()
        if scheduler.error is not None:
            raise scheduler.error
        if self._ended():
            raise end
        raise GraphStuckError(
            f"no packet on stream {self._edge.stream.name!r}: {why_stuck(scheduler)}"
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
