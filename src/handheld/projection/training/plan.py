"""What text model to make, and what making it gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from handheld.errors import InputError
from handheld.projection.judging import TextJudgement
from handheld.projection.training.recipe import ProjectionRecipe, Trained
from handheld.projection.training.teaching import NAMES, TABLES
from handheld.projection.training.text import Curve
from handheld.ranges import MOST_SEED, whole_in_range


@dataclass(frozen=True, eq=False)
class TextModel:
    """A model file and how it came about.

    Attributes:
        content: of the ``.tflite`` file.
        card: that it carries.
        valid: what the file answers on the validation texts.
        curves: (step, loss) of each training, by name.
        networks: that the file was made of.
        reader: of its texts.
        fit: how well it knows the texts that it learned, beside those that it did not.
    """

    content: bytes
    card: Mapping[str, Any]
    valid: TextJudgement
    curves: Mapping[str, Curve]
    networks: tuple[nn.Module, ...]
    reader: Trained
    fit: "FitFigures"


CLASS_WEIGHTS = ("none", "balanced")

# Accuracy on texts that were learned less that on others, from which a model is said to memorise.
_MEMORISING_GAP = 0.15
# Accuracy above the commonest label's share, up to which a model is said to be no better.
_MAJORITY_MARGIN = 0.01


@dataclass(frozen=True)
class FitFigures:
    """A model on the texts that it learned, and on those that it did not.

    Shares are of 0 to 1, losses in nats.

    Attributes:
        train_accuracy, train_loss: on the texts that it learned.
        valid_accuracy, valid_loss: on the validation texts.
        majority: share of validation texts that have the commonest training label.
        balanced: mean over the labels of the share of their validation texts that are answered
            right.
        choice: what was chosen, in words, such as the prior and its strength.
    """

    train_accuracy: float
    train_loss: float
    valid_accuracy: float
    valid_loss: float
    majority: float
    balanced: float
    choice: str

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know of the figures, in sentences."""
        sentences: list[str] = []
        if self.train_accuracy - self.valid_accuracy > _MEMORISING_GAP:
            sentences.append(
                f"it knows its own texts better than others ({self.train_accuracy:.1%} against "
                f"{self.valid_accuracy:.1%}): more texts will help, a larger file will not"
            )
        # A model that answers one label looks good where most texts have it.
        if self.valid_accuracy <= self.majority + _MAJORITY_MARGIN:
            sentences.append(
                "it is no better than always answering the commonest label "
                f"({self.majority:.1%} of the validation texts)"
            )
        return tuple(sentences)


@dataclass(frozen=True)
class TextModelPlan:
    """What to make.

    Attributes:
        max_size: bytes of the file, at most.
        recipe: of the network that is shipped.
        trainers: that it learns from; a name twice is two networks of other seeds; none: it learns
            from labels alone.
        joint: the one trainer network learns along (arXiv 1708.00630), and not before.
        licence: of the model, for its card; empty: not said.
        class_weight: ``none``, or ``balanced``: each label counts alike, however few texts it has.
        high_effort: the slow recipe of tables is trained too, and the better of the two files kept.
        nearest: where no network keeps the size, the smallest one is made, and it is no error.
        seed: of weights and order.
    """

    max_size: int
    recipe: ProjectionRecipe = field(default_factory=ProjectionRecipe)
    trainers: tuple[str | nn.Module, ...] = ()
    joint: bool = False
    licence: str = ""
    seed: int = 0
    class_weight: str = "none"
    high_effort: bool = False
    nearest: bool = False

    def __post_init__(self) -> None:
        whole_in_range("max_size", self.max_size, low=1)
        whole_in_range("seed", self.seed, low=0, high=MOST_SEED)
        if self.class_weight not in CLASS_WEIGHTS:
            raise InputError(
                f"class_weight: expected {' or '.join(CLASS_WEIGHTS)}, got {self.class_weight!r}"
            )
        for trainer in self.trainers:
            # modules are taken as they are: only names can be unknown
            if isinstance(trainer, str) and trainer not in NAMES:
                raise InputError(
                    f"no trainer {trainer!r}: expected {', '.join(NAMES)}, "
                    "or package.module:factory"
                )
        if self.joint:
            self._check_joint()

    def _check_joint(self) -> None:
        """See that one trainer network and one network can learn together."""
        if len(self.trainers) != 1 or self.trainers[0] in TABLES:
            trainers = ", ".join(self.names) or "none"
            raise InputError(f"one trainer network learns along, got {trainers}")
        if self.recipe.reads == "picked":
            raise InputError(
                "a trainer network learns along with a network: "
                "expected what reads rows or signs, got picked"
            )
        if self.recipe.more:
            raise InputError("a trainer network learns along with one table, not with several")

    @property
    def names(self) -> tuple[str, ...]:
        """What the trainers are called, in order."""
        return tuple(map(_trainer_name, self.trainers))


def _trainer_name(trainer: str | nn.Module) -> str:
    if isinstance(trainer, str):
        return trainer
    return type(trainer).__name__
