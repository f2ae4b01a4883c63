"""Averaging without rounds, by a buffer of updates.

Nguyen et al., "Federated Learning with Buffered Asynchronous Aggregation", arXiv 2106.06639.

So many devices learn at any time. Whenever so many updates have come (K in the paper), their sum
over K is applied; what was learned from an older model is multiplied by 1 / sqrt(1 + how many steps
older), so that old updates make shorter steps. A device that has answered learns again from a newer
model only: from the same one it would send the same once more. Nobody waits for the slowest, unless
all others have answered. Where devices have weights, K is their sum.
"""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from handheld.federated.algorithms import ServerState
from handheld.federated.simulator.aggregation import (
    RoundDevices,
    RoundResults,
    after,
    jobs_of,
)
from handheld.federated.simulator.backends import SimulationBackend
from handheld.federated.simulator.checkpoint import Checkpoint, Flight, RoundFigures
from handheld.federated.simulator.devices import Payload
from handheld.federated.simulator.jobs import ClientJob
from handheld.federated.simulator.setup import RunSetup

_START_SEED = 15  # use of random numbers, apart from all others of this room
# Devices that are looked at for one that is ready, beyond those that are busy: of a large
# population not all.
_TRIES = 1000


def arrivals_round(
    setup: RunSetup, backend: SimulationBackend, now: Checkpoint
) -> tuple[Checkpoint, dict[int, str]]:
    """Return what is known after one more buffer of updates, and why some were rejected."""
    _, down = setup.task(now.state)
    arrivals = _Arrivals.of(setup, now, Payload(down, setup.upload))
    states = {**now.versions, now.state.round: now.state}
    jobs = _jobs(setup, now, arrivals.came, states)
    results = RoundResults.of(backend.results(jobs))
    figures = arrivals.figures(now, down)
    senders = np.array([flight.user for flight in arrivals.came])
    then = after(setup, now, results, RoundDevices(senders, figures))
    versions = {flight.version: states[flight.version] for flight in arrivals.flights}
    then = replace(
        then, flights=tuple(arrivals.flights), versions=versions, started=arrivals.started
    )
    return then, results.rejected


def _jobs(
    setup: RunSetup,
    now: Checkpoint,
    came: Sequence[Flight],
    states: Mapping[int, ServerState],
) -> list[ClientJob]:
    """Return the jobs of devices, those that began with one model together."""
    jobs = []
    # In order, so that sums are the same whoever came first.
    for version in sorted({flight.version for flight in came}):
        users = [flight.user for flight in came if flight.version == version]
        # The paper's weight of an update that is as many steps old.
        factor = (1 + now.state.round - version) ** -0.5
        task, _ = setup.task(states[version])
        jobs += jobs_of(setup, task, now, np.array(users), factor)
    return jobs


@dataclass
class _Arrivals:
    """Devices that learn at the same time, until as many answered as the buffer holds.

    Attributes:
        flights: who learns, a heap by when they end.
        clock: simulated seconds.
        started: how many were ever asked.
        came: who answered, in order.
        gone: how many left meanwhile.
    """

    flights: list[Flight]
    clock: float
    started: int
    came: list[Flight]
    gone: int = 0

    @classmethod
    def of(cls, setup: RunSetup, now: Checkpoint, payload: Payload) -> "_Arrivals":
        """Return who answers next, and who learns then."""
        flights = list(now.flights)
        # A checkpoint keeps them in any order.
        heapq.heapify(flights)
        arrivals = cls(flights, now.clock, now.started, [])
        version = now.state.round
        while len(arrivals.came) < (setup.plan.buffer_size or 1):
            arrivals._start_some(setup, version, payload)
            # All have answered from this model: a new one is needed.
            if not arrivals.flights:
                break
            arrivals._land()
        return arrivals

    def figures(self, now: Checkpoint, down: int) -> RoundFigures:
        """Return what is told of them; ``down`` are bytes of the model."""
        asked = self.started - now.started
        ages = [now.state.round - flight.version for flight in self.came]
        return {
            "asked": asked,
            "gone": self.gone,
            "late": 0,
            "bytes_down": down * asked,
            "seconds": self.came[-1].ends,
            "stale": float(np.mean(ages)),
        }

    def _start_some(self, setup: RunSetup, version: int, payload: Payload) -> None:
        """Ask devices until as many learn as may, or nobody is left."""
        # From the model that it answered a device would send the same once more.
        busy = {flight.user for flight in self.came if flight.version == version}
        busy.update(flight.user for flight in self.flights)
        # As many learn at any time, whoever ends first.
        while len(self.flights) < setup.plan.cohort and len(busy) < setup.population:
            flight = self._start(setup, busy, version, payload)
            heapq.heappush(self.flights, flight)
            busy.add(flight.user)
            self.started += 1

    def _start(self, setup: RunSetup, busy: set[int], version: int, payload: Payload) -> Flight:
        """Ask a device that is ready and does not learn yet.

        If there is none for long, it asks any that does not.
        """
        plan = setup.plan
        rng = np.random.default_rng((plan.seed, self.started, _START_SEED))
        order = rng.permutation(setup.population)[: len(busy) + _TRIES]
        free = np.array([user for user in order if user not in busy])
        ready = free[plan.devices.are_ready(free, self.clock, rng)]
        if not len(ready):
            ready = free
        user = int(ready[0])
        ends = self.clock + setup.seconds(user, payload)
        leaves = bool(rng.random() < plan.devices.dropout_rate)
        return Flight(ends, self.started, user, version, leaves)

    def _land(self) -> None:
        """Take the device that ends first."""
        flight = heapq.heappop(self.flights)
        self.clock = flight.ends
        if flight.leaves:
            self.gone += 1
        else:
            self.came.append(flight)
