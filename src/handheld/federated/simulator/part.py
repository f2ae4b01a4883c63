"""A part of a round's devices: they learn, and their updates are added up. The same wherever it runs."""

from collections.abc import Mapping, Sequence
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
        own: each device's new state, by number, where the algorithm keeps one.
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
    return Seeds(int(common), int(seed_of(task.seed, _OWN, task.state.round, user + 1)))


def learn_part(
    learner: Learner,
    stages: Stages,
    task: Task,
    memory: Sequence[Memory],
    users: Sequence[int],
    own: Mapping[int, Floats],
    most: float,
    hold: bool,
) -> Part:
    """Let some devices learn, a few at once, and add up what they send.

    Args:
        learner: the population.
        stages: on the way of an update.
        task: of the round.
        memory: what stages keep.
        users: numbers of devices.
        own: their states, by number; zeros where there is none yet.
        most: the largest weight of a device; 0: all weigh 1.
        hold: whether to hold each change instead of adding them up.
    """
    facts, adder, part_own, rejected, held = stages.facts(memory), Adder(), {}, {}, []
    size, loss = 0, 0.0
    for start in range(0, len(users), learner.at_once):
        few = users[start : start + learner.at_once]
        kept = [own.get(user, np.zeros_like(task.state.weights)) if task.algorithm.corrects else None for user in few]
        for user, before, learned in zip(few, kept, learner.learn(task, few, kept), strict=True):
            try:
                change = _expected(learned, task)
                update = stages.on_update(Update.of(change), facts, memory, seeds(task, user))
                extra = None if before is None else task.algorithm.keep(change, learned.distance, task.state, before) - before
                weight = min(learned.weight, most) if most else 1.0
                if hold:
                    held.append(update.values)
                adder.add(update.values, weight, extra)
            except InputError as error:
                rejected[user] = str(error)
                continue
            if before is not None and extra is not None:
                part_own[user] = before + extra
            size += update.size + (0 if extra is None else 4 * len(extra))
            loss += weight * learned.loss
    return Part(adder.total, np.stack(held) if held else None, part_own, size, loss, rejected)


def _expected(learned: Learned, task: Task) -> Floats:
    """Return a change that fits the model. Raises :class:`InputError` for one that does not."""
    change = checked(learned.change)
    if change.shape != task.state.weights.shape:
        raise InputError(f"expected {len(task.state.weights):,} numbers in an update, got {len(change):,}")
    if not (np.isfinite(learned.weight) and learned.weight > 0):
        raise InputError("no examples" if learned.weight == 0 else f"expected a weight above 0, got {learned.weight}")
    return change
