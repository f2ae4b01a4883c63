"""How a run tells what it does, and how long each stage takes."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[str, float, str], None]
"""Called with a stage's name, the share of it that is done, 0 to 1, and what there is to say."""


def silent(stage: str, done: float, text: str) -> None:
    """Say nothing."""


class Clock:
    """Reports stages to a :data:`Progress` and adds up their seconds."""

    def __init__(self, progress: Progress, clock: Callable[[], float] = time.monotonic):
        self.progress, self.clock = progress, clock
        self.seconds: dict[str, float] = {}
        self.stage = self.detail = ""

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        """Time what happens inside."""
        started, self.stage = self.clock(), stage
        self.progress(stage, 0.0, "")
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + self.clock() - started
        self.progress(stage, 1.0, "")

    def steps(self, step: int, steps: int, loss: float) -> None:
        """Report a step of training."""
        self.progress(self.stage, step / steps, f"{self.detail} loss {loss:.4f}".strip())

    def share(self, done: float) -> None:
        """Report a share."""
        self.progress(self.stage, done, "")
