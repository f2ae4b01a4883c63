"""A round from its devices' parts to the next model: what rounds and asynchronous averaging share."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Self

import numpy as np
from numpy.typing import NDArray

from handheld.errors import TrainingError
from handheld.federated.algorithms import State, Total
from handheld.federated.learning.learner import Doubles, Floats, Learner, Task
from handheld.federated.simulator.checkpoint import Checkpoint, Row
from handheld.federated.simulator.part import Job, Part, seeds
from handheld.federated.simulator.plan import Plan
from handheld.federated.stages import Stages
from handheld.federated.updates.encoder import seed_of

_PARTS, _DOWN, _LARGE = 32, 13, 100_000


@dataclass
class Gathered:
    """Parts, put together in their order; see :class:`Part`."""

    total: Total | None = None
    held: list[Floats] = field(default_factory=list)
    own: dict[int, Floats] = field(default_factory=dict)
    rejected: dict[int, str] = field(default_factory=dict)
    size: int = 0
    loss: float = 0.0
    statistics: Total | None = None
    held_statistics: list[Floats] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, parts: Iterator[Part]) -> Self:
        """Return what parts come to."""
        found = cls()
        for part in parts:
            if part.total is not None:
                found.total = part.total if found.total is None else found.total + part.total
            if part.changes is not None:
                found.held.append(part.changes)
            found.own.update(part.own)
            found.rejected.update(part.rejected)
            found.size, found.loss = found.size + part.size, found.loss + part.loss
            if part.statistics is not None:
                before = found.statistics
                found.statistics = part.statistics if before is None else before + part.statistics
            if part.held_statistics is not None:
                found.held_statistics.append(part.held_statistics)
            found.reasons.update(part.reasons)
        return found


def task_of(plan: Plan, state: State) -> tuple[Task, int]:
    """Return what devices get, and in how many bytes."""
    size = 4 * (len(state.weights) + sum(array.size for array in state.kept.values() if plan.algorithm.corrects))
    size += 4 * len(state.statistics)
    if plan.download is not None:
        seed = int(seed_of(plan.seed, _DOWN, state.round))
        content = plan.download.encode(state.weights, seed)
        size += len(content) - 4 * len(state.weights)
        state = replace(state, weights=plan.download.decode(content, len(state.weights), seed))
    return Task(state, plan.algorithm, plan.work, plan.seed, plan.structure), size


def jobs_of(
    plan: Plan, learner: Learner, task: Task, now: Checkpoint, users: NDArray[np.int64], factor: float = 1.0
) -> list[Job]:
    """Return devices in parts; those with most to do first, those alike side by side.

    No machine changes what the parts are.
    """
    examples = learner.examples[users]
    ranked = users[np.argsort(-examples, kind="stable")].tolist()
    most = 0.0 if plan.alike or not ranked else plan.heaviest * max(1.0, float(np.median(examples)))
    chunks = [ranked[start : start + learner.at_once] for start in range(0, len(ranked), learner.at_once)]
    parts = _PARTS if len(task.state.weights) < _LARGE else _PARTS // 4  # each has a sum of its own
    dealt = (list(chain.from_iterable(chunks[number::parts])) for number in range(min(parts, len(chunks))))
    hold, feedback = plan.robust is not None, plan.feedback
    return [
        Job(task, now.memory, part, {user: now.own[user] for user in part if user in now.own}, most, hold, factor, feedback)
        for part in dealt
    ]


def after(
    plan: Plan, learner: Learner, stages: Stages, now: Checkpoint, gathered: Gathered, users: NDArray[np.int64], figures: Row
) -> Checkpoint:
    """Return what is known after a round.

    Args:
        plan: of the run.
        learner: the population, which evaluates the new model.
        stages: on the way of an update.
        now: what was known before.
        gathered: what devices sent.
        users: (k,) who they were.
        figures: of the round, to which those of this step are added.

    Raises:
        TrainingError: weights that are not finite.
    """
    total, memory, state = gathered.total, now.memory, replace(now.state, round=now.state.round + 1)
    row: Row = {
        "round": state.round, "answered": total.clients if total else 0, "rejected": len(gathered.rejected),
        "given_up": float(total is None), "bytes_up": gathered.size, **figures,
    }  # fmt: skip
    for reason, count in sorted(gathered.reasons.items()):
        row[f"rejected_{reason}"] = float(count)
    if total is not None:
        row["loss"] = gathered.loss / total.weight
        total, memory = stages.on_sum(total, memory, seeds(Task(now.state, plan.algorithm, plan.work, plan.seed), -1))
        total = plan.robust.mean(np.concatenate(gathered.held)) if plan.robust else total
        state = replace(_applied(plan, now.state, total), statistics=_averaged(plan, now.state, gathered))
    if state.round % plan.judge_every == 0 or state.round == plan.rounds:
        row |= {f"test_{name}": value for name, value in learner.evaluate(state).items()}
    times = now.times.copy()
    np.add.at(times, users, 1)
    own = {**now.own, **gathered.own} if gathered.own else now.own
    return replace(now, state=state, memory=memory, own=own, times=times, rows=(*now.rows, row), clock=figures["seconds"])


def _averaged(plan: Plan, state: State, gathered: Gathered) -> Doubles:
    """Return statistics (m,) after a round: their mean over devices, by the updates' weights.

    No algorithm, stage or server's rate touches them: a mean of variances is a variance, which a
    step along a change need not be. Where means are robust these are too, or one broken device
    could set them.
    """
    if gathered.statistics is None:
        return state.statistics
    if plan.robust is None:
        return gathered.statistics.mean
    return plan.robust.mean(np.concatenate(gathered.held_statistics)).mean


def _applied(plan: Plan, state: State, total: Total) -> State:
    with np.errstate(over="ignore", invalid="ignore"):
        found = plan.algorithm.apply(state, total)
    if not np.isfinite(found.weights).all():
        raise TrainingError(f"after round {found.round} the model's weights are not finite: take a lower rate, or clip updates")
    return found
