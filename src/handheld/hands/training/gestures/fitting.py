"""Training of small networks: examples in memory, minutes of one core."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from handheld.hands.perceptron import NONE, Perceptron
from handheld.ranges import MOST_SEED, in_range, whole_in_range

Progress = Callable[[str, float, str], None]

# Of the rate at the end of a training.
_FINAL_RATE = 0.02
_DECAY = 1e-3


@dataclass(frozen=True)
class FitConfig:
    """How a small network learns.

    Attributes:
        hidden: units of the hidden layer.
        epochs: times that each example is seen.
        batch: examples in a step.
        rate: learning rate of AdamW, which falls along a cosine.
        seed: of everything random.
    """

    hidden: int = 48
    epochs: int = 60
    batch: int = 256
    rate: float = 4e-3
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("hidden", "epochs", "batch"):
            whole_in_range(name, getattr(self, name), low=1)
        in_range("rate", self.rate, low=0, low_open=True)
        whole_in_range("seed", self.seed, low=0, high=MOST_SEED)


@dataclass(frozen=True, eq=False)
class FitExamples:
    """Examples of classes.

    Attributes:
        features: (n, features).
        labels: (n,) indices of classes.
        weights: (n,) what each counts for.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    weights: NDArray[np.float32]

    def __add__(self, other: "FitExamples") -> "FitExamples":
        return FitExamples(
            np.concatenate([self.features, other.features]),
            np.concatenate([self.labels, other.labels]),
            np.concatenate([self.weights, other.weights]),
        )


def fit(
    config: FitConfig, names: tuple[str, ...], examples: FitExamples, progress: Progress
) -> Perceptron:
    """Return the network that fits the examples best, with a threshold of 0."""
    generator = torch.Generator().manual_seed(config.seed)
    sizes = (examples.features.shape[1], config.hidden, len(names))
    layers = _layers(sizes, generator)
    count = len(examples.labels)
    steps = config.epochs * (count // config.batch + 1)
    optimiser = torch.optim.AdamW(layers, lr=config.rate, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimiser, steps, config.rate * _FINAL_RATE
    )
    features = torch.from_numpy(examples.features)
    labels = torch.from_numpy(examples.labels)
    weights = torch.from_numpy(examples.weights)
    for step in range(steps):
        picked = torch.randint(count, (config.batch,), generator=generator)
        logits = _logits(layers, features[picked])
        losses = torch.nn.functional.cross_entropy(logits, labels[picked], reduction="none")
        loss = (losses * weights[picked]).sum() / weights[picked].sum()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no types there
        optimiser.step()
        schedule.step()
        if step % 100 == 0:
            progress("learn", step / steps, f"loss {loss.item():.3f}")
    return _network(names, layers)


def threshold_for(network: Perceptron, examples: FitExamples, false_alarms: float) -> float:
    """Return the probability above which only that share of the class ``none`` get a name."""
    nameless = examples.features[examples.labels == network.names.index(NONE)]
    others = np.array([name != NONE for name in network.names])
    likely = network.probabilities(nameless)[:, others].max(axis=1)
    return float(np.quantile(likely, 1 - false_alarms))


def _layers(sizes: tuple[int, int, int], generator: torch.Generator) -> list[torch.Tensor]:
    """Return weights and biases of both layers as they begin (He et al., 2015)."""
    features, hidden, classes = sizes
    layers: list[torch.Tensor] = []
    for inputs, outputs in ((features, hidden), (hidden, classes)):
        weight = torch.randn(inputs, outputs, generator=generator) * (2 / inputs) ** 0.5
        layers += [weight.requires_grad_(), torch.zeros(outputs, requires_grad=True)]
    return layers


def _logits(layers: Sequence[torch.Tensor], features: torch.Tensor) -> torch.Tensor:
    first, first_bias, second, second_bias = layers
    hidden = torch.relu(features @ first + first_bias)
    return hidden @ second + second_bias


def _network(names: tuple[str, ...], layers: Sequence[torch.Tensor]) -> Perceptron:
    # As they will be read from a file, so that what is measured is what ships.
    first, first_bias, second, second_bias = (
        layer.detach().numpy().astype(np.float16).astype(np.float32) for layer in layers
    )
    return Perceptron(
        names=names,
        weights=(first, second),
        biases=(first_bias, second_bias),
        threshold=0.0,
    )
