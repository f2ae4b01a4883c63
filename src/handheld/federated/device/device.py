"""A device that learns what a server asks, as long as it may."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from handheld.errors import InputError
from handheld.federated.algorithms import ServerState
from handheld.federated.device.conditions import LearningGate
from handheld.federated.device.fitting import Fitting
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
from handheld.federated.learning.copies import copied
from handheld.federated.learning.descent import Loss, cross_entropy, descend
from handheld.federated.learning.learner import ClientTask, Doubles, Floats, Learned
from handheld.federated.learning.users import Examples
from handheld.federated.learning.vectors import ModuleLayout, Vector
from handheld.federated.learning.vectors import load as set_weights


@dataclass(frozen=True)
class LearningBudget:
    """What learning may cost a device in a round.

    Attributes:
        seconds: after which it ends.
        megabytes: that the process may take in all.
        keep: share of the steps that must be done, 0 to 1, for work that ended early to be kept; of
            1 it is dropped.

    Raises:
        InputError: values outside of these.
    """

    seconds: float = np.inf
    megabytes: float = np.inf
    keep: float = 0.5

    def __post_init__(self) -> None:
        if not (self.seconds > 0 and self.megabytes > 0 and 0 <= self.keep <= 1):
            raise InputError(
                f"expected seconds and megabytes above 0 and a share to keep of 0 to 1, got {self}"
            )


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
        self._given = copied(module)  # never run: a forward pass in training moves statistics
        self.module = copied(module)
        self.store = store
        self.gate = gate
        self.budget = budget or LearningBudget()
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
        if task.state.weights.shape != (len(self.vector),) or task.algorithm.corrects:
            raise InputError(
                f"expected a task for {len(self.vector):,} weights and devices without a state of their own"
            )
        may = self._may_go_on()
        if not may():
            return LearningOutcome(None, 0.0, may.stopped)
        examples = self.store.examples()
        layout = self._layout()
        if task.state.statistics.shape != (len(layout.statistics),):
            raise InputError(
                f"expected a task with {len(layout.statistics):,} statistics of the model, got {len(task.state.statistics):,}"
            )
        fitting = Fitting(self.module, layout, task.state, self.loss, self.store.path)

        def learn(some: Examples) -> Learned:
            places = np.arange(len(some))
            return descend(
                self.module, layout, some, places, task, number, loss=self.loss, goes_on=may
            )

        learned, used = fitting.made(
            learn, examples, lambda learned: bool(np.isfinite(learned.change).all())
        )
        done = learned.distance / task.rate / task.work.steps_of(len(used))
        kept = learned if done and (not may.stopped or done >= self.budget.keep) else None
        return LearningOutcome(kept, done, may.stopped, len(examples) - len(used))

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
        may = self._may_go_on()
        examples = self.store.examples()
        layout = self._layout()
        first = layout.statistics.of(self._given) if statistics is None else statistics
        fitting = Fitting(
            self.module, layout, ServerState(weights, statistics=first), self.loss, self.store.path
        )

        def fit(some: Examples) -> PersonalModel:
            return personalise(
                self.module,
                weights,
                some,
                personalisation,
                statistics=first,
                loss=self.loss,
                seed=seed,
                goes_on=may,
            )

        found, _ = fitting.made(
            fit, examples, lambda found: math.isfinite(found.before.get("loss", 0.0))
        )
        if not may.stopped:
            save(self._own, found, weights)
        return found

    def model(self, weights: Floats, *, statistics: Doubles | None = None) -> nn.Module:
        """Return the network that serves the user.

        It has the user's own weights if those came of these shared ones.

        Without the shared model's statistics (m,) those of the module are taken.
        """
        served = copied(self._given).eval()
        set_weights(served, weights)
        own = load(self._own, weights)
        values = statistics if own is None else own[1]
        if own is not None:
            set_weights(served, own[0])
        if values is not None and len(values):
            self._layout().statistics.put(served, values)
        return served

    def _layout(self) -> ModuleLayout:
        if not len(self.store):
            return ModuleLayout.of(self._given)
        return layout_of(self._given, self.store.examples())

    def forget(self) -> None:
        """Remove all examples and the user's own model."""
        self.store.forget()
        self._own.unlink(missing_ok=True)

    @property
    def _own(self) -> Path:
        return self.store.path.with_suffix(".own.npz")

    def _may_go_on(self) -> "_May":
        return _May(self.gate, self.budget, self._clock() + self.budget.seconds, self._clock)


class _May:
    """Says whether to go on, and remembers why not."""

    def __init__(
        self,
        gate: LearningGate | None,
        budget: LearningBudget,
        until: float,
        clock: Callable[[], float],
    ):
        self.gate, self.budget, self.until, self.clock = gate, budget, until, clock
        self.stopped: tuple[str, ...] = ()

    def __call__(self) -> bool:
        if self.clock() >= self.until:
            self.stopped = (f"{self.budget.seconds:g} seconds are over",)
        elif self.budget.megabytes < np.inf and resident_megabytes() > self.budget.megabytes:
            self.stopped = (f"more than {self.budget.megabytes:g} MB are in use",)
        else:
            self.stopped = self.gate.unmet() if self.gate else ()
        return not self.stopped
