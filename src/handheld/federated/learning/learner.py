"""What devices do in a round: the seam between those who learn and those who add up."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from handheld.errors import TrainingError
from handheld.federated.algorithms import Algorithm, ServerState
from handheld.federated.updates.encoder import seed_of
from handheld.federated.user_values import (
    method_of,
    require_counts,
    require_sequence,
    require_type,
    require_vector,
)
from handheld.ranges import in_range, whole_in_range

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Shape = tuple[int, ...]

_SUBSPACE = 17  # use of the run's seed, apart from all others of this room


@dataclass(frozen=True)
class ClientWork:
    """Stochastic gradient descent on a device's own examples.

    Attributes:
        epochs: passes over them, above 0 (E in the paper).
        batch: examples of a step; None for all at once (B).
        rate: of each step, above 0.
        decay: by which the rate is multiplied after each round, in (0, 1].
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
        in_range("epochs", self.epochs, low=0, low_open=True)
        in_range("rate", self.rate, low=0, low_open=True)
        in_range("decay", self.decay, low=0, high=1, low_open=True)
        for name in ("batch", "steps"):
            count = getattr(self, name)
            if count is not None:
                whole_in_range(name, count, low=1)

    @property
    def is_one_step(self) -> bool:
        """Whether no device goes more than one step in a round, however many examples it has."""
        # One example is the fewest that a device with any has: then one pass is one step.
        return self.steps == 1 or (self.batch is None and self.steps_of(1) == 1)

    def steps_of(self, examples: int) -> int:
        """Return how many steps a device with so many examples goes."""
        if examples == 0:
            return 0
        batches = math.ceil(examples / self._batch(examples))
        # A device with examples learns from some, however few epochs there are.
        steps = max(1, round(self.epochs * batches))
        if self.steps is None:
            return steps
        return min(steps, self.steps)

    def examples_seen(self, examples: int) -> float:
        """Return how many examples a device with so many goes through, each as often as it does."""
        batch = examples
        if self.batch is not None:
            batch = min(self.batch, examples)
        return float(self.steps_of(examples) * batch)

    def batches(self, examples: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
        """Yield which examples each step takes, in a new order in each pass."""
        batch = self._batch(examples)
        remaining = self.steps_of(examples)
        while remaining > 0:
            # Anew in each pass: the same order would be learned from as well.
            order = rng.permutation(examples)
            for start in range(0, examples, batch)[:remaining]:
                yield order[start : start + batch]
                remaining -= 1

    def _batch(self, examples: int) -> int:
        if self.batch is None:
            return max(1, examples)
        return self.batch


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
        # By number and round, not by who learned before: any worker draws the same.
        return np.random.default_rng((self.seed, self.state.round, user, use))

    def subspaces(self, users: Sequence[int], shapes: Sequence[Shape]) -> list[Subspace]:
        """Return where each of some devices learns; nothing where they learn anywhere."""
        structure = self.structure
        if structure is None:
            return []
        return [structure.subspace(shapes, self.subspace_seed(user)) for user in users]

    def subspace_seed(self, user: int) -> int:
        """Return the seed of the subspace in which a device learns in this round."""
        # One more than the number: seeds take no -1, which is the server's.
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
        # Weight 0, so that nobody counts it by mistake.
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
        self, task: ClientTask, users: Sequence[int], states: Sequence[Floats | None]
    ) -> Sequence[Learned]:
        """Let devices learn.

        Args:
            task: of this round.
            users: their numbers, at most ``at_once``.
            states: each one's, as the algorithm keeps it; None where it keeps none.
        """

    def evaluate(self, state: ServerState) -> Mapping[str, float]:
        """Return how good a model is on examples that no device has, such as its ``loss``.

        A ``loss`` that is no finite number ends the run.
        """


def examples_of(learner: PopulationLearner) -> NDArray[np.int64]:
    """Return (users,) how many examples each device has.

    Raises :class:`TrainingError` where a learner of the user's own says something else.
    """
    return require_counts(method_of(learner, "examples"), learner.examples)


def shapes_of(learner: PopulationLearner) -> list[Shape]:
    """Return the shapes of the model's arrays.

    Raises :class:`TrainingError` where a learner of the user's own says something else.
    """
    source = method_of(learner, "shapes")
    shapes = require_sequence(source, learner.shapes)
    return [require_type(source, shape, tuple) for shape in shapes]


def start_of(learner: PopulationLearner) -> Floats:
    """Return (n,) float32 weights before the first round.

    Raises :class:`TrainingError` where a learner of the user's own gives something else, or says
    no shapes.
    """
    source = method_of(learner, "start")
    count = sum(map(math.prod, shapes_of(learner)))
    weights = require_vector(source, learner.start(), count)
    if not np.isfinite(weights).all():
        raise TrainingError(f"{source} gives weights that are not finite")
    return weights.astype(np.float32, copy=False)


def statistics_of(learner: PopulationLearner) -> Doubles:
    """Return (m,) the statistics before the first round, if a learner has any."""
    statistics: Callable[[], Doubles] | None = getattr(learner, "statistics", None)
    if statistics is None:
        return np.empty(0)
    return require_type(method_of(learner, "statistics"), statistics(), np.ndarray)


def check(learner: PopulationLearner, work: ClientWork) -> None:
    """Let a learner say what is wrong with it, or with the work, if it can.

    Raises :class:`InputError`.
    """
    # Optional, so that a learner of the user's own is short.
    checks: Callable[[], None] | None = getattr(learner, "check", None)
    if checks is not None:
        checks()
    checks_work: Callable[[ClientWork], None] | None = getattr(learner, "check_work", None)
    if checks_work is not None:
        checks_work(work)
