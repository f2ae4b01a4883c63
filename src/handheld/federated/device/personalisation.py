"""The shared model, fitted to its own user, and kept only where that is better.

After "Federated Evaluation of On-device Personalization" (Wang et al., arXiv 1910.10252) and, of
interpolation, "Three Approaches for Personalization with Applications to Federated Learning"
(Mansour et al., arXiv 2002.10619).
"""

import hashlib
import math
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from handheld.arrays import read_npz
from handheld.errors import InputError
from handheld.federated.algorithms import FedAvg, ServerState
from handheld.federated.learning.descent import Loss, batch_of, cross_entropy, descend
from handheld.federated.learning.evaluation import ExampleScores, answers
from handheld.federated.learning.learner import ClientTask, ClientWork, Doubles, Floats, Shape
from handheld.federated.learning.subspaces import Masked
from handheld.federated.learning.users import Examples
from handheld.federated.learning.vectors import ModuleLayout, Vector
from handheld.files import atomic_path

_MOST_BESIDE = 1 << 24  # bytes of statistics beside the weights
_TRIED = 4  # examples that tell which buffers a module moves in training


@dataclass(frozen=True)
class Personalisation:
    """How a model is fitted to a user.

    Attributes:
        ways: what is learned: ``head`` (the last layer alone), ``whole`` (everything).
        shares: how far to go from the shared model to the learned one, each above 0, at most 1:
            below 1 is between both.
        work: how much is learned, each time.
        folds: parts of the examples, 2 or more; each is judged by what was learned from the others
            (cross-validation), which chooses the way and the share. Few examples are too dear to
            lay some aside for good.
        chance: with which the own model may look better by luck alone, above 0, below 1: a sign
            test on all examples, each judged by a model that had not seen it.

    Raises:
        InputError: values outside of these.
    """

    ways: tuple[str, ...] = ("head", "whole")
    shares: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)
    work: ClientWork = field(default_factory=lambda: ClientWork(epochs=5, batch=10, rate=0.05))
    folds: int = 4
    chance: float = 0.05

    def __post_init__(self) -> None:
        if not self.ways or not set(self.ways) <= {"head", "whole"}:
            raise InputError(f"expected ways of head and whole, got {self.ways}")
        if not self.shares or not all(0 < share <= 1 for share in self.shares):
            raise InputError(f"expected shares above 0, at most 1, got {self.shares}")
        if self.folds < 2 or not 0 < self.chance < 1:
            raise InputError(
                f"expected 2 folds or more and a chance of 0 to 1, got {self.folds} and {self.chance}"
            )


@dataclass(frozen=True, eq=False)
class PersonalModel:
    """What came of fitting a model to a user.

    Attributes:
        weights: (n,) the user's own, the mean of those learned without each fold, or the shared
            ones where those are as good.
        statistics: (m,) that go with them, such as running means.
        way: what was learned, empty where the shared model is kept.
        share: how far it goes from the shared model.
        before: what the shared model reaches on the examples: ``loss`` and, of classes,
            ``accuracy``.
        after: what the best candidates do, each on examples that it has not seen, kept or not; both
            are empty if learning was stopped.
    """

    weights: Floats
    statistics: Doubles
    way: str
    share: float
    before: dict[str, float]
    after: dict[str, float]

    @property
    def kept(self) -> bool:
        """Whether the own model is better than by luck."""
        return bool(self.way)


def personalise(
    module: nn.Module,
    weights: Floats,
    examples: Examples,
    personalisation: Personalisation | None = None,
    *,
    statistics: Doubles | None = None,
    loss: Loss = cross_entropy,
    seed: int = 0,
    goes_on: Callable[[], bool] = lambda: True,
) -> PersonalModel:
    """Fit a shared model to a user's examples, and keep the result only if it is better.

    Better is what does better on examples that it has not seen.

    Args:
        module: the network; its weights are changed.
        weights: (n,) the shared model's.
        examples: the user's.
        personalisation: how.
        statistics: (m,) the shared model's; the module's if left out.
        loss: of what the module says.
        seed: of the folds, and the order of learning.
        goes_on: asked before each step; once it says no the shared model stays, as a model learned
            in part was never judged.

    Raises:
        InputError: weights of another model, or fewer than two examples.
    """
    how = personalisation or Personalisation()
    if weights.shape != (len(Vector(module)),) or len(examples) < 2:
        raise InputError(
            f"expected {len(Vector(module)):,} weights and 2 examples or more, got {list(weights.shape)}, {len(examples)}"
        )
    layout = layout_of(module, examples)
    first = layout.statistics.of(module) if statistics is None else statistics
    fitting = _Fitting(
        module,
        layout,
        ServerState(weights, statistics=first),
        examples,
        how,
        loss,
        seed,
        _Latch(goes_on),
    )
    before = []
    after = defaultdict(list)
    means = {way: (np.zeros_like(weights), np.zeros_like(first)) for way in how.ways}
    order = np.random.default_rng(seed).permutation(len(examples))
    folds = np.array_split(order, min(how.folds, len(examples)))
    for fold in folds:
        unseen = examples.of(fold)
        seen = np.setdiff1d(order, fold)
        before.append(fitting.evaluated(unseen))
        for way in how.ways:
            change, moved = fitting.learned(way, seen)
            if fitting.goes_on.stopped:
                return PersonalModel(weights, first, "", 0.0, {}, {})
            mean, mean_moved = means[way]
            mean += change / np.float32(len(folds))
            mean_moved += moved / len(folds)
            for share in how.shares:
                after[way, share].append(fitting.evaluated(unseen, share, change, moved))
    shared = ExampleScores.join(before)
    candidates = {key: ExampleScores.join(answered) for key, answered in after.items()}
    (way, share), best = min(
        candidates.items(), key=lambda pair: np.nan_to_num(pair[1].losses.mean(), nan=np.inf)
    )
    if best.losses.mean() < shared.losses.mean() and luck(shared, best) < how.chance:
        change, moved = means[way]
        known = fitting.evaluated(examples, share, change, moved)
        if (
            known.losses.mean() <= best.losses.mean()
        ):  # it has seen them: if it is worse than its parts it went astray
            own = weights + np.float32(share) * change
            return PersonalModel(
                own, first + share * moved, way, share, shared.figures, best.figures
            )
    return PersonalModel(weights, first, "", 0.0, shared.figures, best.figures)


def layout_of(module: nn.Module, examples: Examples) -> ModuleLayout:
    """Return how weights and statistics lie, as a server with other examples finds it."""

    def forward(copy: nn.Module) -> None:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            copy(batch_of(examples, slice(0, _TRIED))[0])

    return ModuleLayout.of(module, forward)


@dataclass(frozen=True, eq=False)
class _Fitting:
    """A shared model that is fitted to parts of a user's examples."""

    module: nn.Module
    layout: ModuleLayout
    shared: ServerState
    examples: Examples
    how: Personalisation
    loss: Loss
    seed: int
    goes_on: "_Latch"

    def learned(self, way: str, places: NDArray[np.int64]) -> tuple[Floats, Doubles]:
        """Return how weights (n,) and statistics (m,) change by learning from some examples."""
        head = _Head(self.layout.weights.names) if way == "head" else None
        task = ClientTask(self.shared, FedAvg(), self.how.work, self.seed, head)
        learned = descend(
            self.module,
            self.layout,
            self.examples,
            places,
            task,
            0,
            loss=self.loss,
            goes_on=self.goes_on,
        )
        # What the head is given must stay what it was for the shared model.
        moved = learned.statistics - self.shared.statistics
        return learned.change, np.zeros_like(moved) if head else moved

    def evaluated(
        self,
        examples: Examples,
        share: float = 0.0,
        change: Floats | None = None,
        moved: Doubles | None = None,
    ) -> ExampleScores:
        """Return how good a model is that went some way from the shared one."""
        weights = self.shared.weights
        statistics = self.shared.statistics
        if change is not None and moved is not None:
            weights = weights + np.float32(share) * change
            # Between two variances lies a variance: a share is never above 1.
            statistics = statistics + share * moved
        return answers(
            self.module, self.layout, weights, examples, self.loss, statistics=statistics
        )


def luck(shared: ExampleScores, own: ExampleScores) -> float:
    """Return how likely one model would win as often by luck: a sign test.

    It counts the examples on which both differ, as if neither were better.

    Args:
        shared: one model's answers.
        own: those of the other, which may be better.
    """
    ahead = own.right - shared.right if shared.asked.any() else shared.losses - own.losses
    wins, differ = int((ahead > 0).sum()), int((ahead != 0).sum())
    as_many: int = sum(math.comb(differ, more) for more in range(wins, differ + 1))
    return float(as_many / 2**differ)


class _Latch:
    """Asks whether to go on until the first no."""

    def __init__(self, goes_on: Callable[[], bool]):
        self.stopped, self._goes_on = False, goes_on

    def __call__(self) -> bool:
        self.stopped = self.stopped or not self._goes_on()
        return not self.stopped


@dataclass(frozen=True)
class _Head:
    """Changes the arrays of the last layer alone."""

    names: Sequence[str]

    def subspace(self, shapes: Sequence[Shape], seed: int) -> Masked:
        """Return the places of the last layer's weights."""
        layer = _layer_of(self.names[-1])
        ends = np.cumsum([math.prod(shape) for shape in shapes])
        first = next(i for i, name in enumerate(self.names) if _layer_of(name) == layer)
        start = int(ends[first - 1]) if first else 0
        return Masked(int(ends[-1]), np.arange(start, int(ends[len(self.names) - 1])))


def _layer_of(name: str) -> str:
    """Return the layer that a weight belongs to, also where ``nn.utils.parametrize`` computes it."""
    return (
        name.partition(".parametrizations.")[0]
        if ".parametrizations." in name
        else name.rpartition(".")[0]
    )


def save(path: str | os.PathLike[str], personal: PersonalModel, shared: Floats) -> None:
    """Write a user's own model, or remove it where the shared one is kept.

    :func:`load` gives it for these shared weights.
    """
    if not personal.kept:
        Path(path).unlink(missing_ok=True)
        return
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            allow_pickle=False,
            weights=personal.weights,
            statistics=personal.statistics,
            shared=np.array(_digest(shared)),
        )


def load(path: str | os.PathLike[str], shared: Floats) -> tuple[Floats, Doubles] | None:
    """Return the weights and statistics that were fitted to a user from these shared weights.

    None if there are none, or none that are whole.
    """
    try:
        kept = read_npz(path, 2 * shared.nbytes + _MOST_BESIDE)
        weights: Floats = kept["weights"]
        statistics: Doubles = kept["statistics"]
        of = str(kept["shared"])
    except (OSError, ValueError, KeyError):
        return None
    fits = weights.shape == shared.shape and weights.dtype == np.float32
    whole = fits and bool(np.isfinite(weights).all() and np.isfinite(statistics).all())
    return (weights, statistics) if whole and of == _digest(shared) else None


def _digest(weights: Floats) -> str:
    return hashlib.sha256(weights.tobytes()).hexdigest()
