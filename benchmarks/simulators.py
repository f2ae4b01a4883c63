"""Our simulator of federated learning beside Flower's (1.41, on Ray) and pfl's (0.6): the same
clients with the same steps.

    python benchmarks/simulators.py [--passes 3] [--without-peers]

A trivial step with a thousand and with a million parameters, and an epoch of SGD of a two-layer
network on 20 examples, by 100 clients each. Every run is a process of its own, one thread for
arithmetic in each of its processes; contenders take turns, and figures are medians of passes. Ours
and pfl work in one process, Flower in as many as there are cores besides its own. Time counts from
the start of the process; memory is that of all its processes. All must come to the same weights. Of
ours also: what a population of 100,000 costs, and how time grows with the cohort. The first run
makes the peers' environments.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from _report import show, write
from _simulators_env import Outcome, python_of, run
from _simulators_task import CLIENTS

FOLDER = Path(__file__).parent
OURS = "handheld"
WORKERS = {OURS: "_simulators_worker.py", "flower": "_flower_worker.py", "pfl": "_pfl_worker.py"}
STEPS = {
    "trivial, 1,000": ("trivial", 1_000, 11),
    "trivial, 1,000,000": ("trivial", 1_000_000, 4),
    "real": ("real", 199_210, 4),
}
POPULATIONS = (1_000, 100_000)
LARGE, ROUND, FIRST, MEMORY, FASTER = (
    200,
    0.02,
    3.0,
    300.0,
    10.0,
)  # cohorts to fit; seconds, MB and times that are asked
SAME, SAME_MEMORY = 1e-4, 5.0  # of weights; MB within which two runs of the same differ
COLUMNS = (
    "who",
    "step",
    "parameters",
    "first round s",
    "imports s",
    "s a round",
    "times ours",
    "peak MB",
    "off ours by",
    "asked",
)

Outcomes = dict[tuple[str, str], list[Outcome]]


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--passes", type=int, default=3)
    options.add_argument(
        "--without-peers", action="store_true", help="ours alone; nothing is written"
    )
    given = options.parse_args()
    who = (OURS,) if given.without_peers else tuple(WORKERS)
    pythons = {name: Path(sys.executable) if name == OURS else python_of(name) for name in who}
    outcomes: Outcomes = {case: [] for case in product(who, STEPS)}
    alone: dict[str, list[Outcome]] = {
        "cohorts": [],
        **{str(population): [] for population in POPULATIONS},
    }
    for number in range(given.passes):
        for step in STEPS:
            for name in (*who[number % len(who) :], *who[: number % len(who)]):
                kind, parameters, rounds = STEPS[step]
                found = work(name, pythons[name], kind, parameters, rounds, CLIENTS)
                outcomes[name, step].append(found)
                print(
                    f"pass {number + 1}: {name}, {step}: first round {found.rounds[0]:.2f} "
                    f"s, then {found.seconds:.4f} s, "
                    f"{found.megabytes:.0f} MB",
                    flush=True,
                )
        for population in POPULATIONS:
            alone[str(population)].append(
                work(OURS, pythons[OURS], "trivial", 1_000, 11, population)
            )
        alone["cohorts"].append(work(OURS, pythons[OURS], "cohorts", 1_000, 1, POPULATIONS[-1]))
    rows = [*beside(outcomes, who), *of_populations(alone), *of_cohorts(alone["cohorts"])]
    show(f"{CLIENTS} clients a round, medians of {given.passes} passes", rows, COLUMNS[:-1])
    for row in rows:
        if "asked" in row:
            print(f"{row['who']}, {row['step']}, {row['parameters']:,} parameters: {row['asked']}")
    if not given.without_peers:
        write("simulators", rows, COLUMNS)


def work(
    name: str, python: Path, step: str, parameters: int, rounds: int, population: int
) -> Outcome:
    job = {
        "step": step,
        "parameters": parameters,
        "rounds": rounds,
        "population": population,
        "cohort": CLIENTS,
    }
    return run(python, FOLDER / WORKERS[name], job)


def beside(outcomes: Outcomes, who: Sequence[str]) -> Iterator[dict[str, Any]]:
    for step, name in product(STEPS, who):
        kind, parameters, _ = STEPS[step]
        found, ours = outcomes[name, step], outcomes[OURS, step]
        times = median([one.seconds / own.seconds for one, own in zip(found, ours, strict=True)])
        row = row_of(name, f"{kind}, {CLIENTS} clients", parameters, found)
        if name != OURS:
            off = max(
                float(np.abs(one.weights - own.weights).max())
                for one, own in zip(found, ours, strict=True)
            )
            row |= {
                "times ours": round(times, 1),
                "off ours by": f"{off:.1e}" + ("" if off < SAME else ", which is too much"),
            }
        if (name, step) == (OURS, "trivial, 1,000"):
            good = (
                row["s a round"] <= ROUND
                and row["first round s"] < FIRST
                and row["peak MB"] < MEMORY
            )
            row["asked"] = (
                f"{ROUND} s, the first under {FIRST:.0f} s, under {MEMORY:.0f} MB: {met(good)}"
            )
        if (name, step) == ("flower", "trivial, 1,000,000"):
            row["asked"] = f"{FASTER:.0f} times ours or more: {met(times >= FASTER)}"
        yield row


def of_populations(alone: dict[str, list[Outcome]]) -> Iterator[dict[str, Any]]:
    least = median([one.megabytes for one in alone[str(POPULATIONS[0])]])
    for population in POPULATIONS:
        row = row_of(OURS, f"trivial, {CLIENTS} of {population:,}", 1_000, alone[str(population)])
        if population != POPULATIONS[0]:
            more = median([one.megabytes for one in alone[str(population)]]) - least
            row["asked"] = f"no more memory: {more:+.1f} MB: {met(more < SAME_MEMORY)}"
        yield row


def of_cohorts(found: Sequence[Outcome]) -> Iterator[dict[str, Any]]:
    cohorts = found[0].more["cohorts"]
    seconds = np.median(np.concatenate([one.more["seconds"] for one in found]), axis=0)
    large = cohorts >= LARGE
    slope = float(np.polyfit(np.log(cohorts[large]), np.log(seconds[large]), 1)[0])
    for cohort, took in zip(cohorts, seconds, strict=True):
        row = {
            "who": OURS,
            "step": f"trivial, {cohort} of {POPULATIONS[-1]:,}",
            "parameters": 1_000,
            "s a round": float(took),
        }
        yield row | (
            {"asked": f"linear: from {LARGE} on like the cohort to the power of {slope:.2f}"}
            if cohort == cohorts[-1]
            else {}
        )


def row_of(name: str, step: str, parameters: int, found: Sequence[Outcome]) -> dict[str, Any]:
    return {
        "who": name,
        "step": step,
        "parameters": parameters,
        "first round s": round(median([one.rounds[0] for one in found]), 2),
        "imports s": round(median([one.imported for one in found]), 2),
        "s a round": median([one.seconds for one in found]),
        "peak MB": round(median([one.megabytes for one in found])),
    }


def median(values: Sequence[float]) -> float:
    return float(np.median(values))


def met(good: bool) -> str:
    return "yes" if good else "NO"


if __name__ == "__main__":
    main()
