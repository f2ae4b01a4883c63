"""A part of a round's devices: they learn, and their updates are added up.

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

_COMMON, _OWN = 11, 12  # uses of seeds


@dataclass(frozen=True, eq=False)
class JobResult:
    """What comes of some devices.

    Attributes:
        total: the sum of what they sent, None if nobody sent anything that counts.
        changes: (k, n) what each sent, where means are robust; None else.
        own: each device's new state, by number, where it keeps one.
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
    own: Mapping[int, Floats]
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
    common = seed_of(task.seed, _COMMON, task.state.round)
    own = seed_of(task.seed, _OWN, task.state.round, user + 1)
    return StageSeeds(int(common), int(own), task.subspace_seed(user))


@dataclass(frozen=True, eq=False)
class ClientJob:
    """Some devices of a round that are to learn.

    Attributes:
        task: of the round.
        memory: what devices get of what stages keep.
        users: numbers of devices.
        own: their states, by number; zeros where there is none yet.
        most: the largest weight of a device; 0: all weigh 1.
        hold: whether to hold each change besides adding them up.
        factor: by which each change is multiplied, its weight staying: of an older model less than
            1, so that steps get shorter.
        error_feedback: whether a device's state is what its updates left out so far, and is added
            to the next.
    """

    task: ClientTask
    memory: Sequence[Memory]
    users: Sequence[int]
    own: Mapping[int, Floats]
    most: float = 0.0
    hold: bool = False
    factor: float = 1.0
    error_feedback: bool = False

    def run(self, learner: PopulationLearner, stages: StageChain) -> JobResult:
        """Let them learn, a few at once, and add up what they send.

        With one thread: more could add up in another order.
        """
        with _one_thread(), naming_own_code():
            return self._run(learner, stages)

    def _run(self, learner: PopulationLearner, stages: StageChain) -> JobResult:
        task, facts, adder = self.task, stages.facts(self.memory), Adder()
        own: dict[int, Floats] = {}
        rejected: dict[int, str] = {}
        reasons: Counter[str] = Counter()
        statistics: Total | None = None
        held_statistics: list[Floats] = []
        held, size, loss = [], 0, 0.0
        for start in range(0, len(self.users), learner.at_once):
            few = self.users[start : start + learner.at_once]
            kept = [self._own(user) if task.algorithm.corrects else None for user in few]
            for user, before, learned in zip(
                few, kept, learner.learn(task, few, kept), strict=True
            ):
                try:
                    change = _expected(learned, task)
                    change = change + self._own(user) if self.error_feedback else change
                    update = stages.on_update(
                        Update.of(change), facts, self.memory, seeds(task, user)
                    )
                except InputError as error:
                    rejected[user] = str(error)
                    reasons[getattr(error, "reason", "stages")] += 1
                    if not stages.promises:
                        continue
                    # Whether a device has data must not show: it sends zeros, noise and all, and
                    # counts as any other.
                    change = np.zeros_like(task.state.weights)
                    update = stages.on_update(
                        Update.of(change), facts, self.memory, seeds(task, user)
                    )
                weight, extra = min(learned.weight, self.most) if self.most else 1.0, None
                if before is not None:
                    own[user] = task.algorithm.keep(change, learned.distance, task.state, before)
                    extra = own[user] - before
                    size += 4 * len(extra)
                if self.error_feedback:
                    own[user] = change - update.values
                if self.hold:
                    held.append(update.values)
                adder.add(
                    update.values if self.factor == 1 else update.values * np.float32(self.factor),
                    weight,
                    extra,
                )
                if len(learned.statistics):
                    one = Total.of(learned.statistics, weight)
                    statistics = one if statistics is None else statistics + one
                    if self.hold:
                        held_statistics.append(learned.statistics.astype(np.float32))
                size += update.size + 4 * len(learned.statistics)
                loss += weight * learned.loss
        return JobResult(
            adder.total,
            np.stack(held) if held else None,
            own,
            size,
            loss,
            rejected,
            statistics=statistics,
            held_statistics=np.stack(held_statistics) if held_statistics else None,
            reasons=reasons,
        )

    def _own(self, user: int) -> Floats:
        return self.own.get(user, np.zeros_like(self.task.state.weights))


def _expected(learned: Learned, task: ClientTask) -> Floats:
    """Return a change that fits the model.

    Raises :class:`RejectedUpdateError` for one that does not.
    """
    if learned.error:
        raise RejectedUpdateError("raised", learned.error)
    if learned.weight == 0:
        raise RejectedUpdateError("no_examples", "no examples")
    change = learned.change
    if change.ndim != 1 or change.dtype != np.float32:
        got_type = f"{change.dtype} {list(change.shape)}"
        raise RejectedUpdateError("shape", f"expected an update (n,) of float32, got {got_type}")
    if change.shape != task.state.weights.shape:
        wanted = len(task.state.weights)
        got_values = len(change)
        raise RejectedUpdateError(
            "shape", f"expected {wanted:,} numbers in an update, got {got_values:,}"
        )
    if learned.statistics.shape != task.state.statistics.shape:
        wanted = len(task.state.statistics)
        got = list(learned.statistics.shape)
        raise RejectedUpdateError("shape", f"expected {wanted:,} statistics, got {got}")
    try:
        checked(change)
    except InputError as error:
        raise RejectedUpdateError("not_finite", str(error)) from error
    if len(learned.statistics) and not np.isfinite(learned.statistics).all():
        raise RejectedUpdateError("not_finite", "expected finite statistics, such as running means")
    if not math.isfinite(learned.loss):
        raise RejectedUpdateError("loss", f"its loss is {learned.loss}, no finite number")
    if not (math.isfinite(learned.weight) and learned.weight > 0):
        raise RejectedUpdateError("weight", f"expected a weight above 0, got {learned.weight}")
    return change


@contextmanager
def _one_thread() -> Iterator[None]:
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 1
    if torch is None or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
