"""ProjectionNet: a trainer network and a tiny network on projections learn together, and the tiny one is shipped.

Ravi, "ProjectionNet: Learning Efficient On-Device Deep Networks Using Neural Projections", arXiv 1708.00630, equations 1 to 3:
the loss is the trainer's, the projection network's, and the distance between their answers, each with a weight.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from handheld.errors import InputError


@dataclass(frozen=True)
class Weights:
    """How much each part of the loss counts.

    Attributes:
        trainer: cross-entropy of the trainer's answers; 0 leaves the trainer as it is.
        projection: that of the projection network's.
        distance: cross-entropy of the projection network's answers and the trainer's, which are taken as given.
        temperature: that softens both answers in their distance (Hinton et al., arXiv 1503.02531); 1 in the paper.
        smoothing: of the labels.
    """

    trainer: float = 1.0
    projection: float = 1.0
    distance: float = 1.0
    temperature: float = 1.0
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        if min(self.trainer, self.projection, self.distance) < 0 or not self.projection + self.distance > 0:
            raise InputError(f"expected weights of 0 or more, for the projection network above 0, got {self}")
        if not (self.temperature > 0 and 0 <= self.smoothing < 1):
            raise InputError(f"expected a temperature above 0 and a smoothing of 0 to 1, got {self}")


def joint_loss(trainer: torch.Tensor | None, projection: torch.Tensor, labels: torch.Tensor, weights: Weights) -> torch.Tensor:
    """Return the loss of (n, classes) logits of both networks; without a trainer's, the projection network's alone."""
    loss = weights.projection * functional.cross_entropy(projection, labels, label_smoothing=weights.smoothing)
    if trainer is None:
        return loss
    if weights.trainer:
        loss = loss + weights.trainer * functional.cross_entropy(trainer, labels, label_smoothing=weights.smoothing)
    soft = functional.softmax(trainer.detach() / weights.temperature, dim=1)
    distance = functional.cross_entropy(projection / weights.temperature, soft)
    return loss + weights.distance * weights.temperature**2 * distance


class ProjectionNet(nn.Module):
    """Linear layers on bits.

    Args:
        bits: T * d of the projections.
        classes: outputs (logits).
        hidden: of layers between.
        dropout: share of bits that are left out while learning.
    """

    def __init__(self, bits: int, classes: int, hidden: tuple[int, ...] = (), *, dropout: float = 0.0):
        super().__init__()
        sizes = (bits, *hidden)
        self.layers = nn.ModuleList(nn.Linear(size, after) for size, after in zip(sizes, hidden, strict=False))
        self.last, self.dropout = nn.Linear(sizes[-1], classes), nn.Dropout(dropout)

    def forward(self, bits: torch.Tensor) -> torch.Tensor:
        """Return (n, classes) logits of (n, T * d) bits of -1 and 1."""
        found = self.dropout(bits)
        for layer in self.layers:
            found = torch.relu(layer(found))
        logits: torch.Tensor = self.last(found)
        return logits


class Joint(nn.Module):
    """Both networks as one module, to train and to save.

    Args:
        projection: the network that is shipped.
        trainer: takes what the trainer reads; None: the projection network learns alone, or from given answers.
    """

    def __init__(self, projection: nn.Module, trainer: nn.Module | None = None):
        super().__init__()
        self.projection, self.trainer = projection, trainer


@dataclass(frozen=True, eq=False)
class Step:
    """Computes the gradients of one step: an argument of ``training.fit``.

    Attributes:
        networks: that learn.
        batch: gives, for a step, what the projection network reads, what the trainer reads, and labels.
        weights: of the parts of the loss.
        given: answers a batch in the trainer's place, where that is a fixed teacher: (n, classes) logits.
    """

    networks: Joint
    batch: Callable[[int], tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...], torch.Tensor]]
    weights: Weights
    given: Callable[[int], torch.Tensor] | None = None

    def __call__(self, number: int) -> float:
        """Return the loss of a step."""
        bits, whole, labels = self.batch(number)
        answers = self.given(number) if self.given else self.networks.trainer(*whole) if self.networks.trainer else None
        loss = joint_loss(answers, self.networks.projection(*bits), labels, self.weights)
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())
