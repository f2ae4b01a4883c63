"""Executors: on whose threads the nodes of a graph run."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from threading import get_ident
from typing import NamedTuple, Protocol

from handheld.errors import GraphError, GraphStuckError
from handheld.graph._callers import Caller, LoopBell, current_task
from handheld.graph._inspect import grow
from handheld.graph._scheduler import Scheduler
from handheld.graph._state import Edge, PacketSource, RunNode
from handheld.graph.executors import INLINE

_log = logging.getLogger(__name__)

# Seconds after which whoever cancels a graph hears what it still waits for.
_GRACE_S = 5.0

Sources = list[PacketSource] | None
"""The sources of what a caller waits for; None for all."""


class Executor(Protocol):
    """Runs what a scheduler says is ready. Every access to the scheduler happens under ``lock``."""

    lock: AbstractContextManager[object]

    def work(self) -> None:
        """Something changed from outside: see to it that it is handled."""

    def wait_for(
        self,
        condition: Callable[[], bool],
        *,
        sources: Sources = None,
        room: PacketSource | None = None,
        timeout: float | None = None,
    ) -> bool:
        """Run until the condition holds, or nothing can run and nothing more can come.

        Returns whether it holds.

        Args:
            condition: asked again and again, under the lock.
            sources: of what the caller waits for.
            room: what the caller wants to feed, if it waits for room there: it does not hope for
                more input meanwhile.
            timeout: in seconds; None for ever.
        """
        ...

    async def wait_for_async(
        self,
        condition: Callable[[], bool],
        *,
        sources: Sources = None,
        timeout: float | None = None,
    ) -> bool:
        """As :meth:`wait_for`, without the lock, in a coroutine, which others run beside."""
        ...

    def stop(self) -> None:
        """Let running nodes finish and start no other."""

    def pause(self) -> None:
        """Let running nodes finish and start no other until ``go_on``; the caller has the lock."""

    def go_on(self) -> None:
        """End a pause; the caller holds the lock."""

    def owns(self, thread: threading.Thread) -> bool:
        """Whether this is a thread of the executor's own."""
        ...

    def is_inside(self) -> bool:
        """Whether the calling thread is at work inside a node of this graph."""
        ...

    def forked(self) -> None:
        """Let go of what a fork of the program does not have."""


class CallingThread:
    """Everything runs inside the caller's ``add``, ``next`` or ``close``.

    That is simplest, fastest, and one order for ever.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self.lock: AbstractContextManager[object] = nullcontext()
        self._scheduler = scheduler
        self._running = False
        self._runner = 0  # the thread that runs nodes, while one does

    def work(self) -> None:
        """Run until no node is ready. Sources wait until someone asks for output."""
        if not self._running:  # a calculator that feeds its own graph only queues
            self._run(None, None)

    def wait_for(
        self,
        condition: Callable[[], bool],
        *,
        sources: Sources = None,
        room: PacketSource | None = None,
        timeout: float | None = None,
    ) -> bool:
        """Run nodes and sources until the condition holds or nothing can run."""
        if not self._running:
            # Asked between two nodes: nothing ends one that runs on the caller's own thread.
            is_over = condition if timeout is None else _or_after(condition, timeout)
            self._run(is_over, sources if room is None else [room])
        return condition()

    async def wait_for_async(
        self,
        condition: Callable[[], bool],
        *,
        sources: Sources = None,
        timeout: float | None = None,
    ) -> bool:
        """Run nodes on the calling thread, which does nothing else meanwhile."""
        return self.wait_for(condition, sources=sources, timeout=timeout)

    def stop(self) -> None:
        """Nothing to stop: nothing runs between calls."""

    def pause(self) -> None:
        """Nothing to pause, but for a node that asks for it in the middle of its call."""
        if self._running:
            raise GraphError("a node of a graph cannot reset it: what calls the graph can")

    def go_on(self) -> None:
        """Nothing was paused."""

    def forked(self) -> None:
        """Nothing to let go of."""

    def owns(self, thread: threading.Thread) -> bool:
        """Whether this is the thread on which coroutines run; no other is."""
        return self._scheduler.loop.owns(thread)

    def is_inside(self) -> bool:
        """Whether a node that this thread runs is calling, or a coroutine, which it waits for."""
        if self._scheduler.loop.owns(threading.current_thread()):
            return True
        return self._running and self._runner == get_ident()

    def _run(self, condition: Callable[[], bool] | None, sources: Sources) -> None:
        """Run until a condition holds; without one, until no node is ready."""
        scheduler = self._scheduler
        heap = scheduler.heaps[""]
        asked = condition is not None
        self._running = True
        self._runner = get_ident()
        node = None
        try:
            while not scheduler.stopped and (condition is None or not condition()):
                node = scheduler.pick(heap, sources=asked)
                if node is not None:
                    job = scheduler.begin(node)
                    scheduler.invoke(job)
                    scheduler.finish(job)
                    continue
                if not self._make_way(sources, asked=asked):
                    return
        except GraphError as error:
            scheduler.error = error
            raise
        except BaseException as error:
            # Ctrl-C in the middle of a node, whose packets and state are lost.
            scheduler.error = _interruption(node, error)
            raise
        finally:
            self._running = False

    def _make_way(self, sources: Sources, *, asked: bool) -> bool:
        """Where no node is ready, give full queues room or end a loop; return whether it helped.

        Queues only where the caller waits: else it may read them itself.
        """
        scheduler = self._scheduler
        if asked:
            if scheduler.forget_readers():
                return True
            full = _useful(scheduler.holding(scheduler.held_back()), [sources])
            if full:
                grow(scheduler, full)
                return True
        return scheduler.close_loop()


class ThreadPool:
    """Workers, a crew for each executor; one lock guards the scheduler.

    It is released while a node's code runs. The workers start with the first packet or question,
    and sources with the first question: so whoever attaches readers and observers right after
    opening the graph misses nothing, as on the calling thread. Nodes that are ``inline`` run on
    whatever thread calls the graph or waits for it.

    Args:
        scheduler: of the graph.
        threads: executor -> number of its workers.
    """

    def __init__(self, scheduler: Scheduler, threads: Mapping[str, int]) -> None:
        self._scheduler = scheduler
        self._mutex = threading.Lock()
        self.lock: AbstractContextManager[object] = self._mutex
        self._crews = [_Crew(name, scheduler.heaps[name], size) for name, size in threads.items()]
        self._inline = scheduler.heaps[INLINE]
        self._inside: set[int] = set()  # the callers that run an inline node
        self._threads: list[threading.Thread] = []
        self._waiters: list[_Waiter] = []  # callers that sleep until their condition holds
        self._running = 0
        self._asked = False
        self._stopping = False
        self._resting = False  # a worker found that nothing can run, and nothing changed since
        self._pauses = 0  # callers that want nothing to run, each for a reset of its own
        self._quiet = threading.Event()  # no node runs

    def work(self) -> None:
        """Wake as many workers as can run; the caller holds the lock."""
        if not self._threads and not self._stopping:
            self._start()
        self._wake_all()
        while self._inline and self._run_inline(sources=False):
            pass
        self._tell()

    def wait_for(
        self,
        condition: Callable[[], bool],
        *,
        sources: Sources = None,
        room: PacketSource | None = None,
        timeout: float | None = None,
    ) -> bool:
        """Wait until the condition holds, a node failed, or nothing can run and nothing can come.

        The caller holds the lock.
        """
        # Else some worker is awake, and looks at those who wait before it sleeps.
        if self._resting or not self._asked:
            self._asked = True
            self.work()
        me = threading.current_thread()
        if self.is_inside():
            # A calculator that feeds its own graph must not wait for itself.
            return condition()
        bell = threading.Event()
        waiter = _Waiter(condition, sources, room, me, bell)
        self._waiters.append(waiter)
        try:
            self._await(waiter, bell, timeout)
        finally:
            self._waiters.remove(waiter)
        return condition()

    async def wait_for_async(
        self,
        condition: Callable[[], bool],
        *,
        sources: Sources = None,
        timeout: float | None = None,
    ) -> bool:
        """As :meth:`wait_for`, without the lock; inline nodes run on the event loop's thread."""
        over = LoopBell(asyncio.get_running_loop())
        with self._mutex:
            if self._resting or not self._asked:
                self._asked = True
                self.work()
            waiter = _Waiter(condition, sources, None, current_task(), over)
            self._waiters.append(waiter)
        try:
            async with asyncio.timeout(timeout):
                while self._still_waits(waiter):
                    await over.rung()
        except TimeoutError:
            pass
        finally:
            with self._mutex:
                self._waiters.remove(waiter)
        with self._mutex:
            return condition()

    def _still_waits(self, waiter: "_Waiter") -> bool:
        """Run what is inline; return whether a coroutine has to wait until its bell rings."""
        with self._mutex:
            while not self._is_over(waiter):
                if not self._run_inline(sources=True):
                    waiter.over.clear()
                    return True
        return False

    def pause(self) -> None:
        """Wait until no node runs; what is awaited is cancelled."""
        if self.is_inside():
            raise GraphError("a node of a graph cannot reset it: what calls the graph can")
        self._pauses += 1
        self._scheduler.interrupt()
        try:
            while self._running:
                self._await_quiet()
        except BaseException:  # Ctrl-C, after which nobody would call go_on
            self._pauses -= 1
            raise

    def _await_quiet(self, timeout: float | None = None) -> None:
        self._quiet.clear()
        self._mutex.release()
        try:
            self._quiet.wait(timeout)
        finally:
            self._mutex.acquire()

    def go_on(self) -> None:
        """Let the workers go on, unless somebody else wants them to rest."""
        self._pauses -= 1
        self.work()

    def stop(self) -> None:
        """Wait for the nodes that run, then end the workers; what is awaited is cancelled.

        Not for ever for a coroutine, which goes on where it takes no notice of that.
        """
        self._scheduler.interrupt()
        with self.lock:
            self._stopping = True
            for crew in self._crews:
                crew.wake(crew.size)
            self._tell()
        for thread in self._threads:
            if thread is not threading.current_thread():
                self._join(thread)
        # They wait for no coroutine, but that has to end before its node is closed.
        with self.lock:
            if self._running and not self.is_inside():
                self._await_quiet(_GRACE_S)

    def _join(self, thread: threading.Thread) -> None:
        thread.join(_GRACE_S)
        if thread.is_alive():
            # A thread cannot be ended from outside. Who waits should know for what.
            names = ", ".join(map(repr, self._scheduler.under_way()))
            _log.warning("the graph is cancelled, and waits for the calls of its nodes %s", names)
            thread.join()

    def forked(self) -> None:
        """Let go of the workers, which a fork of the program does not have, and of their lock."""
        self._mutex = threading.Lock()
        self.lock = self._mutex
        self._threads = []
        self._waiters = []
        self._stopping = True

    def owns(self, thread: threading.Thread) -> bool:
        """Whether this is a worker, or the thread on which coroutines run."""
        return thread in self._threads or self._scheduler.loop.owns(thread)

    def is_inside(self) -> bool:
        """Whether a worker is calling, or a node that a caller runs."""
        return self.owns(threading.current_thread()) or get_ident() in self._inside

    def _start(self) -> None:
        for crew in self._crews:
            name = f"handheld-graph-{crew.name}-" if crew.name else "handheld-graph-"
            # Daemons: a program that ends in the middle of a graph must not hang.
            self._threads += [
                threading.Thread(target=self._work, args=(crew,), name=f"{name}{n}", daemon=True)
                for n in range(crew.size)
            ]
        # Only now: the first to run asks whether it is one of them.
        for number, thread in enumerate(self._threads):
            try:
                thread.start()
            except RuntimeError as error:
                asked = len(self._threads)
                self._threads = self._threads[:number]
                raise GraphError(
                    f"threads: the system starts {number} of {asked}; ask for fewer"
                ) from error

    def _await(self, waiter: "_Waiter", bell: threading.Event, timeout: float | None) -> None:
        """Sleep until a waiter's wait is over or ``timeout`` seconds are; run inline nodes."""
        deadline = None if timeout is None else time.monotonic() + timeout
        remaining = timeout
        while not self._is_over(waiter) and (remaining is None or remaining > 0):
            if not self._run_inline(sources=True):
                # Under the lock, so that no worker's call between here and the wait is lost.
                bell.clear()
                self._mutex.release()
                try:
                    bell.wait(remaining)
                finally:
                    self._mutex.acquire()
            if deadline is not None:
                remaining = deadline - time.monotonic()

    def _is_over(self, waiter: "_Waiter") -> bool:
        scheduler = self._scheduler
        if scheduler.stopped or scheduler.error is not None or waiter.condition():
            return True
        if self._can_run(self._inline):
            return False
        if not self._resting or (waiter.room is None and scheduler.is_fed()):
            return False
        held = [waiter.room] if waiter.room is not None else scheduler.held_back()
        return not self._will_be_read(scheduler.holding(held))

    def _will_be_read(self, queues: list[Edge]) -> bool:
        """Whether somebody who does not wait for this graph will read one of the full queues.

        That is a reader whose thread lives.
        """
        waiting = [waiter.thread for waiter in self._waiters if not waiter.condition()]
        for edge in queues:
            owner = edge.owner
            if owner is not None and owner not in waiting and owner.is_alive():
                return True
        return False

    def _tell(self) -> None:
        """Wake the callers whose wait is over, or who have an inline node to run.

        Workers ask for them, since waking a thread to ask costs ten times a call.
        """
        for waiter in self._waiters:
            if self._can_run(self._inline) or self._is_over(waiter):
                waiter.over.set()

    def _work(self, crew: "_Crew") -> None:
        """Run nodes until the pool is stopped; what each worker does."""
        scheduler = self._scheduler
        with self._mutex:
            while not self._stopping:
                node = None
                if not scheduler.error and not self._pauses:
                    node = self._pick(crew.heap, sources=self._asked)
                if node is not None:
                    self._run(node, crew)
                elif not self._go_on():
                    self._sleep(crew)

    def _pick(self, heap: list[int], *, sources: bool) -> RunNode | None:
        try:
            return self._scheduler.pick(heap, sources=sources)
        except GraphError as error:
            # A source that cannot say whether it is next must not end the thread that asks.
            self._fail(error)
            return None

    def _fail(self, error: Exception) -> None:
        """End the graph with an error, and wake those who wait."""
        self._scheduler.error = self._scheduler.error or error
        self._tell()

    def _run(self, node: RunNode, crew: "_Crew | None") -> None:
        """Run a node; the caller holds the lock, which is released meanwhile."""
        scheduler = self._scheduler
        try:
            job = scheduler.begin(node)
        except GraphError as error:
            self._fail(error)
            return
        self._running += 1
        self._begun(crew)
        if job.is_async and not job.step:
            # Whoever runs now is free for the next node while this one is awaited.
            call = scheduler.invoke_async(job)
            scheduler.loop.start(f"node {job.name!r}", call, lambda: self._awaited(job, crew))
            return
        self._mutex.release()
        try:
            scheduler.invoke(job)
        except BaseException as error:
            # SystemExit and its like would end this thread and leave the callers waiting.
            job.error = error
        finally:
            self._mutex.acquire()
        self._finish(job, crew)

    def _begun(self, crew: "_Crew | None") -> None:
        """Wake whoever may go on while a node of a crew runs."""
        # It took packets from its queues: who waits for that room need not wait for its end.
        if any(waiter.room is not None for waiter in self._waiters):
            self._tell()
        if crew is not None and crew.bells:
            crew.wake(self._scheduler.worth_a_thread(crew.heap, sources=self._asked))
        if len(self._crews) > 1:
            self._wake_others(crew)

    def _awaited(self, job: RunNode, crew: "_Crew | None") -> None:
        """Take what a coroutine did, on the event loop's thread."""
        with self._mutex:
            self._finish(job, crew)
            # Nobody of its crew looks for what became ready: this thread is not one of them.
            self._wake_all()

    def _finish(self, job: RunNode, crew: "_Crew | None") -> None:
        scheduler = self._scheduler
        try:
            scheduler.finish(job)
        except Exception as error:
            # The first counts: others may only follow from it. What was cancelled tells nothing.
            if not scheduler.stopped and not self._pauses:
                scheduler.error = scheduler.error or error
        self._running -= 1
        self._wake_others(crew)
        self._tell()
        if not self._running:
            self._quiet.set()

    def _wake_others(self, crew: "_Crew | None") -> None:
        """Wake the crews that have something to run, as nobody of this one looks at that."""
        for other in self._crews:
            if other is not crew and other.bells and self._can_run(other.heap):
                other.wake(max(1, self._scheduler.worth_a_thread(other.heap)))

    def _run_inline(self, *, sources: bool) -> bool:
        """Run an inline node on the calling thread, if one is ready; return whether one was.

        The caller holds the lock.
        """
        me = get_ident()
        # A node that feeds its own graph must not run others inside its call.
        if self._scheduler.error is not None or self._stopping or self._pauses:
            return False
        if self.is_inside():
            return False
        node = self._pick(self._inline, sources=sources)
        if node is None:
            return False
        self._inside.add(me)
        try:
            self._run(node, None)
        finally:
            self._inside.discard(me)
        # A worker has to find out whether anything can go on now.
        self._wake_all()
        return True

    def _can_run(self, heap: list[int]) -> bool:
        """Whether a node of one executor is ready, or a source may run."""
        if heap:
            return True
        return self._asked and bool(self._scheduler.free_sources(heap))

    def _is_idle(self) -> bool:
        """Whether no node runs, and none could."""
        heaps = [self._inline, *(crew.heap for crew in self._crews)]
        return not self._running and not any(map(self._can_run, heaps))

    def _go_on(self) -> bool:
        """Where nothing can run, give room to full queues or end a loop.

        Returns whether that helped.
        """
        scheduler = self._scheduler
        if scheduler.error is not None or self._pauses or not self._is_idle():
            return False
        if scheduler.forget_readers():
            self._wake_all()
            return True
        full = scheduler.holding(scheduler.held_back())
        if self._will_be_read(full):
            return False
        # Whoever waits for room makes it by himself, once his wait is over.
        asked = [waiter.sources for waiter in self._waiters if waiter.room is None]
        full = _useful(full, asked)
        try:
            grow(scheduler, full)
        except (Warning, GraphStuckError) as problem:
            # A filter makes errors of warnings: the callers must hear of it, not this thread.
            scheduler.error = problem
        if not full and not scheduler.close_loop():
            return False
        # What can run now may be another crew's.
        self._wake_all()
        return True

    def _sleep(self, crew: "_Crew") -> None:
        self._resting = self._is_idle()
        self._tell()
        bell = threading.Lock()
        bell.acquire()
        crew.bells.append(bell)
        self._mutex.release()
        bell.acquire()  # until another thread releases it
        self._mutex.acquire()

    def _wake_all(self) -> None:
        """Wake the workers that have something to run, and one at least.

        That one finds out whether anything can go on.
        """
        self._resting = False
        first, *others = self._crews
        if first.bells:
            first.wake(1 + self._scheduler.worth_a_thread(first.heap, beyond=1))
        for crew in others:
            if crew.bells and self._can_run(crew.heap):
                crew.wake(max(1, self._scheduler.worth_a_thread(crew.heap)))


class _Crew:
    """The workers of one executor.

    ``bells`` has one for each that sleeps; the last to sleep, still warm, wakes first. Bare locks:
    a Condition makes one of these for each wait too, and does more besides.
    """

    __slots__ = ("bells", "heap", "name", "size")

    def __init__(self, name: str, heap: list[int], size: int) -> None:
        self.name = name
        self.heap = heap
        self.size = size
        self.bells: list[threading.Lock] = []

    def wake(self, workers: int) -> None:
        """Wake some of those that sleep."""
        for _ in range(min(workers, len(self.bells))):
            self.bells.pop().release()


class _Waiter(NamedTuple):
    """A caller that sleeps; see :meth:`Executor.wait_for`."""

    condition: Callable[[], bool]
    sources: Sources
    room: PacketSource | None
    thread: Caller
    over: threading.Event | LoopBell


def _or_after(condition: Callable[[], bool], timeout: float) -> Callable[[], bool]:
    """Return a condition that holds after ``timeout`` seconds too."""
    deadline = time.monotonic() + timeout
    return lambda: condition() or time.monotonic() >= deadline


def _interruption(node: RunNode | None, error: BaseException) -> GraphError:
    name = "the graph" if node is None else f"node {node.name!r}"
    return GraphError(f"{name} was interrupted ({type(error).__name__}): make the graph anew")


def _useful(queues: list[Edge], asked: list[Sources]) -> list[Edge]:
    """Leave out readers whose growth would help nobody who waits.

    An endless source would fill them for ever.
    """
    return [edge for edge in queues if edge.owner is None or _feeds_any(edge.sources, asked)]


def _feeds_any(sources: list[PacketSource], asked: list[Sources]) -> bool:
    """Whether somebody asked for what one of these sources makes."""
    useful: set[PacketSource] = set()
    for asked_sources in asked:
        if asked_sources is None:
            return True
        useful.update(asked_sources)
    return not useful.isdisjoint(sources)
