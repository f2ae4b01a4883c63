"""Batches by their step, made ahead in worker processes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from handheld.hands.training.stream import stream

Batch = TypeVar("Batch")

# Batches that each worker may be ahead: enough for one that takes long, few enough for memory.
_AHEAD = 4


@dataclass(frozen=True)
class _BatchRecipe(Generic[Batch]):
    """A function that makes the batch of a step, on its way to a worker."""

    make: Callable[[int], Batch]

    def open(self) -> Callable[[int], Batch]:
        """Return the function, in the worker."""
        # Here, as only workers need it at once.
        import cv2

        # A worker has one core, not a thread for each core of the machine.
        cv2.setNumThreads(1)
        return self.make


class BatchStream(Generic[Batch]):
    """Gives the batch of each step to a loop that asks for one step after the
    other, from any step on.

    Args:
        make: makes the batch of a step, which must depend on nothing else; it is
            pickled for the workers.
        workers: processes that make batches; 0 makes them here.
    """

    def __init__(self, make: Callable[[int], Batch], workers: int) -> None:
        self._make = make
        self._workers = workers
        # No step: workers start at the first one that is asked for, which a resumed run knows.
        self._next = -1
        self._batches: Iterator[Batch] = iter(())

    def __call__(self, step: int) -> Batch:
        """Return the batch of a step.

        Raises:
            TrainingError: a worker died.
            HandheldError: what making it raises.
        """
        if step != self._next:
            recipe = _BatchRecipe(self._make)
            self._batches = stream(recipe, start=step, workers=self._workers, ahead=_AHEAD)
        self._next = step + 1
        return next(self._batches)
