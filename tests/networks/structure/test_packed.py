"""A network that is packed is unpacked to the same, however often it was cut."""

import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from torch import nn  # noqa: E402
from torch.utils._pytree import tree_leaves  # noqa: E402

from handheld.networks.pruning import prune  # noqa: E402
from handheld.networks.state import pack, unpack  # noqa: E402
from handheld.networks.structure import trace  # noqa: E402


def attributes(network: nn.Module) -> dict[str, dict[str, object]]:
    """What layers are told when they are made: groups, sizes, numbers of channels."""
    return {
        name: {
            key: value
            for key, value in vars(layer).items()
            if not key.startswith("_") and isinstance(value, int | str | tuple)
        }
        for name, layer in network.named_modules()
        if not list(layer.children())
    }


def numbers(network: torch.fx.GraphModule) -> list[list[object]]:
    """The numbers among the arguments of each node."""
    arguments = [tree_leaves((node.args, node.kwargs)) for node in network.graph.nodes]
    return [[leaf for leaf in leaves if type(leaf) is int] for leaves in arguments]


def assert_comes_back(started, network, example, law):
    again = unpack(started, pack(network, started))
    with torch.no_grad():
        assert torch.equal(law.flat(again(example)), law.flat(network.eval()(example)))
    assert attributes(again) == attributes(network)
    assert numbers(again) == numbers(network)
    # Weights that were one under two names are one again, and learn together.
    assert len(list(again.parameters())) == len(list(network.parameters()))


@pytest.mark.parametrize(("keep", "steps"), [(0.5, 1), (0.5, 2), (0.3, 3), (0.05, 4)])
def test_a_pruned_network_comes_back(architecture, law, keep, steps):
    module, example, _ = architecture
    started = trace(module, example)
    network = prune(started, example, keep=keep, steps=steps, minimum=0.0).network
    assert_comes_back(started, network, example, law)


def test_a_depthwise_layer_of_one_channel_is_a_layer_like_any_other(build, law):
    """Cut again it may lose outputs of one input: no shape says its groups any more."""
    torch.manual_seed(0)
    module = nn.Sequential(
        build.conv(3, 4), nn.ReLU(), build.conv(4, 12, groups=4), nn.ReLU(), build.head(12)
    )
    example = torch.randn(2, 3, 8, 8)
    started = trace(build.lively(module), example)
    one = prune(started, example, keep=0.01, minimum=0.0).network
    assert (one.get_submodule("2").groups, one.get_submodule("2").out_channels) == (1, 3)
    network = prune(one, example, keep=0.01, minimum=0.0).network
    assert network.get_submodule("2").out_channels == 1
    assert_comes_back(started, network, example, law)


def test_heads_of_one_channel_each(build, law):
    """Then it is the heads that can be cut next, and another number of the view follows."""
    torch.manual_seed(0)

    def run(net, x):
        heads = net.a(x).view(-1, 8, 4, 3).transpose(1, 2)
        return net.b(heads.relu().transpose(1, 2).reshape(-1, 8, 12).mean(1))

    module = build.lively(build.net(run, a=nn.Linear(5, 12), b=nn.Linear(12, 3)))
    example = torch.randn(2, 8, 5)
    started = trace(module, example)
    for keep in (0.4, 0.3, 0.05):
        network = prune(started, example, keep=keep, steps=1, minimum=0.0).network
        assert_comes_back(started, network, example, law)
        network = prune(network, example, keep=keep, steps=2, minimum=0.0).network
        assert_comes_back(started, network, example, law)


def test_frozen_weights_stay_frozen(build):
    example = torch.randn(2, 3, 8, 8)
    module = build.resnet()
    module.stem.requires_grad_(False)
    started = trace(module, example)
    network = prune(started, example, keep=0.5).network
    again = unpack(started, pack(network, started))
    learning = [parameter.requires_grad for parameter in network.parameters()]
    assert {*learning} == {True, False}
    assert [parameter.requires_grad for parameter in again.parameters()] == learning
