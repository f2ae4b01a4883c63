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

# The same of what answers in two frames of a film differ by, which is less than what they are wrong
# by: by its square it would hardly count.
_STEADY_BETA = 0.002


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

    # Well below 1: the keypoints' error is a few hundredths of a crop, a cross-entropy some tenths,
    # and the places in the picture come first.
    depth: float = 0.2
    world: float = 0.1
    presence: float = 0.03
    handedness: float = 0.02
    confidence: float = 0.01

    def __post_init__(self) -> None:
        for field in fields(self):
            in_range(field.name, getattr(self, field.name), low=0)


def landmark_loss(output: LandmarkOutput, targets: LandmarkTargets, weights: LossWeights) -> Tensor:
    """Return the loss of a batch, a number."""
    # Depth apart from x and y: no picture shows it, and a teacher's is a guess.
    flat = _distance(output.points[..., :2], targets.points[..., :2])
    depth = _distance(output.points[..., 2], targets.points[..., 2])
    world = _distance(output.world, targets.world)
    presence = _cross_entropy(output.presence, targets.presence)
    handedness = _cross_entropy(output.handedness, targets.handedness)
    confidence = _cross_entropy(output.confidence, _is_close(output, targets))
    return (
        flat
        + weights.depth * depth
        + weights.world * world
        + weights.presence * presence
        + weights.handedness * handedness
        + weights.confidence * confidence
    )


def unsteadiness(output: LandmarkOutput, targets: LandmarkTargets) -> Tensor:
    """Return how much else answers move than they should from row 2n to row 2n + 1, two frames of
    a film of one hand: a number.
    """
    answered = output.points[1::2, :, :2] - output.points[0::2, :, :2]
    true = targets.points[1::2, :, :2] - targets.points[0::2, :, :2]
    return _distance(answered, true, beta=_STEADY_BETA)


def errors(output: LandmarkOutput, targets: LandmarkTargets) -> Tensor:
    """Return the distance (n, 21) of each keypoint from the truth in the picture, in palm lengths;
    NaN if unknown.
    """
    distances = (output.points[..., :2] - targets.points[..., :2]).norm(dim=-1)
    in_palms: Tensor = distances / targets.palm[:, None]
    return in_palms


def _is_close(output: LandmarkOutput, targets: LandmarkTargets) -> Tensor:
    # A fact about the answer, not a way to change it: the confidence must not move the keypoints.
    with torch.no_grad():
        distances = errors(output, targets)
        close = (distances < CLOSE).to(distances.dtype)
        return torch.where(distances.isnan(), distances, close)


def _distance(answer: Tensor, truth: Tensor, *, beta: float = _BETA) -> Tensor:
    known = ~truth.isnan()
    # NaN would go through `where` into the gradient: it is replaced before anything is computed.
    distances = functional.smooth_l1_loss(answer, truth.nan_to_num(), beta=beta, reduction="none")
    return _mean(distances, known)


def _cross_entropy(logits: Tensor, truth: Tensor) -> Tensor:
    known = ~truth.isnan()
    entropy = functional.binary_cross_entropy_with_logits(
        logits, truth.nan_to_num(), reduction="none"
    )
    return _mean(entropy, known)


def _mean(values: Tensor, known: Tensor) -> Tensor:
    """Average what is known; nothing known is no error.

    Unknown values get no gradient, not a gradient of NaN.
    """
    counted = torch.where(known, values, torch.zeros_like(values))
    return counted.sum() / known.sum().clamp(min=1)
