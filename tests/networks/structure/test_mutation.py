"""What writes into what it reads is made plain where nobody else sees it."""

import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

from handheld.networks.structure import removable_blocks, trace, without_blocks  # noqa: E402
from handheld.networks.structure.mutation import is_in_place  # noqa: E402

# Each gives the memory of what it reads: all of it, a part, or in another order.
LAYERS = {
    "Flatten": nn.Flatten(),
    "Unflatten": nn.Unflatten(1, (2, 2)),
    "Identity": nn.Identity(),
    "Dropout": nn.Dropout(),
    "Dropout2d": nn.Dropout2d(),
    "AlphaDropout": nn.AlphaDropout(),
    "FeatureAlphaDropout": nn.FeatureAlphaDropout(),
    "Dropout in place": nn.Dropout(inplace=True),
    "Sequential": nn.Sequential(nn.Identity(), nn.Flatten(2)),
}
OPERATIONS = {
    "view": lambda y: y.view(-1, 256),
    "mT": lambda y: y.mT,
    "data": lambda y: y.data,
    "movedim": lambda y: y.movedim(1, 2),
    "swapaxes": lambda y: torch.swapaxes(y, 1, 2),
    "ravel": lambda y: y.ravel(),
    "to": lambda y: y.to(torch.float32),
    "type_as": lambda y: y.type_as(y),
    "unfold": lambda y: y.unfold(2, 2, 2),
    "diagonal": lambda y: y.diagonal(0, 2, 3),
    "broadcast_to": lambda y: y.broadcast_to(y.shape),
    "dropout": lambda y: F.dropout(y, training=False),
    "hsplit": lambda y: y.hsplit(2)[0],
    "chunk": lambda y: y.chunk(2, 1)[1],
    "two views": lambda y: y.flatten(2)[:, 1:],
}
# And these, new memory.
COPIES = {
    "PixelShuffle": nn.PixelShuffle(2),
    "ReLU": nn.ReLU(),
    "MaxPool2d": nn.MaxPool2d(1),
    "ZeroPad2d": nn.ZeroPad2d(0),
}


def into_the_result(net, x):
    y = net.a(x)
    z = net.through(y)
    z.neg_()
    return y


def into_the_source(net, x):
    y = net.a(x)
    z = net.through(y)
    y.neg_()
    return z.clone()


def by_a_layer(net, x):
    y = net.a(x)
    z = net.act(net.through(y))
    return y.sum() + z.sum()


def one_after_the_other(net, x):
    """What the first gives is the memory that it was given."""
    y = net.a(x)
    net.through(y).neg_().mul_(2.0)
    return y


def into_the_input(net, x):
    net.through(x).neg_()
    return net.a(x)


class Operation(nn.Module):
    def __init__(self, run) -> None:
        super().__init__()
        self.run = run

    def forward(self, y):
        return self.run(y)


THROUGH = {
    **LAYERS,
    **{name: Operation(run) for name, run in OPERATIONS.items()},
    **COPIES,
}


@pytest.mark.parametrize("name", THROUGH)
@pytest.mark.parametrize(
    "run", [into_the_result, into_the_source, by_a_layer, one_after_the_other, into_the_input]
)
def test_what_is_written_through_another_tensor_is_written(run, name, build):
    torch.manual_seed(0)
    layers = {"a": nn.Conv2d(4, 4, 1), "through": THROUGH[name], "act": nn.ReLU(inplace=True)}
    module = build.lively(build.net(run, **layers))
    inputs = torch.randn(2, 4, 8, 8)
    network = trace(module, inputs.clone())
    with torch.no_grad():
        assert torch.equal(network(inputs.clone()), module(inputs.clone()))


def test_the_example_is_not_written_into(build):
    example = torch.rand(2, 4, 8, 8) + 1
    trace(build.net(into_the_input, a=nn.Conv2d(4, 4, 1), through=nn.Identity()), example)
    assert example.min() >= 1


def test_what_is_set_of_a_tensor_is_no_tensor(build):
    """``requires_grad_`` ends as what writes does, and its plain form is a truth value."""
    module = build.net(lambda net, x: net.a(x).requires_grad_(False), a=nn.Linear(4, 4))
    inputs = torch.randn(2, 4)
    with torch.no_grad():
        assert torch.equal(trace(module, inputs)(inputs), module(inputs))


def test_what_nobody_reads_otherwise_is_made_plain(build):
    """As in networks with places for dropout, timm's say, of which most are empty."""

    def run(net, x):
        y = net.act(net.none(net.a(x)))
        z = net.act(net.none(y + net.none(net.b(y))))
        return net.out(z.flatten(1).neg_())

    layers = {"a": nn.Conv2d(3, 4, 1), "b": nn.Conv2d(4, 4, 1), "out": nn.Linear(64, 3)}
    module = build.net(run, none=nn.Identity(), act=nn.ReLU(inplace=True), **layers)
    network = trace(module, torch.randn(2, 3, 4, 4))
    assert not [node for node in network.graph.nodes if is_in_place(network, node)]
    assert removable_blocks(network) == ("add",)


@pytest.mark.parametrize("name", [name for name in LAYERS if name != "Dropout in place"])
def test_a_block_stays_whose_sum_is_written_through_another_tensor(name, build):
    """Without the block sum and source would be one tensor, and both would be written."""

    def run(net, x):
        y = net.a(x)
        z = y + net.b(y)
        net.through(z).neg_()
        return net.out(z.flatten(1) * y.flatten(1))

    layers = {"a": nn.Conv2d(3, 4, 1), "b": nn.Conv2d(4, 4, 1), "out": nn.Linear(64, 3)}
    inputs = torch.randn(2, 3, 4, 4)
    network = trace(build.net(run, through=LAYERS[name], **layers), inputs)
    assert removable_blocks(network) == ()
    assert torch.equal(without_blocks(network, ())(inputs), network(inputs))
