"""ProjectionNet on pictures: size against accuracy, and joint training against the projection network alone, five seeds each.

    python benchmarks/projection_net.py [--pictures 60000] [--epochs 20] [--seeds 5] [--joint-row "T60 d10 FC128"]

MNIST if ``HANDHELD_DATA`` holds ``images/mnist.npz``, or else Fashion-MNIST. Rows of arXiv 1708.00630: T functions of d bits
each, of the normalised pixels, then a linear layer, or one hidden layer (FC) before it. Times smaller counts bytes of
float32 weights, as the paper does: of the baseline, a network of two hidden layers that is the trainer too.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _report import show, write
from rich.progress import Progress
from torch import nn

from handheld.config import find
from handheld.data import Splits, load
from handheld.errors import InputError
from handheld.projection import Signs
from handheld.projection.training.lessons import order
from handheld.projection.training.net import Joint, ProjectionNet, Step, Weights
from handheld.training import Schedule, fit

ROWS = ((8, 10, 0), (60, 10, 0), (60, 12, 0), (60, 10, 128), (60, 12, 256))
JOINT = Weights(temperature=2.0)
ALONE = Weights()
BATCH = 128


@dataclass(frozen=True, eq=False)
class Part:
    """Pictures (n, 1, 28, 28), normalised, and labels (n,)."""

    pictures: torch.Tensor
    labels: torch.Tensor

    def bits(self, signs: Signs) -> torch.Tensor:
        """Return (n, T * d) of -1 and 1."""
        return torch.from_numpy(signs.of_vectors(self.pictures.flatten(1).numpy()).astype(np.float32) * 2 - 1)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pictures", type=int, default=60_000, help="to learn from")
    options.add_argument("--epochs", type=float, default=20)
    options.add_argument("--seeds", type=int, default=5, help="of joint training and of training alone")
    options.add_argument(
        "--joint-row", default="T60 d10 FC128", choices=[named(*row) for row in ROWS], help="whose two trainings are compared"
    )
    given = options.parse_args()
    name, data = pictures()
    train, test = part(data, "train", given.pictures), part(data, "test", 10**9)
    with Progress() as progress:
        rows = sizes(train, test, given.epochs, progress)
        both = compared(train, test, given.epochs, given.seeds, given.joint_row, progress)
    show(f"{name}: size against accuracy", rows)
    show(f"{name}: {given.joint_row}, {given.seeds} seeds", both)
    about = {"data": name, "pictures": len(train.labels), "epochs": given.epochs}
    write("projection_net", [{**about, **row} for row in (*rows, *both)])


def pictures() -> tuple[str, Splits]:
    try:
        return "MNIST", load(find("images/mnist.npz", Path()), valid=0.05)
    except InputError:
        return "Fashion-MNIST", load(find("images/fashion_mnist.npz", Path()), valid=0.05)


def baseline_network() -> nn.Module:
    """Return a network of 2.7 million numbers, about as many as the paper's baseline has by its ratios."""
    layers = [
        nn.Flatten(),
        nn.Linear(784, 1300),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(1300, 1300),
        nn.ReLU(),
        nn.Linear(1300, 10),
    ]
    return nn.Sequential(*layers)


def part(data: Splits, name: str, most: int) -> Part:
    dataset = getattr(data, name)
    assert isinstance(dataset.inputs, np.ndarray)
    chosen = np.random.default_rng(0).permutation(len(dataset))[:most]
    values = torch.from_numpy(dataset.inputs[chosen].reshape(len(chosen), 1, 28, 28)).float() / 255
    return Part((values - 0.3) / 0.3, torch.from_numpy(dataset.labels[chosen]))


def sizes(train: Part, test: Part, epochs: float, progress: Progress) -> list[dict[str, Any]]:
    """Train the baseline, then each row from what it answers."""
    baseline = seeded(lambda: baseline_network(), 0)
    learn(Joint(baseline), (train.pictures, None), train, schedule(epochs), ALONE, 0, progress, "baseline")
    answers = logits(baseline, train.pictures)
    whole = count(baseline)
    rows = [{"network": "baseline", "bytes": 4 * whole, "times smaller": 1.0, "right %": right(baseline, test.pictures, test)}]
    for functions, bits, hidden in ROWS:
        signs = Signs(functions, bits)
        network = fresh(signs, hidden, 0)
        ours = train.bits(signs)
        name = named(functions, bits, hidden)
        learn(Joint(network), (ours, None), train, schedule(epochs), JOINT, 0, progress, name, given=answers)
        rows.append({
            "network": name, "bytes": 4 * count(network), "times smaller": round(whole / count(network), 1),
            "right %": right(network, test.bits(signs), test),
        })  # fmt: skip
    return rows


def compared(train: Part, test: Part, epochs: float, seeds: int, row: str, progress: Progress) -> list[dict[str, Any]]:
    """Train one row jointly with a trainer network, and alone, with several seeds of weights and order."""
    functions, bits, hidden = {named(*each): each for each in ROWS}[row]
    signs, found = Signs(functions, bits), {"jointly": [], "alone": []}
    ours, theirs = train.bits(signs), test.bits(signs)
    for seed in range(seeds):
        for how, weights in (("jointly", JOINT), ("alone", ALONE)):
            trainer = seeded(lambda: baseline_network(), seed) if how == "jointly" else None
            networks = Joint(fresh(signs, hidden, seed), trainer)
            learn(networks, (ours, train.pictures), train, schedule(epochs), weights, seed, progress, f"{how}, seed {seed}")
            found[how].append(right(networks.projection, theirs, test))
    return [
        {
            "network": f"{row}, {how}", "right %": round(float(np.mean(shares)), 2),
            "spread": round(float(np.std(shares, ddof=1)), 2) if seeds > 1 else None,
            "each": " ".join(f"{share:.2f}" for share in shares),
        }
        for how, shares in found.items()
    ]  # fmt: skip


def named(functions: int, bits: int, hidden: int) -> str:
    return f"T{functions} d{bits}" + (f" FC{hidden}" if hidden else "")


def learn(
    networks: Joint, inputs: tuple[torch.Tensor, torch.Tensor | None], train: Part, how: Schedule, weights: Weights,
    seed: int, progress: Progress, name: str, given: torch.Tensor | None = None,
) -> None:  # fmt: skip
    places, (ours, theirs) = order(len(train.labels), BATCH, seed), inputs
    joint = networks.trainer is not None

    def batch(number: int) -> tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...], torch.Tensor]:
        chosen = places(number)
        return (ours[chosen],), (theirs[chosen],) if joint and theirs is not None else (), train.labels[chosen]

    steps = round(how.epochs * (len(train.labels) // BATCH))
    answers = None if given is None else lambda number: given[places(number)]
    bar = progress.add_task(name, total=steps)
    step = Step(networks.train(), batch, weights, answers)
    fit(networks, step, how, steps, seed=seed, report=lambda done, _, loss: progress.update(bar, completed=done))
    networks.eval()


def schedule(epochs: float) -> Schedule:
    return Schedule(epochs, batch=BATCH, rate=0.001, rise=0.1, decay=0.01, optimiser="adam")


def seeded(make: Any, seed: int) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make()


def fresh(signs: Signs, hidden: int, seed: int) -> ProjectionNet:
    network: ProjectionNet = seeded(lambda: ProjectionNet(signs.size, 10, (hidden,) if hidden else ()), seed)
    return network


def logits(network: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return torch.cat([network(some) for some in inputs.split(1000)])


def right(network: nn.Module, inputs: torch.Tensor, test: Part) -> float:
    return round(100 * float((logits(network, inputs).argmax(1) == test.labels).float().mean()), 2)


def count(network: nn.Module) -> int:
    return sum(values.numel() for values in network.parameters())


if __name__ == "__main__":
    main()
