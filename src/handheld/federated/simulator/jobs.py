"""Jobs of a round: some of its devices learn, and their updates are added up.

The same wherever it runs.
"""

import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from handheld.errors import InputError
from handheld.federated.algorithms import Adder, Total
from handheld.federated.learning.learner import ClientTask, Floats, Learned, PopulationLearner
from handheld.federated.stages import Memory, StageChain, StageSeeds, Update
from handheld.federated.updates.encoder import checked, seed_of
from handheld.federated.user_code import naming_own_code
from handheld.federated.user_values import method_of, number_of, require_answers, require_vector

# Uses of the run's seed, apart from all others of this room: what a round's devices share (random
# rotations, grids), and what is a device's alone (rounding, noise).
_COMMON_SEED = 11
_OWN_SEED = 12


@dataclass(frozen=True, eq=False)
class JobResult:
    """What comes of some devices.

    Attributes:
        total: the sum of what they sent, None if nobody sent anything that counts.
        changes: (k, n) what each sent, where means are robust; None else.
        states: each device's new state, by number, where it keeps one.
        size: bytes that they sent.
        loss: sum of weight times loss.
        rejected: why a device's update was not taken, by number.
        statistics: the sum of devices' statistics by the weights of their updates; None where
            models keep none.
        held_statistics: (k, m) what each had, where means are robust; None else.
        reasons: how many updates were not taken, by the reason's name.
    """

    total: Total | None
    changes: Floats | None
    states: Mapping[int, Floats]
    size: int
    loss: float
    rejected: Mapping[int, str]
    statistics: Total | None = None
    held_statistics: Floats | None = None
    reasons: Mapping[str, int] = field(default_factory=dict)


class RejectedUpdateError(InputError):
    """An update that is not taken; ``reason`` is the word by which such are counted."""

    def __init__(self, reason: str, message: str):
        super().__init__(reason, message)
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return self.message


def seeds(task: ClientTask, user: int) -> StageSeeds:
    """Return the seeds of a device's stages in a round; ``user`` -1 is the server."""
    common = seed_of(task.seed, _COMMON_SEED, task.state.round)
    own_seed = seed_of(task.seed, _OWN_SEED, task.state.round, user + 1)
    return StageSeeds(int(common), int(own_seed), task.subspace_seed(user))


@dataclass(frozen=True, eq=False)
class ClientJob:
    """Some devices of a round that are to learn.

    Attributes:
        task: of the round.
        memory: what devices get of what stages keep.
        users: numbers of devices.
        states: theirs, by number; zeros where there is none yet.
        max_weight: the largest of a device; 0: all weigh 1.
        keep_changes: whether to hold each change besides adding them up.
        factor: by which each change is multiplied, its weight staying: of an older model less than
            1, so that steps get shorter.
        error_feedback: whether a device's state is what its updates left out so far, and is added
            to the next.
    """

    task: ClientTask
    memory: Sequence[Memory]
    users: Sequence[int]
    states: Mapping[int, Floats]
    max_weight: float = 0.0
    keep_changes: bool = False
    factor: float = 1.0
    error_feedback: bool = False

    def run(self, learner: PopulationLearner, stages: StageChain) -> JobResult:
        """Let them learn, a few at once, and add up what they send.

        It goes by one thread of torch: more could add up in another order.
        """
        with _one_thread(), naming_own_code():
            collector = _Collector(self, stages)
            for start in range(0, len(self.users), learner.at_once):
                users = self.users[start : start + learner.at_once]
                states = list(map(self._algorithm_state, users))
                answers = require_answers(
                    method_of(learner, "learn"),
                    learner.learn(self.task, users, states),
                    Learned,
                    len(users),
                )
                for user, state, learned in zip(users, states, answers, strict=True):
                    collector.add(user, state, learned)
            return collector.result()

    def state_of(self, user: int) -> Floats:
        """Return (n,) what a device keeps; zeros before its first round."""
        return self.states.get(user, np.zeros_like(self.task.state.weights))

    def _algorithm_state(self, user: int) -> Floats | None:
        if self.task.algorithm.corrects:
            return self.state_of(user)
        return None


class _Collector:
    """Adds up what the devices of a job send, one after another."""

    def __init__(self, job: ClientJob, stages: StageChain):
        self._job = job
        self._stages = stages
        self._facts = stages.facts(job.memory)
        self._sum = Adder()
        self._changes: list[Floats] = []
        self._states: dict[int, Floats] = {}
        self._size = 0
        self._loss = 0.0
        self._rejected: dict[int, str] = {}
        self._reasons: Counter[str] = Counter()
        self._statistics: Total | None = None
        self._held_statistics: list[Floats] = []

    def add(self, user: int, state: Floats | None, learned: Learned) -> None:
        """Take what a device learned, if it makes sense.

        Args:
            user: its number.
            state: (n,) what the algorithm kept for it; None where it keeps none.
            learned: its answer.
        """
        job = self._job
        try:
            change, update = self._taken(user, learned)
        except InputError as error:
            self._rejected[user] = str(error)
            self._reasons[getattr(error, "reason", "stages")] += 1
            if not self._stages.promises:
                return
            change, update = self._nothing(user)
        weight = 1.0
        if job.max_weight:
            # What a device claims to have is limited, or one could set the mean.
            weight = min(learned.weight, job.max_weight)
        extra = None
        if state is not None:
            algorithm = job.task.algorithm
            kept = algorithm.keep(change, learned.distance, job.task.state, state)
            require_vector(method_of(algorithm, "keep"), kept, len(state))
            self._states[user] = kept
            # The change of its correction, which the server adds to its own.
            extra = kept - state
            self._size += 4 * len(extra)
        if job.error_feedback:
            # What compression left out is owed, and goes with the next update.
            self._states[user] = change - update.values
        self._add_update(update, weight, extra)
        if len(learned.statistics):
            self._add_statistics(learned, weight)
        self._loss += weight * learned.loss

    def result(self) -> JobResult:
        """Return what came of all of them."""
        return JobResult(
            self._sum.total,
            _stacked(self._changes),
            self._states,
            self._size,
            self._loss,
            self._rejected,
            statistics=self._statistics,
            held_statistics=_stacked(self._held_statistics),
            reasons=self._reasons,
        )

    def _taken(self, user: int, learned: Learned) -> tuple[Floats, Update]:
        """Return how a device changes the model, and what it sends of that.

        Raises :class:`InputError` for what makes no sense.
        """
        job = self._job
        change = _checked_change(learned, job.task)
        if job.error_feedback:
            change = change + job.state_of(user)
        stage_seeds = seeds(job.task, user)
        update = Update.of(change)
        return change, self._stages.on_update(update, self._facts, job.memory, stage_seeds)

    def _nothing(self, user: int) -> tuple[Floats, Update]:
        """Return what stands for a device whose update is not taken.

        Whether a device has data must not show: it sends zeros, noise and all, and counts as any
        other.
        """
        job = self._job
        change = np.zeros_like(job.task.state.weights)
        stage_seeds = seeds(job.task, user)
        return change, self._stages.on_nothing(self._facts, job.memory, stage_seeds)

    def _add_update(self, update: Update, weight: float, extra: Floats | None) -> None:
        job = self._job
        values = update.values
        if job.keep_changes:
            self._changes.append(values)
        # Not multiplied by 1: that would copy each update.
        if job.factor != 1:
            values = values * np.float32(job.factor)
        self._sum.add(values, weight, extra)
        self._size += update.size

    def _add_statistics(self, learned: Learned, weight: float) -> None:
        total = Total.of(learned.statistics, weight)
        if self._statistics is not None:
            total = self._statistics + total
        self._statistics = total
        if self._job.keep_changes:
            self._held_statistics.append(learned.statistics.astype(np.float32))
        # They travel as float32, as weights do.
        self._size += 4 * len(learned.statistics)


def _checked_change(learned: Learned, task: ClientTask) -> Floats:
    """Return a change that fits the model.

    Raises :class:`RejectedUpdateError` for one that does not.
    """
    if learned.error:
        raise RejectedUpdateError("raised", learned.error)
    # Told apart from errors: a device without data is nothing wrong.
    weight = number_of(learned.weight)
    if weight == 0:
        raise RejectedUpdateError("no_examples", "no examples")
    change = learned.change
    _require_shapes(learned, task)
    try:
        checked(change)
    except InputError as error:
        raise RejectedUpdateError("not_finite", str(error)) from error
    if len(learned.statistics) and not np.isfinite(learned.statistics).all():
        raise RejectedUpdateError("not_finite", "expected finite statistics, such as running means")
    if not math.isfinite(number_of(learned.loss)):
        raise RejectedUpdateError("loss", f"its loss is {learned.loss}, no finite number")
    if not (math.isfinite(weight) and weight > 0):
        raise RejectedUpdateError("weight", f"expected a weight above 0, got {learned.weight}")
    return change


def _require_shapes(learned: Learned, task: ClientTask) -> None:
    change = learned.change
    count = len(task.state.weights)
    if not isinstance(change, np.ndarray):
        got = type(change).__name__
        raise RejectedUpdateError("shape", f"expected an update (n,) of float32, got a {got}")
    if change.ndim != 1 or change.dtype != np.float32:
        got = f"{change.dtype} {list(change.shape)}"
        raise RejectedUpdateError("shape", f"expected an update (n,) of float32, got {got}")
    if len(change) != count:
        raise RejectedUpdateError(
            "shape", f"expected {count:,} numbers in an update, got {len(change):,}"
        )
    if np.shape(learned.statistics) != task.state.statistics.shape:
        expected = len(task.state.statistics)
        got = f"{list(np.shape(learned.statistics))}"
        raise RejectedUpdateError("shape", f"expected {expected:,} statistics, got {got}")


def _stacked(vectors: Sequence[Floats]) -> Floats | None:
    if vectors:
        return np.stack(vectors)
    return None


@contextmanager
def _one_thread() -> Iterator[None]:
    # A learner without torch must not import it for this.
    torch = sys.modules.get("torch")
    if torch is None or torch.get_num_threads() == 1:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
