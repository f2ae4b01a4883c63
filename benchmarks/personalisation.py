"""What a model of their own gives to users whose examples are skewed, judged on examples that had
no part in it.

    python benchmarks/personalisation.py [--rounds 60] [--workers 2]

Fashion-MNIST over 100 users, two kinds of clothes each (shards), or drawn by Dirichlet's
distribution with alpha 0.1 and 1. Of each user's examples a fifth is laid aside to test on; of the
rest the shared model is learned by federated averaging, and then each user's own, which is kept
only where cross-validation over that rest finds it better. A user is better off beyond noise where
a sign test on the test examples says so at 5 %, and worse off likewise. A run is kept in
``--cache`` and goes on there.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from _report import show, write
from rich.progress import track

from handheld.config import find
from handheld.data import load
from handheld.data.users import partitions
from handheld.data.users.partitions import Partition
from handheld.federated.algorithms import FedAvg
from handheld.federated.device import Personalisation, personalise
from handheld.federated.device.personalisation import luck
from handheld.federated.learning import ClientWork, Examples, Users
from handheld.federated.learning.evaluation import evaluate_examples
from handheld.federated.learning.modules import ModuleLearner
from handheld.federated.simulator import Plan, simulate
from handheld.networks.zoo.federated import make

USERS, LEAST, TESTED = 100, 20, 0.2
HOW = Personalisation(work=ClientWork(epochs=5, batch=10, rate=0.05))


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--rounds", type=int, default=60)
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--cache", type=Path, default=Path("runs/personalisation"))
    given = options.parse_args()
    torch.set_num_threads(1)  # batches of ten do not pay for more
    splits = load(find("images/fashion_mnist.npz", Path()), seed=0)
    labels = splits.train.labels
    examples = Examples(
        np.ascontiguousarray(np.moveaxis(np.asarray(splits.train.inputs), -1, 1)), labels
    )
    deals = {
        "two classes a user": partitions.by_shards(labels, USERS, seed=0),
        "Dirichlet, 0.1": partitions.by_dirichlet_shares(
            labels, USERS, alpha=0.1, seed=0, min_examples=LEAST
        ),
        "Dirichlet, 1": partitions.by_dirichlet_shares(
            labels, USERS, alpha=1.0, seed=0, min_examples=LEAST
        ),
    }
    rows = [row_of(name, examples, deal, given) for name, deal in deals.items()]
    show("models of their own", rows)
    write("personalisation", rows)


def row_of(
    name: str, examples: Examples, deal: Partition, given: argparse.Namespace
) -> dict[str, object]:
    rest, tested = cut(deal)
    learner = ModuleLearner(
        make("small_convolutional", (1, 28, 28), 10, seed=0), Users(examples, rest)
    )
    plan = Plan(given.rounds, 10, FedAvg(), ClientWork(epochs=1, batch=10, rate=0.1))
    shared = simulate(
        plan, learner, out=given.cache / name.replace(" ", "_"), workers=given.workers
    ).state.weights
    before, after, better, worse, kept = [], [], 0, 0, 0
    for user in track(range(USERS), description=name):
        own = personalise(learner.module, shared, examples.of(rest.of(user)), HOW, seed=user)
        test = examples.of(tested.of(user))
        ours = evaluate_examples(learner.model, own.weights, test)
        theirs = evaluate_examples(learner.model, shared, test)
        before.append(theirs.figures["accuracy"])
        after.append(ours.figures["accuracy"])
        better, worse, kept = (
            better + (luck(theirs, ours) < 0.05),
            worse + (luck(ours, theirs) < 0.05),
            kept + own.kept,
        )
    gains = np.array(after) - before
    return {
        "users": name,
        "shared model": f"{np.mean(before):.2%}",
        "own model": f"{np.mean(after):.2%}",
        "kept by": kept,
        "raised": int((gains > 0).sum()),
        "all right before": before.count(1.0),
        "beyond noise": better,
        "lowered": int((gains < 0).sum()),
        "lowered beyond noise": worse,
        "largest loss": f"{-gains.min():.2%}",
    }


def cut(deal: Partition) -> tuple[Partition, Partition]:
    """Return what users learn from, and a share of each user's examples laid aside."""
    rng, parts = np.random.default_rng(2), ([], [])
    for user in range(len(deal)):
        own = rng.permutation(deal.of(user))
        at = max(1, round(TESTED * len(own)))
        parts[0].append(own[at:])
        parts[1].append(own[:at])
    return partitions.from_indices(parts[0]), partitions.from_indices(parts[1])


if __name__ == "__main__":
    main()
