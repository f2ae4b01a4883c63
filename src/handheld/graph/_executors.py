"""Executors: on whose threads the nodes of a graph run."""

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple, Protocol

from handheld.errors import GraphError
from handheld.graph._inspect import grow
from handheld.graph._scheduler import Scheduler
from handheld.graph._state import Edge, PacketSource

Wanted = list[PacketSource] | None


class Executor(Protocol):
    """Runs what a scheduler says is ready. Every access to the scheduler happens under ``lock``."""

    lock: AbstractContextManager[object]

    def work(self) -> None:
        """Something changed from outside: see to it that it is handled."""

    def wait_for(
        self, condition: Callable[[], bool], *, wanted: Wanted = None, room: PacketSource | None = None, timeout: float | None = None
    ) -> bool:
        """Run until the condition holds, or nothing can run and nothing more can come; return whether it holds.

        ``wanted`` are the sources of what the caller waits for, all by default. ``room`` is what the caller wants to feed, if
        it waits for room there: it does not hope for more input meanwhile.
        """
        ...

    def stop(self) -> None:
        """Let running nodes finish and start no other."""

    def owns(self, thread: threading.Thread) -> bool:
        """Whether this is a thread of the executor's own."""
        ...

    def is_inside(self) -> bool:
        """Whether the calling thread is at work inside a node of this graph."""
        ...


class CallingThread:
    """Everything runs inside the caller's ``add``, ``next`` or ``close``: simplest, fastest, and one order for ever."""

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
        self, condition: Callable[[], bool], *, wanted: Wanted = None, room: PacketSource | None = None, timeout: float | None = None
    ) -> bool:
        """Run nodes and sources until the condition holds or nothing can run."""
        if not self._running:
            self._run(condition, wanted if room is None else [room])
        return condition()

    def stop(self) -> None:
        """Nothing to stop: nothing runs between calls."""

    def owns(self, thread: threading.Thread) -> bool:
        """No thread is."""
        return False

    def is_inside(self) -> bool:
        """Whether a node that this thread runs is calling."""
        return self._running and self._runner == threading.get_ident()

    def _run(self, condition: Callable[[], bool] | None, wanted: Wanted) -> None:
        scheduler = self._scheduler
        pick, begin, invoke, finish = scheduler.pick, scheduler.begin, scheduler.invoke, scheduler.finish
        sources = condition is not None
        self._running = True
        self._runner = threading.get_ident()
        node = None
        try:
            while not scheduler.stopped and (condition is None or not condition()):
                node = pick(sources=sources)
                if node is None:
                    full = _useful(scheduler.holding(scheduler.held_back()), [wanted]) if sources else []
                    grow(scheduler, full)
                    if full or scheduler.close_loop():
                        continue
                    return
                begin(node)
                invoke(node)
                finish(node)
        except GraphError as error:
            scheduler.error = error
            raise
        except BaseException as error:  # Ctrl-C in the middle of a node, whose packets and state are lost
            where = f"node {node.name!r}" if node else "the graph"
            scheduler.error = GraphError(f"{where} was interrupted ({type(error).__name__}): make the graph anew")
            raise
        finally:
            self._running = False


class ThreadPool:
    """``threads`` workers; one lock guards the scheduler and is released while a node's own code runs.

    The workers start with the first packet or question, and sources with the first question: so whoever attaches readers and
    observers right after opening the graph misses nothing, as on the calling thread.
    """

    def __init__(self, scheduler: Scheduler, threads: int) -> None:
        self._scheduler, self._size = scheduler, threads
        self._mutex = threading.Lock()
        self.lock: AbstractContextManager[object] = self._mutex
        self._threads: list[threading.Thread] = []
        self._waiters: list[_Waiter] = []  # callers that sleep until their condition holds
        self._bells: list[threading.Lock] = []  # one for each worker that sleeps; the last to sleep, still warm, wakes first
        self._running = 0
        self._asked = self._stopping = False
        self._resting = False  # a worker found that nothing can run, and nothing changed since

    def work(self) -> None:
        """Wake as many workers as can run; the caller holds the lock."""
        if not self._threads and not self._stopping:
            self._start()
        self._resting = False
        if self._bells:
            self._wake(1 + self._scheduler.worth_a_thread(beyond=1))
        self._tell()

    def wait_for(
        self, condition: Callable[[], bool], *, wanted: Wanted = None, room: PacketSource | None = None, timeout: float | None = None
    ) -> bool:
        """Wait until the condition holds, a node failed, or nothing can run and nothing can come; the caller holds the lock."""
        if self._resting or not self._asked:  # else some worker is awake, and looks at those who wait before it sleeps
            self._asked = True
            self.work()
        me = threading.current_thread()
        if self.owns(me):
            return condition()  # a calculator that feeds its own graph must not wait for itself
        deadline = None if timeout is None else time.monotonic() + timeout
        left = timeout
        waiter = _Waiter(condition, wanted, room, me, threading.Event())
        self._waiters.append(waiter)
        try:
            while not self._is_over(waiter) and (left is None or left > 0):
                waiter.over.clear()
                self._mutex.release()
                try:
                    waiter.over.wait(left)
                finally:
                    self._mutex.acquire()
                left = None if deadline is None else deadline - time.monotonic()
        finally:
            self._waiters.remove(waiter)
        return condition()

    def stop(self) -> None:
        """Wait for the nodes that run, then end the workers."""
        with self.lock:
            self._stopping = True
            self._wake(self._size)
            self._tell()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    def owns(self, thread: threading.Thread) -> bool:
        """Whether this is a worker."""
        return thread in self._threads

    def is_inside(self) -> bool:
        """Whether a worker is calling."""
        return self.owns(threading.current_thread())

    def _start(self) -> None:
        self._threads = [
            threading.Thread(target=self._work, name=f"handheld-graph-{i}", daemon=True) for i in range(self._size)
        ]
        for thread in self._threads:
            thread.start()

    def _is_over(self, waiter: "_Waiter") -> bool:
        scheduler = self._scheduler
        if scheduler.stopped or scheduler.error is not None or waiter.condition():
            return True
        if not self._resting or (waiter.room is None and scheduler.is_fed()):
            return False
        held = [waiter.room] if waiter.room is not None else scheduler.held_back()
        return not self._will_be_read(scheduler.holding(held))

    def _will_be_read(self, queues: list[Edge]) -> bool:
        """Whether one of the full queues belongs to a reader whose thread lives and does not itself wait for this graph."""
        waiting = [waiter.thread for waiter in self._waiters if not waiter.condition()]
        return any(e.owner is not None and e.owner not in waiting and e.owner.is_alive() for e in queues)

    def _tell(self) -> None:
        """Wake the callers whose wait is over. Workers ask for them, since waking a thread to ask costs ten times a call."""
        for waiter in self._waiters:
            if self._is_over(waiter):
                waiter.over.set()

    def _work(self) -> None:
        scheduler, lock = self._scheduler, self._mutex
        with lock:
            while not self._stopping:
                node = None if scheduler.error else scheduler.pick(sources=self._asked)
                if node is None:
                    if not self._go_on():
                        self._sleep()
                    continue
                self._running += 1
                scheduler.begin(node)
                if self._bells:
                    self._wake(scheduler.worth_a_thread(sources=self._asked))
                lock.release()
                try:
                    scheduler.invoke(node)
                except BaseException as error:  # SystemExit and its like would end this thread and leave the callers waiting
                    node.error = error
                finally:
                    lock.acquire()
                try:
                    scheduler.finish(node)
                except Exception as error:
                    scheduler.error = scheduler.error or error
                self._running -= 1
                self._tell()

    def _go_on(self) -> bool:
        """Where nothing can run, give room to full queues or end a loop; return whether that helped."""
        scheduler = self._scheduler
        if self._running or scheduler.error is not None:
            return False
        full = scheduler.holding(scheduler.held_back())
        if self._will_be_read(full):
            return False
        full = _useful(full, [waiter.wanted for waiter in self._waiters if waiter.room is None])
        try:
            grow(scheduler, full)
        except Warning as warning:  # a filter makes errors of warnings: the callers must hear of it, not this thread
            scheduler.error = warning
        return bool(full) or scheduler.close_loop()

    def _sleep(self) -> None:
        self._resting = not self._running
        self._tell()
        bell = threading.Lock()
        bell.acquire()
        self._bells.append(bell)
        self._mutex.release()
        bell.acquire()  # until another thread releases it
        self._mutex.acquire()

    def _wake(self, workers: int) -> None:
        for _ in range(min(workers, len(self._bells))):
            self._bells.pop().release()


class _Waiter(NamedTuple):
    condition: Callable[[], bool]
    wanted: Wanted
    room: PacketSource | None
    thread: threading.Thread
    over: threading.Event


def _useful(queues: list[Edge], wanted: list[Wanted]) -> list[Edge]:
    """Leave out readers whose growth would help nobody who waits: an endless source would fill them for ever."""
    return [e for e in queues if e.owner is None or any(w is None or any(s in w for s in e.sources) for w in wanted)]
