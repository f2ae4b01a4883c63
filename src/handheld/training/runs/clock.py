"""How a run tells what it does, and how long each stage takes."""

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from handheld.errors import FileError
from handheld.files import atomic_path

_SAVE_SECONDS = 60.0  # of a stage that takes hours as much is lost when a run is killed

Progress = Callable[[str, float, str], None]
"""Called with a stage's name, the share of it that is done, 0 to 1, and what there is to say."""


def silent(stage: str, done: float, text: str) -> None:
    """Say nothing."""


class StageClock:
    """Reports stages to a :data:`Progress` and adds up their seconds.

    Args:
        progress: told of each stage.
        clock: seconds, rising.
        kept: file in which the seconds outlive the process, so that those of a run that went on are
            of all its starts.
    """

    def __init__(
        self,
        progress: Progress,
        clock: Callable[[], float] = time.monotonic,
        *,
        kept: Path | None = None,
    ):
        self.progress = progress
        self.clock = clock
        self.kept = kept
        self.seconds: dict[str, float] = {}
        if kept:
            self.seconds = _read(kept)
        self.stage = ""
        self.detail = ""
        # The share of the stage that steps are counted in.
        self._begin = 0.0
        self._length = 1.0
        self._counted = clock()

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        """Time what happens inside."""
        # What passed between two stages belongs to none.
        self._counted = self.clock()
        self.stage = stage
        self.progress(stage, 0.0, "")
        try:
            yield
        finally:
            self._count(stage)
        self.progress(stage, 1.0, "")

    @contextmanager
    def part(self, number: int, count: int, detail: str) -> Iterator[None]:
        """Count the steps inside as one of several equal parts of the stage.

        Args:
            number: of the part, from 0.
            count: of parts.
            detail: what the part is, said with each step.
        """
        self._begin = number / count
        self._length = 1 / count
        self.detail = detail
        try:
            yield
        finally:
            self._begin = 0.0
            self._length = 1.0
            self.detail = ""

    def steps(self, step: int, steps: int, loss: float) -> None:
        """Report a step of training."""
        # Within a stage too, or the hours of one that was killed would be lost.
        if self.stage and self.clock() - self._counted > _SAVE_SECONDS:
            self._count(self.stage)
        done = self._begin + self._length * step / steps
        self.progress(self.stage, done, f"{self.detail} loss {loss:.4f}".strip())

    def share(self, done: float) -> None:
        """Report a share."""
        self.progress(self.stage, done, "")

    def _count(self, stage: str) -> None:
        now = self.clock()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._counted
        self._counted = now
        if self.kept:
            # A full disk must not end a run for this, and a damaged file is none.
            with suppress(FileError), atomic_path(self.kept, durable=False) as temporary:
                temporary.write_text(json.dumps(self.seconds))


def _read(path: Path) -> dict[str, float]:
    """Return the seconds of earlier starts.

    There are none if the file is not there, or is damaged: nothing depends on them.
    """
    try:
        entries = json.loads(path.read_text("utf-8")).items()
        seconds = {str(stage): float(spent) for stage, spent in entries}
    except (OSError, ValueError, AttributeError, TypeError, ArithmeticError, RecursionError):
        return {}
    # also what float() takes and no clock gives, such as "nan"
    if not all(0 <= spent < math.inf for spent in seconds.values()):
        return {}
    return seconds
