"""Executors: on whose threads the nodes of a graph run."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple, Protocol

from handheld.errors import GraphError
from handheld.graph._inspect import grow
from handheld.graph._scheduler import Scheduler


class Executor(Protocol):
    """Runs what a scheduler says is ready. Every access to the scheduler happens under ``lock``."""

    lock: AbstractContextManager[object]

    def work(self) -> None:
        """Something changed from outside: see to it that it is handled."""

    def wait_for(self, condition: Callable[[], bool], *, patient: bool, timeout: float | None = None) -> bool:
        """Run until the condition holds or nothing can run (``patient``: even then, since others may feed the graph)."""
        ...

    def stop(self) -> None:
        """Let running nodes finish and start no other."""


class CallingThread:
    """Everything runs inside the caller's ``add``, ``next`` or ``close``: simplest, fastest, and one order for ever."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.lock: AbstractContextManager[object] = nullcontext()
        self._scheduler = scheduler
        self._running = False

    def work(self) -> None:
        """Run until no node is ready. Sources wait until someone asks for output."""
        if not self._running:  # a calculator that feeds its own graph only queues
            self._run(None)

    def wait_for(self, condition: Callable[[], bool], *, patient: bool, timeout: float | None = None) -> bool:
        """Run nodes and sources until the condition holds or nothing can run."""
        if not self._running:
            self._run(condition)
        return condition()

    def stop(self) -> None:
        """Nothing to stop: nothing runs between calls."""

    def _run(self, condition: Callable[[], bool] | None) -> None:
        scheduler = self._scheduler
        pick, begin, invoke, finish = scheduler.pick, scheduler.begin, scheduler.invoke, scheduler.finish
        sources = condition is not None
        self._running = True
        try:
            while condition is None or not condition():
                node = pick(sources=sources)
                if node is None:
                    if sources and _grow(scheduler):
                        continue
                    return
                begin(node)
                invoke(node)
                finish(node)
        except GraphError as error:
            scheduler.error = error
            raise
        finally:
            self._running = False


class ThreadPool:
    """``threads`` workers; one lock guards the scheduler and is released while a node's own code runs."""

    def __init__(self, scheduler: Scheduler, threads: int) -> None:
        self._scheduler = scheduler
        self._wake = threading.Condition(threading.Lock())  # workers sleep here
        self.lock: AbstractContextManager[object] = self._wake
        self._waiters: list[_Waiter] = []  # callers that sleep until their condition holds
        self._idle = self._running = 0
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._work, name=f"handheld-graph-{i}", daemon=True) for i in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def work(self) -> None:
        """Wake as many workers as can run; the caller holds the lock."""
        if self._idle:
            self._wake.notify(max(1, len(self._scheduler.ready)))
        self._tell()

    def wait_for(self, condition: Callable[[], bool], *, patient: bool, timeout: float | None = None) -> bool:
        """Wait until the condition holds, a node failed, or (unless ``patient``) nothing can run; the caller holds the lock."""
        self.work()
        if threading.current_thread() in self._threads:
            return condition()  # a calculator that feeds its own graph must not wait for itself
        waiter = _Waiter(condition, patient, threading.Event())
        if not self._is_over(waiter):
            self._waiters.append(waiter)
            self._wake.release()
            try:
                waiter.over.wait(timeout)
            finally:
                self._wake.acquire()
                self._waiters.remove(waiter)
        return condition()

    def stop(self) -> None:
        """Wait for the nodes that run, then end the workers."""
        with self.lock:
            self._stopping = True
            self._wake.notify_all()
            self._tell()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    def _is_over(self, waiter: "_Waiter") -> bool:
        scheduler = self._scheduler
        idle = not waiter.patient and not self._running and not scheduler.can_run()
        return idle or scheduler.stopped or scheduler.error is not None or waiter.condition()

    def _tell(self) -> None:
        """Wake the callers whose wait is over. Workers ask for them, since waking a thread to ask costs ten times a call."""
        for waiter in self._waiters:
            if self._is_over(waiter):
                waiter.over.set()

    def _work(self) -> None:
        scheduler, lock = self._scheduler, self._wake
        with lock:
            while not self._stopping:
                node = None if scheduler.error else scheduler.pick(sources=True)
                if node is None:
                    if not self._running and scheduler.error is None and _grow(scheduler, readers=False):
                        continue
                    self._tell()
                    self._idle += 1
                    lock.wait()
                    self._idle -= 1
                    continue
                self._running += 1
                scheduler.begin(node)
                lock.release()
                try:
                    scheduler.invoke(node)
                finally:
                    lock.acquire()
                try:
                    scheduler.finish(node)
                except GraphError as error:
                    scheduler.error = scheduler.error or error
                self._running -= 1
                if len(scheduler.ready) > 1 and self._idle:
                    lock.notify(len(scheduler.ready) - 1)  # this worker takes the first itself
                self._tell()


class _Waiter(NamedTuple):
    condition: Callable[[], bool]
    patient: bool
    over: threading.Event


def _grow(scheduler: Scheduler, *, readers: bool = True) -> bool:
    """Where full queues are all that holds source nodes back, give them room; return whether any was found."""
    full = [edge for edge in scheduler.full_queues() if readers or edge.node is not None] if scheduler.held_back() else []
    grow(scheduler, full)
    return bool(full)
