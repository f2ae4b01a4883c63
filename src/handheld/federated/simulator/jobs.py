"""Jobs of a round: some of its devices learn, and their updates are added up.

The same wherever it runs.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.federated.algorithms import Adder, Total
from handheld.federated.client import ClientRound, seeds
from handheld.federated.learning.learner import (
    ClientTask,
    Doubles,
    Floats,
    Learned,
    PopulationLearner,
)
from handheld.federated.stages import Memory, StageChain
from handheld.federated.user_code import naming_own_code
from handheld.federated.user_values import method_of, require_answers


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
                for user, learned in zip(users, answers, strict=True):
                    collector.add(user, learned)
            return collector.result()

    def own_of(self, user: int) -> Floats | None:
        """Return (n,) what a device keeps, zeros before its first round; None if it keeps none."""
        if self.task.algorithm.corrects or self.error_feedback:
            return self.states.get(user, np.zeros_like(self.task.state.weights))
        return None

    def _algorithm_state(self, user: int) -> Floats | None:
        if self.task.algorithm.corrects:
            return self.own_of(user)
        return None


class _Collector:
    """Adds up what the devices of a job send, one after another."""

    def __init__(self, job: ClientJob, stages: StageChain):
        self._job = job
        self._round = ClientRound(job.task, stages, job.memory, job.error_feedback)
        self._sum = Adder()
        self._changes: list[Floats] = []
        self._states: dict[int, Floats] = {}
        self._size = 0
        self._loss = 0.0
        self._rejected: dict[int, str] = {}
        self._reasons: Counter[str] = Counter()
        self._statistics = Adder()
        self._held_statistics: list[Floats] = []

    def add(self, user: int, learned: Learned) -> None:
        """Take what a device learned, if it makes sense.

        Args:
            user: its number.
            learned: by it.
        """
        job = self._job
        stage_seeds = seeds(job.task, user)
        try:
            answer = self._round.answer(learned, job.own_of(user), stage_seeds)
            update = answer.arrived or self._round.arrived(answer.upload, stage_seeds)
        except InputError as error:
            self._rejected[user] = str(error)
            self._reasons[getattr(error, "reason", "stages")] += 1
            if not self._round.stages.promises:
                return
            # Whether a device has data must not show: it sends zeros, noise and all, and counts as
            # any other.
            answer = self._round.nothing(stage_seeds)
            update = self._round.arrived(answer.upload, stage_seeds, or_zeros=True)
        weight = 1.0
        if job.max_weight:
            # What a device claims to have is limited, or one could set the mean.
            weight = min(answer.weight, job.max_weight)
        if answer.kept is not None:
            self._states[user] = answer.kept
        self._size += answer.size
        self._add_update(update.values, weight, answer.extra)
        if len(answer.statistics):
            self._add_statistics(answer.statistics, weight)
        self._loss += weight * answer.loss

    def result(self) -> JobResult:
        """Return what came of all of them."""
        return JobResult(
            self._sum.total,
            _stacked(self._changes),
            self._states,
            self._size,
            self._loss,
            self._rejected,
            statistics=self._statistics.total,
            held_statistics=_stacked(self._held_statistics),
            reasons=self._reasons,
        )

    def _add_update(self, values: NDArray[Any], weight: float, extra: Floats | None) -> None:
        job = self._job
        if job.keep_changes:
            self._changes.append(values)
        # Not multiplied by 1: that would copy each update.
        if job.factor != 1:
            values = values * np.float32(job.factor)
        self._sum.add(values, weight, extra)

    def _add_statistics(self, statistics: Doubles, weight: float) -> None:
        self._statistics.add_total(Total.of(statistics, weight))
        if self._job.keep_changes:
            self._held_statistics.append(statistics.astype(np.float32))


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
