"""Averaging without rounds.

Nguyen et al., "Federated Learning with Buffered Asynchronous Aggregation", arXiv 2106.06639.

So many devices learn at any time. Whenever so many updates have come (K in the paper), their sum
over K is applied; what was learned from an older model is multiplied by 1 / sqrt(1 + how many steps
older), so that old updates make shorter steps. A device that has answered learns again from a newer
model only: from the same one it would send the same once more. Nobody waits for the slowest, unless
all others have answered. Where devices have weights, K is their sum.
"""

import heapq
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from handheld.federated.learning.learner import PopulationLearner
from handheld.federated.simulator.aggregation import RoundResults, after, jobs_of, task_of
from handheld.federated.simulator.backends import SimulationBackend
from handheld.federated.simulator.checkpoint import Checkpoint, Flight
from handheld.federated.simulator.cohort import seen
from handheld.federated.simulator.plan import Plan
from handheld.federated.stages import StageChain

_START, _TRIES = 15, 1000


def arrivals_round(
    plan: Plan,
    learner: PopulationLearner,
    stages: StageChain,
    where: SimulationBackend,
    now: Checkpoint,
    up: int,
) -> tuple[Checkpoint, dict[int, str]]:
    """Return what is known after one more buffer of updates, and why some were rejected."""
    _, down = task_of(plan, now.state)
    came, flights, started, gone = _arrivals(plan, learner.examples, now, down, up)
    states = {**now.versions, now.state.round: now.state}
    jobs = []
    for version in sorted({flight.version for flight in came}):
        users = np.array([flight.user for flight in came if flight.version == version])
        factor = (1 + now.state.round - version) ** -0.5
        shared = replace(now, memory=stages.public(now.memory))
        jobs += jobs_of(plan, learner, task_of(plan, states[version])[0], shared, users, factor)
    gathered = RoundResults.of(where.parts(jobs))
    figures = {
        "asked": started - now.started, "gone": gone, "late": 0, "bytes_down": down * (started - now.started),
        "seconds": came[-1].ends, "stale": float(np.mean([now.state.round - flight.version for flight in came])),
    }  # fmt: skip
    then = after(
        plan, learner, stages, now, gathered, np.array([flight.user for flight in came]), figures
    )
    versions = {flight.version: states[flight.version] for flight in flights}
    return replace(
        then, flights=tuple(flights), versions=versions, started=started
    ), gathered.rejected


def _arrivals(
    plan: Plan, examples: NDArray[np.int64], now: Checkpoint, down: int, up: int
) -> tuple[list[Flight], Sequence[Flight], int, int]:
    """Return who answers next, in order.

    Who learns then; how many were ever asked; and how many left meanwhile.
    """
    came: list[Flight] = []
    flights = list(now.flights)
    heapq.heapify(flights)
    version, clock, started, gone = now.state.round, now.clock, now.started, 0
    while len(came) < (plan.buffer_size or 1):
        done = {flight.user for flight in came if flight.version == version}
        busy = done | {flight.user for flight in flights}
        while len(flights) < plan.cohort and len(busy) < len(examples):
            flight = _start(plan, examples, busy, clock, started, version, down, up)
            heapq.heappush(flights, flight)
            busy.add(flight.user)
            started += 1
        if not flights:  # all have answered from this model: a new one is needed
            break
        first = heapq.heappop(flights)
        clock = first.ends
        if first.leaves:
            gone += 1
        else:
            came.append(first)
    return came, flights, started, gone


def _start(
    plan: Plan,
    examples: NDArray[np.int64],
    busy: set[int],
    clock: float,
    number: int,
    version: int,
    down: int,
    up: int,
) -> Flight:
    """Ask a device that is ready and does not learn yet.

    If there is none for long, any that does not.
    """
    rng = np.random.default_rng((plan.seed, number, _START))
    free = np.array(
        [user for user in rng.permutation(len(examples))[: len(busy) + _TRIES] if user not in busy]
    )
    ready = free[plan.devices.are_ready(free, clock, rng)]
    user = int(ready[0] if len(ready) else free[0])
    took = plan.devices.seconds(user, seen(plan.work, int(examples[user])), down, up, plan.seed)
    return Flight(
        clock + took, number, user, version, bool(rng.random() < plan.devices.dropout_rate)
    )
