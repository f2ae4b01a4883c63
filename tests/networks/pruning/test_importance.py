"""Importances that can be checked by hand, or by taking the channel away."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from torch import nn  # noqa: E402

from handheld.errors import InputError  # noqa: E402
from handheld.networks.pruning import scores  # noqa: E402
from handheld.networks.structure import channels_of, trace  # noqa: E402


def analysed(module, example):
    network = trace(module, example)
    return network, channels_of(network)


def weighted(rows):
    layer = nn.Linear(len(rows[0]), len(rows), bias=False)
    layer.weight.data = torch.tensor(rows)
    return layer


def test_norms_relative_to_the_layer():
    network, channels = analysed(
        nn.Sequential(weighted([[3.0, 4.0], [6.0, 8.0]]), nn.ReLU(), weighted([[1.0, 1.0]])),
        torch.randn(2, 2),
    )
    found = scores(network, channels, "l2")
    assert found[channels.made["0"]].tolist() == pytest.approx([5 / 7.5, 10 / 7.5])
    assert found.shape == (channels.count,)


def test_norms_are_summed_over_the_layers_of_a_unit(mixed, example):
    network, channels = analysed(mixed, example)
    found = scores(network, channels, "l2")
    rows = [
        network.get_parameter(f"{name}.0.weight").flatten(1).norm(dim=1)
        for name in ("project", "branch")
    ]
    expected = sum(row / row.mean() for row in rows)
    assert found[channels.made["branch.0"]] == pytest.approx(expected.detach().numpy())


@pytest.mark.parametrize("groups", [1, 2])
def test_norms_of_a_transposed_convolution(groups):
    layer = nn.ConvTranspose2d(4, 6, 2, groups=groups, bias=False)
    network, channels = analysed(
        nn.Sequential(nn.Conv2d(1, 4, 1), layer, nn.Conv2d(6, 1, 1)), torch.randn(2, 1, 3, 3)
    )
    alone = []
    for channel in range(6):  # what reaches a channel is what its weights make
        part, inside = divmod(channel, 6 // groups)
        alone.append(
            layer.weight[part * (4 // groups) : (part + 1) * (4 // groups), inside].norm().item()
        )
    expected = np.zeros(channels.count)
    np.add.at(expected, channels.made["1"], np.array(alone) / np.mean(alone))
    assert scores(network, channels, "l2")[channels.made["1"]] == pytest.approx(
        expected[channels.made["1"]]
    )


def test_a_layer_of_zeros():
    network, channels = analysed(
        nn.Sequential(weighted([[0.0], [0.0]]), nn.ReLU(), weighted([[1.0, 1.0]])),
        torch.randn(2, 1),
    )
    assert scores(network, channels, "l2")[channels.made["0"]].tolist() == [0, 0]


def test_scales_are_averaged_and_the_unnormalised_stay(mixed, example):
    network, channels = analysed(mixed, example)
    found = scores(network, channels, "batch_norm")
    scales = [
        network.get_parameter(f"{name}.1.weight").detach().abs().numpy()
        for name in ("expand", "depthwise")
    ]
    assert found[channels.made["expand.0"]] == pytest.approx(np.mean(scales, axis=0))
    assert np.isinf(found[channels.made["side"]]).all()


def test_taylor_by_hand():
    """Loss = 2 (w1 relu(u1 x) + w2 relu(u2 x)): taking a unit away changes it by its part, 2 * 5 *
    1 or 2 * 2 * 3 for x = 1.
    """
    network, channels = analysed(
        nn.Sequential(weighted([[1.0], [3.0]]), nn.ReLU(), weighted([[5.0, -2.0]])),
        torch.ones(1, 1),
    )
    batches = [(torch.tensor([[1.0]]), 2.0), (torch.tensor([[3.0]]), 2.0)]
    found = scores(
        network,
        channels,
        "taylor",
        batches=batches,
        loss=lambda output, factor: factor * output.sum(),
    )
    assert found[channels.made["0"]].tolist() == pytest.approx(
        [(10**2 + 30**2) / 2, (12**2 + 36**2) / 2]
    )


def test_taylor_is_the_change_of_the_loss_for_small_parts(mixed, example):
    """With a loss linear in the output and the last layer of units, removal is exact; also through
    normalisation and bias.
    """
    network, channels = analysed(mixed, example)
    inputs = torch.rand(8, 1, 8, 8)
    found = scores(
        network, channels, "taylor", batches=[(inputs, None)], loss=lambda output, _: output.sum()
    )
    with torch.no_grad():
        before = network(inputs).sum()
        side = network.get_submodule("side")
        side.weight[0], side.bias[0] = 0, 0
        assert found[channels.made["side"][0]] == pytest.approx(
            (before - network(inputs).sum()).item() ** 2, rel=1e-3
        )


def test_the_network_stays_as_it_was(mixed, example):
    network, channels = analysed(mixed, example)
    network.train()
    network.get_submodule("stem").eval()
    network.get_parameter("head.weight").requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    batches = [(torch.randn(4, 1, 8, 8), torch.randint(4, (4,)))]
    first, second = (
        scores(network, channels, "taylor", batches=batches, loss=nn.functional.cross_entropy)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
    assert network.training
    assert not network.get_submodule("stem").training
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not network.get_parameter("head.weight").requires_grad
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_tied_and_unused_weights():
    one, two = nn.Linear(3, 3), nn.Linear(3, 3)
    two.weight = one.weight
    network, channels = analysed(
        nn.Sequential(nn.Linear(2, 3), one, two, nn.Linear(3, 1)), torch.randn(2, 2)
    )
    batches = [(torch.randn(4, 2), None)]
    for method in ("l2", "taylor"):
        found = scores(
            network, channels, method, batches=batches, loss=lambda output, _: output.sum() * 1.0
        )
        assert (found[channels.free[0].units] > 0).all()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(mixed, example, value):
    network, channels = analysed(mixed, example)
    with torch.no_grad():
        network.get_parameter("branch.0.weight")[0, 0, 0, 0] = value
    with pytest.raises(InputError, match=r"'branch\.0\.weight' has values that are not finite"):
        scores(network, channels, "l2")


def test_what_cannot_be_scored(mixed, example):
    network, channels = analysed(mixed, example)
    with pytest.raises(InputError, match="no importance 'size': expected l2, batch_norm, taylor"):
        scores(network, channels, "size")
    with pytest.raises(InputError, match="needs batches"):
        scores(network, channels, "taylor")
    with pytest.raises(InputError, match="got no batches"):
        scores(network, channels, "taylor", batches=[], loss=lambda output, _: output.sum())
    batch = [(torch.full((2, 1, 8, 8), torch.nan), None)]
    with pytest.raises(InputError, match="one finite number as the loss of batch 0, got nan"):
        scores(network, channels, "taylor", batches=batch, loss=lambda output, _: output.sum())
    with pytest.raises(InputError, match="one finite number"):
        scores(
            network, channels, "taylor", batches=[(example, None)], loss=lambda output, _: output
        )
