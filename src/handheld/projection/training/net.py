"""ProjectionNet: a trainer network and a tiny one on projections learn together; one is kept.

Ravi, "ProjectionNet: Learning Efficient On-Device Deep Networks Using Neural Projections", arXiv
1708.00630, equations 1 to 3: the loss is the trainer's, the projection network's, and the distance
between their answers, each with a weight.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from handheld.errors import InputError
from handheld.ranges import in_range


@dataclass(frozen=True)
class Weights:
    """How much each term of the loss counts.

    Attributes:
        trainer: cross-entropy of the trainer's answers; 0 leaves the trainer as it is.
        projection: that of the projection network's.
        distance: cross-entropy of the projection network's answers and the trainer's, which are
            taken as fixed.
        temperature: that softens both answers in their distance (Hinton et al., arXiv 1503.02531);
            1 in the paper.
        smoothing: of the labels.

    Raises:
        InputError: numbers outside of these.
    """

    trainer: float = 1.0
    projection: float = 1.0
    distance: float = 1.0
    temperature: float = 1.0
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        for name in ("trainer", "projection", "distance"):
            in_range(name, getattr(self, name), low=0)
        if not self.projection + self.distance > 0:
            raise InputError(
                "projection and distance: expected one of them above 0, got two noughts"
            )
        in_range("temperature", self.temperature, low=0, low_open=True)
        in_range("smoothing", self.smoothing, low=0, high=1, high_open=True)


def joint_loss(
    trainer: torch.Tensor | None, projection: torch.Tensor, labels: torch.Tensor, weights: Weights
) -> torch.Tensor:
    """Return the loss of (n, classes) logits of both networks.

    Without a trainer's it is the projection network's alone.
    """
    loss = weights.projection * _label_loss(projection, labels, weights)
    if trainer is None:
        return loss
    if weights.trainer:
        loss = loss + weights.trainer * _label_loss(trainer, labels, weights)
    # Detached: the trainer learns from labels, and not to be easy to follow.
    shares = functional.softmax(trainer.detach() / weights.temperature, dim=1)
    distance = functional.cross_entropy(projection / weights.temperature, shares)
    # Times the square, so that gradients do not shrink as the temperature rises (Hinton, 2015).
    return loss + weights.distance * weights.temperature**2 * distance


def _label_loss(logits: torch.Tensor, labels: torch.Tensor, weights: Weights) -> torch.Tensor:
    return functional.cross_entropy(logits, labels, label_smoothing=weights.smoothing)


class ProjectionNet(nn.Module):
    """Linear layers on bits.

    Args:
        bits: T * d of the projections.
        classes: outputs (logits).
        hidden: of layers between.
        dropout: share of bits that are left out while learning.
    """

    def __init__(
        self, bits: int, classes: int, hidden: tuple[int, ...] = (), *, dropout: float = 0.0
    ):
        super().__init__()
        sizes = (bits, *hidden)
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(sizes))
        self.last = nn.Linear(sizes[-1], classes)
        # Bits are left out, not hidden numbers, of which there are few.
        self.dropout = nn.Dropout(dropout)

    def forward(self, bits: torch.Tensor) -> torch.Tensor:
        """Return (n, classes) logits of (n, T * d) bits of -1 and 1."""
        values = self.dropout(bits)
        for layer in self.layers:
            values = torch.relu(layer(values))
        logits: torch.Tensor = self.last(values)
        return logits


class Joint(nn.Module):
    """Both networks as one module, to train and to save.

    Args:
        projection: the network that is shipped.
        trainer: takes what the trainer reads; None: the projection network learns alone, or from
            fixed answers.
    """

    def __init__(self, projection: nn.Module, trainer: nn.Module | None = None):
        super().__init__()
        self.projection = projection
        self.trainer = trainer


@dataclass(frozen=True, eq=False)
class JointBatch:
    """What the networks read in one step, and what is right.

    Attributes:
        projection: inputs of the projection network.
        trainer: inputs of the trainer, or none.
        labels: (n, classes) shares.
        answers: (n, classes) logits of a fixed teacher, which stand in the trainer's place.
    """

    projection: tuple[torch.Tensor, ...]
    trainer: tuple[torch.Tensor, ...]
    labels: torch.Tensor
    answers: torch.Tensor | None = None


@dataclass(frozen=True, eq=False)
class ProjectionStep:
    """Computes the gradients of one step: an argument of ``training.fit``.

    Attributes:
        networks: that learn.
        batch: gives what is learned in a step.
        weights: of the terms of the loss.
    """

    networks: Joint
    batch: Callable[[int], JointBatch]
    weights: Weights

    def __call__(self, number: int) -> float:
        """Return the loss of a step."""
        batch = self.batch(number)
        answers = batch.answers
        # A fixed teacher stands in the place of a trainer.
        if answers is None and self.networks.trainer is not None:
            answers = self.networks.trainer(*batch.trainer)
        logits = self.networks.projection(*batch.projection)
        loss = joint_loss(answers, logits, batch.labels, self.weights)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it without types
        return float(loss.detach())
