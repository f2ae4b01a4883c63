import math

import pytest
import torch

from handheld.errors import InputError
from handheld.hands.training.palm.loss import PalmLoss, PalmTargets, focal_loss
from handheld.hands.training.palm.network import PalmNetwork, PalmOutput, PalmShape


def test_focal_loss_by_hand():
    logits = torch.tensor([0.0, 0.0, 2.0])
    labels = torch.tensor([1, 0, -1])
    even = 0.5**2 * math.log(2)
    assert focal_loss(logits, labels, alpha=0.25, gamma=2.0).tolist() == pytest.approx(
        [0.25 * even, 0.75 * even, 0]
    )


def test_an_easy_anchor_counts_less_than_a_hard_one():
    easy, hard = focal_loss(torch.tensor([-4.0, 4.0]), torch.tensor([0, 0]), 0.25, 2.0).tolist()
    assert hard / easy > 10_000
    plain_easy, plain_hard = focal_loss(
        torch.tensor([-4.0, 4.0]), torch.tensor([0, 0]), 0.25, 0.0
    ).tolist()
    assert plain_hard / plain_easy < 300


def test_a_box_is_wrong_by_its_palm_s_side():
    """Half a side off is as bad for a small palm as for a large one."""
    losses = []
    for side in (1.0, 8.0):
        targets = PalmTargets(torch.tensor([[1]]), torch.zeros(1, 1, 18), torch.tensor([[side]]))
        values = torch.zeros(1, 1, 18)
        values[..., 0] = 0.5 * side
        output = PalmOutput(values, torch.tensor([[30.0]]))
        losses.append(PalmLoss()(output, targets).item())
    assert losses[0] == pytest.approx(losses[1])
    assert losses[0] == pytest.approx((0.5 - 0.025) / 16, rel=1e-4)


def test_cross_entropy_is_the_mean_over_all_taught_anchors():
    targets = PalmTargets(torch.tensor([[1, 0, 0, -1]]), torch.zeros(1, 4, 18), torch.ones(1, 4))
    output = PalmOutput(torch.zeros(1, 4, 18), torch.zeros(1, 4))
    assert PalmLoss(scores="cross_entropy")(output, targets).item() == pytest.approx(math.log(2))


def test_an_unknown_loss_is_refused():
    with pytest.raises(InputError, match="focal or cross_entropy"):
        PalmLoss(scores="hinge")


def test_without_a_decoder_coarse_features_do_not_reach_the_fine_grid():
    widths = {"widths": (4, 4, 4, 4, 4), "depths": (0, 0, 0, 0, 0), "pyramid": 4, "size": 64}
    reached = {}
    torch.manual_seed(0)  # with others all four channels may be dead
    for decoder in (True, False):
        network = PalmNetwork(PalmShape(**widths, decoder=decoder)).eval()
        output = network(torch.rand(1, 3, 64, 64))
        fine = output.logits[:, :64].sum()
        fine.backward()
        gradient = network.backbone.stages[4][0][0].weight.grad
        reached[decoder] = gradient is not None and bool(gradient.any())
    assert reached == {True: True, False: False}
