from copy import deepcopy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from handheld.compress.pictures.preparation import Preparation
from handheld.compress.pictures.training.batches import Augmentation, PictureBatches
from handheld.compress.pictures.training.joint import (
    JointStep,
    Sandwich,
    Together,
    alone_step,
    recalibrate,
    sandwich,
    time_ratio,
)
from handheld.compress.pictures.training.supernet import Nested, narrow
from handheld.data import Splits
from handheld.errors import InputError
from handheld.networks.structure import trace
from handheld.networks.zoo.pictures import PictureShape, make
from handheld.training import Distillation, Schedule, autocast, fit, student_loss

SHAPE = PictureShape(1, 12, 12)


@given(
    st.dictionaries(st.sampled_from("abcdefg"), st.floats(1, 1000), min_size=1),
    st.floats(0.02, 0.5),
)
def test_members_keep_to_their_budget(costs: dict[str, float], budget: float):
    largest, batch = 1000.0, 4096
    who = sandwich(costs, largest, batch, budget)
    for step in range(10):
        spent = sum(costs[name] * who.rows[name] for name in who.learners(step))
        fewest = sum(costs[name] * 16 for name in who.learners(step))
        assert spent <= max(budget * largest * batch, fewest) + 1e-6


def test_the_smallest_learns_always_and_the_others_take_turns():
    who = sandwich({"s": 1, "m": 5, "l": 20}, 100, 64, 0.1)
    assert [who.learners(step) for step in range(3)] == [("s", "l"), ("s", "m"), ("s", "l")]
    assert who.rows["s"] > who.rows["l"]


def test_without_members_the_large_network_learns_alone():
    assert sandwich({}, 100, 64, 0.1).learners(0) == ()


def test_a_budget_of_nothing_is_refused():
    with pytest.raises(InputError, match="budget"):
        sandwich({"a": 1}, 10, 8, 0)


def setup(
    splits: Splits, *, trains_large: bool = True
) -> tuple[Together, PictureBatches, Sandwich]:
    preparation = Preparation.of(splits.train)
    network = trace(make("residual", SHAPE, 3, 4, seed=0), torch.zeros(2, *SHAPE))
    shared = None if trains_large else deepcopy(network)
    nested = Nested(shared or network, narrow(network, torch.zeros(2, *SHAPE), width=0.5), 12)
    together = Together(network, {"nested": nested}, shared=shared)
    return (
        together.train(),
        PictureBatches(splits.train, preparation, 60, Augmentation(shift=1), seed=0),
        Sandwich("nested", (), {"nested": 30}),
    )


def test_a_joint_step_is_the_large_networks_step_and_the_members(splits: Splits):
    together, batches, who = setup(splits)
    alone, _, _ = setup(splits)
    how = Distillation(weight=0.0)
    joint = JointStep(together, batches, who, how)(0)
    assert joint == pytest.approx(alone_step(alone.large, batches, how, 0), abs=1e-3)
    ours, theirs = (net.large.get_parameter("0.0.weight").grad for net in (together, alone))
    assert torch.allclose(ours[2:], theirs[2:], atol=1e-4)  # channels that no member has
    assert not torch.allclose(ours[:2], theirs[:2], atol=1e-4)


def test_a_fixed_teacher_learns_nothing(splits: Splits):
    together, batches, who = setup(splits, trains_large=False)
    together.large.eval()
    before = deepcopy(together.large.state_dict())
    member = deepcopy(together.members["nested"].standalone())
    curve = fit(
        together,
        lambda step: JointStep(together, batches, who, Distillation())(step),
        Schedule(1),
        3,
    )
    assert np.isfinite(curve[-1][1])
    after = together.large.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    learned = together.members["nested"].standalone()
    assert any(
        not torch.equal(one, other)
        for one, other in zip(member.parameters(), learned.parameters(), strict=True)
    )


def test_a_teacher_above_teaches_all(splits: Splits):
    together, batches, who = setup(splits)
    asked = []

    def above(inputs: torch.Tensor) -> torch.Tensor:
        asked.append(len(inputs))
        return torch.zeros(len(inputs), 3)

    JointStep(together, batches, who, Distillation(), above)(0)
    assert asked == [60]


def test_statistics_are_measured_anew(splits: Splits):
    together, batches, _ = setup(splits)
    member = together.members["nested"]
    norm = next(layer for layer in member.modules() if isinstance(layer, torch.nn.BatchNorm2d))
    norm.running_mean.fill_(99.0)
    recalibrate(member, batches, range(3))
    assert not member.training
    assert norm.running_mean.abs().max() < 10
    assert norm.momentum == 0.1


def test_in_shared_weights_a_members_example_counts_as_one_of_the_large_networks(splits: Splits):
    how, shared = Distillation(weight=1.0), "0.0.weight"
    (together, batches, who), (apart, _, _) = setup(splits), setup(splits)
    JointStep(together, batches, who, how)(0)
    alone_step(apart.large, batches, how, 0)
    added = together.large.get_parameter(shared).grad - apart.large.get_parameter(shared).grad
    (member, _, _), batch = setup(splits), batches.at(0)
    with autocast(batch.inputs.device):
        soft = member.large(batch.inputs).float().detach()[:30]
        given = member.members["nested"](batch.inputs[:30]).float()
    student_loss(given, batch.labels[:30], soft, how).backward()
    assert torch.allclose(added, 0.5 * member.large.get_parameter(shared).grad, atol=2e-2)
    assert not torch.allclose(added, member.large.get_parameter(shared).grad, atol=2e-2)


def test_what_members_cost_is_the_ratio_of_medians_and_teaches_nothing(splits: Splits):
    together, batches, who = setup(splits)
    before = [parameter.detach().clone() for parameter in together.parameters()]
    times = iter(
        [
            0,
            9,
            99,
            *[
                value
                for pair in range(4)
                for value in (100 * pair, 100 * pair + 10, 100 * pair + 21)
            ],
        ]
    )
    ratio = time_ratio(
        JointStep(together, batches, who, Distillation()), 4, clock=lambda: float(next(times))
    )
    assert ratio == pytest.approx(1.1)
    assert all(
        torch.equal(one, other) for one, other in zip(before, together.parameters(), strict=True)
    )
    assert all(parameter.grad is None for parameter in together.parameters())
