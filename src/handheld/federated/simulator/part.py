"""A part of a round's devices: they learn, and their updates are added up. The same wherever it runs."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from handheld.errors import InputError
from handheld.federated.algorithms import Adder, Total
from handheld.federated.learning.learner import Floats, Learned, Learner, Task
from handheld.federated.stages import Memory, Seeds, Stages, Update
from handheld.federated.updates.encoder import checked, seed_of

_COMMON, _OWN = 11, 12  # uses of seeds


@dataclass(frozen=True, eq=False)
class Part:
    """What comes of some devices.

    Attributes:
        total: the sum of what they sent, None if nobody sent anything that counts.
        changes: (k, n) what each sent, where means are robust; None else.
        own: each device's new state, by number, where it keeps one.
        size: bytes that they sent.
        loss: sum of weight times loss.
        rejected: why a device's update was not taken, by number.
    """

    total: Total | None
    changes: Floats | None
    own: Mapping[int, Floats]
    size: int
    loss: float
    rejected: Mapping[int, str]


def seeds(task: Task, user: int) -> Seeds:
    """Return the seeds of a device's stages in a round; ``user`` -1 is the server."""
    common = seed_of(task.seed, _COMMON, task.state.round)
    own = seed_of(task.seed, _OWN, task.state.round, user + 1)
    return Seeds(int(common), int(own), task.subspace_seed(user))


@dataclass(frozen=True, eq=False)
class Job:
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
        feedback: whether a device's state is what its updates left out so far, and is added to the next.
    """

    task: Task
    memory: Sequence[Memory]
    users: Sequence[int]
    own: Mapping[int, Floats]
    most: float = 0.0
    hold: bool = False
    factor: float = 1.0
    feedback: bool = False

    def run(self, learner: Learner, stages: Stages) -> Part:
        """Let them learn, a few at once, and add up what they send; with one thread: more could add up in another order."""
        with _one_thread():
            return self._run(learner, stages)

    def _run(self, learner: Learner, stages: Stages) -> Part:
        task, facts, adder = self.task, stages.facts(self.memory), Adder()
        own: dict[int, Floats] = {}
        rejected: dict[int, str] = {}
        held, size, loss = [], 0, 0.0
        for start in range(0, len(self.users), learner.at_once):
            few = self.users[start : start + learner.at_once]
            kept = [self._own(user) if task.algorithm.corrects else None for user in few]
            for user, before, learned in zip(few, kept, learner.learn(task, few, kept), strict=True):
                try:
                    change = _expected(learned, task)
                    change = change + self._own(user) if self.feedback else change
                    update = stages.on_update(Update.of(change), facts, self.memory, seeds(task, user))
                except InputError as error:
                    rejected[user] = str(error)
                    if not stages.promises:
                        continue
                    # Whether a device has data must not show: it sends zeros, noise and all, and
                    # counts as any other.
                    change = np.zeros_like(task.state.weights)
                    update = stages.on_update(Update.of(change), facts, self.memory, seeds(task, user))
                weight, extra = min(learned.weight, self.most) if self.most else 1.0, None
                if before is not None:
                    own[user] = task.algorithm.keep(change, learned.distance, task.state, before)
                    extra = own[user] - before
                    size += 4 * len(extra)
                if self.feedback:
                    own[user] = change - update.values
                if self.hold:
                    held.append(update.values)
                adder.add(update.values if self.factor == 1 else update.values * np.float32(self.factor), weight, extra)
                size, loss = size + update.size, loss + weight * learned.loss
        return Part(adder.total, np.stack(held) if held else None, own, size, loss, rejected)

    def _own(self, user: int) -> Floats:
        return self.own.get(user, np.zeros_like(self.task.state.weights))


def _expected(learned: Learned, task: Task) -> Floats:
    """Return a change that fits the model. Raises :class:`InputError` for one that does not."""
    change = checked(learned.change)
    if change.shape != task.state.weights.shape:
        raise InputError(f"expected {len(task.state.weights):,} numbers in an update, got {len(change):,}")
    if not (np.isfinite(learned.weight) and learned.weight > 0):
        raise InputError("no examples" if learned.weight == 0 else f"expected a weight above 0, got {learned.weight}")
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
