"""What devices do in a round: the seam between those who learn and those who add up."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.federated.algorithms import Algorithm, ServerState
from handheld.federated.updates.encoder import seed_of

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Shape = tuple[int, ...]

_SUBSPACE = 17


@dataclass(frozen=True)
class ClientWork:
    """Stochastic gradient descent on a device's own examples.

    Attributes:
        epochs: passes over them, above 0 (E in the paper).
        batch: examples of a step; None for all at once (B).
        rate: of each step, above 0.
        decay: by which the rate is multiplied after each round, above 0 and at most 1.
        steps: the most that a device goes in a round.

    Raises:
        InputError: values outside of these.
    """

    epochs: float = 1.0
    batch: int | None = None
    rate: float = 0.1
    decay: float = 1.0
    steps: int | None = None

    def __post_init__(self) -> None:
        if not (0 < self.epochs < np.inf and 0 < self.rate < np.inf and 0 < self.decay <= 1):
            raise InputError(
                f"expected epochs and a rate above 0, and a decay of 0 to 1, 0 excluded, got {self}"
            )
        if (self.batch is not None and self.batch < 1) or (
            self.steps is not None and self.steps < 1
        ):
            raise InputError(f"expected batches and steps of 1 or more, got {self}")

    @property
    def is_one_step(self) -> bool:
        """Whether no device goes more than one step in a round, however many examples it has."""
        return self.steps == 1 or (self.batch is None and self.steps_of(1) == 1)

    def steps_of(self, examples: int) -> int:
        """Return how many steps a device with so many examples goes."""
        steps = (
            max(1, round(self.epochs * -(-examples // self._batch(examples)))) if examples else 0
        )
        return steps if self.steps is None else min(steps, self.steps)

    def examples_seen(self, examples: int) -> float:
        """Return how many examples a device with so many goes through, each as often as it does."""
        batch = examples if self.batch is None else min(self.batch, examples)
        return float(self.steps_of(examples) * batch)

    def batches(self, examples: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
        """Yield which examples each step takes, in a new order in each pass."""
        left = self.steps_of(examples)
        while left > 0:
            order = rng.permutation(examples)
            for start in range(0, examples, self._batch(examples))[:left]:
                yield order[start : start + self._batch(examples)]
                left -= 1

    def _batch(self, examples: int) -> int:
        return max(1, examples) if self.batch is None else self.batch


class Subspace(Protocol):
    """Vectors that a few coordinates tell."""

    def coordinates(self, x: Floats) -> Floats:
        """Return (dimensions,) the coordinates of the vector that is nearest to ``x`` (n,)."""

    def expand(self, coordinates: Floats) -> Floats:
        """Return (n,) the vector."""


class Structure(Protocol):
    """Where updates may lie; see ``structured``."""

    def subspace(self, shapes: Sequence[Shape], seed: int) -> Subspace:
        """Return a random subspace for weights of some shapes, which lie one after another."""


@dataclass(frozen=True, eq=False)
class ClientTask:
    """What a server asks of devices in a round.

    Attributes:
        state: the server's.
        algorithm: says what devices do differently.
        work: how much they learn.
        seed: of the run; a device's order of examples comes from it, the round and the device's
            number.
        structure: where each device's change may lie; None: anywhere.
    """

    state: ServerState
    algorithm: Algorithm
    work: ClientWork
    seed: int = 0
    structure: Structure | None = None

    @property
    def rate(self) -> float:
        """Rate of this round's steps."""
        return self.work.rate * self.work.decay**self.state.round

    def random(self, user: int, use: int = 0) -> np.random.Generator:
        """Return a device's random numbers of this round, for one of several uses."""
        return np.random.default_rng((self.seed, self.state.round, user, use))

    def subspaces(self, users: Sequence[int], shapes: Sequence[Shape]) -> list[Subspace]:
        """Return where each of some devices learns; nothing where they learn anywhere."""
        structure = self.structure
        return (
            [structure.subspace(shapes, self.subspace_seed(user)) for user in users]
            if structure
            else []
        )

    def subspace_seed(self, user: int) -> int:
        """Return the seed of the subspace in which a device learns in this round."""
        return int(seed_of(self.seed, _SUBSPACE, self.state.round, user + 1))


@dataclass(frozen=True, eq=False)
class Learned:
    """What a device learned in a round.

    Attributes:
        change: (n,) its weights after less those before.
        weight: by which it counts: its examples.
        distance: its steps times their rate.
        loss: mean of its examples' losses on the way.
        statistics: (m,) float64 of its model afterwards, such as running means; none for most.
        error: why it could not learn; what else is here counts nothing then.
    """

    change: Floats
    weight: float
    distance: float
    loss: float
    statistics: Doubles = field(default_factory=lambda: np.empty(0))
    error: str = ""

    @classmethod
    def failed(cls, error: str) -> Self:
        """Return what a device answers that could not learn."""
        return cls(np.empty(0, np.float32), 0.0, 0.0, 0.0, error=error)


class PopulationLearner(Protocol):
    """A population of devices, each with its examples and a model that they share.

    Four methods more are asked where a learner has them: ``statistics()`` gives (m,) float64 that
    devices answer as ``Learned.statistics``, averaged apart from weights; ``check()`` raises
    :class:`InputError` before the first round where nobody could learn, ``check_work(work)`` where
    nobody could by such work; ``fingerprint()`` gives plain values that tell one population and
    model from another, for runs that are kept (dataclasses do without).
    """

    @property
    def examples(self) -> NDArray[np.int64]:
        """(users,) how many examples each device has."""

    @property
    def shapes(self) -> Sequence[Shape]:
        """Shapes of the model's arrays, which lie one after another in the vector of weights."""

    @property
    def at_once(self) -> int:
        """Devices that learn in one go.

        It does not depend on the machine, so that results do not.
        """

    def start(self) -> Floats:
        """Return (n,) the weights before the first round."""

    def learn(
        self, task: ClientTask, users: Sequence[int], own: Sequence[Floats | None]
    ) -> Sequence[Learned]:
        """Let devices learn.

        Args:
            task: of this round.
            users: their numbers, at most ``at_once``.
            own: each one's state, as the algorithm keeps it; None where it keeps none.
        """

    def evaluate(self, state: ServerState) -> Mapping[str, float]:
        """Return how good a model is on examples that no device has, such as its ``loss``.

        A ``loss`` that is no finite number ends the run.
        """


def statistics_of(learner: PopulationLearner) -> Doubles:
    """Return (m,) the statistics before the first round, if a learner has any."""
    statistics: Callable[[], Doubles] | None = getattr(learner, "statistics", None)
    return np.empty(0) if statistics is None else statistics()


def check(learner: PopulationLearner, work: ClientWork) -> None:
    """Let a learner say what is wrong with it, or with the work, if it can.

    Raises :class:`InputError`.
    """
    checks: Callable[[], None] | None = getattr(learner, "check", None)
    if checks is not None:
        checks()
    checks_work: Callable[[ClientWork], None] | None = getattr(learner, "check_work", None)
    if checks_work is not None:
        checks_work(work)
