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


class Reader:
    """An iterator over the packets of one stream; ends when the stream does.

    On the calling thread ``next`` runs the graph until there is a packet, and raises :class:`GraphStuckError` if there can
    be none before more input comes. On a thread pool it waits (at most ``timeout`` seconds, then the same error) while an
    input is open, since another thread may feed it. A reader that is not read holds back the graph like any full queue.
    """

    def __init__(self, scheduler: Scheduler, executor: Executor, edge: Edge, *, timeout: float | None) -> None:
        self._scheduler, self._executor, self._edge, self._timeout = scheduler, executor, edge, timeout
        edge.owner = threading.current_thread()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Packet[Any]:
        edge, scheduler = self._edge, self._scheduler
        with self._executor.lock:
            edge.owner = threading.current_thread()
            if not edge.queue and not self._ended():
                wanted = None if edge.stream.name in scheduler.looped else edge.sources
                self._executor.wait_for(lambda: bool(edge.queue) or self._ended(), wanted=wanted, timeout=self._timeout)
            if edge.queue:
                return self._pop()
            if scheduler.error is not None:
                raise scheduler.error
            if self._ended():
                raise StopIteration
            raise GraphStuckError(f"no packet on stream {edge.stream.name!r}: {why_stuck(scheduler)}")

    def drain(self) -> list[Packet[Any]]:
        """Return the packets that are there now, without waiting."""
        with self._executor.lock:
            return [self._pop() for _ in range(len(self._edge.queue))]

    def _pop(self) -> Packet[Any]:
        was_full = self._edge.full
        packet = self._edge.pop()
        if was_full:
            self._executor.work()
        return packet

    def _ended(self) -> bool:
        return self._edge.stream.bound >= _END or self._scheduler.stopped


_END = int(Timestamp.ONE_OVER_POST_STREAM)
