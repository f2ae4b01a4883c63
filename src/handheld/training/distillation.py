"""What a student learns from its teacher: its logits, softened."""

from dataclasses import dataclass

import torch
from torch.nn import functional

from handheld.errors import InputError
from handheld.ranges import in_range


@dataclass(frozen=True)
class Distillation:
    """How much of its teacher, and how much of the labels, a student learns.

    Attributes:
        weight: of the teacher's softened logits against the labels, in [0, 1].
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
        in_range("weight", self.weight, low=0, high=1)
        in_range("temperature", self.temperature, low=0, low_open=True)
        in_range("features", self.features, low=0)
        in_range("smoothing", self.smoothing, low=0, high=1, high_open=True)
        for number, weight in enumerate(self.class_weights):
            in_range(f"class_weights[{number}]", weight, low=0, low_open=True)


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

    Raises:
        InputError: the teacher's logits are of another shape, or there is another number of class
            weights than classes.
    """
    # torch would stretch one row of logits along all examples.
    if teacher is not None and teacher.shape != logits.shape:
        raise InputError(
            f"teacher: expected logits {list(logits.shape)} like the student's, "
            f"got {list(teacher.shape)}"
        )
    # Halves have too few digits for logarithms, and autocast computes these in 32 bits too.
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    weights = _class_weights(logits, distillation)
    # Of the labels alone; nothing else is computed where there is no teacher.
    hard = functional.cross_entropy(logits, labels, weights, label_smoothing=distillation.smoothing)
    if teacher is None or not distillation.weight:
        return hard
    distances = _distances(logits, teacher.to(logits.dtype), distillation.temperature)
    counts = torch.ones_like(distances)
    if weights is not None:
        # A weighted mean, as cross_entropy's is.
        counts = weights[labels]
    soft = (distances * counts).sum() / counts.sum()
    scale = distillation.weight * distillation.temperature**2
    return (1 - distillation.weight) * hard + scale * soft


def _class_weights(logits: torch.Tensor, distillation: Distillation) -> torch.Tensor | None:
    """Return (classes,) how much each counts, of the logits' type; None: all as much."""
    weights = distillation.class_weights
    if not weights:
        return None
    if len(weights) != logits.shape[1]:
        raise InputError(f"class_weights: {len(weights)} numbers for {logits.shape[1]} classes")
    return torch.tensor(weights, dtype=logits.dtype, device=logits.device)


def _distances(logits: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return the (n,) divergences of softened answers from the teacher's."""
    # Logarithms on both sides: probabilities of a sure teacher round to 0.
    divergences = functional.kl_div(
        _log_shares(logits / temperature),
        _log_shares(teacher / temperature),
        log_target=True,
        reduction="none",
    )
    return divergences.sum(dim=1)


def _log_shares(logits: torch.Tensor) -> torch.Tensor:
    shares = functional.log_softmax(logits, dim=1)
    # A class that is ruled out has a logit of minus infinity, of which 0 times is no number.
    return shares.clamp(min=torch.finfo(shares.dtype).min)
