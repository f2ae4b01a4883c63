"""Federated learning with a whole population of devices in one place."""

import hashlib
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError, TrainingError
from handheld.federated.algorithms import State, Total
from handheld.federated.learning.learner import Learner, Task
from handheld.federated.simulator import checkpoint
from handheld.federated.simulator.checkpoint import Checkpoint, Row
from handheld.federated.simulator.cohort import Cohort, choose
from handheld.federated.simulator.engines import Engine, engine_of
from handheld.federated.simulator.part import Job, Part, seeds
from handheld.federated.simulator.plan import Plan
from handheld.federated.stages import Seeds, Stages, Update
from handheld.federated.updates.encoder import seed_of

Progress = Callable[[int, int, Row], None]
"""Called after each round with the rounds so far, the rounds in all, and the figures of that round."""

_PARTS, _SAVE_SECONDS, _DOWN, _NOISE = 32, 20.0, 13, 14


@dataclass(frozen=True, eq=False)
class Run:
    """What came of a simulation.

    Attributes:
        state: the server's; ``state.weights`` is the model.
        rows: figures of each round: ``round``, ``asked``, ``answered``, ``gone``, ``late``, ``rejected``, ``given_up`` (1 where
            too few answered), ``bytes_up``, ``bytes_down``, simulated ``seconds`` since the run began, mean ``loss``
            of devices while learning, and what the learner judges by, such as ``test_loss`` and ``test_accuracy``.
        times: (users,) how often each device took part.
        rejected: why updates of the last rounds were not taken, by device: those that this process saw.
    """

    state: State
    rows: tuple[Row, ...]
    times: NDArray[np.int32]
    rejected: dict[int, str]

    def first(self, metric: str, at_least: float) -> int | None:
        """Return the first round after which a figure was that good, None if it never was."""
        return next((int(row["round"]) for row in self.rows if row.get(metric, -math.inf) >= at_least), None)


def simulate(
    plan: Plan,
    learner: Learner,
    *,
    out: str | os.PathLike[str] | None = None,
    workers: int = 1,
    engine: str = "local",
    address: str | None = None,
    progress: Progress | None = None,
    until: Callable[[Row], bool] | None = None,
) -> Run:
    """Let a population of devices learn one model.

    The result depends on the plan, the learner and nothing else: any number of workers, a cluster, or a run that was killed and
    went on give the same bits. Memory does not grow with the devices of a round, nor with the population, but for algorithms
    whose devices keep a state (one model for each that ever took part).

    Args:
        plan: what to do.
        learner: the population.
        out: folder that keeps the run; it goes on from there. Without one nothing is kept.
        workers: processes of this machine that learn.
        engine: ``local``, or ``ray`` for a cluster.
        address: of a Ray cluster; one on this machine is started without.
        progress: told of each round.
        until: tells from the figures of a round whether the run may end before its last one.

    Raises:
        InputError: a plan that makes no sense, or a folder with another run.
        TrainingError: the model's weights are not finite any more.
    """
    first = learner.start()
    stages = Stages(plan.stages, plan.algorithm, len(first), plan.uniform or plan.robust is not None)
    if plan.robust is not None and any(known.whole for known in stages.facts(stages.start())):
        raise InputError("a robust mean needs to see each update; whole numbers only add up")
    folder = None if out is None else Path(out)
    fingerprint = _fingerprint(plan, learner)
    now = checkpoint.load(folder, fingerprint, len(first)) if folder else None
    now = now or Checkpoint(plan.algorithm.init(first), stages.start(), {}, np.zeros(len(learner.examples), np.int32))
    up, saved = _bytes_up(stages, plan), time.monotonic()
    rejected: dict[int, str] = {}
    if now.state.round >= plan.rounds or (until and now.rows and until(now.rows[-1])):
        return Run(now.state, tuple(now.rows), now.times, {})
    with engine_of(engine, learner, stages, workers=workers, address=address) as where:
        while now.state.round < plan.rounds:
            now, refused = _round(plan, learner, stages, where, now, up)
            rejected |= refused
            if progress is not None:
                progress(now.state.round, plan.rounds, now.rows[-1])
            ends = now.state.round == plan.rounds or bool(until and until(now.rows[-1]))
            if folder and (ends or time.monotonic() - saved > _SAVE_SECONDS):
                checkpoint.save(folder, now, fingerprint)
                saved = time.monotonic()
            if ends:
                break
    return Run(now.state, tuple(now.rows), now.times, rejected)


def _round(
    plan: Plan, learner: Learner, stages: Stages, where: Engine, now: Checkpoint, up: int
) -> tuple[Checkpoint, dict[int, str]]:
    """Return what is known after one more round, and why updates were rejected in it."""
    task, down = _task(plan, now.state)
    cohort = choose(task, plan.devices, learner.examples, plan.cohort, now.clock, down, up)
    parts = _learned(plan, learner, where, task, now, cohort) if cohort.enough else iter(())
    total, own, size, loss, held = None, dict(now.own), 0, 0.0, []
    rejected: dict[int, str] = {}
    for part in parts:
        if part.total is not None:
            total = part.total if total is None else total + part.total
        if part.changes is not None:
            held.append(part.changes)
        own.update(part.own)
        rejected.update(part.rejected)
        size, loss = size + part.size, loss + part.loss
    clock = now.clock + cohort.seconds
    row: Row = {
        "round": now.state.round + 1, "asked": len(cohort.asked), "answered": total.clients if total else 0,
        "gone": cohort.gone, "late": cohort.late, "rejected": len(rejected), "given_up": float(total is None),
        "bytes_up": size, "bytes_down": down * len(cohort.asked), "seconds": clock,
    }  # fmt: skip
    memory, state = now.memory, replace(now.state, round=now.state.round + 1)
    if total is not None:
        row["loss"] = loss / total.weight
        total, memory = stages.on_sum(total, memory, seeds(task, -1))
        total = plan.robust.mean(np.concatenate(held)) if plan.robust else total
        state = _applied(plan, now.state, total)
    if state.round % plan.judge_every == 0 or state.round == plan.rounds:
        row |= {f"test_{name}": value for name, value in learner.judge(state.weights).items()}
    times = now.times.copy()
    times[cohort.answering] += cohort.enough
    return Checkpoint(state, memory, own, times, (*now.rows, row), clock), rejected


def _task(plan: Plan, state: State) -> tuple[Task, int]:
    """Return what devices get, and in how many bytes."""
    size = 4 * (len(state.weights) + sum(array.size for array in state.kept.values() if plan.algorithm.corrects))
    if plan.download is not None:
        seed = int(seed_of(plan.seed, _DOWN, state.round))
        content = plan.download.encode(state.weights, seed)
        size += len(content) - 4 * len(state.weights)
        state = replace(state, weights=plan.download.decode(content, len(state.weights), seed))
    return Task(state, plan.algorithm, plan.work, plan.seed), size


def _learned(plan: Plan, learner: Learner, where: Engine, task: Task, now: Checkpoint, cohort: Cohort) -> Iterator[Part]:
    """Yield what comes of a round's devices, part by part; those with most to do first, those alike side by side."""
    examples = learner.examples[cohort.answering]
    users = cohort.answering[np.argsort(-examples, kind="stable")].tolist()
    equal = plan.uniform or plan.robust is not None
    most = 0.0 if equal else plan.heaviest * max(1.0, float(np.median(examples)))
    chunks = -(-len(users) // learner.at_once)
    few = -(-chunks // _PARTS) * learner.at_once
    jobs = [
        Job(task, now.memory, part, {user: now.own[user] for user in part if user in now.own}, most, plan.robust is not None)
        for part in map(list, _batched(users, few))
    ]
    return where.parts(jobs)


def _batched(users: Sequence[int], few: int) -> Iterator[Sequence[int]]:
    return (users[start : start + few] for start in range(0, len(users), few))


def _applied(plan: Plan, state: State, total: Total) -> State:
    with np.errstate(over="ignore", invalid="ignore"):
        found = plan.algorithm.apply(state, total)
    if not np.isfinite(found.weights).all():
        raise TrainingError(f"after round {found.round} the model's weights are not finite: take a lower rate, or clip updates")
    return found


def _bytes_up(stages: Stages, plan: Plan) -> int:
    """Return how many bytes an update takes about: that of noise."""
    facts = stages.facts(stages.start())
    noise = np.random.default_rng(_NOISE).standard_normal(stages.count).astype(np.float32) * 1e-3
    update = stages.on_update(Update.of(noise), facts, stages.start(), Seeds(0, 0))
    return update.size + (4 * stages.count if plan.algorithm.corrects else 0)


def _fingerprint(plan: Plan, learner: Learner) -> str:
    return hashlib.sha256((plan.fingerprint + repr(learner.examples.tolist())).encode()).hexdigest()
