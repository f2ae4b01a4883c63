"""Pruning in rounds."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from torch import nn  # noqa: E402

from handheld.errors import CompileError, InputError  # noqa: E402
from handheld.networks.pruning import choose_units, prune, scores  # noqa: E402
from handheld.networks.structure import channels_of, macs, slim, take, trace  # noqa: E402


def operations(network, example):
    return sum(macs(trace(network, example)).values())


@pytest.mark.parametrize("method", ["l2", "batch_norm", "taylor"])
@pytest.mark.parametrize("steps", [1, 3])
def test_costs_fall_as_asked(mixed, example, method, steps):
    batches = [(torch.randn(4, 1, 8, 8), torch.randint(4, (4,)))]
    pruned = prune(
        mixed,
        example,
        keep=0.5,
        method=method,
        steps=steps,
        batches=batches,
        loss=nn.functional.cross_entropy,
    )
    assert pruned.met
    assert pruned.reason == ""
    assert pruned.share == operations(pruned.network, example) / operations(mixed, example) <= 0.5
    assert pruned.network(example).shape == (2, 4)
    torch.export.export(pruned.network, (example,))


def test_of_parameters(mixed, example):
    pruned = prune(mixed, example, keep=0.3, of="parameters")
    count = [sum(p.numel() for p in network.parameters()) for network in (pruned.network, mixed)]
    assert pruned.share == count[0] / count[1] <= 0.3


def test_where_parameters_come_from_after_several_rounds(mixed, example):
    pruned = prune(mixed, example, keep=0.2, steps=4)
    full = mixed.state_dict()
    for name, tensor in pruned.network.state_dict().items():
        assert torch.equal(tensor, take(full[name], pruned.taken.get(name, ())))


def test_fine_tuning_between_rounds_follows_the_schedule(mixed, example):
    seen = []
    full = operations(mixed, example)

    def fine_tune(network):
        seen.append(operations(network, example) / full)
        network.train()
        with torch.no_grad():
            network.get_parameter("head.bias").add_(1)

    pruned = prune(mixed, example, keep=0.4, steps=3, fine_tune=fine_tune)
    goals = [1 - 0.6 * (1 - (2 / 3) ** 3), 1 - 0.6 * (1 - (1 / 3) ** 3)]
    assert all(goal - 0.1 < share <= goal for share, goal in zip(seen, goals, strict=True))
    torch.testing.assert_close(pruned.network.get_parameter("head.bias"), mixed.head.bias + 2)
    assert pruned.network.training


def test_a_goal_that_cannot_be_met_gives_the_smallest(mixed, example):
    pruned = prune(mixed, example, keep=0.001, steps=3, minimum=0.25)
    assert not pruned.met
    assert 0.001 < pruned.share < 0.2
    assert "is the least that can be reached with at least 25%" in pruned.reason
    assert "layer 'head' keeps its channels: it is an output of the network" in pruned.reason
    assert [len(group.units) for group in channels_of(pruned.network).free] == [2, 4, 2, 2]


def test_a_network_that_is_pinned_stays_whole():
    network = nn.Sequential(nn.Linear(3, 4), nn.Softmax(1), nn.Linear(4, 2))
    pruned = prune(network, torch.randn(2, 3), keep=0.5, steps=2)
    assert (pruned.met, pruned.share, dict(pruned.taken)) == (False, 1.0, {})
    assert "layer '0' keeps its channels: layer 1 (Softmax) is not known" in pruned.reason


def test_a_network_without_layers():
    assert prune(nn.Sequential(nn.ReLU()), torch.randn(2, 3), keep=0.5).network(
        torch.ones(1, 3)
    ).tolist() == [[1, 1, 1]]


def test_multiples(mixed, example):
    pruned = prune(mixed, example, keep=0.5, round_to=4)
    assert pruned.met
    assert {len(group.units) % 4 for group in channels_of(pruned.network).free} == {0}


def test_the_same_each_time(mixed, example):
    one, two = (prune(mixed, example, keep=0.5, steps=2).network.state_dict() for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_errors(mixed, example):
    for wrong in (
        {"keep": 0.0},
        {"keep": 2.0},
        {"keep": 0.5, "steps": 0},
        {"keep": 0.5, "minimum": -1},
        {"keep": 0.5, "round_to": 0},
    ):
        with pytest.raises(InputError, match="expected"):
            prune(mixed, example, **wrong)
    with pytest.raises(CompileError):
        prune(mixed, torch.randn(2, 3, 8, 8), keep=0.5)
    for wrong, what in (((example,), "a tuple"), (example.numpy(), "ndarray"), (None, "NoneType")):
        with pytest.raises(
            InputError, match=rf"expected one tensor \(batch, ...\) as an example, got {what}"
        ):
            prune(mixed, wrong, keep=0.5)
    with torch.no_grad():
        mixed.head.bias[0] = torch.nan
    with pytest.raises(InputError, match=r"'head\.bias'"):
        prune(mixed, example, keep=0.5)


def test_taylor_beats_chance(trained, example, stripes):
    """Half of the operations of a trained network, without training afterwards. A random choice can
    be lucky once.
    """
    pictures, _ = stripes
    inputs, labels = pictures(512, 2)

    def accuracy(network):
        with torch.inference_mode():
            return (network.eval()(inputs).argmax(1) == labels).float().mean().item()

    batches = [
        (part, target)
        for part, target in zip(*(x.split(64) for x in pictures(512, 1)), strict=True)
    ]
    network = trace(trained, example)
    channels = channels_of(network)

    def half(importance):
        return accuracy(
            slim(network, channels, choose_units(network, channels, importance, keep=0.5)).network
        )

    chance = [half(np.random.default_rng(seed).random(channels.count)) for seed in range(8)]
    taylor = half(
        scores(network, channels, "taylor", batches=batches, loss=nn.functional.cross_entropy)
    )
    assert accuracy(trained) > 0.9
    assert taylor > np.mean(chance) + 0.1


def test_rounds_with_training_keep_the_accuracy(trained, example, stripes):
    pictures, train = stripes
    inputs, labels = pictures(512, 2)
    batches = [pictures(128, 1)]
    pruned = prune(
        trained,
        example,
        keep=0.4,
        steps=2,
        method="taylor",
        batches=batches,
        loss=nn.functional.cross_entropy,
        fine_tune=lambda network: train(network, 40),
    )
    train(pruned.network, 60)
    with torch.inference_mode():
        before, after = (
            (network.eval()(inputs).argmax(1) == labels).float().mean()
            for network in (trained, pruned.network)
        )
    assert pruned.share <= 0.4
    assert after > before - 0.05
