"""What the palm detector is corrected for."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from handheld.errors import InputError
from handheld.hands.training.palm.network import PalmOutput
from handheld.ranges import in_range

# Of a palm's side: errors beyond it count by their size, not by their square.
_BETA = 0.05

LOSSES = ("focal", "cross_entropy")


class PalmTargets(NamedTuple):
    """What the anchors of n scenes shall say; see ``anchors.AnchorTargets``.

    Attributes:
        labels: (n, anchors).
        values: (n, anchors, 18).
        sides: (n, anchors).
    """

    labels: Tensor
    values: Tensor
    sides: Tensor


@dataclass(frozen=True)
class PalmLoss:
    """Which loss, and what its parts count.

    Attributes:
        scores: "focal" (Lin et al., arXiv 1708.02002), or "cross_entropy", each
            anchor as much as any other.
        alpha: share of the palms against the background, of the focal loss.
        gamma: how much less an anchor counts that is right already, of the focal loss.
        boxes: weight of the boxes and keypoints.
    """

    scores: str = "focal"
    alpha: float = 0.25
    gamma: float = 2.0
    boxes: float = 1.0

    def __post_init__(self) -> None:
        if self.scores not in LOSSES:
            raise InputError(f"scores: expected {' or '.join(LOSSES)}, got {self.scores!r}")
        in_range("alpha", self.alpha, low=0, high=1)
        in_range("gamma", self.gamma, low=0)
        in_range("boxes", self.boxes, low=0)

    def __call__(self, output: PalmOutput, targets: PalmTargets) -> Tensor:
        """Return the loss of a batch, a number."""
        positive = targets.labels == 1
        # A batch without palms has a loss too, and must not divide by nothing.
        palms = positive.sum().clamp(min=1)
        scores = self._score_loss(output.logits, targets.labels, palms)
        boxes = _box_loss(output, targets, positive) / palms
        return scores + self.boxes * boxes

    def _score_loss(self, logits: Tensor, labels: Tensor, palms: Tensor) -> Tensor:
        if self.scores == "focal":
            losses = focal_loss(logits, labels, self.alpha, self.gamma)
            # By the palms, not by the anchors: almost all of these are easy and count for nothing.
            return losses.sum() / palms
        taught = (labels >= 0).sum().clamp(min=1)
        return _cross_entropy(logits, labels).sum() / taught


def focal_loss(logits: Tensor, labels: Tensor, alpha: float, gamma: float) -> Tensor:
    """Return the focal loss of each anchor: labels 1 and 0, and -1 where nothing is taught."""
    palm = labels == 1
    probability = logits.sigmoid()
    right = torch.where(palm, probability, 1 - probability)
    weight = torch.where(palm, alpha, 1 - alpha)
    modulation = (1 - right) ** gamma
    return weight * modulation * _cross_entropy(logits, labels)


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    truth = (labels == 1).to(logits.dtype)
    entropy = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    return torch.where(labels >= 0, entropy, torch.zeros_like(entropy))


def _box_loss(output: PalmOutput, targets: PalmTargets, positive: Tensor) -> Tensor:
    """Return the sum over the palms' anchors of the mean error of their values, in sides of the
    palm.
    """
    answer = output.values[positive]
    truth = targets.values[positive]
    side = targets.sides[positive][:, None]
    coordinates = [0, 1, *range(4, answer.shape[1])]
    # By the palm's side, or large palms, whose errors are more strides, would be most of the loss.
    moved = _smooth_l1(answer[:, coordinates] / side, truth[:, coordinates] / side)
    # Logarithms of sides are shares of them already.
    grown = _smooth_l1(answer[:, 2:4], truth[:, 2:4])
    return moved.mean(dim=1).sum() + grown.mean(dim=1).sum()


def _smooth_l1(answer: Tensor, truth: Tensor) -> Tensor:
    return functional.smooth_l1_loss(answer, truth, beta=_BETA, reduction="none")
