"""Everything that can be set about a run, in one value."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from handheld.compress.pictures.training.batches import Augmentation
from handheld.errors import InputError
from handheld.ranges import MOST_SEED, in_range, whole_in_range
from handheld.training import Distillation, Schedule

TECHNIQUES = ("joint", "students", "pruning", "distillation", "quantisation", "sparsity")
"""What a run may use: nested members, other networks, channels removed, soft labels, int8, zeros in
stored files.
"""


BALANCED = "balanced"
"""Class weights by which each class counts alike."""

# What makes a kind of member; those that are not here are networks of their own.
_TECHNIQUE_OF = {"nested": "joint", "pruned": "pruning", "sparse": "sparsity"}


@dataclass(frozen=True)
class TextEpochs:
    """How long members of a family for texts learn, and their teacher; the rest is in the recipes
    of ``projection``.

    Attributes:
        teacher: passes over the data; parts of one are allowed.
        members: likewise; None: as many as the recipe of each has.
    """

    teacher: float = 12.0
    members: float | None = None

    def __post_init__(self) -> None:
        for name in ("teacher", "members"):
            epochs = getattr(self, name)
            if epochs is not None:
                in_range(name, epochs, low=0)


_VALUES: dict[str, type] = {
    "training": Schedule,
    "finish": Schedule,
    "distillation": Distillation,
    "augmentation": Augmentation,
    "variants": bool,
    "texts": TextEpochs,
}
"""What is no number, and what it is."""


@dataclass(frozen=True)
class FamilySettings:
    """How a family is made.

    Attributes:
        techniques: of :data:`TECHNIQUES`.
        training: schedule of the joint run, of the large network and all members that learn with
            it.
        finish: schedule of each member for itself, from the kept answers of the teacher.
        quantise: epochs of the last training, which knows of eight bits; 0: after training only.
        quantise_rate: its highest learning rate.
        distillation: what members learn from.
        augmentation: how pictures vary.
        budget: share of the large network's time that members may take in the joint run.
        variants: also try nested members with fewer residual blocks, and with smaller pictures.
        views: variations of each picture for which the teacher's answers are kept while members
            finish.
        max_loss: share of validation answers that int8 may cost before sensitive layers stay in
            float32.
        sparsity: share of zeros in the weights of sparse members.
        frozen: share of the joint run in which only the new head of a checkpoint learns.
        class_weights: how much examples count in training: one number above 0 for each class, or
            ``balanced``, by which each class counts alike however few examples it has; empty: each
            example counts alike.
        texts: epochs, where the data are texts; of all else here these take the seed and the
            threads.
        seed: of weights, order and variation.
        threads: of this machine's cores that training takes; 0: as many as torch finds.
        processes: of this machine that share each batch of the joint run: one for each GPU, for a
            teacher too slow on one.
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
    class_weights: str | tuple[float, ...] = ()
    texts: TextEpochs = field(default_factory=TextEpochs)
    seed: int = 0
    threads: int = 0
    processes: int = 1

    def __post_init__(self) -> None:
        for technique in listed(self.techniques):
            if technique not in TECHNIQUES:
                raise InputError(
                    f"techniques: expected some of {', '.join(TECHNIQUES)}, got {technique!r}"
                )
        for name, expected in _VALUES.items():
            value = getattr(self, name)
            if not isinstance(value, expected):
                raise InputError(f"{name}: expected {expected.__name__}, got {value!r}")
        in_range("quantise", self.quantise, low=0)
        in_range("quantise_rate", self.quantise_rate, low=0, low_open=True)
        in_range("budget", self.budget, low=0, low_open=True)
        whole_in_range("views", self.views, low=1)
        in_range("max_loss", self.max_loss, low=0, high=1)
        in_range("sparsity", self.sparsity, low=0, high=1, low_open=True, high_open=True)
        in_range("frozen", self.frozen, low=0, high=1, high_open=True)
        whole_in_range("seed", self.seed, low=0, high=MOST_SEED)
        whole_in_range("threads", self.threads, low=0)
        whole_in_range("processes", self.processes, low=1)
        self._require_class_weights()

    def _require_class_weights(self) -> None:
        if isinstance(self.class_weights, Sequence) and not isinstance(self.class_weights, str):
            for number, weight in enumerate(self.class_weights):
                in_range(f"class_weights[{number}]", weight, low=0, low_open=True)
        elif self.class_weights != BALANCED:
            raise InputError(
                f"class_weights: expected {BALANCED} or a number for each class, "
                f"got {self.class_weights!r}"
            )

    def allows(self, member_kind: str) -> bool:
        """Whether a kind of member can be made with these techniques."""
        return self.uses(_TECHNIQUE_OF.get(member_kind, "students"))

    def weighted(self, counts: Sequence[int]) -> "FamilySettings":
        """Return settings in which the class weights are numbers, by which members learn.

        Args:
            counts: training examples of each class.

        Raises:
            InputError: another number of weights than classes.
        """
        # not before the data is known: ``balanced`` follows from its counts
        weights = self.class_weights
        # the only word that __post_init__ lets pass
        if isinstance(weights, str):
            weights = _balanced(counts)
        if not weights:
            return self
        if len(weights) != len(counts):
            raise InputError(f"class_weights: {len(weights)} numbers for {len(counts)} classes")
        return replace(self, distillation=replace(self.distillation, class_weights=weights))

    def uses(self, technique: str) -> bool:
        """Whether a technique is asked for."""
        return technique in self.techniques


def _balanced(counts: Sequence[int]) -> tuple[float, ...]:
    """Return weights of n / (classes * count): one on average over the examples.

    As in scikit-learn. A class without examples never counts, so its weight may be any.
    """
    present = [count for count in counts if count]
    mean = sum(present) / len(present)
    # 1 for a class without examples, by which nothing is multiplied
    return tuple(mean / (count or mean) for count in counts)


def listed(techniques: Sequence[str]) -> tuple[str, ...]:
    """Return techniques as a tuple.

    Raises :class:`InputError` for one text, which would be read letter by letter.
    """
    if isinstance(techniques, str) or not isinstance(techniques, Sequence):
        raise InputError(
            f"techniques: expected a list of some of {', '.join(TECHNIQUES)}, got {techniques!r}"
        )
    return tuple(techniques)
