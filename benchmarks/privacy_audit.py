"""Whether an attacker beats the epsilon that is printed, in thousands of runs of one round.

    python benchmarks/privacy_audit.py [--runs 5000] [--confidence 0.95]

Two populations differ in one device. The attacker knows everything but which of them learned: the
plan, all other devices, and what the one device would send in either case, which is the longest
update one way or the other, or none. Of the model after the round he takes its part along that
update, and says which population it was by a threshold that was chosen on other runs. Shown is the
bound from below (Clopper-Pearson) on epsilon that his answers prove. A promise holds if what is
printed is not less.
"""

import argparse
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from _report import show, write
from numpy.typing import NDArray

from handheld.federated.algorithms import ServerState
from handheld.federated.audit import least_epsilon
from handheld.federated.learning import Learned
from handheld.federated.simulator import Devices, Plan, simulate
from handheld.federated.stages import (
    AdaptiveClip,
    CentralNoise,
    Clip,
    Compressed,
    LocalNoise,
    TreeNoise,
    WholeNumbers,
)
from handheld.federated.updates import Eden, Subsample

USERS, SIZE = 20, 64
DELTA = 0.01


@dataclass
class Population:
    """Devices that send nothing new, but for the one that is attacked.

    Attributes:
        sends: (n,) its change; None where it has no examples.
    """

    sends: NDArray[np.float32] | None
    at_once: int = 20
    shapes: tuple[tuple[int, ...], ...] = field(default=((SIZE,),))

    @property
    def examples(self) -> NDArray[np.int64]:
        sizes = np.full(USERS, 10)
        sizes[0] = 0 if self.sends is None else 10
        return sizes

    def start(self) -> NDArray[np.float32]:
        return np.zeros(SIZE, np.float32)

    def learn(self, task: Any, users: Any, own: Any) -> list[Learned]:
        changes = [self.change(user) for user in users]
        sizes = self.examples
        return [
            Learned(change, float(sizes[user]), 1.0, 0.0)
            for user, change in zip(users, changes, strict=True)
        ]

    def change(self, user: int) -> NDArray[np.float32]:
        if user == 0 and self.sends is not None:
            return self.sends
        return np.zeros(SIZE, np.float32)

    def evaluate(self, state: ServerState) -> dict[str, float]:
        return {}


LONGEST = np.full(SIZE, 100, np.float32)
BROKEN = np.full(SIZE, np.nan, np.float32)
ONE_WAY = (LONGEST, -LONGEST)


def plan(*stages: Any, **others: Any) -> Plan:
    return Plan(rounds=1, cohort=USERS, uniform=True, delta=DELTA, stages=stages, **others)


def some(*stages: Any, **others: Any) -> Plan:
    return Plan(rounds=1, cohort=5, uniform=True, delta=DELTA, stages=stages, **others)


CASES: dict[str, tuple[Plan, tuple[Any, Any]]] = {
    "clip, central noise": (plan(Clip(1.0), CentralNoise(1.0)), ONE_WAY),
    "data or none": (plan(Clip(1.0), CentralNoise(1.0)), (LONGEST, None)),
    "data or not finite": (plan(Clip(1.0), CentralNoise(1.0)), (LONGEST, BROKEN)),
    "adaptive clip": (plan(AdaptiveClip(), CentralNoise(1.0)), ONE_WAY),
    "2 bits behind the noise": (
        plan(Clip(1.0), CentralNoise(1.0), WholeNumbers(USERS, 2)),
        ONE_WAY,
    ),
    "a tenth behind the noise": (
        plan(Clip(1.0), CentralNoise(1.0), Compressed(Subsample(0.1))),
        ONE_WAY,
    ),
    "tree noise": (plan(Clip(1.0), TreeNoise(1.0)), ONE_WAY),
    "local noise, then 1 bit": (plan(Clip(1.0), LocalNoise(2.0), Compressed(Eden(1))), ONE_WAY),
    "5 of 20": (some(Clip(1.0), CentralNoise(0.5)), ONE_WAY),
    "Poisson, 5 of 20": (some(Clip(1.0), CentralNoise(0.5), sampling="poisson"), ONE_WAY),
    "10 of 20 asked, the fastest 5": (
        some(Clip(1.0), CentralNoise(0.5), devices=Devices(over_selection=2, spread=1.0)),
        ONE_WAY,
    ),
    "ready at night": (
        some(Clip(1.0), CentralNoise(0.5), devices=Devices(ready=0.2, night=1.0, deadline=3600)),
        ONE_WAY,
    ),
    "many leave": (some(Clip(1.0), CentralNoise(0.5), devices=Devices(dropout_rate=0.4)), ONE_WAY),
}


def audited(name: str, runs: int, confidence: float = 0.95) -> dict[str, Any]:
    """Return what is printed of a case, and what so many runs with each of its populations show."""
    case, populations = CASES[name]
    scores = [scores_of(case, sends, runs, number) for number, sends in enumerate(populations)]
    # Of a run in which the device was asked; which data it has changes nothing about that.
    printed = case.promised(USERS, 1, 1)[0].epsilon
    shown = least_epsilon(*scores, DELTA, confidence=confidence)
    return {
        "case": name,
        "epsilon printed": printed,
        "epsilon shown": shown,
        "holds": "yes" if shown <= printed else "NO",
    }


def scores_of(case: Plan, sends: Any, runs: int, number: int) -> NDArray[np.float64]:
    population = Population(sends)
    seeds = range(2 * runs)[number::2]  # other runs for each population
    models = [simulate(seeded(case, seed), population).state.weights for seed in seeds]
    return np.array([float(weights.sum(dtype=np.float64)) for weights in models])


def seeded(case: Plan, seed: int) -> Plan:
    return replace(case, seed=seed)


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--runs", type=int, default=5_000)
    options.add_argument("--confidence", type=float, default=0.95)
    asked = options.parse_args()
    rows = [audited(name, asked.runs, asked.confidence) for name in CASES]
    show(f"epsilon at delta {DELTA}, {asked.runs:,} runs of each population", rows)
    write("privacy_audit", rows)


if __name__ == "__main__":
    main()
