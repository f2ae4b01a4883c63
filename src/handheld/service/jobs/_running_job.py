"""A job that a worker runs, and what the worker remembers of it."""

from collections.abc import Callable
from dataclasses import dataclass

from handheld.service.jobs._process import JobProcess
from handheld.service.jobs._table import JobRecord
from handheld.service.jobs.folders import Folders

_PAUSES = 20  # how much longer it is not measured than measuring took


@dataclass
class RunningJob:
    """A job and its process.

    Times are those of the worker's timer; ``verdict`` is how the job ended, with the error, until
    that is stored; ``has_made_room`` is whether what it worked with was removed from a full disk.
    """

    job: JobRecord
    process: JobProcess
    deadline: float
    bytes: int
    processes: int = 0
    next_beat: float = 0.0
    next_measure: float = 0.0
    verdict: tuple[str, str | None] | None = None
    has_made_room: bool = False

    def measure(self, folders: Folders, timer: Callable[[], float]) -> None:
        """Measure the job's folder and count its processes, unless that took long and was not long
        ago.

        There may be 100,000 files in it.
        """
        start = timer()
        if start >= self.next_measure:
            use = self.process.use()
            self.processes = use.processes
            self.bytes = folders.bytes_of(self.job.key) + use.unlinked_bytes
            self.next_measure = timer() + _PAUSES * (timer() - start)
