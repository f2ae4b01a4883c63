"""What the stages of a run on pictures share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import fx

from handheld.compress.pictures.candidates import Candidate
from handheld.compress.pictures.preparation import Preparation
from handheld.compress.pictures.teacher_file import TeacherFile
from handheld.compress.pictures.training.batches import PictureBatches
from handheld.compress.settings import FamilySettings
from handheld.compress.targets import Target
from handheld.data import Splits
from handheld.training import device
from handheld.training.runs import RunFolder, StageClock, made_by


@dataclass(frozen=True, eq=False)
class PictureRun:
    """What the stages share.

    Attributes:
        data: to learn from.
        settings: of everything; class weights are numbers here.
        targets: of the members.
        space: folder and state.
        clock: of the stages.
        preparation: of the pictures.
        large: the traced network that becomes the teacher.
        trains_large: whether it learns along.
        answerer: a model file above it, which is only read.
    """

    data: Splits
    settings: FamilySettings
    targets: tuple[Target, ...]
    space: RunFolder
    clock: StageClock
    preparation: Preparation
    large: fx.GraphModule
    trains_large: bool
    answerer: TeacherFile | None = None

    @property
    def card(self) -> dict[str, Any]:
        """What every file says of itself."""
        return {
            "labels": list(self.data.classes),
            "image": self.preparation.card(),
            "output": "logits",
            "made_by": made_by("compress"),
            "training": {
                "data": self.data.train.digest,
                "examples": len(self.data.train),
                "seed": self.settings.seed,
            },
        }

    def batches(self, *, views: int = 0) -> PictureBatches:
        """Return the training split in batches."""
        return PictureBatches(
            self.data.train,
            self.preparation,
            self.settings.training.batch,
            self.settings.augmentation,
            views=views,
            seed=self.settings.seed,
            device=device(),
        )

    def member_file(self, candidate: Candidate) -> Path:
        """Return the file that keeps a member that has learned for itself, wherever that was."""
        return self.space.file(f"member_{candidate.name}.pt")
