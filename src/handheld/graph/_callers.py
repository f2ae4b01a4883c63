"""Who calls a graph: a thread, or a task of an event loop."""

import asyncio
import threading
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TaskCaller:
    """A task of an event loop, beside which others run on the same thread."""

    task: "asyncio.Task[Any]"

    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return not self.task.done()


Caller = threading.Thread | TaskCaller


def current_task() -> Caller:
    """Return the task that calls; to be asked in a coroutine."""
    task = asyncio.current_task()
    return threading.current_thread() if task is None else TaskCaller(task)


class LoopBell:
    """Wakes a coroutine from another thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._event = asyncio.Event()

    def set(self) -> None:
        """Ring; on any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._event.set)

    def clear(self) -> None:
        """Forget what rang before; on the loop's thread."""
        self._event.clear()

    async def rung(self) -> None:
        """Wait until it rings."""
        await self._event.wait()
