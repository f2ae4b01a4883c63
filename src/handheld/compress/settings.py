"""Everything that can be set about a run, in one value."""

from dataclasses import dataclass, field

from handheld.compress.training.batches import Augmentation
from handheld.errors import InputError
from handheld.training import Distillation, Schedule

TECHNIQUES = ("joint", "students", "pruning", "distillation", "quantisation", "sparsity")
"""What a run may use: nested members, other networks, channels removed, soft labels, int8, zeros in stored files."""


@dataclass(frozen=True)
class Settings:
    """How a family is made.

    Attributes:
        techniques: of :data:`TECHNIQUES`.
        training: schedule of the joint run, of the large network and all members that learn with it.
        finish: schedule of each member for itself, from the kept answers of the teacher.
        quantise: epochs of the last training, which knows of eight bits; 0: after training only.
        quantise_rate: its highest learning rate.
        distillation: what members learn from.
        augmentation: how pictures vary.
        budget: share of the large network's time that members may take in the joint run.
        variants: also try nested members with fewer residual blocks, and with smaller pictures.
        views: variations of each picture for which the teacher's answers are kept while members finish.
        max_loss: share of validation answers that int8 may cost before sensitive layers stay in float32.
        sparsity: share of zeros in the weights of sparse members.
        frozen: share of the joint run in which only the new head of a checkpoint learns.
        seed: of weights, order and variation.
        processes: of this machine that share each batch of the joint run: one for each GPU, for a teacher too slow on one.
    """

    techniques: tuple[str, ...] = TECHNIQUES
    training: Schedule = field(default_factory=lambda: Schedule(20))
    finish: Schedule = field(default_factory=lambda: Schedule(10, rate=0.1))
    quantise: float = 2.0
    quantise_rate: float = 0.004
    distillation: Distillation = field(default_factory=Distillation)
    augmentation: Augmentation = field(default_factory=Augmentation)
    budget: float = 0.06
    variants: bool = True
    views: int = 4
    max_loss: float = 0.005
    sparsity: float = 0.8
    frozen: float = 0.0
    seed: int = 0
    processes: int = 1

    def __post_init__(self) -> None:
        if unknown := [name for name in self.techniques if name not in TECHNIQUES]:
            raise InputError(f"no technique {unknown[0]!r}: expected some of {', '.join(TECHNIQUES)}")
        if not (
            self.quantise >= 0 and self.quantise_rate > 0 and self.budget > 0 and self.views >= 1 and 0 <= self.max_loss <= 1
        ):
            raise InputError(f"expected positive numbers of epochs, rates, budget and views, got {self}")
        if not (0 < self.sparsity < 1 and 0 <= self.frozen < 1):
            raise InputError(
                f"expected a sparsity between 0 and 1 and a frozen part below 1, got {self.sparsity}, {self.frozen}"
            )

        if self.processes < 1:
            raise InputError(f"expected 1 process or more, got {self.processes}")

    def allows(self, kind: str) -> bool:
        """Whether a kind of member can be made with these techniques."""
        return self.uses({"nested": "joint", "pruned": "pruning", "sparse": "sparsity"}.get(kind, "students"))

    def uses(self, technique: str) -> bool:
        """Whether a technique is asked for."""
        return technique in self.techniques
