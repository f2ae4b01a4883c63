"""Rounds until devices' sparse logistic regression is within 1 % of what one machine would reach,
and what travels.

    python benchmarks/sparse.py [--most 200]

Tasks: a9a, dealt out to 500 users as unevenly as the square of their rank; and made-up clicks of
    10,000 users with a million
features, of which half are drawn by a power law from all, half from a few that are the user's own.
"""

import argparse
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from _report import show, write

from handheld.config import find
from handheld.data.users.partitions import by_quantity, by_user
from handheld.data.users.sparse import clicks, read_libsvm
from handheld.federated.convex.fsvrg import FSVRG
from handheld.federated.convex.logistic import Logistic
from handheld.federated.convex.simulation import SparseAlgorithm, rounds, until
from handheld.federated.convex.sparse_fedavg import SparseFedAvg

COLUMNS = (
    "task",
    "algorithm",
    "momentum",
    "rounds",
    "loss",
    "central loss",
    "MB up",
    "times less than dense",
    "seconds",
)


def _is_near(problem, best, weights):
    """Return whether weights are within a hundredth of the best loss."""
    return problem.loss(weights) < 1.01 * best


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--most", type=int, default=200, help="rounds")
    options.add_argument("--users", type=int, default=10_000, help="of the clicks")
    options.add_argument("--features", type=int, default=1_000_000, help="of the clicks")
    given = options.parse_args()
    rows = []
    for name, problem, tried in tasks(given.users, given.features):
        _, best = problem.central(rounds=2000)
        for algorithm, momentum in tried:
            started = time.perf_counter()
            steps = rounds(problem, algorithm, momentum=momentum)
            step = until(steps, partial(_is_near, problem, best), max_rounds=given.most)
            rows.append(
                {
                    "task": name,
                    "algorithm": str(algorithm),
                    "momentum": momentum,
                    "central loss": round(best, 4),
                    "rounds": step.number if step else f"more than {given.most}",
                    "loss": round(problem.loss(step.weights), 4) if step else "",
                    "MB up": round(4e-6 * step.traffic.up * step.number, 1) if step else "",
                    "times less than dense": round(step.traffic.dense / step.traffic.up)
                    if step
                    else "",
                    "seconds": round(time.perf_counter() - started, 1),
                }
            )
            print(rows[-1], flush=True)
    show("sparse models on devices", rows, COLUMNS)
    write("sparse", rows, COLUMNS)


def tasks(
    users: int, features: int
) -> Iterator[tuple[str, Logistic, list[tuple[SparseAlgorithm, float]]]]:
    data, skipped = read_libsvm(find("federated/a9a.gz", Path()))
    assert not skipped
    tried: list[tuple[SparseAlgorithm, float]] = [
        (FSVRG(5.0), 0.0),
        (FSVRG(1.0), 0.9),
        (SparseFedAvg(0.1, steps=1000, fade=5), 0.0),
    ]
    yield (
        "a9a, 500 users, l2 3e-5",
        Logistic(data, by_quantity(len(data), 500, skew=2.0, seed=0), 3e-5),
        tried,
    )
    drawn, owners, _ = clicks(users, features=features, seed=0)
    problem = Logistic(drawn, by_user(owners.tolist()), 1e-4)
    tried = [(FSVRG(0.5), 0.95), (SparseFedAvg(0.1, steps=100, fade=20), 0.7)]
    yield f"clicks, {users:,} users, {features:,} features, l2 1e-4", problem, tried


if __name__ == "__main__":
    main()
