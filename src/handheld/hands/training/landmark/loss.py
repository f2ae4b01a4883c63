"""What the landmark network is corrected for, where it is known."""

from dataclasses import dataclass, fields
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from handheld.hands.training.landmark.network import LandmarkOutput
from handheld.ranges import in_range

CLOSE = 0.15
"""Palm lengths: a keypoint nearer to the truth than this is right, for the
confidence of each keypoint.
"""

# Of the crop's side: errors beyond it count by their size, not by their square, so that wrong
# labels, as teachers give them, do not pull as hard as they are wrong (Huber, 1964).
_BETA = 0.01


class LandmarkTargets(NamedTuple):
    """The truth of n crops, NaN where nobody knows; see ``examples.crops.CropExample``.

    Attributes:
        points: (n, 21, 3).
        world: (n, 21, 3).
        presence, handedness, palm: (n,).
    """

    points: Tensor
    world: Tensor
    presence: Tensor
    handedness: Tensor
    palm: Tensor


@dataclass(frozen=True)
class LossWeights:
    """How much each answer counts beside the keypoints' places in the picture."""

    depth: float = 0.2
    world: float = 0.1
    presence: float = 0.03
    handedness: float = 0.02
    confidence: float = 0.01

    def __post_init__(self) -> None:
        for field in fields(self):
            in_range(f"loss.{field.name}", getattr(self, field.name), low=0)


def landmark_loss(output: LandmarkOutput, targets: LandmarkTargets, weights: LossWeights) -> Tensor:
    """Return the loss of a batch, a number."""
    flat = _distance(output.points[..., :2], targets.points[..., :2], _BETA)
    depth = _distance(output.points[..., 2], targets.points[..., 2], _BETA)
    world = _distance(output.world, targets.world, _BETA)
    return (
        flat
        + weights.depth * depth
        + weights.world * world
        + weights.presence * _cross_entropy(output.presence, targets.presence)
        + weights.handedness * _cross_entropy(output.handedness, targets.handedness)
        + weights.confidence * _cross_entropy(output.confidence, _is_close(output, targets))
    )


def errors(output: LandmarkOutput, targets: LandmarkTargets) -> Tensor:
    """Return the distance (n, 21) of each keypoint from the truth in the picture, in palm
    lengths; NaN if unknown.
    """
    apart = (output.points[..., :2] - targets.points[..., :2]).norm(dim=-1)
    in_palms: Tensor = apart / targets.palm[:, None]
    return in_palms


def _is_close(output: LandmarkOutput, targets: LandmarkTargets) -> Tensor:
    with torch.no_grad():
        apart = errors(output, targets)
        return torch.where(apart.isnan(), apart, (apart < CLOSE).to(apart.dtype))


def _distance(answer: Tensor, truth: Tensor, beta: float) -> Tensor:
    known = ~truth.isnan()
    apart = functional.smooth_l1_loss(answer, truth.nan_to_num(), beta=beta, reduction="none")
    return _mean(apart, known)


def _cross_entropy(logits: Tensor, truth: Tensor) -> Tensor:
    known = ~truth.isnan()
    apart = functional.binary_cross_entropy_with_logits(
        logits, truth.nan_to_num(), reduction="none"
    )
    return _mean(apart, known)


def _mean(values: Tensor, known: Tensor) -> Tensor:
    """Average what is known; nothing known is no error.

    Unknown values get no gradient, not a gradient of NaN.
    """
    counted = torch.where(known, values, torch.zeros_like(values))
    return counted.sum() / known.sum().clamp(min=1)
