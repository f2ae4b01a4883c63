"""The event loop of a graph, on which the coroutines of its calculators run."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from inspect import iscoroutine
from typing import Any


class EventLoop:
    """An asyncio loop on a thread of its own, which starts with the first coroutine.

    Its own, so that a calculator may await whatever the caller does, in an event loop or not.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def complete(self, result: Any) -> None:
        """Wait for what a method of a calculator returned, if that is a coroutine."""
        if not iscoroutine(result):
            return
        future = asyncio.run_coroutine_threadsafe(result, self._running())
        try:
            future.result()
        except BaseException:
            # Ctrl-C ends the wait; the coroutine must not go on alone.
            future.cancel()
            raise

    def start(self, coroutine: Coroutine[Any, Any, None], then: Callable[[], None]) -> None:
        """Run a coroutine, which raises nothing, and call ``then`` on the loop's thread.

        ``then`` is called in any case, of one that is cancelled before it began too.
        """
        loop = self._running()
        loop.call_soon_threadsafe(_begin, loop, coroutine, then)

    def cancel_all(self) -> None:
        """Cancel what runs; it ends soon after."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(_cancel_tasks)

    def stop(self) -> None:
        """Cancel what runs and end the thread; never on that thread itself."""
        loop = self._loop
        if loop is None or self._thread is None:
            return
        asyncio.run_coroutine_threadsafe(_cancel_and_wait(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join()
        loop.close()
        self._loop = None

    def owns(self, thread: threading.Thread) -> bool:
        """Whether this is the loop's thread."""
        return thread is self._thread

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="handheld-graph-loop", daemon=True
                )
                self._thread.start()
            return self._loop


def _begin(
    loop: asyncio.AbstractEventLoop,
    coroutine: Coroutine[Any, Any, None],
    then: Callable[[], None],
) -> None:
    # A callback, and on the loop's thread: a coroutine around both would not be entered where it
    # is cancelled before its first step, and the callback of a concurrent future that has ended
    # already is called on the caller's thread, which holds the lock that is asked for.
    task = loop.create_task(coroutine)
    task.add_done_callback(lambda _: then())


def _cancel_tasks() -> None:
    for task in asyncio.all_tasks():
        task.cancel()


async def _cancel_and_wait() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
