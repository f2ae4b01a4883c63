"""Who is asked in a round, and who answers in time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handheld.federated.learning.learner import ClientTask, ClientWork
from handheld.federated.simulator.devices import Devices

_CHOICE = 16  # one of several uses of random numbers
_MINUTE = 60.0  # seconds after which a server looks again who is ready
_PATIENCE = 86_400.0  # a day: who is not ready at any hour of it will not be


@dataclass(frozen=True, eq=False)
class Cohort:
    """The devices of a round.

    Attributes:
        asked: (m,) numbers of those who got the model.
        answering: (k,) numbers of those who answer in time, by number.
        sent: (s,) numbers of all who send an update, in time or not.
        gone: how many left.
        late: how many would have answered too late.
        seconds: how long the round took, with the time in which nobody was ready.
        enough: whether as many answered as must.
    """

    asked: NDArray[np.int64]
    answering: NDArray[np.int64]
    sent: NDArray[np.int64]
    gone: int
    late: int
    seconds: float
    enough: bool


def choose(
    task: ClientTask,
    devices: Devices,
    examples: NDArray[np.int64],
    wanted: int,
    clock: float,
    down: float,
    up: float,
    *,
    poisson: bool = False,
    whole: bool = False,
) -> Cohort:
    """Ask devices, and find out who answers in time.

    Args:
        task: of the round; its seed and round decide.
        devices: what they are like.
        examples: (users,) of each.
        wanted: how many should answer.
        clock: simulated seconds since the run began.
        down: bytes that a device gets.
        up: bytes that it sends.
        poisson: whether each device is drawn by a chance of its own, and all who were drawn may
            answer.
        whole: whether the round lasts until the deadline, whoever answers before.
    """
    rng = np.random.default_rng((task.seed, task.state.round, _CHOICE))
    if poisson:
        drawn = np.flatnonzero(rng.random(len(examples)) < wanted / len(examples))
        # Nobody waits for others to be ready: whether one device is drawn must change nothing
        # about who else answers.
        asked = drawn[devices.are_ready(drawn, clock, rng)]
        waited = 0.0 if len(asked) else _MINUTE
    elif devices.ready >= 1:
        count = min(round(devices.over_selection * wanted), len(examples))
        asked = rng.choice(len(examples), count, replace=False).astype(np.int64)
        waited = 0.0
    else:
        order = rng.permutation(len(examples)).astype(np.int64)
        asked, waited = _ready(devices, order, round(devices.over_selection * wanted), clock, rng)
    leaves = rng.random(len(asked)) < devices.dropout_rate
    stay = asked[~leaves]
    passed = np.array(
        [
            devices.seconds(int(u), seen(task.work, int(examples[u])), down, up, task.seed)
            for u in stay
        ]
    )
    order = np.argsort(passed, kind="stable")
    most = len(asked) if poisson else wanted
    intime = order[passed[order] <= devices.deadline][:most]
    enough = len(intime) >= round(devices.min_report_fraction * wanted)
    full = len(intime) >= min(most, len(asked)) and not whole
    last = float(passed[intime].max(initial=0.0))
    seconds = waited + (last if full or devices.deadline == np.inf else devices.deadline)
    late = len(stay) - len(intime)
    return Cohort(asked, np.sort(stay[intime]), stay, int(leaves.sum()), late, seconds, enough)


def seen(work: ClientWork, examples: int) -> float:
    """Return how many examples a device goes through in a round."""
    batch = examples if work.batch is None else min(work.batch, examples)
    return float(work.steps_of(examples) * batch)


def _ready(
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
