"""A round from its devices' parts to the next model.

What rounds and asynchronous averaging share.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Self

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError, TrainingError
from handheld.federated.algorithms import ServerState, Total
from handheld.federated.learning.learner import ClientTask, Doubles, Floats, PopulationLearner
from handheld.federated.simulator.checkpoint import Checkpoint, RoundFigures
from handheld.federated.simulator.jobs import ClientJob, JobResult, seeds
from handheld.federated.simulator.plan import Plan
from handheld.federated.stages import (
    CentralNoise,
    LocalNoise,
    StageChain,
    StageSeeds,
    TreeNoise,
    Update,
)
from handheld.federated.updates.encoder import seed_of

_PARTS, _DOWN, _LARGE = 32, 13, 100_000


@dataclass
class RoundResults:
    """Parts, put together in their order; see :class:`JobResult`."""

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
    def of(cls, parts: Iterator[JobResult]) -> Self:
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


def task_of(plan: Plan, state: ServerState) -> tuple[ClientTask, int]:
    """Return what devices get, and in how many bytes."""
    size = 4 * (
        len(state.weights)
        + sum(array.size for array in state.kept.values() if plan.algorithm.corrects)
    )
    size += 4 * len(state.statistics)
    if plan.download is not None:
        seed = int(seed_of(plan.seed, _DOWN, state.round))
        content = plan.download.encode(state.weights, seed)
        size += len(content) - 4 * len(state.weights)
        state = replace(state, weights=plan.download.decode(content, len(state.weights), seed))
    return ClientTask(state, plan.algorithm, plan.work, plan.seed, plan.structure), size


def jobs_of(
    plan: Plan,
    learner: PopulationLearner,
    task: ClientTask,
    now: Checkpoint,
    users: NDArray[np.int64],
    factor: float = 1.0,
) -> list[ClientJob]:
    """Return devices in parts; those with most to do first, those alike side by side.

    No machine changes what the parts are.
    """
    examples = learner.examples[users]
    ranked = users[np.argsort(-examples, kind="stable")].tolist()
    most = (
        0.0 if plan.alike or not ranked else plan.max_weight * max(1.0, float(np.median(examples)))
    )
    chunks = [
        ranked[start : start + learner.at_once] for start in range(0, len(ranked), learner.at_once)
    ]
    parts = _PARTS if len(task.state.weights) < _LARGE else _PARTS // 4  # each has a sum of its own
    dealt = (
        list(chain.from_iterable(chunks[number::parts]))
        for number in range(min(parts, len(chunks)))
    )
    hold, feedback = plan.robust is not None, plan.error_feedback
    return [
        ClientJob(
            task,
            now.memory,
            part,
            {user: now.own[user] for user in part if user in now.own},
            most,
            hold,
            factor,
            feedback,
        )
        for part in dealt
    ]


def after(
    plan: Plan,
    learner: PopulationLearner,
    stages: StageChain,
    now: Checkpoint,
    gathered: RoundResults,
    users: NDArray[np.int64],
    figures: RoundFigures,
    *,
    enough: bool = True,
) -> Checkpoint:
    """Return what is known after a round.

    Args:
        plan: of the run.
        learner: the population, which evaluates the new model.
        stages: on the way of an update.
        now: what was known before.
        gathered: what devices sent.
        users: (k,) who sent something, in time or not.
        figures: of the round, to which those of this step are added.
        enough: whether as many answered as must; the round is given up else.

    Raises:
        TrainingError: weights that are not finite.
    """
    state, memory = replace(now.state, round=now.state.round + 1), now.memory
    total = _summed(plan, learner, stages, now, gathered, enough=enough)
    row: RoundFigures = {
        "round": state.round,
        "answered": gathered.total.clients if gathered.total else 0,
        "rejected": len(gathered.rejected),
        "given_up": float(total is None),
        "bytes_up": gathered.size,
        **figures,
        **stages.figures(memory),
    }
    for reason, count in sorted(gathered.reasons.items()):
        row[f"rejected_{reason}"] = float(count)
    if gathered.total is not None and not stages.promises:
        row["loss"] = gathered.loss / gathered.total.weight
    if total is not None:
        if plan.robust is None:
            server = seeds(ClientTask(now.state, plan.algorithm, plan.work, plan.seed), -1)
            total, memory = stages.on_sum(total, memory, server)
        statistics = _averaged(plan, now.state, gathered)
        state = replace(_applied(plan, now.state, total), statistics=statistics)
    if state.round % plan.eval_every == 0 or state.round == plan.rounds:
        row |= {f"test_{name}": value for name, value in learner.evaluate(state).items()}
    times = now.times.copy()
    np.add.at(times, users, 1)
    if plan.promises:
        row["participations"] = int(times.max(initial=0))
        row |= epsilons(plan, len(learner.examples), row)
    own = now.own
    if gathered.own and total is not None:
        own = {**now.own, **gathered.own}
    return replace(
        now,
        state=state,
        memory=memory,
        own=own,
        times=times,
        rows=(*now.rows, row),
        clock=figures["seconds"],
    )


def _averaged(plan: Plan, state: ServerState, gathered: RoundResults) -> Doubles:
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


def epsilons(plan: Plan, population: int, row: RoundFigures) -> RoundFigures:
    """Return ``epsilon`` of who sees the models so far, ``local_epsilon`` of who sees updates."""
    promised = plan.promised(population, int(row["round"]), int(row["participations"]))
    figures: RoundFigures = {}
    noises = [
        stage for stage in plan.stages if isinstance(stage, CentralNoise | LocalNoise | TreeNoise)
    ]
    for stage, guarantee in zip(noises, promised, strict=True):
        name = "local_epsilon" if isinstance(stage, LocalNoise) else "epsilon"
        if stage.multiplier > 0:
            figures[name] = min(figures.get(name, math.inf), guarantee.epsilon)
    return figures


def _summed(
    plan: Plan,
    learner: PopulationLearner,
    stages: StageChain,
    now: Checkpoint,
    gathered: RoundResults,
    *,
    enough: bool,
) -> Total | None:
    """Return what is applied of a round's sum; None gives the round up."""
    total = gathered.total
    if total is None and stages.promises and enough:
        total = _nothing(stages, now)
    if total is None or not enough:
        return None
    if plan.robust is not None:
        try:
            total = plan.robust.mean(np.concatenate(gathered.held))
        except InputError:  # the plan's whole cohort would have been enough: too few of it answered
            return None
    elif stages.promises:
        total = replace(total, weight=stages.clients)
    return replace(total, population=len(learner.examples))


def _nothing(stages: StageChain, now: Checkpoint) -> Total:
    """Return the sum of a round in which nobody sent anything: zeros in the form of updates."""
    facts = stages.facts(now.memory)
    empty = Update.of(np.zeros(facts[0].count, np.float32))
    update = stages.on_update(empty, facts, now.memory, StageSeeds(0, 0))
    whole = np.zeros_like(update.values)
    return Total(whole if facts[-1].whole else whole.astype(np.float64), 1.0, 0)


def _applied(plan: Plan, state: ServerState, total: Total) -> ServerState:
    with np.errstate(over="ignore", invalid="ignore"):
        found = plan.algorithm.apply(state, total)
    if not np.isfinite(found.weights).all():
        raise TrainingError(
            f"after round {found.round} the model's weights are not finite: take a lower rate, or clip updates"
        )
    return found
