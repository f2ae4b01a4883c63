"""Examples made in worker processes: in order, and the same whatever the number of workers.

Example i depends on i alone, so worker w of n makes w, w + n, w + 2n and so on, and the reader
takes them in turn. A stream can begin anywhere, which is what a resumed training run needs.
"""

import itertools
import multiprocessing
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, Generic, Protocol, TypeVar

from handheld.errors import HandheldError, TrainingError

Example = TypeVar("Example", covariant=True)

# Seconds after which a process that waits for another looks whether that one still lives.
_PATIENCE = 1.0
# Seconds that a worker has to end before it is killed.
_FAREWELL = 2.0


class Recipe(Protocol[Example]):
    """What a worker needs to make examples: it is pickled, and opened in the worker."""

    def open(self) -> Callable[[int], Example]:
        """Return the function that makes example i, 0 and up."""


def stream(
    recipe: Recipe[Example],
    *,
    start: int = 0,
    stop: int | None = None,
    workers: int = 0,
    ahead: int = 16,
) -> Iterator[Example]:
    """Give examples ``start``, ``start + 1`` and so on, up to but not including ``stop``.

    Workers end with the iterator, by Ctrl-C, and when this process dies.

    Args:
        recipe: what a worker needs.
        start: number of the first example.
        stop: number after the last one; by default there is no end.
        workers: processes that make them; 0 makes them here.
        ahead: examples that each worker may be ahead of the reader.

    Raises:
        TrainingError: a worker died, as one does that the system kills for its memory.
        HandheldError: what the recipe raises.
    """
    indices: Iterable[int] = range(start, stop) if stop is not None else itertools.count(start)
    if workers == 0:
        make = recipe.open()
        for index in indices:
            yield make(index)
        return
    crew = [_Worker(recipe, start + number, stop, workers, ahead) for number in range(workers)]
    try:
        # In turn, whoever is first: the order must not depend on how fast each of them is.
        for index in indices:
            yield crew[(index - start) % workers].next()
    finally:
        for worker in crew:
            worker.end()


@dataclass(frozen=True)
class _Failure:
    """What went wrong in a worker."""

    error: Exception


class _Worker(Generic[Example]):
    """The reader's side of one process."""

    def __init__(
        self,
        recipe: Recipe[Example],
        first: int,
        stop: int | None,
        step: int,
        ahead: int,
    ) -> None:
        # Not forked: numba, OpenCV and torch keep threads, of which a fork has only the locks.
        context = multiprocessing.get_context("spawn")
        # No queue of multiprocessing: of a process that dies within an example it would wait for
        # the rest, and its semaphores outlive a reader that is killed.
        self._examples, sender = context.Pipe(duplex=False)
        self._process: SpawnProcess = context.Process(
            target=_work,
            args=(recipe, first, stop, step, ahead, sender),
            daemon=True,
        )
        self._process.start()
        # With the worker's own end alone the pipe ends when the worker does.
        sender.close()

    def next(self) -> Example:
        """Return this process's next example. Raises what making it raised."""
        example = self._wait()
        if isinstance(example, _Failure):
            raise example.error
        result: Example = example
        return result

    def _wait(self) -> Any:
        try:
            return self._examples.recv()
        except (EOFError, OSError):
            self._process.join()
            raise TrainingError(
                f"a process that makes examples ended with status {self._process.exitcode}: "
                "with less memory than it needs, use fewer workers"
            ) from None

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self._process.terminate()
        self._process.join(_FAREWELL)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._examples.close()


def _work(
    recipe: Recipe[Any],
    index: int,
    stop: int | None,
    step: int,
    ahead: int,
    sender: Connection,
) -> None:
    """Make examples in a process of its own until nobody wants them."""
    # Ctrl-C reaches every process of a terminal; the reader ends its workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    examples: queue.Queue[Any] = queue.Queue(ahead)
    # Examples that nobody will read must not keep the process.
    threading.Thread(target=_send_all, args=(examples, sender), daemon=True).start()
    try:
        make = recipe.open()
        # After opening, which is what imports OpenCV.
        _use_one_thread()
        while stop is None or index < stop:
            if not _put(examples, make(index)):
                return
            index += step
    except Exception as error:
        _put(examples, _Failure(_portable(error)))
    # What is handed over still has to be sent, by a thread that ends with the process. The reader
    # ends it.
    if parent := multiprocessing.parent_process():
        parent.join()


def _send_all(examples: queue.Queue[Any], sender: Connection) -> None:
    """Send examples as the reader takes them."""
    while True:
        example = examples.get()
        try:
            sender.send(example)
        except OSError:  # the reader is gone, as who makes them will see
            return
        except Exception as error:
            sender.send(_Failure(_portable(error)))


def _put(examples: queue.Queue[Any], example: Any) -> bool:
    """Hand over an example; tell whether there is still a reader."""
    parent = multiprocessing.parent_process()
    # A reader that was killed ends nobody: a worker has to see for itself that it is gone.
    while parent is None or parent.is_alive():
        try:
            examples.put(example, timeout=_PATIENCE)
        except queue.Full:
            continue
        return True
    return False


def _portable(error: Exception) -> Exception:
    """Return an error that can be pickled: ours can, of others only the words are sure."""
    if isinstance(error, HandheldError):
        return error
    return TrainingError(f"making an example failed: {type(error).__name__}: {error}")


def _use_one_thread() -> None:
    """Keep OpenCV, if the recipe uses it, from starting threads for every core in every worker."""
    if cv2 := sys.modules.get("cv2"):
        cv2.setNumThreads(1)
