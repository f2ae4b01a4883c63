"""Who is asked in a round, and who answers in time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handheld.federated.learning.learner import Task, Work
from handheld.federated.simulator.devices import Devices

_CHOICE = 16  # one of several uses of random numbers


@dataclass(frozen=True, eq=False)
class Cohort:
    """The devices of a round.

    Attributes:
        asked: (m,) numbers of those who got the model.
        answering: (k,) numbers of those who answer in time, by number.
        gone: how many left.
        late: how many would have answered too late.
        seconds: how long the round took.
        enough: whether as many answered as must.
    """

    asked: NDArray[np.int64]
    answering: NDArray[np.int64]
    gone: int
    late: int
    seconds: float
    enough: bool


def choose(
    task: Task, devices: Devices, examples: NDArray[np.int64], wanted: int, clock: float, down: float, up: float
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
    """
    rng = np.random.default_rng((task.seed, task.state.round, _CHOICE))
    asked = _ready(devices, len(examples), round(devices.asked * wanted), clock, rng)
    leaves = rng.random(len(asked)) < devices.gone
    stay = asked[~leaves]
    passed = np.array([devices.seconds(int(u), seen(task.work, int(examples[u])), down, up, task.seed) for u in stay])
    order = np.argsort(passed, kind="stable")
    intime = order[passed[order] <= devices.deadline][:wanted]
    enough = len(intime) >= max(1, round(devices.least * wanted))
    full = len(intime) >= min(wanted, len(asked))
    seconds = float(passed[intime].max(initial=0.0)) if full or devices.deadline == np.inf else devices.deadline
    return Cohort(asked, np.sort(stay[intime]), int(leaves.sum()), len(stay) - len(intime), seconds, enough)


def seen(work: Work, examples: int) -> float:
    """Return how many examples a device goes through in a round."""
    batch = examples if work.batch is None else min(work.batch, examples)
    return float(work.steps_of(examples) * batch)


def _ready(devices: Devices, users: int, count: int, clock: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the numbers of devices that are ready, in a random order, as many as are wanted if there are."""
    if devices.ready >= 1:
        return rng.choice(users, min(count, users), replace=False).astype(np.int64)
    order = rng.permutation(users).astype(np.int64)
    return order[devices.are_ready(order, clock, rng)][:count]
