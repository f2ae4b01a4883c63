"""Trainings that go on where they were ended: where each keeps its state and what it reports to."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from handheld.training import Report
from handheld.training.runs import Progress, values_digest


class StageOptions(TypedDict):
    """Arguments that every training takes.

    Attributes:
        report: called after each step.
        save: file to go on from, or None.
    """

    report: Report
    save: Path | None


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

    def options(self, name: str, *settings: object) -> StageOptions:
        """Return the arguments of a training of that name, whose state depends on settings."""

        def report(step: int, steps: int, loss: float) -> None:
            self.progress(name, step / steps, f"loss {loss:.4f}")

        if self.folder is None:
            return {"report": report, "save": None}
        digest = values_digest(*self.data, *settings)
        return {"report": report, "save": self.folder / f"{digest}.pt"}
