import math

import pytest
import torch

from handheld.hands.training.landmark.loss import (
    LandmarkTargets,
    LossWeights,
    errors,
    landmark_loss,
    unsteadiness,
)
from handheld.hands.training.landmark.network import LandmarkOutput

NAN = float("nan")


def output(points=0.0):
    return LandmarkOutput(
        points=torch.full((2, 21, 3), points, requires_grad=True),
        presence=torch.zeros(2, requires_grad=True),
        handedness=torch.zeros(2, requires_grad=True),
        world=torch.zeros(2, 21, 3, requires_grad=True),
        confidence=torch.zeros(2, 21, requires_grad=True),
    )


def nothing_known():
    unknown = torch.full((2,), NAN)
    return LandmarkTargets(
        torch.full((2, 21, 3), NAN), torch.full((2, 21, 3), NAN), unknown, unknown, unknown
    )


def test_what_nobody_knows_costs_nothing_and_moves_nothing():
    answer = output()
    loss = landmark_loss(answer, nothing_known(), LossWeights())
    assert loss == 0
    loss.backward()
    assert all(not part.grad.isnan().any() and not part.grad.any() for part in answer)


def test_one_known_hand_is_not_diluted_by_one_that_is_not():
    targets = nothing_known()
    targets.points[0] = 0.1
    targets.palm[0] = 0.4
    only_places = LossWeights(depth=0, world=0, presence=0, handedness=0, confidence=0)
    # Far beyond 0.01 the loss is the distance less half of that.
    assert landmark_loss(output(), targets, only_places).item() == pytest.approx(0.1 - 0.005)


def test_presence_of_an_even_guess_costs_a_bit():
    targets = nothing_known()
    targets.presence[0] = 1.0
    only_presence = LossWeights(depth=0, world=0, presence=1.0, handedness=0, confidence=0)
    assert landmark_loss(output(), targets, only_presence).item() == pytest.approx(math.log(2))


def test_errors_are_in_palm_lengths():
    targets = nothing_known()
    targets.points[0] = torch.tensor([0.3, 0.4, 9.0])
    targets.palm[0] = 0.25
    apart = errors(output(), targets)
    assert apart[0].tolist() == pytest.approx([2.0] * 21)
    assert apart[1].isnan().all()


def test_confidence_learns_whether_a_keypoint_is_close():
    targets = nothing_known()
    targets.points[0] = 0.0
    targets.points[0, 4] = 0.5
    targets.palm[0] = 1.0
    answer = output()
    weights = LossWeights(depth=0, world=0, presence=0, handedness=0, confidence=1.0)
    landmark_loss(answer, targets, weights).backward()
    assert answer.confidence.grad[0, 0] < 0  # right: more confidence lowers the loss
    assert answer.confidence.grad[0, 4] > 0


def test_steadiness_asks_for_the_movement_between_two_frames():
    """By hand: the first keypoint should move by 0.1 and does by 0.15, all others as they should.

    Huber's loss with beta 0.002 of 0.05 is 0.05 - 0.001; of 21 keypoints with two coordinates.
    """
    answers = torch.zeros(2, 21, 3)
    truth = torch.zeros(2, 21, 3)
    truth[1, :, 0] = 0.1
    answers[1, :, 0] = 0.1
    # An error that both frames have shows as none: it is not what jitters.
    answers[:, 5, 1] = 0.3
    answers[1, 0, 0] = 0.15
    targets = nothing_known()._replace(points=truth)
    assert unsteadiness(output()._replace(points=answers), targets).item() == pytest.approx(
        0.049 / 42
    )


def test_a_frame_of_which_nobody_knows_moves_nothing():
    answers = torch.zeros(2, 21, 3, requires_grad=True)
    truth = torch.zeros(2, 21, 3)
    truth[1] = math.nan
    loss = unsteadiness(output()._replace(points=answers), nothing_known()._replace(points=truth))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(answers.grad, torch.zeros_like(answers))
