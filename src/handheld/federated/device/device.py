"""A device that learns what a server asks, as long as it may."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from handheld._copies import copied
from handheld.errors import InputError
from handheld.federated.algorithms import ServerState
from handheld.federated.device.conditions import LearningGate
from handheld.federated.device.fitting import ExampleFitting
from handheld.federated.device.machine import resident_megabytes
from handheld.federated.device.personalisation import (
    Personalisation,
    PersonalModel,
    layout_of,
    load,
    personalise,
    save,
)
from handheld.federated.device.store import ExampleStore
from handheld.federated.learning.descent import Descent
from handheld.federated.learning.evaluation import ExampleScores, evaluate_examples
from handheld.federated.learning.learner import ClientTask, Doubles, Floats, Learned
from handheld.federated.learning.trainable import Loss, TrainableModule, cross_entropy
from handheld.federated.learning.users import Examples
from handheld.federated.learning.vectors import ModuleLayout, Vector
from handheld.federated.learning.vectors import load as set_weights
from handheld.ranges import in_range


@dataclass(frozen=True)
class LearningBudget:
    """What learning may cost a device in a round.

    Attributes:
        seconds: after which it ends.
        megabytes: that the process may take in all.
        keep: share of the steps that must be done, in [0, 1], for work that ended early to be kept;
            of 1 it is dropped.

    Raises:
        InputError: values outside of these.
    """

    seconds: float = np.inf
    megabytes: float = np.inf
    keep: float = 0.5

    def __post_init__(self) -> None:
        for name in ("seconds", "megabytes"):
            in_range(name, getattr(self, name), low=0, high=math.inf, low_open=True)
        in_range("keep", self.keep, low=0, high=1)


@dataclass(frozen=True, eq=False)
class LearningOutcome:
    """What came of a task.

    Attributes:
        learned: what the device may send; None if it did not begin, or too little was done.
        done: share of the steps.
        stopped: why it ended early, nothing if it did not.
        left_out: examples that do not fit the model, such as labels that are no class; the first is
            logged, with why.
    """

    learned: Learned | None
    done: float
    stopped: tuple[str, ...] = ()
    left_out: int = 0


class ClientDevice:
    """One device: its examples, and when it may learn from them.

    Args:
        module: the shared model's network; a copy is used.
        store: its examples; the user's own model lies beside it.
        gate: when it may learn; None: always.
        budget: what that may cost.
        loss: of what the module says.
        clock: seconds, rising.
    """

    def __init__(
        self,
        module: nn.Module,
        store: ExampleStore,
        *,
        gate: LearningGate | None = None,
        budget: LearningBudget | None = None,
        loss: Loss = cross_entropy,
        clock: Callable[[], float] = time.monotonic,
    ):
        # Never run: a forward pass in training moves statistics.
        self._original = copied(module)
        self.module = copied(module)
        self.store = store
        self.gate = gate
        self.budget = budget or LearningBudget()
        # Its length tells a task for another model before anything is learned.
        self.vector = Vector(self.module)
        self.loss = loss
        self._clock = clock

    def learn(self, task: ClientTask, *, number: int = 0) -> LearningOutcome:
        """Learn as a server asks.

        Between two steps the gate and the budget are looked at, so a step is the longest delay.

        An example that does not fit the model (its loss raises, or is no finite number) is left
        out.

        Args:
            task: of the round; algorithms whose devices keep a state are refused.
            number: by which the server knows the device.

        Raises:
            InputError: a task for another model, or a store without examples, or without any that
                fits.
        """
        self._require_task(task)
        may_go_on = self._may_go_on()
        # Before anything is read: a device in use is left alone at once.
        if not may_go_on():
            return LearningOutcome(None, 0.0, may_go_on.stopped)
        examples = self.store.examples()
        model = self._model()
        # Known only now: which buffers move is seen on the device's own examples.
        statistics = len(model.layout.statistics)
        if task.state.statistics.shape != (statistics,):
            raise InputError(
                f"expected a task with {statistics:,} statistics of the model, got"
                f" {len(task.state.statistics):,}"
            )

        def learn(some_examples: Examples) -> Learned:
            rows = np.arange(len(some_examples))
            return Descent(model, task, number).learn(some_examples, rows, may_go_on)

        fitting = ExampleFitting(model, task.state, self.store.path)
        learned, used = fitting.result_of(learn, examples, _is_finite)
        # The distance tells how many steps were done, however many the task asks for.
        done = learned.distance / task.rate / task.work.steps_of(len(used))
        is_enough = done > 0 and (not may_go_on.stopped or done >= self.budget.keep)
        left_out = len(examples) - len(used)
        # What was cut too short is not sent: a server would count it like all of the work.
        if not is_enough:
            return LearningOutcome(None, done, may_go_on.stopped, left_out)
        return LearningOutcome(learned, done, may_go_on.stopped, left_out)

    def evaluate(self, state: ServerState) -> ExampleScores:
        """Return how good a server's model is on the device's own examples that fit it.

        Raises:
            InputError: another model, or a store without examples, or without any that fits.
        """
        self._require_state(state)
        examples = self.store.examples()
        model = self._model()

        def evaluated(some_examples: Examples) -> ExampleScores:
            return evaluate_examples(
                model, state.weights, some_examples, statistics=state.statistics
            )

        fitting = ExampleFitting(model, state, self.store.path)
        scores, _ = fitting.result_of(evaluated, examples, _are_losses_finite)
        return scores

    def _require_task(self, task: ClientTask) -> None:
        count = len(self.vector)
        if task.state.weights.shape != (count,) or task.algorithm.corrects:
            raise InputError(
                f"expected a task for {count:,} weights and devices without a state of their own"
            )
        _require_usable(task.state)

    def _require_state(self, state: ServerState) -> None:
        count = len(self.vector)
        if state.weights.shape != (count,):
            raise InputError(f"expected a model of {count:,} weights, got {state.weights.shape}")
        _require_usable(state)

    def personalise(
        self,
        weights: Floats,
        personalisation: Personalisation | None = None,
        *,
        statistics: Doubles | None = None,
        seed: int = 0,
    ) -> PersonalModel:
        """Fit a shared model to this device's user, and keep what came of it.

        See :func:`personalise`.

        Without the shared model's statistics (m,), such as running means, those of the module are
        taken.

        Work that ends early is dropped, and an own model that is there already stays. Examples that
        do not fit are left out, as by :meth:`learn`.
        """
        may_go_on = self._may_go_on()
        examples = self.store.examples()
        model = self._model()
        if statistics is None:
            statistics = model.layout.statistics.of(self._original)
        shared = ServerState(weights, statistics=statistics)
        _require_usable(shared)

        def fit(some_examples: Examples) -> PersonalModel:
            return personalise(
                self.module,
                weights,
                some_examples,
                personalisation,
                statistics=statistics,
                loss=self.loss,
                seed=seed,
                goes_on=may_go_on,
            )

        fitting = ExampleFitting(model, shared, self.store.path)
        personal, _ = fitting.result_of(fit, examples, _has_finite_loss)
        if not may_go_on.stopped:
            save(self._personal_path, personal, weights)
        return personal

    def model(self, weights: Floats, *, statistics: Doubles | None = None) -> nn.Module:
        """Return the network that serves the user.

        It has the user's own weights if those came of these shared ones.

        Without the shared model's statistics (m,) those of the module are taken.
        """
        # A copy of its own, so that learning does not change what serves.
        served = copied(self._original).eval()
        set_weights(served, weights)
        personal = load(self._personal_path, weights)
        if personal is not None:
            personal_weights, statistics = personal
            set_weights(served, personal_weights)
        if statistics is not None and len(statistics):
            # Of the shared model where it serves, or those that were fitted to the user.
            self._layout().statistics.put(served, statistics)
        return served

    def _model(self) -> TrainableModule:
        return TrainableModule(self.module, self._layout(), self.loss)

    def _layout(self) -> ModuleLayout:
        if not len(self.store):
            return ModuleLayout.of(self._original)
        return layout_of(self._original, self.store.examples())

    def forget(self) -> None:
        """Remove all examples and the user's own model."""
        self.store.forget()
        self._personal_path.unlink(missing_ok=True)

    @property
    def _personal_path(self) -> Path:
        # Beside the store, so that a device's files are found together.
        return self.store.path.with_suffix(".own.npz")

    def _may_go_on(self) -> "_MayGoOn":
        return _MayGoOn(self.gate, self.budget, self._clock)


def _require_usable(shared: ServerState) -> None:
    """Raise :class:`InputError` for a server's model that no example could be learned by.

    Else all examples would seem not to fit, and the user be told to forget them.
    """
    weights = shared.weights
    if weights.dtype != np.float32:
        raise InputError(f"the shared model's weights: expected float32, got {weights.dtype}")
    for name, values in (("weights", weights), ("statistics", shared.statistics)):
        wrong = np.flatnonzero(~np.isfinite(values))
        if len(wrong):
            raise InputError(
                f"the shared model's {name}: expected finite numbers, got {values[wrong[0]]} at"
                f" {wrong[0]} of {len(values):,}; the device's examples are not to blame"
            )


def _is_finite(learned: Learned) -> bool:
    return bool(np.isfinite(learned.change).all())


def _are_losses_finite(scores: ExampleScores) -> bool:
    return bool(np.isfinite(scores.losses).all())


def _has_finite_loss(personal: PersonalModel) -> bool:
    # Work that was stopped has no loss, and no example is to blame for that.
    return math.isfinite(personal.before.get("loss", 0.0))


class _MayGoOn:
    """Says whether to go on, and remembers why not."""

    def __init__(
        self, gate: LearningGate | None, budget: LearningBudget, clock: Callable[[], float]
    ):
        self._gate = gate
        self._budget = budget
        self._clock = clock
        self._until = clock() + budget.seconds
        self.stopped: tuple[str, ...] = ()

    def __call__(self) -> bool:
        self.stopped = self._reasons()
        return not self.stopped

    def _reasons(self) -> tuple[str, ...]:
        budget = self._budget
        if self._clock() >= self._until:
            return (f"{budget.seconds:g} seconds are over",)
        # Asking for the memory takes longer than many a step: not where there is no limit.
        if budget.megabytes < np.inf and resident_megabytes() > budget.megabytes:
            return (f"more than {budget.megabytes:g} MB are in use",)
        if self._gate is None:
            return ()
        return self._gate.unmet()
