"""Batches that go wrong, in a file of its own, because the workers of a cluster import it."""

import os
import signal
from pathlib import Path

from handheld.compress.pictures.training.batches import Batch, PictureBatches
from handheld.errors import MissingDependencyError


class Dying(PictureBatches):
    """Kills the process that asks for the first batch, once."""

    marker: Path

    def at(self, step: int) -> Batch:
        if not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().at(step)


class Failing(PictureBatches):
    """Raises an error whose class takes other arguments than its text."""

    def at(self, step: int) -> Batch:
        raise MissingDependencyError("abacus", "train", "counting")
