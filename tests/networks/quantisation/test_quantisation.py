import copy
import pickle
from importlib import import_module

import pytest
import torch
from torch import fx, nn

from handheld.errors import CompileError, InputError
from handheld.networks.quantisation import (
    FxNet,
    fake_quantise,
    fold,
    sensitivity,
    without_fakes,
)
from handheld.networks.quantisation.fake import FakeActivation, FakeWeights
from handheld.networks.quantisation.fold import layers_of
from handheld.networks.structure import trace
from handheld.networks.zoo.pictures import PictureShape, make

SHAPE = PictureShape(1, 12, 12)
NAMES = ["residual", "mobile", "plain", "projected"]


def trained(name: str) -> fx.GraphModule:
    """A network whose batch normalisation has seen something."""
    torch.manual_seed(0)
    network = trace(make(name, SHAPE, 3, 4, seed=0), torch.zeros(2, *SHAPE)).train()
    for _ in range(5):
        network(torch.randn(16, *SHAPE) * 2 + 1)
    return network.eval()


@pytest.mark.parametrize("name", NAMES)
def test_a_folded_network_computes_the_same_without_normalisation(name: str):
    network, inputs = trained(name), torch.randn(4, *SHAPE)
    folded = fold(network)
    assert torch.allclose(folded(inputs), network(inputs), atol=1e-5)
    assert not [layer for layer in folded.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert all("." not in layer for layer in layers_of(folded))
    assert torch.allclose(FxNet(folded)(inputs), network(inputs), atol=1e-5)


def test_weights_that_are_read_elsewhere_stay_as_they_are():
    class Decayed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)
            self.other, self.second = nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.second(self.other(self.norm(self.conv(x)))) + self.conv.weight.sum()

    network = trace(Decayed(), torch.randn(2, *SHAPE)).train()
    network(torch.randn(16, *SHAPE) * 2 + 1)
    folded, inputs = fold(network.eval()), torch.randn(4, *SHAPE)
    assert torch.allclose(folded(inputs), network(inputs), atol=1e-5)
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules()) == 1


def test_a_number_among_the_outputs_is_left_as_it_is():
    class Counted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, int, None]:
            y = self.norm(self.conv(x))
            return y, y.shape[1], None

    network, inputs = trace(Counted().eval(), torch.randn(2, *SHAPE)), torch.randn(4, *SHAPE)
    given, *others = fold(network)(inputs)
    assert torch.allclose(given, network(inputs)[0], atol=1e-5)
    assert others == [4, None]


def test_normalisation_that_others_read_past_stays():
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.conv(x)
            return (self.norm(y) + y).mean((2, 3))

    network, inputs = trace(Odd(), torch.zeros(2, *SHAPE)), torch.randn(3, *SHAPE)
    folded = fold(network)
    assert torch.allclose(folded(inputs), network(inputs), atol=1e-6)
    assert isinstance(folded.norm, nn.BatchNorm2d)


class Shared(nn.Module):
    """A convolution over two levels, each normalised by its own, or by one."""

    def __init__(self, norms: int, again: bool = True) -> None:
        super().__init__()
        self.conv, self.norms = (
            nn.Conv2d(1, 4, 3, padding=1),
            nn.ModuleList(nn.BatchNorm2d(4) for _ in range(norms)),
        )
        self.again = again

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.norms[0](self.conv(x))
        second = self.conv(x[:, :, ::2, ::2])
        second = self.norms[-1](second) if self.again else second
        return torch.cat([first.mean((2, 3)), second.relu().mean((2, 3))], 1)


class OnTokens(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(12, width), nn.BatchNorm1d(12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.linear(x[:, 0])).mean(1)


class OfTheBatch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(x)).relu().mean((2, 3))


class OwnConv(nn.Conv2d):
    """Named otherwise, and nothing else."""


def tied() -> nn.Module:
    one, two = nn.Conv2d(4, 4, 1, bias=False), nn.Conv2d(4, 4, 1, bias=False)
    two.weight = one.weight
    norms = nn.BatchNorm2d(4), nn.BatchNorm2d(4)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        one,
        norms[0],
        nn.ReLU(),
        two,
        norms[1],
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


@pytest.mark.parametrize(
    ("module", "left"),
    [
        (Shared(2), 2),
        (Shared(1), 0),
        (Shared(1, again=False), 1),
        (OnTokens(12), 1),
        (OnTokens(7), 1),
        (OfTheBatch(), 1),
        (tied(), 0),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, affine=False), nn.Flatten()), 0),
        (nn.Sequential(OwnConv(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten()), 0),
        (nn.Sequential(nn.Flatten(), nn.Linear(144, 5), nn.BatchNorm1d(5)), 0),
        (
            nn.Sequential(
                nn.Conv2d(1, 4, 3), nn.InstanceNorm2d(4, track_running_stats=True), nn.Flatten()
            ),
            0,
        ),
        (
            nn.Sequential(
                torch.nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 4, 3)),
                nn.BatchNorm2d(4),
                nn.Flatten(),
            ),
            1,
        ),
    ],
)
def test_folds_what_can_be_and_nothing_else(module: nn.Module, left: int):
    torch.manual_seed(0)
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape) + 0.2)
    inputs = torch.randn(5, *SHAPE)
    network = trace(module.eval(), torch.zeros(2, *SHAPE))
    folded = fold(network)
    torch.testing.assert_close(folded(inputs), module(inputs), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(FxNet(folded)(inputs), module(inputs), atol=1e-4, rtol=1e-4)
    assert (
        sum(isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) for layer in folded.modules())
        == left
    )


def test_a_wrong_fold_is_told(monkeypatch: pytest.MonkeyPatch):
    network = trained("plain")
    module = import_module("handheld.networks.quantisation.fold")
    monkeypatch.setattr(module, "fuse_conv_bn_eval", lambda layer, norm: layer)
    with pytest.raises(CompileError, match="answers otherwise"):
        fold(network)


@pytest.mark.parametrize("name", NAMES)
def test_rounding_changes_little_and_goes_away_again(name: str):
    network, inputs = trained(name), torch.randn(16, *SHAPE)
    folded = fold(network)
    fake = fake_quantise(folded)
    fake.train()(inputs)
    fake.eval()
    difference = (fake(inputs) - network(inputs)).square().mean().sqrt() / network(inputs).std()
    assert 0 < float(difference.detach()) < 0.2
    assert torch.equal(without_fakes(fake)(inputs), folded(inputs))
    assert not [
        layer
        for layer in without_fakes(fake).modules()
        if isinstance(layer, FakeWeights | FakeActivation)
    ]


def test_a_rounding_network_learns_is_copied_and_pickled():
    fake = fake_quantise(fold(trained("residual"))).train()
    fake(torch.randn(4, *SHAPE)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in fake.parameters())
    twin = pickle.loads(pickle.dumps(copy.deepcopy(fake)))
    inputs = torch.randn(4, *SHAPE)
    assert torch.equal(twin.eval()(inputs), fake.eval()(inputs))


def test_weights_have_255_levels_for_each_channel():
    layer = nn.Conv2d(3, 4, 3)
    rounded = FakeWeights(layer).rounded()
    for channel, given in zip(rounded, layer.weight, strict=True):
        scale = given.abs().max() / 127
        assert torch.allclose(channel / scale, (channel / scale).round(), atol=1e-3)
        assert (channel - given).abs().max() <= scale / 2 + 1e-7


def test_activations_keep_zero_and_their_range():
    fake = FakeActivation().train()
    values = torch.linspace(-1, 3, 9)
    fake(values)
    rounded = fake.eval()(values)
    assert rounded[2] == 0
    assert (rounded - values).abs().max() <= 4 / 255
    assert fake(torch.tensor([100.0])) <= 3.01
    assert fake(torch.zeros(3)).abs().max() == 0


def test_one_layer_alone_and_all_but_one():
    folded = fold(trained("plain"))
    first, *others = layers_of(folded)
    alone = fake_quantise(folded, only=[first])
    assert [name for name, layer in alone.named_modules() if isinstance(layer, FakeWeights)] == [
        first
    ]
    assert len([layer for layer in alone.modules() if isinstance(layer, FakeActivation)]) == 1
    rest = fake_quantise(folded, skip=[first])
    assert {name for name, layer in rest.named_modules() if isinstance(layer, FakeWeights)} == set(
        others
    )


def test_the_layer_that_loses_most_comes_first():
    folded = fold(trained("residual"))
    victim = layers_of(folded)[3]
    weight = folded.get_submodule(victim).weight
    with torch.no_grad():  # one huge weight in each channel leaves few levels for all others
        weight[:, 0, 0, 0] += 40 * weight.abs().amax()
    ranked = sensitivity(folded, [torch.randn(16, *SHAPE)])
    assert next(iter(ranked)) == victim
    assert set(ranked) == set(layers_of(folded))
    assert list(ranked.values()) == sorted(ranked.values(), reverse=True)


class Weighed(nn.Module):
    """A layer whose numbers the network reads itself: behind its call, or before it."""

    def __init__(self, *, first: bool) -> None:
        super().__init__()
        self.layer, self.out, self.first = nn.Linear(5, 4), nn.Linear(5, 3), first

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.first:
            weight = self.layer.weight.t()
            return self.out(self.layer(x).relu() @ weight.t())
        return self.out(self.layer(x).relu() @ self.layer.weight + self.layer.bias.sum())


class Spoken(nn.Module):
    """The table of words is the last layer's weights too."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.middle = nn.Embedding(7, 5), nn.Linear(5, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        words = torch.arange(5) + 0 * x.long()
        means = self.middle(self.embed(words)).mean(1)
        return nn.functional.linear(means, self.embed.weight)


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize(
    "build", [Spoken, lambda: Weighed(first=True), lambda: Weighed(first=False)]
)
def test_a_layer_whose_weights_the_network_reads_is_rounded(build, deep: bool):
    torch.manual_seed(0)
    module = nn.Sequential(build()) if deep else build()
    inputs = torch.randn(6, 5)
    folded = fold(trace(module, inputs))
    fake = fake_quantise(folded).train()
    fake(inputs).square().sum().backward()
    fake.eval()
    spread = (fake(inputs) - folded(inputs)).std() / folded(inputs).std()
    assert 0 < float(spread.detach()) < 0.2
    for twin in (copy.deepcopy(fake), pickle.loads(pickle.dumps(fake))):
        assert torch.equal(twin(inputs), fake(inputs))
    again = without_fakes(fake)
    assert torch.equal(again(inputs), folded(inputs))
    assert list(again.state_dict()) == list(folded.state_dict())


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("deep", [False, True])
def test_a_weight_that_the_network_reads_is_the_rounded_one(first: bool, deep: bool):
    """The file holds it once: of 127 levels to each side of 0, 0.3 beside 1 is the 38th."""
    module = Weighed(first=first)
    with torch.no_grad():
        module.layer.weight.copy_(torch.tensor([1, 0.3, 0.3, 0.3, 0.3]).expand(4, 5))
    network = nn.Sequential(module) if deep else module
    fake = fake_quantise(fold(trace(network, torch.randn(2, 5))))
    read = [
        node.name for node in fake.graph.nodes if node.op == "get_attr" and "weight" in node.name
    ]
    assert len(read) == 1
    (reader,) = next(node for node in fake.graph.nodes if node.name == read[0]).users
    seen = fake.get_submodule(reader.target)(module.layer.weight.detach())
    torch.testing.assert_close(seen[0], torch.tensor([1.0, *[38 / 127] * 4]))


def test_a_layer_whose_name_is_that_of_a_rounding_stays():
    """What rounds is told by what it is: a layer called fake_x was taken out with the roundings."""

    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fake_x, self.fake_relu = nn.Linear(5, 4), nn.Linear(4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fake_relu(self.fake_x(x).relu())

    inputs = torch.randn(6, 5)
    folded = fold(trace(Named(), inputs))
    fake = fake_quantise(folded).train()
    assert fake(inputs).shape == (6, 3)
    assert torch.equal(without_fakes(fake.eval())(inputs), folded(inputs))


def with_normalisation_in_front() -> fx.GraphModule:
    """Normalisation before layers, which cannot be folded, of other statistics than the inputs."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.BatchNorm2d(1),
        nn.Conv2d(1, 4, 3),
        nn.ReLU(),
        nn.BatchNorm2d(4),
        nn.Dropout(0.9),
        nn.Conv2d(4, 4, 3),
        nn.Flatten(),
        nn.Linear(256, 3),
    )
    for number in (0, 3):
        network[number].running_mean.fill_(2.0)
        network[number].running_var.fill_(9.0)
    # So that the answers differ by more than what floats round.
    network[7].weight.data *= 30
    return fold(trace(network, torch.zeros(2, *SHAPE)))


def test_normalisation_that_could_not_be_folded_is_not_taken_for_rounding():
    folded = with_normalisation_in_front()
    inputs = torch.randn(8, *SHAPE)
    kept = copy.deepcopy(folded.state_dict())
    ranked = sensitivity(folded, [inputs])
    with torch.no_grad():
        right = folded(inputs).log_softmax(1)
        for name, loss in ranked.items():
            fake = fake_quantise(folded, only=[name])
            # Of one batch the range is that of the batch itself, whatever else stands around.
            for layer in fake.modules():
                layer.training = isinstance(layer, FakeActivation)
            fake(inputs)
            shares = fake.eval()(inputs).log_softmax(1)
            # The Kullback-Leibler divergence, by its definition.
            expected = float((right.exp() * (right - shares)).sum(1).mean())
            assert loss == pytest.approx(expected, rel=0.01, abs=1e-6)
    assert all(torch.equal(kept[key], value) for key, value in folded.state_dict().items())


@pytest.mark.parametrize("ruled_out", [0, 2])
def test_a_class_that_is_ruled_out_hides_no_loss(ruled_out: int):
    class RulesOut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 3)
            self.register_buffer("shift", torch.zeros(3))
            self.shift[ruled_out] = -torch.inf

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(x) + self.shift

    torch.manual_seed(0)
    folded = fold(trace(RulesOut(), torch.zeros(2, 4)))
    (loss,) = sensitivity(folded, [torch.randn(8, 4)]).values()
    assert 0 < loss < 0.01


def test_without_inputs_there_is_nothing_to_rank_by():
    with pytest.raises(InputError, match=r"^inputs: expected one batch or more"):
        sensitivity(fold(trained("plain")), [])


def test_a_fold_that_gives_no_numbers_is_refused(monkeypatch: pytest.MonkeyPatch):
    # The room's name "fold" is the function's, which hides the module.
    module = import_module("handheld.networks.quantisation.fold")
    fuse = nn.utils.fusion.fuse_conv_bn_eval

    def broken(before: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
        fused = fuse(before, norm)
        fused.weight.data[0] = torch.nan
        return fused

    monkeypatch.setattr(module, "fuse_conv_bn_eval", broken)
    with pytest.raises(CompileError, match="with batch normalisation folded"):
        fold(trained("plain"))
