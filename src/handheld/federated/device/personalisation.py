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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from handheld.arrays import read_npz
from handheld.errors import InputError
from handheld.federated.algorithms import FedAvg, ServerState
from handheld.federated.learning.descent import Descent
from handheld.federated.learning.evaluation import ExampleScores, evaluate_examples
from handheld.federated.learning.learner import ClientTask, ClientWork, Doubles, Floats, Shape
from handheld.federated.learning.subspaces import MaskedSubspace
from handheld.federated.learning.trainable import Loss, TrainableModule, batch_of, cross_entropy
from handheld.federated.learning.users import Examples
from handheld.federated.learning.vectors import ModuleLayout, Vector
from handheld.files import atomic_path
from handheld.ranges import in_range, whole_in_range

_MOST_BESIDE = 1 << 24  # bytes of statistics beside the weights
_TRIED = 4  # examples that tell which buffers a module moves in training
_WORK = ClientWork(epochs=5, batch=10, rate=0.05)


@dataclass(frozen=True)
class Personalisation:
    """How a model is fitted to a user.

    Attributes:
        layers: which are learned: ``head`` (the last one alone), ``whole`` (all).
        shares: how far to go from the shared model to the learned one, each in (0, 1]: below 1 is
            between both.
        work: how much is learned, each time.
        folds: parts of the examples, 2 or more; each is evaluated by what was learned from the
            others (cross-validation), which chooses the layers and the share. Few examples are too
            dear to lay some aside for good.
        significance: chance with which the own model may look better by luck alone, in (0, 1): a
            sign test on all examples, each answered by a model that had not seen it.

    Raises:
        InputError: values outside of these.
    """

    layers: tuple[str, ...] = ("head", "whole")
    shares: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)
    work: ClientWork = _WORK
    folds: int = 4
    significance: float = 0.05

    def __post_init__(self) -> None:
        if not self.layers or not set(self.layers) <= {"head", "whole"}:
            raise InputError(f"layers: expected some of head and whole, got {self.layers}")
        if not self.shares:
            raise InputError("shares: expected one or more, got none")
        for number, share in enumerate(self.shares):
            in_range(f"shares[{number}]", share, low=0, high=1, low_open=True)
        whole_in_range("folds", self.folds, low=2)
        in_range("significance", self.significance, low=0, high=1, low_open=True, high_open=True)


@dataclass(frozen=True, eq=False)
class PersonalModel:
    """What came of fitting a model to a user.

    Attributes:
        weights: (n,) the user's own, the mean of those learned without each fold, or the shared
            ones where those are as good.
        statistics: (m,) that go with them, such as running means.
        layers: what was learned, empty where the shared model is kept.
        share: how far it goes from the shared model.
        before: what the shared model reaches on the examples: ``loss`` and, of classes,
            ``accuracy``.
        after: what the best candidates do, each on examples that it has not seen, kept or not; both
            are empty if learning was stopped.
    """

    weights: Floats
    statistics: Doubles
    layers: str
    share: float
    before: dict[str, float]
    after: dict[str, float]

    @property
    def kept(self) -> bool:
        """Whether the own model is better than by luck."""
        return bool(self.layers)


def personalise(  # noqa: PLR0913  # options by keyword, each by itself
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
            in part was never evaluated.

    Raises:
        InputError: weights of another model, or fewer than two examples.
    """
    settings = personalisation or Personalisation()
    # Both are told in one error: examples of another model do not say which is wrong.
    count = len(Vector(module))
    if weights.shape != (count,) or len(examples) < 2:
        raise InputError(
            f"expected {count:,} weights and 2 examples or more, got {list(weights.shape)},"
            f" {len(examples)}"
        )
    layout = layout_of(module, examples)
    first = statistics
    if first is None:
        first = layout.statistics.of(module)
    fitting = _Fitting(
        TrainableModule(module, layout, loss),
        ServerState(weights, statistics=first),
        examples,
        settings,
        seed,
        _Latch(goes_on),
    )
    # The folds' use of the seed: the order of learning takes it together with a user and a round.
    order = np.random.default_rng(seed).permutation(len(examples))
    # Fewer examples than folds: each is a fold then.
    held_out = np.array_split(order, min(settings.folds, len(examples)))
    folds = _Folds(fitting, len(held_out))
    for rows in held_out:
        folds.add(rows, np.setdiff1d(order, rows))
        if fitting.goes_on.stopped:
            return PersonalModel(weights, first, "", 0.0, {}, {})
    return folds.best()


def layout_of(module: nn.Module, examples: Examples) -> ModuleLayout:
    """Return how weights and statistics lie, as a server with other examples finds it."""

    def forward(copy: nn.Module) -> None:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            copy(batch_of(examples, slice(0, _TRIED))[0])

    return ModuleLayout.of(module, forward)


@dataclass(frozen=True, eq=False)
class _Change:
    """How weights (n,) and statistics (m,) differ from the shared model's."""

    weights: Floats
    statistics: Doubles


@dataclass(frozen=True, eq=False)
class _Fitting:
    """A shared model that is fitted to some of a user's examples."""

    model: TrainableModule
    shared: ServerState
    examples: Examples
    settings: Personalisation
    seed: int
    goes_on: "_Latch"

    def learned(self, layers: str, rows: NDArray[np.int64]) -> _Change:
        """Return how the model changes by learning from some examples."""
        head = None
        if layers == "head":
            head = _Head(self.model.layout.weights.names)
        task = ClientTask(self.shared, FedAvg(), self.settings.work, self.seed, head)
        descent = Descent(self.model, task, user=0)
        learned = descent.learn(self.examples, rows, self.goes_on)
        moved = learned.statistics - self.shared.statistics
        if head is not None:
            # What the head is given must stay what it was for the shared model.
            moved = np.zeros_like(moved)
        return _Change(learned.change, moved)

    def moved(self, change: _Change, share: float) -> ServerState:
        """Return the model that goes some way from the shared one to the learned one."""
        return ServerState(
            self.shared.weights + np.float32(share) * change.weights,
            # Between two variances lies a variance: a share is never above 1.
            statistics=self.shared.statistics + share * change.statistics,
        )

    def scores(self, state: ServerState, examples: Examples) -> ExampleScores:
        """Return how good a model is."""
        return evaluate_examples(self.model, state.weights, examples, statistics=state.statistics)


class _Folds:
    """Cross-validation: candidates by what was learned from all folds but one, on that one.

    Args:
        fitting: of the shared model.
        count: of folds.
    """

    def __init__(self, fitting: _Fitting, count: int):
        self._fitting = fitting
        self._count = count
        self._shared: list[ExampleScores] = []
        self._candidates: dict[tuple[str, float], list[ExampleScores]] = defaultdict(list)
        state = fitting.shared
        # The mean of what was learned without each fold is what serves in the end.
        self._means: dict[str, _Change] = {}
        for layers in fitting.settings.layers:
            weights = np.zeros_like(state.weights)
            self._means[layers] = _Change(weights, np.zeros_like(state.statistics))

    def add(self, held_out: NDArray[np.int64], seen: NDArray[np.int64]) -> None:
        """Learn from the rows that are seen, and evaluate on those that are not.

        It ends early where learning is stopped.
        """
        fitting = self._fitting
        unseen = fitting.examples.of(held_out)
        self._shared.append(fitting.scores(fitting.shared, unseen))
        for layers, mean in self._means.items():
            change = fitting.learned(layers, seen)
            if fitting.goes_on.stopped:
                return
            mean.weights[:] += change.weights / np.float32(self._count)
            mean.statistics[:] += change.statistics / self._count
            for share in fitting.settings.shares:
                scores = fitting.scores(fitting.moved(change, share), unseen)
                self._candidates[layers, share].append(scores)

    def best(self) -> PersonalModel:
        """Return the best candidate, or the shared model where none is better by more than luck."""
        fitting = self._fitting
        shared = ExampleScores.join(self._shared)
        joined = map(ExampleScores.join, self._candidates.values())
        candidates = dict(zip(self._candidates, joined, strict=True))
        layers, share = min(candidates, key=lambda key: _mean_loss(candidates[key]))
        best = candidates[layers, share]
        state = fitting.moved(self._means[layers], share)
        is_better = best.losses.mean() < shared.losses.mean()
        if is_better and luck(shared, best) < fitting.settings.significance:
            # The mean model has seen all examples: if it is worse on them than its parts were on
            # what they had not seen, it went astray.
            known = fitting.scores(state, fitting.examples)
            if known.losses.mean() <= best.losses.mean():
                return PersonalModel(
                    state.weights, state.statistics, layers, share, shared.figures, best.figures
                )
        first = fitting.shared
        return PersonalModel(first.weights, first.statistics, "", 0.0, shared.figures, best.figures)


def _mean_loss(scores: ExampleScores) -> float:
    """Return a mean loss by which candidates are compared: one that is no number is the worst."""
    return float(np.nan_to_num(scores.losses.mean(), nan=np.inf))


def luck(shared: ExampleScores, personal: ExampleScores) -> float:
    """Return how likely one model would win as often by luck: a sign test.

    It counts the examples on which both differ, as if neither were better.

    Args:
        shared: one model's scores.
        personal: those of the other, which may be better.
    """
    ahead: NDArray[Any] = shared.losses - personal.losses
    if shared.asked.any():
        # Of classes what is right counts: a loss may fall while no answer changes.
        ahead = personal.right - shared.right
    wins = int((ahead > 0).sum())
    differ = int((ahead != 0).sum())
    # In whole numbers of Python: binomials of a thousand examples are beyond any float.
    as_many: int = sum(math.comb(differ, more) for more in range(wins, differ + 1))
    return float(as_many / 2**differ)


class _Latch:
    """Asks whether to go on until the first no."""

    def __init__(self, goes_on: Callable[[], bool]):
        self.stopped = False
        self._goes_on = goes_on

    def __call__(self) -> bool:
        self.stopped = self.stopped or not self._goes_on()
        return not self.stopped


@dataclass(frozen=True)
class _Head:
    """Changes the arrays of the last layer alone."""

    names: Sequence[str]

    def subspace(self, shapes: Sequence[Shape], seed: int) -> MaskedSubspace:
        """Return the subspace of the last layer's weights."""
        layer = _layer_of(self.names[-1])
        sizes = list(map(math.prod, shapes))
        # A layer's arrays lie one after another, and the last layer's are the last.
        first = list(map(_layer_of, self.names)).index(layer)
        start = sum(sizes[:first])
        count = sum(sizes)
        return MaskedSubspace(count, np.arange(start, count))


def _layer_of(name: str) -> str:
    """Return the layer that a weight belongs to, also if ``nn.utils.parametrize`` computes it."""
    layer, is_parametrised, _ = name.partition(".parametrizations.")
    if is_parametrised:
        return layer
    return name.rpartition(".")[0]


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
        digest = str(kept["shared"])
    except (OSError, ValueError, KeyError):
        return None
    # A server's next model has other weights: what was fitted to the one before is of no use.
    if weights.shape != shared.shape or weights.dtype != np.float32 or digest != _digest(shared):
        return None
    if not (np.isfinite(weights).all() and np.isfinite(statistics).all()):
        return None
    return weights, statistics


# Cheaper to keep and to compare than the shared weights themselves.
def _digest(weights: Floats) -> str:
    return hashlib.sha256(weights.tobytes()).hexdigest()
