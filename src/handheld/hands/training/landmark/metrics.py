"""How good a landmark network is: error by palm length, presence, handedness, and what
its confidence is worth.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# Steps of the calibration error: finer ones would hold too few answers each.
_BINS = 10


@dataclass(frozen=True, eq=False)
class LandmarkAnswers:
    """What a network said of n crops, and the truth; NaN where nobody knows.

    Attributes:
        errors: (n, 21) distance of each keypoint in palm lengths.
        confidence: (n, 21) probability that a keypoint is right.
        presence, handedness: (n,) probabilities.
        has_hand, is_right: (n,) truth, 0 or 1.
        groups: of each crop.
    """

    errors: Floats
    confidence: Floats
    presence: Floats
    handedness: Floats
    has_hand: Floats
    is_right: Floats
    groups: tuple[str, ...]


@dataclass(frozen=True)
class LandmarkScores:
    """Numbers of a report.

    Attributes:
        mean, median: error of a keypoint, in palm lengths.
        p90: error that nine hands of ten stay below, each by its mean.
        groups: mean error of each group.
        points: mean error of each of the 21 keypoints.
        present: share of crops with a hand in which one is seen.
        absent: share of crops without a hand in which none is seen.
        handedness: share of hands whose side is right.
        calibration: mean difference between confidence and how often it was
            right, in ten equal steps.
        hands: crops with a hand.
    """

    mean: float
    median: float
    p90: float
    groups: dict[str, float] = field(default_factory=dict)
    points: tuple[float, ...] = ()
    present: float = float("nan")
    absent: float = float("nan")
    handedness: float = float("nan")
    calibration: float = float("nan")
    hands: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return plain numbers, rounded; ``None`` where nothing was to be measured."""
        return {name: _rounded(value) for name, value in asdict(self).items()}


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {name: _rounded(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(entry) for entry in value]
    if isinstance(value, float):
        return _rounded_number(value)
    return value


def _rounded_number(value: float) -> float | None:
    # JSON has no NaN.
    if np.isnan(value):
        return None
    return round(value, 4)


def landmark_scores(answers: LandmarkAnswers, close: float) -> LandmarkScores:
    """Summarise answers.

    Args:
        answers: of a network.
        close: palm lengths within which a keypoint is right, as for the confidence.
    """
    known = np.isfinite(answers.errors)
    errors = answers.errors[known]
    confidence = answers.confidence[known]
    has_points = np.asarray(known.any(axis=1), np.bool_)
    # By hand first: a hand of which few keypoints are known counts as much as any other.
    by_hand = _row_means(answers.errors[has_points])
    groups = np.array(answers.groups)[has_points]
    return LandmarkScores(
        mean=_mean(errors),
        median=_summary(errors, np.median),
        p90=_summary(by_hand, partial(np.quantile, q=0.9)),
        groups=_by_group(by_hand, groups),
        points=_by_point(answers.errors),
        present=_share_right(answers, has_hand=1),
        absent=_share_right(answers, has_hand=0),
        handedness=_agreement(answers.handedness, answers.is_right),
        calibration=calibration_error(confidence, errors < close),
        hands=int(has_points.sum()),
    )


def _share_right(answers: LandmarkAnswers, *, has_hand: int) -> float:
    """Return the share of crops with, or without, a hand in which the presence says so."""
    # What is between a hand and none has no truth, and is in neither share.
    presence = answers.presence[answers.has_hand == has_hand]
    return _mean((presence >= 0.5) == has_hand)


def calibration_error(confidence: Floats, right: NDArray[np.bool_]) -> float:
    """Return the expected calibration error (Naeini et al., 2015) of (n,) probabilities, in [0, 1];
    NaN for none.
    """
    if not len(confidence):
        return float("nan")
    # A probability of 1 belongs to the last step.
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    total = np.bincount(bins, minlength=_BINS)
    # By its sums, not its means: each step counts by how many answers it holds.
    gap = np.bincount(bins, weights=confidence - right, minlength=_BINS)
    return float(np.abs(gap).sum() / total.sum())


def _by_group(values: Floats, groups: NDArray[np.str_]) -> dict[str, float]:
    return {str(name): _mean(values[groups == name]) for name in np.unique(groups)}


def _by_point(errors: Floats) -> tuple[float, ...]:
    means = [_mean(column[np.isfinite(column)]) for column in errors.T]
    return tuple(means)


def _agreement(probability: Floats, truth: Floats) -> float:
    known = np.isfinite(truth)
    says_right = probability[known] >= 0.5
    return _mean(says_right == (truth[known] == 1))


def _row_means(values: Floats) -> Floats:
    # Row by row: hands differ in how many of their keypoints are known.
    means = [row[np.isfinite(row)].mean() for row in values]
    return np.array(means, np.float32)


def _mean(values: NDArray[np.generic]) -> float:
    return _summary(values, np.mean)


def _summary(values: NDArray[np.generic], summarise: Callable[..., Any]) -> float:
    """Return what a function makes of numbers; NaN where there are none."""
    # Functions of numpy warn of nothing, and a warning is an error in a test.
    if not values.size:
        return float("nan")
    return float(summarise(values))
