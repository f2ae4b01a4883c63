"""Classes of one's own, each with its fields in a configuration: own.toml names the first three.

A class is a dataclass, so that a run that goes on can tell its values from others; one that is not
has a method ``fingerprint()`` that returns plain values. What a class need not change it takes from
``FedAvg`` and ``PlainStage``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handheld.federated.algorithms import FedAvg, ServerState, Total
from handheld.federated.learning import ClientTask, Learned
from handheld.federated.stages import Memory, PlainStage, StageSeeds, Update, UpdateFacts


@dataclass(frozen=True)
class Fading(FedAvg):
    """Federated averaging whose server goes half as far after each ``half_life`` rounds."""

    half_life: float = 50.0

    def apply(self, state: ServerState, total: Total) -> ServerState:
        """Return the state after a round."""
        rate = self.rate * 0.5 ** (state.round / self.half_life)
        return state.after((state.weights + rate * total.mean).astype(np.float32))


@dataclass(frozen=True)
class Forget(PlainStage):
    """A stage: changes smaller than ``least`` are not sent, so that an encoder after it has less to
    tell.
    """

    least: float = 1e-4

    def after(self, facts: UpdateFacts, memory: Memory) -> UpdateFacts:
        """Return what is known of updates after it: nothing becomes longer."""
        return facts.require("forget", modular=False)

    def on_update(
        self, update: Update, facts: UpdateFacts, memory: Memory, seeds: StageSeeds
    ) -> Update:
        """Return the update without small changes."""
        return update.with_values(
            np.where(np.abs(update.values) < self.least, np.float32(0), update.values)
        )


@dataclass(frozen=True)
class Halves:
    """An encoder: 16 bits a number."""

    unbiased = False

    def encode(self, x: NDArray[np.float32], seed: int) -> bytes:
        """Return 2 bytes for each number; larger ones than float16 holds become the largest."""
        return np.clip(x, -65504, 65504).astype("<f2").tobytes()

    def decode(self, content: bytes, count: int, seed: int) -> NDArray[np.float32]:
        """Return the numbers."""
        return np.frombuffer(content, "<f2", count).astype(np.float32)


@dataclass
class Lines:
    """A learner without torch: each device has points near a line of the same slope, and all learn
    it by least squares.
    """

    devices: int = 100
    points: int = 20
    slope: float = 3.0
    seed: int = 0

    at_once = 1
    shapes = ((2,),)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        self._x = rng.uniform(-1, 1, (self.devices, self.points))
        self._y = self.slope * self._x + 1 + rng.normal(0, 0.1, self._x.shape)

    @property
    def examples(self) -> NDArray[np.int64]:
        """(devices,) how many points each has."""
        return np.full(self.devices, self.points)

    def start(self) -> NDArray[np.float32]:
        """Return the first slope and height."""
        return np.zeros(2, np.float32)

    def learn(
        self, task: ClientTask, users: Sequence[int], own: Sequence[NDArray[np.float32] | None]
    ) -> list[Learned]:
        """Let devices go down the gradient of their squared errors."""
        return [self._learned(task, user) for user in users]

    def evaluate(self, state: ServerState) -> Mapping[str, float]:
        """Return the mean squared error on all points."""
        return {"loss": float(np.mean((self._line(state.weights, self._x) - self._y) ** 2))}

    def _learned(self, task: ClientTask, user: int) -> Learned:
        here = task.state.weights.astype(np.float64)
        steps = 0
        errors = 0.0
        for rows in task.work.batches(self.points, task.random(user)):
            x = self._x[user, rows]
            error = self._line(here, x) - self._y[user, rows]
            here -= task.rate * 2 * np.array([np.mean(error * x), np.mean(error)])
            steps += 1
            errors += float(np.mean(error**2))
        change = (here - task.state.weights).astype(np.float32)
        return Learned(
            change, weight=self.points, distance=steps * task.rate, loss=errors / max(1, steps)
        )

    @staticmethod
    def _line(weights: NDArray, x: NDArray) -> NDArray:
        return weights[0] * x + weights[1]
