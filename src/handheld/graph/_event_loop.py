"""The event loop of a graph, on which the coroutines of its calculators run."""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from inspect import isasyncgen, iscoroutine, isgenerator
from typing import Any

from handheld.errors import GraphError

_log = logging.getLogger(__name__)

# Seconds for what is cancelled to end, as it closes what it holds. Not told again before: a second
# cancellation would end that too.
_GRACE_S = 5.0

_ENDING = "the end of the loop"


class EventLoop:
    """An asyncio loop on a thread of its own, which starts with the first coroutine.

    Its own, so that a calculator may await whatever the caller does, in an event loop or not.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def complete(self, result: Any) -> None:
        """Wait for what a method of a calculator returned, if that is a coroutine.

        Raises :class:`GraphError` for a generator: what it would have done would be missing.
        """
        if not iscoroutine(result):
            if isgenerator(result) or isasyncgen(result):
                raise GraphError("it returned a generator, of which nothing runs: send instead")
            return
        call = _named(result.__qualname__, result)
        future = asyncio.run_coroutine_threadsafe(call, self._running())
        try:
            future.result()
        except BaseException:
            # Ctrl-C ends the wait; the coroutine must not go on alone.
            future.cancel()
            raise

    def start(
        self, name: str, coroutine: Coroutine[Any, Any, None], then: Callable[[], None]
    ) -> None:
        """Run a coroutine, which raises nothing, and call ``then`` on the loop's thread.

        ``then`` is called in any case, of one that is cancelled before it began too. ``name`` is
        what the log calls it where it does not end.
        """
        loop = self._running()
        loop.call_soon_threadsafe(_begin, loop, name, coroutine, then)

    def cancel_all(self) -> None:
        """Cancel what runs; it ends soon after."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(_cancel_tasks)

    def stop(self) -> None:
        """Cancel what runs and end the thread; never on that thread itself.

        What does not end is left behind with its thread, and told in the log: whoever waits for it
        might wait for ever.
        """
        loop = self._loop
        if loop is None or self._thread is None:
            return
        self._loop = None
        asyncio.run_coroutine_threadsafe(_named(_ENDING, _cancel_until_over()), loop)
        self._thread.join(_GRACE_S)
        if self._thread.is_alive():
            names = {task.get_name() for task in asyncio.all_tasks(loop)} - {_ENDING}
            _log.error(
                "not ended %g s after they were cancelled: %s", _GRACE_S, ", ".join(sorted(names))
            )

    def forked(self) -> None:
        """Forget the thread, which a fork of the program does not have."""
        self._loop = None
        self._starting = threading.Lock()

    def is_running(self) -> bool:
        """Whether there is one, so far."""
        return self._loop is not None

    def owns(self, thread: threading.Thread) -> bool:
        """Whether this is the loop's thread."""
        return thread is self._thread

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_run, args=(self._loop,), name="handheld-graph-loop", daemon=True
                )
                self._thread.start()
            return self._loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.close()


def _begin(
    loop: asyncio.AbstractEventLoop,
    name: str,
    coroutine: Coroutine[Any, Any, None],
    then: Callable[[], None],
) -> None:
    # A callback, and on the loop's thread: a coroutine around both would not be entered where it
    # is cancelled before its first step, and the callback of a concurrent future that has ended
    # already is called on the caller's thread, which holds the lock that is asked for.
    task = loop.create_task(coroutine, name=name)
    task.add_done_callback(lambda _: then())


async def _named(name: str, coroutine: Coroutine[Any, Any, None]) -> None:
    """Await a coroutine in a task of its name."""
    task = asyncio.current_task()
    if task is not None:
        task.set_name(name)
    await coroutine


def _cancel_tasks() -> None:
    for task in asyncio.all_tasks():
        task.cancel()


async def _cancel_until_over() -> None:
    """Cancel every other task, and again what takes no notice, until all have ended; then stop."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        if not task.cancelling():
            task.cancel()
    while others:
        _, others = await asyncio.wait(others, timeout=_GRACE_S)
        for task in others:
            task.cancel()
    asyncio.get_running_loop().stop()
