"""Who is asked in a round, and who answers in time."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handheld.federated.learning.learner import ClientTask
from handheld.federated.simulator.devices import Devices, Payload
from handheld.federated.simulator.setup import RunSetup

_CHOICE_SEED = 16  # use of random numbers, apart from all others of this room
_MINUTE = 60.0  # seconds after which a server looks again who is ready
_PATIENCE = 86_400.0  # a day: who is not ready at any hour of it will not be


@dataclass(frozen=True, eq=False)
class Cohort:
    """The devices of a round.

    Attributes:
        asked: (m,) numbers of those who got the model.
        answering: (k,) numbers of those who answer in time, by number.
        sent: (s,) numbers of all who send an update, in time or not.
        seconds: how long the round took, with the time in which nobody was ready.
        enough: whether as many answered as must.
    """

    asked: NDArray[np.int64]
    answering: NDArray[np.int64]
    sent: NDArray[np.int64]
    seconds: float
    enough: bool

    @property
    def gone(self) -> int:
        """How many left."""
        return len(self.asked) - len(self.sent)

    @property
    def late(self) -> int:
        """How many sent an update too late."""
        return len(self.sent) - len(self.answering)

    @property
    def users(self) -> NDArray[np.int64]:
        """(k,) numbers of those whose updates count: nobody where a round is given up."""
        if self.enough:
            return self.answering
        return self.answering[:0]


def choose(setup: RunSetup, task: ClientTask, clock: float, payload: Payload) -> Cohort:
    """Ask devices, and find out who answers in time.

    Args:
        setup: of the run.
        task: of the round; its seed and round decide.
        clock: simulated seconds since the run began.
        payload: what a device gets and sends.
    """
    plan = setup.plan
    devices = plan.devices
    rng = np.random.default_rng((task.seed, task.state.round, _CHOICE_SEED))
    asked, waited = _asked(setup, clock, rng)
    leaves = rng.random(len(asked)) < devices.dropout_rate
    sent = asked[~leaves]
    seconds = np.array([setup.seconds(int(user), payload) for user in sent])
    most_answers = plan.cohort
    if plan.sampling == "poisson":
        # Of a Poisson cohort all who were drawn may answer.
        most_answers = len(asked)
    # Stable: of devices that take as long, the same are first on every machine.
    fastest = np.argsort(seconds, kind="stable")
    in_time = fastest[seconds[fastest] <= devices.deadline][:most_answers]
    is_full = len(in_time) >= min(most_answers, len(asked))
    lasts = devices.deadline
    if _ends_with_last_answer(setup, is_full=is_full):
        lasts = float(seconds[in_time].max(initial=0.0))
    required = round(devices.min_report_fraction * plan.cohort)
    is_enough = len(in_time) >= required
    return Cohort(asked, np.sort(sent[in_time]), sent, waited + lasts, is_enough)


def _ends_with_last_answer(setup: RunSetup, *, is_full: bool) -> bool:
    """Whether a round ends before its deadline; ``is_full``: all answered that may."""
    devices = setup.plan.devices
    if devices.deadline == math.inf:
        return True
    # Where noise hides devices' data, the clock, and who is ready by it, must not tell of it: then
    # each round lasts until the deadline.
    until_deadline = setup.plan.promises and devices.own_hours
    return is_full and not until_deadline


def _asked(
    setup: RunSetup, clock: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], float]:
    """Return who gets the model, and for how long nobody was ready."""
    plan = setup.plan
    devices = plan.devices
    population = setup.population
    count = round(devices.over_selection * plan.cohort)
    if plan.sampling == "poisson":
        # By the wanted cohort over all, so that privacy accounting knows each one's chance.
        drawn = np.flatnonzero(rng.random(population) < plan.cohort / population)
        # Nobody waits for others to be ready: whether one device is drawn must change nothing
        # about who else answers.
        asked = drawn[devices.are_ready(drawn, clock, rng)]
        if not len(asked):
            return asked, _MINUTE
        return asked, 0.0
    if devices.ready >= 1:
        asked = rng.choice(population, min(count, population), replace=False)
        return asked.astype(np.int64), 0.0
    # In a random order, so that who is ready first is no rule.
    order = rng.permutation(population).astype(np.int64)
    return _first_ready(devices, order, count, clock, rng)


def _first_ready(
    devices: Devices, users: NDArray[np.int64], count: int, clock: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], float]:
    """Return the first devices that are ready, ``count`` at most, and for how long nobody was.

    A server waits then, and so does the simulated clock, for a day at most.
    """
    waited = 0.0
    while len(users):
        ready = users[devices.are_ready(users, clock + waited, rng)][:count]
        if len(ready) or waited >= _PATIENCE:
            return ready, waited
        waited += _MINUTE
    return users, waited
