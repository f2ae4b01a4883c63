"""What a student learns from its teacher: its logits, and the features below them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from handheld.errors import InputError


@dataclass(frozen=True)
class Distillation:
    """How much of each a student learns.

    Attributes:
        weight: of the teacher's softened logits against the labels, 0 to 1.
        temperature: that softens them.
        features: weight of the distance of the features; 0: logits only.
        smoothing: of the labels, 0 to 1 (Szegedy et al., arXiv 1512.00567).
    """

    weight: float = 0.9
    temperature: float = 4.0
    features: float = 0.0
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.weight <= 1 and self.temperature > 0 and self.features >= 0 and 0 <= self.smoothing < 1):
            raise InputError(f"expected a weight of 0 to 1 and a temperature above 0, got {self}")


def student_loss(logits: torch.Tensor, labels: torch.Tensor, teacher: torch.Tensor | None, how: Distillation) -> torch.Tensor:
    """Return the loss of (n, classes) logits (Hinton et al., "Distilling the Knowledge in a Neural Network", arXiv 1503.02531).

    The teacher's part is scaled by the temperature's square, so that its gradients do not shrink with it.
    """
    hard = functional.cross_entropy(logits, labels, label_smoothing=how.smoothing)
    if teacher is None or not how.weight:
        return hard
    soft = functional.kl_div(
        functional.log_softmax(logits / how.temperature, dim=1),
        functional.log_softmax(teacher / how.temperature, dim=1),
        log_target=True,
        reduction="batchmean",
    )
    return (1 - how.weight) * hard + how.weight * how.temperature**2 * soft


class Features(nn.Module):
    """Distance of a student's features, mapped linearly, to its teacher's (Romero et al., "FitNets", arXiv 1412.6550).

    Features are what the last linear layer reads, (n, features), normalised to length 1.

    Args:
        student: that learns.
        teacher: asked about each batch; not trained, and no part of this module.
    """

    def __init__(self, student: nn.Module, teacher: nn.Module):
        super().__init__()
        self.student, self._teacher = student, [teacher]
        self.adapter = nn.Linear(last_linear(student).in_features, last_linear(teacher).in_features, bias=False)

    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the student's logits, and the mean squared distance of the features, 0 to 4."""
        with watched(self.student) as ours:
            logits = self.student(inputs)
        with torch.no_grad(), watched(self._teacher[0]) as theirs:
            self._teacher[0](inputs)
        mapped = functional.normalize(self.adapter(ours[0]).float(), dim=1)
        distance = (mapped - functional.normalize(theirs[0].float(), dim=1)).square().sum(dim=1).mean()
        return logits, distance


@contextmanager
def watched(network: nn.Module) -> Iterator[list[torch.Tensor]]:
    """Collect what the last linear layer of a network reads, in each call. Raises :class:`InputError` without such a layer."""
    seen: list[torch.Tensor] = []
    handle = last_linear(network).register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))
    try:
        yield seen
    finally:
        handle.remove()


def last_linear(network: nn.Module) -> nn.Linear:
    """Return the layer that gives the logits."""
    found = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    if not found:
        raise InputError("features cannot be compared: the network ends in no linear layer; set features = 0")
    return found[-1]
