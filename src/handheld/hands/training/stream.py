"""Batches by their step, made ahead in worker processes."""

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from torch.utils.data import DataLoader, Dataset

from handheld.errors import TrainingError

Batch = TypeVar("Batch")

_AHEAD = 4


class _Steps(Dataset[Batch]):
    def __init__(self, make: Callable[[int], Batch]) -> None:
        self._make = make

    def __getitem__(self, step: int) -> Batch:
        return self._make(step)


class BatchStream(Generic[Batch]):
    """Gives the batch of each step to a loop that asks for one step after the other.

    Args:
        make: makes the batch of a step, which must depend on nothing else; it is pickled for the workers.
        steps: number of the last step, plus one.
        workers: processes that make batches; 0 makes them here.
    """

    def __init__(self, make: Callable[[int], Batch], steps: int, workers: int) -> None:
        self._make = make
        self._steps = steps
        self._workers = workers
        self._next = -1
        self._batches: Iterator[Batch] = iter(())

    def __call__(self, step: int) -> Batch:
        """Return the batch of a step. Raises what making it raises; :class:`TrainingError` if a worker died."""
        if step != self._next:
            self._batches = self._started(step)
        self._next = step + 1
        try:
            return next(self._batches)
        except RuntimeError as error:
            # torch's message for a worker that was killed, nearly always by a machine out of memory.
            if "DataLoader worker" in str(error) and "exited unexpectedly" in str(error):
                message = "a worker process that makes examples was killed: free memory, or set workers = 0"
                raise TrainingError(f"{message} ({error})") from error
            raise

    def _started(self, step: int) -> Iterator[Batch]:
        if not self._workers:
            return map(self._make, range(step, self._steps))
        loader: DataLoader[Any] = DataLoader(
            _Steps(self._make),
            batch_size=None,
            sampler=range(step, self._steps),
            num_workers=self._workers,
            prefetch_factor=_AHEAD,
            worker_init_fn=_one_thread,
            collate_fn=_as_it_is,
            # Not forked: threads of OpenCV and TensorBoard do not come along, and the copy waits for them.
            multiprocessing_context="spawn",
        )
        return iter(loader)


def _as_it_is(batch: Any) -> Any:
    """torch would turn the arrays of some batches into tensors, and not those of others."""
    return batch


def _one_thread(worker: int) -> None:
    """A worker has a core of its own: OpenCV would else start a thread for each core of the machine."""
    import cv2

    cv2.setNumThreads(1)
