"""Federated learning with a whole population of devices in one place."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.federated.learning.learner import Doubles, PopulationLearner, check, statistics_of
from handheld.federated.simulator import checkpoint
from handheld.federated.simulator.aggregation import RoundResults, after, epsilons, jobs_of, task_of
from handheld.federated.simulator.backends import (
    SimulationBackend,
    backend_of,
    refuse_in_a_started_process,
)
from handheld.federated.simulator.checkpoint import Checkpoint, RoundFigures
from handheld.federated.simulator.cohort import choose
from handheld.federated.simulator.ending import SimulationRun, StoppedRunError, problem_of
from handheld.federated.simulator.fedbuff import arrivals_round
from handheld.federated.simulator.identity import Identity, identity_of
from handheld.federated.simulator.plan import Plan
from handheld.federated.stages import PlainStage, StageChain, StageSeeds, Update, WholeNumbers
from handheld.federated.user_code import naming_own_code
from handheld.training.runs import locked

Progress = Callable[[int, int, RoundFigures], None]
"""Called after each round with the rounds so far, the rounds in all, and that round's figures."""

_SAVE_SECONDS, _NOISE = 20.0, 14


def simulate(
    plan: Plan,
    learner: PopulationLearner,
    *,
    out: str | os.PathLike[str] | None = None,
    workers: int = 1,
    backend: str = "local",
    address: str | None = None,
    progress: Progress | None = None,
    until: Callable[[RoundFigures], bool] | None = None,
) -> SimulationRun:
    """Let a population of devices learn one model.

    The result depends on the plan, the learner and nothing else: any number of workers, a cluster,
    or a run that was killed and went on give the same bits. Memory does not grow with the devices
    of a round, nor with the population, but for algorithms whose devices keep a state (one model
    for each that ever took part).

    Args:
        plan: what to do.
        learner: the population.
        out: folder that keeps the run's state; it goes on from there, after Ctrl-C too. Without one
            nothing is kept; ``report.write_run`` writes the model and the report into it.
        workers: processes of this machine that learn.
        backend: ``local``, or ``ray`` for a cluster.
        address: of a Ray cluster; one on this machine is started without.
        progress: told of each round.
        until: tells from the figures of a round whether the run may end before its last one.

    Raises:
        InputError: a plan that makes no sense, what the learner's ``check`` says, devices of which
            none has an example, or a folder with a run of another plan, data or model, that another
            run has now, or that cannot be written.
        TrainingError: the model's weights are not finite any more, or a class of the user's own
            raised; it is named.
        StoppedRunError: no update of three rounds in a row, or of the last, was taken, or a loss is
            no finite number.
    """
    refuse_in_a_started_process(workers)
    with naming_own_code():
        check(learner, plan.work)
        first = learner.start()
        statistics = statistics_of(learner)
        population = len(learner.examples)
        _require_fitting(plan, learner.examples)
        _require_no_leak(plan, statistics)
        equal = plan.alike and plan.buffer_size is None
        stages = StageChain(
            plan.stages, plan.algorithm, learner.shapes, equal, plan.expected(population)
        )
        identity = identity_of(plan, learner) if out else {}
        up = _bytes_up(stages, plan, len(statistics))
    rejected: dict[int, str] = {}
    one_more = _round if plan.buffer_size is None else arrivals_round
    with _Keeper(None if out is None else Path(out), identity) as keeper:
        with naming_own_code():
            now = keeper.load(len(first))
            if now is None:
                state = replace(plan.algorithm.init(first), statistics=statistics)
                now = Checkpoint(state, stages.start(), {}, np.zeros(population, np.int32))
        now = replace(now, rows=_of_this_delta(plan, population, now.rows))
        if now.state.round >= plan.rounds or (until and now.rows and until(now.rows[-1])):
            return SimulationRun(now.state, tuple(now.rows), now.times, {})
        with backend_of(backend, learner, stages, workers=workers, address=address) as where:
            try:
                ends = False
                while not ends:
                    with naming_own_code():
                        then, refused = one_more(plan, learner, stages, where, now, up)
                    rejected |= refused
                    if problem := problem_of(plan, then.rows, refused):
                        run = SimulationRun(then.state, tuple(then.rows), then.times, rejected)
                        raise StoppedRunError(problem, run)
                    now = then
                    if progress is not None:
                        progress(now.state.round, plan.rounds, now.rows[-1])
                    ends = now.state.round == plan.rounds or bool(until and until(now.rows[-1]))
                    keeper.keep(now, at_once=ends)
            except BaseException:
                # Ctrl-C, a worker that died, a round that came to nothing: the rounds before are kept.
                keeper.keep(now, at_once=True)
                raise
    return SimulationRun(now.state, tuple(now.rows), now.times, rejected)


class _Keeper:
    """Writes a run's newest checkpoint now and then, into a folder that is its alone.

    Nothing without one.

    Entering it raises :class:`InputError` where another run has the folder, or it cannot be
    written: not after the first rounds.
    """

    def __init__(self, folder: Path | None, identity: Identity):
        self._folder = folder
        self._identity = identity
        self._kept: Checkpoint | None = None
        self._at = time.monotonic()
        self._lock = ExitStack()

    def __enter__(self) -> Self:
        if self._folder is not None:
            self._lock.enter_context(locked(self._folder, checkpoint.LOCK))
        return self

    def __exit__(self, *raised: object) -> None:
        self._lock.close()

    def load(self, size: int) -> Checkpoint | None:
        """Return what the folder holds of this run, for a model of so many weights."""
        if self._folder is not None:
            self._kept = checkpoint.load(self._folder, self._identity, size)
        return self._kept

    def keep(self, now: Checkpoint, *, at_once: bool) -> None:
        """Write a checkpoint, if that was not done and it is time."""
        due = at_once or time.monotonic() - self._at > _SAVE_SECONDS
        # Nothing new is nothing to write: a folder that another run's error left alone stays as it is.
        if self._folder is None or not due or now is self._kept or not now.rows:
            return
        checkpoint.save(self._folder, now, self._identity)
        self._kept = now
        self._at = time.monotonic()


def _of_this_delta(
    plan: Plan, population: int, rows: Sequence[RoundFigures]
) -> tuple[RoundFigures, ...]:
    """Return an earlier run's rows with what noise promises by the delta that the plan has now."""
    if not (plan.promises and rows) or rows[-1] == {
        **rows[-1],
        **epsilons(plan, population, rows[-1]),
    }:
        return tuple(rows)
    return tuple({**row, **epsilons(plan, population, row)} for row in rows)


def _require_fitting(plan: Plan, examples: NDArray[np.int64]) -> None:
    """Raise :class:`InputError` where a plan does not fit devices with so many examples."""
    population = len(examples)
    if not examples.any():
        raise InputError(
            f"expected a device or more with examples, got {population} devices and no example"
        )
    plan.promised(population, 1, 1)  # raises where delta is none for so many
    if plan.robust is not None and not all(
        isinstance(stage, PlainStage) and stage.leaves_sums for stage in plan.stages
    ):
        raise InputError(
            "a robust mean takes the place of the sum that adaptive clipping, noise or whole numbers work on"
        )
    if plan.robust is not None and plan.sampling == "fixed":
        plan.robust.mean(
            np.zeros((min(plan.cohort, population), 1), np.float32)
        )  # raises where all are too few
    named = getattr(plan.algorithm, "population", None)
    if named is not None and named != population:
        raise InputError(
            f"algorithm.population: expected {population}, the number of devices, got {named}: leave it out"
        )
    most = population if plan.sampling == "poisson" else min(plan.cohort, population)
    for stage in plan.stages:
        if isinstance(stage, WholeNumbers) and stage.clients < most:
            raise InputError(
                f"whole_numbers.clients: expected {most} or more, as many as may answer in a round, got {stage.clients}"
            )


def _round(
    plan: Plan,
    learner: PopulationLearner,
    stages: StageChain,
    where: SimulationBackend,
    now: Checkpoint,
    up: int,
) -> tuple[Checkpoint, dict[int, str]]:
    """Return what is known after one more round, and why updates were rejected in it."""
    task, down = task_of(plan, now.state)
    poisson = plan.sampling == "poisson"
    whole = (
        plan.promises and plan.devices.own_hours
    )  # else the clock, and who is ready by it, would tell of devices' data
    cohort = choose(
        task,
        plan.devices,
        learner.examples,
        plan.cohort,
        now.clock,
        down,
        up,
        poisson=poisson,
        whole=whole,
    )
    users = cohort.answering if cohort.enough else cohort.answering[:0]
    shared = replace(now, memory=stages.public(now.memory))
    gathered = RoundResults.of(where.parts(jobs_of(plan, learner, task, shared, users)))
    # Who is too late, or answers in a round that is given up, has sent an update all the same.
    unused = cohort.late + len(cohort.answering) - len(users)
    figures = {
        "asked": len(cohort.asked), "gone": cohort.gone, "late": cohort.late, "bytes_down": down * len(cohort.asked),
        "bytes_up": gathered.size + up * unused, "seconds": now.clock + cohort.seconds,
    }  # fmt: skip
    done = after(plan, learner, stages, now, gathered, cohort.sent, figures, enough=cohort.enough)
    return done, gathered.rejected


def _bytes_up(stages: StageChain, plan: Plan, statistics: int) -> int:
    """Return how many bytes an update takes about: that of noise; statistics travel beside it."""
    facts = stages.facts(stages.start())
    noise = np.random.default_rng(_NOISE).standard_normal(facts[0].count).astype(np.float32) * 1e-3
    update = stages.on_update(Update.of(noise), facts, stages.start(), StageSeeds(0, 0))
    return update.size + (4 * facts[0].count if plan.algorithm.corrects else 0) + 4 * statistics


def _require_no_leak(plan: Plan, statistics: Doubles) -> None:
    """Raise :class:`InputError` where statistics would travel beside a promise that noise makes."""
    if len(statistics) and plan.promises:
        raise InputError(
            f"noise promises nothing of the {len(statistics):,} statistics "
            "(running means and variances) that this model's devices would send beside their "
            "updates: use GroupNorm or LayerNorm instead of BatchNorm, or freeze_statistics=True, "
            "which keeps those that the model has"
        )
