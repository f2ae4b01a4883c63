"""ProjectionNet on pictures beside plain small networks: size against accuracy; joint training.

    python benchmarks/projection_net.py [--pictures 60000] [--epochs 20] [--seeds 5]
        [--joint-row "T60 d10 FC128"]

MNIST if ``HANDHELD_DATA`` holds ``images/mnist.npz``, or else Fashion-MNIST. Rows of arXiv
1708.00630: T functions of d bits each, of the normalised pixels, then a linear layer, or one hidden
layer (FC) before it; and the same bits of means of 2 x 2 pixels. Plain networks read means of 4 x 4
or 2 x 2 pixels, or all, with one hidden layer or none, at about the same bytes: what anybody would
try first. All learn from the same pictures, as long, with Adam, once from labels alone and once
from the answers of the baseline as well. Times smaller counts bytes of float32 weights, as the
paper does: of the baseline, a network of two hidden layers that is the trainer too.
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
from torch.nn import functional

from handheld.config import find
from handheld.data import Splits, load
from handheld.errors import InputError
from handheld.projection import Signs
from handheld.projection.training.lessons import order
from handheld.projection.training.net import (
    Joint,
    JointBatch,
    ProjectionNet,
    ProjectionStep,
    Weights,
)
from handheld.training import Schedule, fit

JOINT = Weights(temperature=2.0)
ALONE = Weights()
BATCH = 128
SIDE = 28


@dataclass(frozen=True, eq=False)
class Part:
    """Pictures (n, 1, 28, 28), normalised, and labels (n,)."""

    pictures: torch.Tensor
    labels: torch.Tensor

    def means(self, side: int) -> torch.Tensor:
        """Return (n, side * side) means of as many squares of pixels."""
        return functional.avg_pool2d(self.pictures, SIDE // side).flatten(1)


@dataclass(frozen=True)
class Row:
    """A small network: signs of projections of means, or the means themselves.

    Attributes:
        side: means of a picture, across and down; 28 for its pixels.
        hidden: width of the hidden layer, 0 for none.
        functions, bits: of the projections; 0 for a plain network.
    """

    side: int = SIDE
    hidden: int = 0
    functions: int = 0
    bits: int = 0

    @property
    def name(self) -> str:
        layer = f" FC{self.hidden}" if self.hidden else ""
        means = "" if self.side == SIDE else f" of {self.side} x {self.side} means"
        if self.functions:
            return f"T{self.functions} d{self.bits}{layer}{means}"
        return f"plain{layer}{means or ' of all pixels'}"

    def inputs(self, part: Part) -> torch.Tensor:
        """Return (n, T * d) of -1 and 1, or (n, side * side) means."""
        means = part.means(self.side)
        if not self.functions:
            return means
        bits = Signs(self.functions, self.bits).of_vectors(means.numpy())
        return torch.from_numpy(bits.astype(np.float32) * 2 - 1)

    def network(self, seed: int) -> ProjectionNet:
        """Return linear layers on what is read: the same for bits and for means."""
        width = self.functions * self.bits or self.side**2
        hidden = (self.hidden,) if self.hidden else ()
        network: ProjectionNet = seeded(lambda: ProjectionNet(width, 10, hidden), seed)
        return network


PROJECTED = (
    Row(functions=8, bits=10),
    Row(functions=60, bits=10),
    Row(functions=60, bits=12),
    Row(functions=60, bits=10, hidden=128),
    Row(functions=60, bits=12, hidden=256),
    Row(side=14, functions=60, bits=10),
    Row(side=14, functions=60, bits=10, hidden=128),
)
PLAIN = (
    Row(side=7, hidden=13),
    Row(side=14, hidden=28),
    Row(),
    Row(hidden=96),
    Row(hidden=235),
)


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--pictures", type=int, default=60_000, help="to learn from")
    options.add_argument("--epochs", type=float, default=20)
    options.add_argument(
        "--alone",
        action="store_true",
        help="small networks from labels alone; no baseline, no file",
    )
    options.add_argument(
        "--seeds",
        type=int,
        default=5,
        help="of joint training and of training alone; 0 leaves that out",
    )
    options.add_argument(
        "--joint-row",
        default="T60 d10 FC128",
        choices=[row.name for row in PROJECTED],
        help="whose two trainings are compared",
    )
    given = options.parse_args()
    name, data = pictures()
    train = part(data, "train", given.pictures)
    test = part(data, "test", 10**9)
    if given.alone:
        with Progress() as progress:
            rows = alone(train, test, given.epochs, progress)
        show(f"{name}: size against accuracy, from labels alone", rows)
        return
    with Progress() as progress:
        rows = sizes(train, test, given.epochs, progress)
        both = []
        if given.seeds:
            both = compared(train, test, given.epochs, given.seeds, given.joint_row, progress)
    show(f"{name}: size against accuracy", rows)
    if both:
        show(f"{name}: {given.joint_row}, {given.seeds} seeds", both)
    about = {"data": name, "pictures": len(train.labels), "epochs": given.epochs}
    write("projection_net", [{**about, **row} for row in (*rows, *both)])


def pictures() -> tuple[str, Splits]:
    try:
        return "MNIST", load(find("images/mnist.npz", Path()), valid=0.05)
    except InputError:
        return "Fashion-MNIST", load(find("images/fashion_mnist.npz", Path()), valid=0.05)


def baseline_network() -> nn.Module:
    """Return a network of 2.7 million numbers, about as many as the paper's baseline has by its
    ratios.
    """
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


def alone(train: Part, test: Part, epochs: float, progress: Progress) -> list[dict[str, Any]]:
    """Train each row from labels alone."""
    lesson = Lesson(train, schedule(epochs), progress)
    rows = []
    for row in (*PROJECTED, *PLAIN):
        network = row.network(0)
        lesson.learn(Joint(network), (row.inputs(train), None), ALONE, row.name)
        rows.append(
            {
                "network": row.name,
                "bytes": 4 * count(network),
                "right %": right(network, row.inputs(test), test),
            }
        )
    return sorted(rows, key=lambda row: row["bytes"])


def sizes(train: Part, test: Part, epochs: float, progress: Progress) -> list[dict[str, Any]]:
    """Train the baseline, then each row from labels alone, and from what the baseline answers."""
    baseline = seeded(baseline_network, 0)
    lesson = Lesson(train, schedule(epochs), progress)
    lesson.learn(Joint(baseline), (train.pictures, None), ALONE, "baseline")
    answers = logits(baseline, train.pictures)
    whole = count(baseline)
    rows = [
        {
            "network": "baseline",
            "bytes": 4 * whole,
            "times smaller": 1.0,
            "right %": right(baseline, test.pictures, test),
        }
    ]
    for row in (*PROJECTED, *PLAIN):
        inputs = row.inputs(train)
        rights = []
        for weights, told in ((ALONE, None), (JOINT, answers)):
            network = row.network(0)
            lesson.learn(Joint(network), (inputs, None), weights, row.name, answers=told)
            rights.append(right(network, row.inputs(test), test))
        rows.append(
            {
                "network": row.name,
                "bytes": 4 * count(network),
                "times smaller": round(whole / count(network), 1),
                "right %": rights[0],
                "right %, from answers": rights[1],
            }
        )
    return sorted(rows, key=lambda row: row["bytes"])


def compared(
    train: Part, test: Part, epochs: float, seeds: int, name: str, progress: Progress
) -> list[dict[str, Any]]:
    """Train one row jointly with a trainer network, and alone, with several seeds."""
    row = next(row for row in PROJECTED if row.name == name)
    ours = row.inputs(train)
    theirs = row.inputs(test)
    lesson = Lesson(train, schedule(epochs), progress)
    rights: dict[str, list[float]] = {"jointly": [], "alone": []}
    for seed in range(seeds):
        for how, weights in (("jointly", JOINT), ("alone", ALONE)):
            trainer = seeded(baseline_network, seed) if how == "jointly" else None
            networks = Joint(row.network(seed), trainer)
            title = f"{how}, seed {seed}"
            lesson.learn(networks, (ours, train.pictures), weights, title, seed=seed)
            rights[how].append(right(networks.projection, theirs, test))
    return [
        {
            "network": f"{name}, {how}",
            "right %": round(float(np.mean(shares)), 2),
            "spread": round(float(np.std(shares, ddof=1)), 2) if seeds > 1 else None,
            "each": " ".join(f"{share:.2f}" for share in shares),
        }
        for how, shares in rights.items()
    ]


@dataclass(frozen=True)
class Lesson:
    """What all networks learn from, and how long."""

    train: Part
    schedule: Schedule
    progress: Progress

    def learn(
        self,
        networks: Joint,
        inputs: tuple[torch.Tensor, torch.Tensor | None],
        weights: Weights,
        name: str,
        *,
        seed: int = 0,
        answers: torch.Tensor | None = None,
    ) -> None:
        """Teach a network, and its trainer if there is one, which reads the second inputs."""
        labels = self.train.labels
        rows = order(len(labels), BATCH, seed)
        ours, theirs = inputs
        joint = networks.trainer is not None and theirs is not None

        def batch(number: int) -> JointBatch:
            chosen = rows(number)
            read_by_trainer = (theirs[chosen],) if joint else ()
            taught = None if answers is None else answers[chosen]
            return JointBatch((ours[chosen],), read_by_trainer, labels[chosen], taught)

        steps = round(self.schedule.epochs * (len(labels) // BATCH))
        bar = self.progress.add_task(name, total=steps)
        step = ProjectionStep(networks.train(), batch, weights)
        fit(
            networks,
            step,
            self.schedule,
            steps,
            seed=seed,
            report=lambda done, _, loss: self.progress.update(bar, completed=done),
        )
        networks.eval()


def schedule(epochs: float) -> Schedule:
    return Schedule(epochs, batch=BATCH, rate=0.001, warmup=0.1, decay=0.01, optimiser="adam")


def seeded(make: Any, seed: int) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make()


def logits(network: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return torch.cat([network(some) for some in inputs.split(1000)])


def right(network: nn.Module, inputs: torch.Tensor, test: Part) -> float:
    return round(100 * float((logits(network, inputs).argmax(1) == test.labels).float().mean()), 2)


def count(network: nn.Module) -> int:
    return sum(values.numel() for values in network.parameters())


if __name__ == "__main__":
    main()
