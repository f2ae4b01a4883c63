"""Federated learning with a whole population of devices in one place."""

import hashlib
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.federated.algorithms import State
from handheld.federated.learning.learner import Floats, Learner
from handheld.federated.simulator import checkpoint
from handheld.federated.simulator.asynchronous import arrivals_round
from handheld.federated.simulator.checkpoint import Checkpoint, Row
from handheld.federated.simulator.cohort import choose
from handheld.federated.simulator.engines import Engine, engine_of
from handheld.federated.simulator.gathering import Gathered, after, epsilons, jobs_of, task_of
from handheld.federated.simulator.plan import Plan
from handheld.federated.stages import Plain, Seeds, Stages, Update, WholeNumbers

Progress = Callable[[int, int, Row], None]
"""Called after each round with the rounds so far, the rounds in all, and the figures of that round."""

_SAVE_SECONDS, _NOISE = 20.0, 14


@dataclass(frozen=True, eq=False)
class Run:
    """What came of a simulation.

    Attributes:
        state: the server's; ``state.weights`` is the model.
        rows: figures of each round: ``round``, ``asked``, ``answered``, ``gone``, ``late``,
            ``rejected``, ``given_up`` (1 where too few answered), ``bytes_up``, ``bytes_down``,
            simulated ``seconds`` since the run began, mean ``loss`` of devices while learning, and
            what the learner judges by, such as ``test_loss`` and ``test_accuracy``; ``clip_length``
            and ``bound`` (the longest that one device adds to the sum) where updates are clipped.
            With noise there is ``epsilon`` or ``local_epsilon``, ``participations`` (rounds that
            the device took part in that did most often), and no ``loss``, which would tell of
            devices what noise hides.
        times: (users,) how often each device took part: sent an update, in time or not.
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
    population = len(learner.examples)
    _require_fitting(plan, population)
    equal = plan.alike and plan.buffer is None
    stages = Stages(plan.stages, plan.algorithm, learner.shapes, equal, plan.expected(population))
    folder = None if out is None else Path(out)
    fingerprint = _fingerprint(plan, learner, first)
    now = checkpoint.load(folder, fingerprint, len(first)) if folder else None
    now = now or Checkpoint(plan.algorithm.init(first), stages.start(), {}, np.zeros(population, np.int32))
    now = replace(now, rows=_of_this_delta(plan, population, now.rows))
    up, saved = _bytes_up(stages, plan), time.monotonic()
    rejected: dict[int, str] = {}
    if now.state.round >= plan.rounds or (until and now.rows and until(now.rows[-1])):
        return Run(now.state, tuple(now.rows), now.times, {})
    one_more = _round if plan.buffer is None else arrivals_round
    with engine_of(engine, learner, stages, workers=workers, address=address) as where:
        try:
            while now.state.round < plan.rounds:
                now, refused = one_more(plan, learner, stages, where, now, up)
                rejected |= refused
                if progress is not None:
                    progress(now.state.round, plan.rounds, now.rows[-1])
                ends = now.state.round == plan.rounds or bool(until and until(now.rows[-1]))
                if folder and (ends or time.monotonic() - saved > _SAVE_SECONDS):
                    checkpoint.save(folder, now, fingerprint)
                    saved = time.monotonic()
                if ends:
                    break
        except BaseException:  # Ctrl-C too: rounds since the last checkpoint would be lost
            if folder and now.rows:
                checkpoint.save(folder, now, fingerprint)
            raise
    return Run(now.state, tuple(now.rows), now.times, rejected)


def _of_this_delta(plan: Plan, population: int, rows: Sequence[Row]) -> tuple[Row, ...]:
    """Return an earlier run's rows with what noise promises by the delta that the plan has now."""
    if not (plan.promises and rows) or rows[-1] == {**rows[-1], **epsilons(plan, population, rows[-1])}:
        return tuple(rows)
    return tuple({**row, **epsilons(plan, population, row)} for row in rows)


def _require_fitting(plan: Plan, population: int) -> None:
    """Raise :class:`InputError` where a plan does not fit the number of devices."""
    if plan.robust is not None and not all(isinstance(stage, Plain) and stage.leaves_sums for stage in plan.stages):
        raise InputError("a robust mean takes the place of the sum that adaptive clipping, noise or whole numbers work on")
    if plan.robust is not None and plan.sampling == "fixed":
        plan.robust.mean(np.zeros((min(plan.cohort, population), 1), np.float32))  # raises where all are too few
    named = getattr(plan.algorithm, "population", None)
    if named is not None and named != population:
        raise InputError(f"algorithm.population: expected {population}, the number of devices, got {named}: leave it out")
    most = population if plan.sampling == "poisson" else min(plan.cohort, population)
    for stage in plan.stages:
        if isinstance(stage, WholeNumbers) and stage.clients < most:
            raise InputError(
                f"whole_numbers.clients: expected {most} or more, as many as may answer in a round, got {stage.clients}"
            )


def _round(
    plan: Plan, learner: Learner, stages: Stages, where: Engine, now: Checkpoint, up: int
) -> tuple[Checkpoint, dict[int, str]]:
    """Return what is known after one more round, and why updates were rejected in it."""
    task, down = task_of(plan, now.state)
    poisson = plan.sampling == "poisson"
    cohort = choose(task, plan.devices, learner.examples, plan.cohort, now.clock, down, up, poisson=poisson)
    users = cohort.answering if cohort.enough else cohort.answering[:0]
    shared = replace(now, memory=stages.public(now.memory))
    gathered = Gathered.of(where.parts(jobs_of(plan, learner, task, shared, users)))
    # Who is too late, or answers in a round that is given up, has sent an update all the same.
    unused = cohort.late + len(cohort.answering) - len(users)
    figures = {
        "asked": len(cohort.asked), "gone": cohort.gone, "late": cohort.late, "bytes_down": down * len(cohort.asked),
        "bytes_up": gathered.size + up * unused, "seconds": now.clock + cohort.seconds,
    }  # fmt: skip
    done = after(plan, learner, stages, now, gathered, cohort.sent, figures, enough=cohort.enough)
    return done, gathered.rejected


def _bytes_up(stages: Stages, plan: Plan) -> int:
    """Return how many bytes an update takes about: that of noise."""
    facts = stages.facts(stages.start())
    noise = np.random.default_rng(_NOISE).standard_normal(facts[0].count).astype(np.float32) * 1e-3
    update = stages.on_update(Update.of(noise), facts, stages.start(), Seeds(0, 0))
    return update.size + (4 * facts[0].count if plan.algorithm.corrects else 0)


def _fingerprint(plan: Plan, learner: Learner, first: Floats) -> str:
    """Return what tells runs apart: the plan, how many examples each device has, and the model they begin with."""
    return hashlib.sha256(plan.fingerprint.encode() + learner.examples.tobytes() + first.tobytes()).hexdigest()
