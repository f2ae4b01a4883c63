import math

import numpy as np
import pytest
import torch
from torch import nn

from handheld.errors import InputError
from handheld.projection import Signs
from handheld.projection.training.net import (
    Joint,
    JointBatch,
    ProjectionNet,
    ProjectionStep,
    Weights,
    joint_loss,
)
from handheld.training import Schedule, fit

EVEN = torch.zeros(1, 2)
SURE = torch.log(torch.tensor([[0.75, 0.25]]))
LABEL = torch.tensor([0])


def test_the_loss_by_hand():
    # trainer: -ln 0.75; projection: -ln 0.5; distance: -(0.75 ln 0.5 + 0.25 ln 0.5)
    loss = joint_loss(SURE, EVEN, LABEL, Weights(trainer=2, projection=3, distance=5))
    assert float(loss) == pytest.approx(
        2 * -math.log(0.75) + 3 * math.log(2) + 5 * math.log(2), rel=1e-5
    )
    assert float(joint_loss(None, EVEN, LABEL, Weights(projection=3))) == pytest.approx(
        3 * math.log(2), rel=1e-5
    )


def test_the_distance_teaches_the_projection_network_alone():
    trainer, projection = SURE.clone().requires_grad_(), EVEN.clone().requires_grad_()
    joint_loss(trainer, projection, LABEL, Weights(trainer=0, projection=0)).backward()
    assert trainer.grad is None
    assert projection.grad is not None
    assert projection.grad.tolist()[0] == pytest.approx([0.5 - 0.75, 0.5 - 0.25])


@pytest.mark.parametrize(
    "wrong",
    [{"trainer": -1}, {"projection": 0, "distance": 0}, {"temperature": 0}, {"smoothing": 1.0}],
)
def test_impossible_weights_are_refused(wrong: dict[str, float]):
    with pytest.raises(InputError):
        Weights(**wrong)


@pytest.mark.parametrize("hidden", [(), (6,), (6, 5)])
def test_layers_on_bits(hidden: tuple[int, ...]):
    network = ProjectionNet(20, 3, hidden)
    assert network(torch.ones(4, 20)).shape == (4, 3)
    assert (
        len([layer for layer in network.modules() if isinstance(layer, nn.Linear)])
        == len(hidden) + 1
    )


@pytest.mark.parametrize("teacher", ["trained along", "given", "none"])
def test_a_tiny_network_learns_from_bits(teacher: str):
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 30))
    labels = rng.integers(0, 3, 240)
    vectors = (centres[labels] + 0.7 * rng.normal(size=(240, 30))).astype(np.float32)
    bits = torch.from_numpy(Signs(20, 8).of_vectors(vectors).astype(np.float32) * 2 - 1)
    whole, answers = torch.from_numpy(vectors), torch.from_numpy(labels)
    torch.manual_seed(0)
    networks = Joint(
        ProjectionNet(160, 3), nn.Linear(30, 3) if teacher == "trained along" else None
    )
    given = 4.0 * nn.functional.one_hot(answers[:200], 3).float() if teacher == "given" else None
    batch = JointBatch((bits[:200],), (whole[:200],), answers[:200], given)
    step = ProjectionStep(networks, lambda _: batch, Weights())
    curve = fit(networks, step, Schedule(1, rate=0.1), 60)
    assert curve[-1][1] < curve[0][1]
    networks.eval()
    assert (networks.projection(bits[200:]).argmax(1) == answers[200:]).float().mean() > 0.85
    if networks.trainer is not None:
        assert (networks.trainer(whole[200:]).argmax(1) == answers[200:]).float().mean() > 0.85
