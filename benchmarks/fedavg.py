"""Rounds until a model is as good as wanted, by federated SGD and by averaging: the shape of the
FedAvg paper's tables.

    python benchmarks/fedavg.py [--task fashion shards plays] [--most 2000] [--workers 2]

Tasks: Fashion-MNIST over 100 devices, dealt out evenly or two kinds of clothes each, with the
    paper's CNN made narrower (8 and
16 channels, a layer of 64: 54,314 weights, the paper's has 1,663,370); and the plays of
Shakespeare, a device for each of 997 roles, with the paper's stacked character LSTM, 64 wide
instead of 256. E: passes over a device's examples, B: batch (inf: all at once), C: devices of a
round. Each row is the best of a few rates, each a factor of sqrt(10) apart; rates and rounds go by
validation examples, which no device has; ``test accuracy`` is that of the model at that round, on
examples that had no part in it. A run is kept in ``--cache`` and goes on there.
"""

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from _curves import write_curves
from _report import show, write

from handheld.config import find
from handheld.data import load
from handheld.data.users import partitions
from handheld.data.users.letters import ALPHABET, plays, windows
from handheld.federated.algorithms import FedAvg, FedSGD
from handheld.federated.learning import ClientWork, Examples, Users
from handheld.federated.learning.evaluation import evaluate_examples
from handheld.federated.learning.modules import ModuleLearner
from handheld.federated.simulator import Plan, simulate
from handheld.federated.simulator.checkpoint import RoundFigures
from handheld.federated.stages import Compressed, Stage
from handheld.federated.updates import Eden
from handheld.networks.zoo.federated import make
from handheld.reports import Curve

COLUMNS = (
    "task",
    "algorithm",
    "E",
    "B",
    "C",
    "rate",
    "target",
    "rounds",
    "times fewer",
    "MB up",
    "times less up",
    "test accuracy",
)
JUDGED = 1500
WAYS = ((1, 50), (1, 10), (5, None), (5, 50), (5, 10))  # E and B
RATIOS = (("times fewer", "rounds"), ("times less up", "MB up"))
PATIENCE = 1.5  # a rate that takes so many times the rounds of a better one is given up,
EARLIEST = (
    0.2  # at a lower accuracy too, after this share of the rounds that it may take, and ten of them
)


@dataclass(frozen=True)
class Tried:
    """A way to learn, and the rates to try."""

    name: str
    rates: Sequence[float]
    epochs: float = 1
    batch: int | None = None
    cohort: int = 10
    stages: tuple[Stage, ...] = ()

    def plan(self, rate: float, most: int, every: int) -> Plan:
        algorithm = FedSGD() if self.name == "FedSGD" else FedAvg()
        work = ClientWork(epochs=self.epochs, batch=self.batch, rate=rate)
        return Plan(most, self.cohort, algorithm, work, self.stages, eval_every=every)


@dataclass(frozen=True)
class Problem:
    """A population, the accuracy wanted, and what is tried; the first is federated SGD."""

    name: str
    title: str
    target: float
    learner: ModuleLearner
    test: Examples
    tried: Sequence[Tried] = field(default_factory=tuple)


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--task", nargs="+", choices=TASKS, default=list(TASKS))
    options.add_argument("--most", type=int, default=2000, help="rounds")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--cache", type=Path, default=Path("runs/fedavg"))
    given = options.parse_args()
    rows = []
    for name in given.task:
        problem, here, curves = TASKS[name](), [], {}
        for tried in problem.tried:
            row, curves[label(tried)] = best(problem, tried, given, curves.get("FedSGD", []))
            here.append(
                row | {of: ratio(here[0] if here else row, row, what) for of, what in RATIOS}
            )
            print(here[-1], flush=True)
        write_curves(Path("docs/images") / f"fedavg_{name}.svg", problem.title, curves)
        rows += here
    show("rounds to a target", rows, COLUMNS)
    write("fedavg", rows, COLUMNS)


def ratio(sgd: dict[str, Any], row: dict[str, Any], what: str) -> float | str:
    """Return how many times more federated SGD needs; nothing where one of them did not
    get there.
    """
    known = all(isinstance(each[what], int | float) for each in (sgd, row))
    return round(sgd[what] / row[what], 1) if known else ""


def best(
    problem: Problem, tried: Tried, given: argparse.Namespace, leader: Curve
) -> tuple[dict[str, Any], Curve]:
    """Return the row of the rate that needs the fewest rounds, and its curve: the best so far, as
    in the paper.
    """
    most, found = given.most, None
    for rate in tried.rates:
        every = 1 if tried.name != "FedSGD" else 5
        out = (
            given.cache
            / problem.name
            / f"{label(tried)} rate {rate:g}".replace(" ", "_").replace(",", "")
        )
        plan = tried.plan(rate, given.most, every)
        ends = ending(problem.target, most, leader)
        run = simulate(plan, problem.learner, out=out, workers=given.workers, until=ends)
        rounds = crossing(run.rows, problem.target)
        print(
            f"{problem.name}, {label(tried)}, rate {rate:g}: "
            f"{rounds or f'not within {run.state.round}'}",
            flush=True,
        )
        reached = max(row.get("test_accuracy", 0) for row in run.rows)
        key = (-rounds if rounds else -math.inf, reached)
        if found is None or key > found[0]:
            found, leader = (key, rate, run, rounds), curve_of(run.rows)
        if rounds:
            most = min(most, math.ceil(PATIENCE * rounds))
    assert found is not None
    _, rate, run, rounds = found
    up = sum(row["bytes_up"] for row in run.rows[: rounds and math.ceil(rounds)]) / 1e6
    learner = problem.learner
    tested = evaluate_examples(
        learner.model, run.state.weights, problem.test, statistics=run.state.statistics
    )
    return {
        "task": problem.title,
        "algorithm": tried.name + (", EDEN 1 bit" if tried.stages else ""),
        "E": tried.epochs,
        "B": tried.batch or "inf",
        "C": tried.cohort,
        "rate": rate,
        "target": f"{problem.target:.0%}",
        "rounds": round(rounds) if rounds else f"more than {run.state.round}",
        "MB up": round(up, 2) if rounds else "",
        "test accuracy": round(tested.figures["accuracy"], 4),
    }, curve_of(run.rows)


def ending(target: float, limit: int, leader: Curve) -> Callable[[RoundFigures], bool]:
    """Return what tells that a run is good enough, or too slow to come before the leader, whose
    curve is given.
    """
    best_so_far = 0.0

    def ends(row: RoundFigures) -> bool:
        nonlocal best_so_far
        best_so_far = max(best_so_far, row.get("test_accuracy", 0.0))
        passed = max(
            (accuracy for number, accuracy in leader if PATIENCE * number <= row["round"]),
            default=0.0,
        )
        behind = (
            "test_accuracy" in row
            and row["round"] >= max(10, EARLIEST * limit)
            and best_so_far < passed
        )
        return best_so_far >= target or row["round"] >= limit or behind

    return ends


def curve_of(rows: Sequence[RoundFigures]) -> Curve:
    """Return the best accuracy so far, by rounds."""
    judged = [(row["round"], row["test_accuracy"]) for row in rows if "test_accuracy" in row]
    best_so_far = np.maximum.accumulate([accuracy for _, accuracy in judged])
    return [
        (number, float(accuracy)) for (number, _), accuracy in zip(judged, best_so_far, strict=True)
    ]


def crossing(rows: Sequence[RoundFigures], target: float) -> float | None:
    """Return the round at which the best accuracy so far crosses the target, by straight lines
    between judged rounds.
    """
    before = (0.0, 0.0)
    for here in curve_of(rows):
        if here[1] >= target:
            return before[0] + (here[0] - before[0]) * (target - before[1]) / (here[1] - before[1])
        before = here
    return None


def label(tried: Tried) -> str:
    """Return how a way to learn is called in pictures."""
    small = ", 1 bit" if tried.stages else ""
    return (
        tried.name
        if tried.name == "FedSGD"
        else f"E {tried.epochs:g}, B {tried.batch or 'inf'}, C {tried.cohort}{small}"
    )


def clothes(split: str, target: float) -> Problem:
    """Fashion-MNIST over 100 devices."""
    splits = load(find("images/fashion_mnist.npz", Path()), seed=0)
    deal = {
        "evenly": lambda: partitions.evenly(len(splits.train), 100, seed=0),
        "shards": lambda: partitions.by_shards(splits.train.labels, 100, seed=0),
    }
    train, valid, test = (
        Examples(np.ascontiguousarray(np.moveaxis(np.asarray(part.inputs), -1, 1)), part.labels)
        for part in (splits.train, splits.valid, splits.test)
    )
    learner = ModuleLearner(
        make("small_convolutional", (1, 28, 28), 10, seed=0),
        Users(train, deal[split]()),
        some(valid),
    )
    whole = {"evenly": (0.3, 0.1, 1.0), "shards": (0.1, 0.3, 0.03)}[split]  # the likeliest first
    rates = (0.1, 0.3, 0.03, 1.0)
    tried = [Tried("FedSGD", (0.3, 0.1, 1.0))]
    tried += [Tried("FedAvg", rates if batch else whole, epochs, batch) for epochs, batch in WAYS]
    tried += [Tried("FedAvg", rates, 5, 10, cohort) for cohort in (1, 50)]
    tried += [Tried("FedAvg", rates, 5, 10, stages=(Compressed(Eden(1)),))]
    title = (
        "Fashion-MNIST, " + {"evenly": "dealt out evenly", "shards": "two classes a device"}[split]
    )
    return Problem(split, title, target, learner, test, tried)


def shakespeare(target: float = 0.42) -> Problem:
    """The plays of Shakespeare by role; half of each role's last lines are to validate, half to
    test.
    """
    found = windows(plays(find("federated/shakespeare.tar.gz", Path())), length=80)
    order = np.random.default_rng(0).permutation(len(found.test_inputs))
    valid, test = (
        Examples(found.test_inputs[part], found.test_targets[part])
        for part in np.array_split(order, 2)
    )
    users = Users(Examples(found.inputs, found.targets), found.partition)
    learner = ModuleLearner(
        make("few_letters", (80,), len(ALPHABET) + 1, seed=0), users, some(valid)
    )
    rates = (10.0, 3.0, 30.0)
    tried = [Tried("FedSGD", rates)]
    tried += [Tried("FedAvg", rates, epochs, batch) for epochs, batch in WAYS]
    tried += [Tried("FedAvg", rates, 5, 10, stages=(Compressed(Eden(1)),))]
    return Problem("plays", "Shakespeare by role", target, learner, test, tried)


def some(examples: Examples) -> Examples:
    """Return as many validation examples as are judged by."""
    return examples.of(np.random.default_rng(1).permutation(len(examples))[:JUDGED])


TASKS = {
    "evenly": lambda: clothes("evenly", 0.85),
    "shards": lambda: clothes("shards", 0.80),
    "plays": shakespeare,
}


if __name__ == "__main__":
    main()
