"""Trainings that go on where they were ended: where each keeps its state and what it reports to."""

from dataclasses import dataclass
from pathlib import Path

from handheld.training import FitRun
from handheld.training.runs import Progress, values_digest


@dataclass(frozen=True)
class TrainingStages:
    """The trainings of one model file.

    Attributes:
        folder: of their states, or None: nothing is kept.
        progress: called as the work goes on.
        data: that all of them learn; a state is found again by it.
    """

    folder: Path | None
    progress: Progress
    data: tuple[object, ...]

    def run(self, name: str, *settings: object, seed: int) -> FitRun:
        """Return the run of a training of that name.

        Args:
            name: that progress is reported by.
            settings: that its state depends on.
            seed: of the training.
        """

        def report(step: int, steps: int, loss: float) -> None:
            self.progress(name, step / steps, f"loss {loss:.4f}")

        if self.folder is None:
            return FitRun(seed, report=report)
        digest = values_digest(*self.data, *settings)
        return FitRun(seed, self.folder / f"{digest}.pt", report)
