"""The shared model, fitted to its own user, and kept only where that is better.

After "Federated Evaluation of On-device Personalization" (Wang et al., arXiv 1910.10252) and, of interpolation, "Three
Approaches for Personalization with Applications to Federated Learning" (Mansour et al., arXiv 2002.10619).
"""

import hashlib
import math
import os
import zipfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from handheld.errors import InputError
from handheld.federated.algorithms import FedAvg
from handheld.federated.learning.descent import Loss, cross_entropy, descend
from handheld.federated.learning.judging import Answers, answers
from handheld.federated.learning.learner import Floats, Shape, Task, Work
from handheld.federated.learning.structured import Masked
from handheld.federated.learning.users import Examples
from handheld.federated.learning.vectors import Vector
from handheld.media import atomic_path


@dataclass(frozen=True)
class Personalisation:
    """How a model is fitted to a user.

    Attributes:
        ways: what is learned: ``head`` (the last layer alone), ``whole`` (everything).
        shares: how far to go from the shared model to the learned one, each above 0, at most 1: below 1 is between both.
        work: how much is learned, each time.
        folds: parts of the examples, 2 or more; each is judged by what was learned from the others (cross-validation), which
            chooses the way and the share. Few examples are too dear to lay some aside for good.
        chance: with which the own model may look better by luck alone, above 0, below 1: a sign test on all examples, each
            judged by a model that had not seen it.

    Raises:
        InputError: values outside of these.
    """

    ways: tuple[str, ...] = ("head", "whole")
    shares: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)
    work: Work = field(default_factory=lambda: Work(epochs=5, batch=10, rate=0.05))
    folds: int = 4
    chance: float = 0.05

    def __post_init__(self) -> None:
        if not self.ways or not set(self.ways) <= {"head", "whole"}:
            raise InputError(f"expected ways of head and whole, got {self.ways}")
        if not self.shares or not all(0 < share <= 1 for share in self.shares):
            raise InputError(f"expected shares above 0, at most 1, got {self.shares}")
        if self.folds < 2 or not 0 < self.chance < 1:
            raise InputError(f"expected 2 folds or more and a chance of 0 to 1, got {self.folds} and {self.chance}")


@dataclass(frozen=True, eq=False)
class Personal:
    """What came of fitting a model to a user.

    Attributes:
        weights: (n,) the user's own, the mean of those learned without each fold, or the shared ones where those are as good.
        way: what was learned, empty where the shared model is kept.
        share: how far it goes from the shared model.
        before: what the shared model reaches on the examples: ``loss`` and, of classes, ``accuracy``.
        after: what the best candidates do, each on examples that it has not seen, kept or not; both are empty if
            learning was stopped.
    """

    weights: Floats
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
    loss: Loss = cross_entropy,
    seed: int = 0,
    goes_on: Callable[[], bool] = lambda: True,
) -> Personal:
    """Fit a shared model to a user's examples, and keep the result only if it is better on examples that it has not seen.

    Args:
        module: the network; its weights are changed.
        weights: (n,) the shared model's.
        examples: the user's.
        personalisation: how.
        loss: of what the module says.
        seed: of the folds, and the order of learning.
        goes_on: asked before each step; once it says no the shared model stays, as a model learned in part was never judged.

    Raises:
        InputError: weights of another model, or fewer than two examples.
    """
    how, vector = personalisation or Personalisation(), Vector(module)
    if weights.shape != (len(vector),) or len(examples) < 2:
        raise InputError(f"expected {len(vector):,} weights and 2 examples or more, got {list(weights.shape)}, {len(examples)}")
    go = _Latch(goes_on)

    def learned(way: str, places: NDArray[np.int64]) -> Floats:
        task = Task(FedAvg().init(weights), FedAvg(), how.work, seed, _Head(vector.names) if way == "head" else None)
        change = descend(module, vector, examples, places, task, 0, loss=loss, goes_on=go).change
        for subspace in task.subspaces([0], vector.arrays):
            change = subspace.expand(subspace.coordinates(change))  # means that layers keep moved as well
        return change

    before, after, means = [], defaultdict(list), {way: np.zeros_like(weights) for way in how.ways}
    order = np.random.default_rng(seed).permutation(len(examples))
    folds = np.array_split(order, min(how.folds, len(examples)))
    for fold in folds:
        unseen, seen = examples.of(fold), np.setdiff1d(order, fold)
        before.append(answers(module, vector, weights, unseen, loss))
        for way in how.ways:
            change = learned(way, seen)
            if go.stopped:
                return Personal(weights, "", 0.0, {}, {})
            means[way] += change / np.float32(len(folds))
            for share in how.shares:
                after[way, share].append(answers(module, vector, weights + np.float32(share) * change, unseen, loss))
    shared, candidates = Answers.join(before), {key: Answers.join(each) for key, each in after.items()}
    (way, share), best = min(candidates.items(), key=lambda each: np.nan_to_num(each[1].losses.mean(), nan=np.inf))
    if best.losses.mean() < shared.losses.mean() and luck(shared, best) < how.chance:
        own = weights + np.float32(share) * means[way]
        known = answers(module, vector, own, examples, loss)
        if known.losses.mean() <= best.losses.mean():  # it has seen them: if it is worse than its parts it went astray
            return Personal(own, way, share, shared.figures, best.figures)
    return Personal(weights, "", 0.0, shared.figures, best.figures)


def luck(shared: Answers, own: Answers) -> float:
    """Return how likely one model would win as many of the examples on which both differ if neither were better (a sign test).

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
        layer = self.names[-1].rpartition(".")[0]
        ends = np.cumsum([math.prod(shape) for shape in shapes])
        first = next(i for i, name in enumerate(self.names) if name.rpartition(".")[0] == layer)
        start = int(ends[first - 1]) if first else 0
        return Masked(int(ends[-1]), np.arange(start, int(ends[len(self.names) - 1])))


def save(path: str | os.PathLike[str], personal: Personal, shared: Floats) -> None:
    """Write a user's own model, or remove it where the shared one is kept; :func:`load` gives it for these shared weights."""
    if not personal.kept:
        Path(path).unlink(missing_ok=True)
        return
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, weights=personal.weights, shared=np.array(_digest(shared)))


def load(path: str | os.PathLike[str], shared: Floats) -> Floats | None:
    """Return the weights that were fitted to a user from these shared ones; None if there are none, or none that are whole."""
    try:
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            found: NDArray[np.float32] = file["weights"]
            of = str(file["shared"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    whole = found.shape == shared.shape and found.dtype == np.float32 and bool(np.isfinite(found).all())
    return found if whole and of == _digest(shared) else None


def _digest(weights: Floats) -> str:
    return hashlib.sha256(weights.tobytes()).hexdigest()
