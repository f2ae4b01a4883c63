"""What a student learns from its teacher: its logits, softened."""

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from handheld.errors import InputError


@dataclass(frozen=True)
class Distillation:
    """How much of its teacher, and how much of the labels, a student learns.

    Attributes:
        weight: of the teacher's softened logits against the labels, 0 to 1.
        temperature: that softens them.
        features: weight of the distance of the features; 0: logits only.
        smoothing: of the labels, in [0, 1) (Szegedy et al., arXiv 1512.00567).
        class_weights: how much an example of each class counts, above 0; empty: all as much.
    """

    weight: float = 0.9
    temperature: float = 4.0
    features: float = 0.0
    smoothing: float = 0.0
    class_weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        are_weights = 0 <= self.weight <= 1 and self.features >= 0
        if not are_weights or self.temperature <= 0 or not 0 <= self.smoothing < 1:
            raise InputError(f"expected a weight of 0 to 1 and a temperature above 0, got {self}")
        if not all(0 < weight < math.inf for weight in self.class_weights):
            raise InputError(f"expected class weights above 0, got {list(self.class_weights)}")


def student_loss(
    logits: torch.Tensor,
    labels: torch.Tensor,
    teacher: torch.Tensor | None,
    distillation: Distillation,
) -> torch.Tensor:
    """Return the loss of (n, classes) logits.

    After Hinton et al., "Distilling the Knowledge in a Neural Network", arXiv 1503.02531. The
    teacher's part is scaled by the temperature's square, so that its gradients do not shrink with
    it.

    Args:
        logits: (n, classes) of the student.
        labels: (n,) classes.
        teacher: (n, classes) logits; None: labels alone.
        distillation: how much each counts.
    """
    weights = None
    if distillation.class_weights:
        weights = torch.tensor(distillation.class_weights, device=logits.device)
    # Of the labels alone; nothing else is computed where there is no teacher.
    hard = functional.cross_entropy(logits, labels, weights, label_smoothing=distillation.smoothing)
    if teacher is None or not distillation.weight:
        return hard
    distances = _distances(logits, teacher, distillation.temperature)
    # A weighted mean, as cross_entropy's is.
    counts = torch.ones_like(distances) if weights is None else weights[labels]
    soft = (distances * counts).sum() / counts.sum()
    scale = distillation.weight * distillation.temperature**2
    return (1 - distillation.weight) * hard + scale * soft


def _distances(logits: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return the (n,) divergences of softened answers from the teacher's."""
    # Logarithms on both sides: probabilities of a sure teacher round to 0.
    divergences = functional.kl_div(
        functional.log_softmax(logits / temperature, dim=1),
        functional.log_softmax(teacher / temperature, dim=1),
        log_target=True,
        reduction="none",
    )
    return divergences.sum(dim=1)
