"""Federated learning with a whole population of devices in one place."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from handheld.errors import InputError
from handheld.federated.learning.learner import (
    Doubles,
    PopulationLearner,
    check,
    examples_of,
    shapes_of,
    start_of,
    statistics_of,
)
from handheld.federated.rounds import robust_mean
from handheld.federated.simulator import checkpoint
from handheld.federated.simulator.aggregation import (
    RoundDevices,
    RoundResults,
    after,
    epsilons,
    jobs_of,
)
from handheld.federated.simulator.backends import (
    SimulationBackend,
    backend_of,
    refuse_in_a_started_process,
)
from handheld.federated.simulator.checkpoint import Checkpoint, RoundFigures
from handheld.federated.simulator.cohort import choose
from handheld.federated.simulator.devices import Payload
from handheld.federated.simulator.ending import SimulationRun, StoppedRunError, problem_of
from handheld.federated.simulator.fedbuff import arrivals_round
from handheld.federated.simulator.identity import Identity, identity_of
from handheld.federated.simulator.plan import Plan
from handheld.federated.simulator.setup import RunSetup, estimated_upload
from handheld.federated.stages import PlainStage, StageChain, WholeNumbers
from handheld.federated.user_code import naming_own_code
from handheld.training.runs import locked

Progress = Callable[[int, int, RoundFigures], None]
"""Called after each round with the rounds so far, the rounds in all, and that round's figures."""

Until = Callable[[RoundFigures], bool]
"""Tells from the figures of a round whether the run may end."""

# What a crash may cost; writing large models after each round would take longer than the rounds.
_SAVE_SECONDS = 20.0


def simulate(  # noqa: PLR0913  # options by keyword, each by itself
    plan: Plan,
    learner: PopulationLearner,
    *,
    out: str | os.PathLike[str] | None = None,
    workers: int = 1,
    backend: str = "local",
    address: str | None = None,
    progress: Progress | None = None,
    until: Until | None = None,
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
        # Whatever the user's classes raise here is named, before anything is written.
        setup = _setup(plan, learner)
        folder = None
        identity: Identity = {}
        if out is not None:
            folder = Path(out)
            # Only where it is kept: digests of all data take a while.
            identity = identity_of(plan, learner)
    with _Keeper(folder, identity) as keeper:
        with naming_own_code():
            now = keeper.load(len(start_of(learner))) or _first(setup)
        now = replace(now, rows=_of_this_delta(setup, now.rows))
        loop = _Loop(setup, keeper, now, progress, until)
        if loop.has_ended():
            return loop.run
        with backend_of(
            backend, learner, setup.stages, workers=workers, address=address
        ) as machines:
            try:
                loop.go(machines)
            except BaseException:
                # Ctrl-C, a worker that died, a round that came to nothing: the rounds before are
                # kept.
                keeper.keep(loop.now, at_once=True)
                raise
    return loop.run


def _setup(plan: Plan, learner: PopulationLearner) -> RunSetup:
    """Return what stays the same in all rounds; raises :class:`InputError` where it cannot be."""
    check(learner, plan.work)
    statistics = statistics_of(learner)
    population = len(examples_of(learner))
    _require_examples(learner)
    plan.promised(population, 1, 1)  # raises where delta is none for so many
    _require_robust(plan, population)
    _require_population(plan, population)
    _require_no_leak(plan, statistics)
    stages = StageChain(
        plan.stages,
        plan.algorithm,
        shapes_of(learner),
        # A buffer's updates count by how old they are.
        equal=plan.alike and plan.buffer_size is None,
        clients=plan.expected(population),
    )
    return RunSetup(plan, learner, stages, estimated_upload(plan, stages, len(statistics)))


def _first(setup: RunSetup) -> Checkpoint:
    """Return what is known before the first round."""
    learner = setup.learner
    first = setup.rules.first(start_of(learner), statistics_of(learner))
    return Checkpoint(first.server, first.memory, {}, np.zeros(setup.population, np.int32))


@dataclass
class _Loop:
    """The rounds of a run, one after another.

    Attributes:
        setup: of the run.
        keeper: of its checkpoints.
        now: what is known.
        progress: told of each round.
        until: tells whether the run may end before its last round.
        rejected: why updates were not taken, by device.
    """

    setup: RunSetup
    keeper: "_Keeper"
    now: Checkpoint
    progress: Progress | None
    until: Until | None

    def __post_init__(self) -> None:
        self.rejected: dict[int, str] = {}

    @property
    def run(self) -> SimulationRun:
        """What came of it so far."""
        return self._run_of(self.now)

    def has_ended(self) -> bool:
        """Whether no round is left, or what is known is good enough."""
        if self.now.state.round >= self.setup.plan.rounds:
            return True
        if self.until is None or not self.now.rows:
            return False
        return bool(self.until(self.now.rows[-1]))

    def go(self, machines: SimulationBackend) -> None:
        """Go through the rounds that are left.

        Raises:
            StoppedRunError: a round that came to nothing, after which the run must not go on.
        """
        plan = self.setup.plan
        one_more = _round
        if plan.buffer_size is not None:
            one_more = arrivals_round
        ended = False
        while not ended:
            with naming_own_code():
                then, rejected = one_more(self.setup, machines, self.now)
            self.rejected |= rejected
            if problem := problem_of(plan, then.rows, rejected):
                # What came of this round is told, and not kept: it was of no use.
                raise StoppedRunError(problem, self._run_of(then))
            self.now = then
            if self.progress is not None:
                self.progress(then.state.round, plan.rounds, then.rows[-1])
            ended = self.has_ended()
            self.keeper.keep(then, at_once=ended)

    def _run_of(self, known: Checkpoint) -> SimulationRun:
        return SimulationRun(known.state, tuple(known.rows), known.times, self.rejected)


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
        # Entered later: a folder is locked when the run begins, not when it is described.
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
        # Nothing new is nothing to write: a folder that another run's error left alone stays so.
        if self._folder is None or not due or now is self._kept or not now.rows:
            return
        checkpoint.save(self._folder, now, self._identity)
        self._kept = now
        self._at = time.monotonic()


def _of_this_delta(setup: RunSetup, rows: Sequence[RoundFigures]) -> tuple[RoundFigures, ...]:
    """Return an earlier run's rows with what noise promises by the delta that the plan has now."""
    plan = setup.plan
    # Without noise a delta means nothing.
    if not plan.promises or not rows:
        return tuple(rows)
    last = rows[-1]
    # Most runs go on with the same delta, and accounting for thousands of rounds takes minutes.
    if last == {**last, **epsilons(plan, setup.population, last)}:
        return tuple(rows)
    return tuple({**row, **epsilons(plan, setup.population, row)} for row in rows)


def _require_examples(learner: PopulationLearner) -> None:
    examples = examples_of(learner)
    if not examples.any():
        devices = len(examples)
        raise InputError(
            f"expected a device or more with examples, got {devices} devices and no example"
        )


def _require_robust(plan: Plan, population: int) -> None:
    """Raise :class:`InputError` where a robust mean cannot be taken."""
    if plan.robust is None:
        return
    for stage in plan.stages:
        if not (isinstance(stage, PlainStage) and stage.leaves_sums):
            raise InputError(
                "a robust mean takes the place of the sum that adaptive clipping, noise or whole"
                " numbers work on"
            )
    if plan.sampling == "fixed":
        clients = min(plan.cohort, population)
        # Raises where all are too few.
        try:
            robust_mean(plan.robust, np.zeros((clients, 1), np.float32))
        except InputError as error:
            raise InputError(
                f"robust: a round of {clients} devices is too small for"
                f" {type(plan.robust).__name__}: {error}"
            ) from error


def _require_population(plan: Plan, population: int) -> None:
    """Raise :class:`InputError` where the plan says otherwise than the learner."""
    expected = getattr(plan.algorithm, "population", None)
    if expected is not None and expected != population:
        raise InputError(
            f"algorithm.population: expected {population}, the number of devices, got {expected}:"
            " leave it out"
        )
    may_answer = population
    if plan.sampling == "fixed":
        may_answer = min(plan.cohort, population)
    for stage in plan.stages:
        if isinstance(stage, WholeNumbers) and stage.clients < may_answer:
            raise InputError(
                f"whole_numbers.clients: expected {may_answer} or more, as many as may answer in a"
                f" round, got {stage.clients}"
            )


def _require_no_leak(plan: Plan, statistics: Doubles) -> None:
    """Raise :class:`InputError` where statistics would travel beside a promise that noise makes."""
    if len(statistics) and plan.promises:
        raise InputError(
            f"noise promises nothing of the {len(statistics):,} statistics "
            "(running means and variances) that this model's devices would send beside their "
            "updates: use GroupNorm or LayerNorm instead of BatchNorm, or freeze_statistics=True, "
            "which keeps those that the model has"
        )


def _round(
    setup: RunSetup, backend: SimulationBackend, now: Checkpoint
) -> tuple[Checkpoint, dict[int, str]]:
    """Return what is known after one more round, and why updates were rejected in it."""
    task, down = setup.task(now.state)
    cohort = choose(setup, task, now.clock, Payload(down, setup.upload))
    jobs = jobs_of(setup, task, now, cohort.users)
    results = RoundResults.of(backend.results(jobs))
    # Who is too late, or answers in a round that is given up, has sent an update all the same.
    unused = len(cohort.sent) - len(cohort.users)
    figures = {
        "asked": len(cohort.asked),
        "gone": cohort.gone,
        "late": cohort.late,
        "bytes_down": down * len(cohort.asked),
        "bytes_up": results.size + setup.upload * unused,
        "seconds": now.clock + cohort.seconds,
    }
    devices = RoundDevices(cohort.sent, figures, enough=cohort.enough)
    return after(setup, now, results, devices), results.rejected
