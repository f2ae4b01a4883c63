"""The rows of each batch that one of several processes learns from."""

from handheld.compress.pictures.training.batches import Batch
from handheld.compress.pictures.training.joint import BatchSource


class Share:
    """Every n-th row of each batch: the rows of one process.

    Each batch is made whole, so that its variation stays the same.

    Args:
        batches: of one process alone; rows that cannot be shared out evenly are left out.
        rank: of the process, from 0.
        processes: in all.
    """

    def __init__(self, batches: BatchSource, rank: int, processes: int):
        self.batches = batches
        self.rank = rank
        self.processes = processes
        self.size = batches.size // processes

    def at(self, step: int) -> Batch:
        """Return this process's part of the batch of a step."""
        batch = self.batches.at(step)
        # every n-th: the first rows of all shares, from which members learn, are those of the batch
        rows = slice(self.rank, self.size * self.processes, self.processes)
        return Batch(batch.inputs[rows], batch.labels[rows], batch.places[rows])
