"""Architectures for the tests of structure: one small network of each kind whose channels hang
together in its own way.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

sys.path.insert(0, str(Path(__file__).parent))  # pytest's importlib mode leaves the path alone

from masking import masked, zeroed  # noqa: E402


class Net(nn.Module):
    """Named layers and a function that joins them, which sees the network as its first argument."""

    def __init__(self, forward: Callable, **layers: nn.Module | torch.Tensor) -> None:
        super().__init__()
        for name, layer in layers.items():
            if isinstance(layer, nn.Parameter | nn.Module):
                setattr(self, name, layer)
            else:
                self.register_buffer(name, layer)
        self.run = forward

    def forward(self, x):
        return self.run(self, x)


def conv(inputs: int, outputs: int, size: int = 3, **options) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, padding=size // 2, **options)


def unit(inputs: int, outputs: int, size: int = 3, act: bool = True, **options) -> nn.Sequential:
    layers = [
        conv(inputs, outputs, size, bias=False, **options),
        nn.BatchNorm2d(outputs),
        *([nn.ReLU()] if act else []),
    ]
    return nn.Sequential(*layers)


def head(inputs: int) -> nn.Sequential:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 3))


def plain():
    return nn.Sequential(unit(3, 6), nn.MaxPool2d(2), unit(6, 8), head(8))


def vgg():
    return nn.Sequential(
        conv(3, 4),
        nn.ReLU(),
        nn.MaxPool2d(4),
        nn.Flatten(),
        nn.Linear(16, 6),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(6, 3),
    )


def view():
    def run(net, x):
        x = F.max_pool2d(F.relu(net.a(x)), 4)
        return net.b(x.view(x.size(0), -1))

    return Net(run, a=conv(3, 4), b=nn.Linear(16, 3))


def flatten_call():
    return Net(
        lambda net, x: net.b(torch.flatten(F.avg_pool2d(net.a(x), 4), 1)),
        a=conv(3, 4),
        b=nn.Linear(16, 3),
    )


def resnet():
    def run(net, x):
        x = net.stem(x)
        x = F.relu(x + net.one(x))
        x = F.relu(net.two(x) + net.shortcut(x))
        return net.head(x)

    return Net(
        run,
        stem=unit(3, 4),
        one=nn.Sequential(unit(4, 5), unit(5, 4, act=False)),
        two=nn.Sequential(unit(4, 7, stride=2), unit(7, 8, act=False)),
        shortcut=unit(4, 8, 1, act=False, stride=2),
        head=head(8),
    )


def mobilenet():
    def run(net, x):
        x = net.stem(x)
        x = net.first(x)
        x = x + net.second(x)
        return net.head(x)

    def inverted(inputs, outputs, stride):
        return nn.Sequential(
            unit(inputs, 8, 1),
            unit(8, 8, groups=8, stride=stride),
            conv(8, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    return Net(
        run, stem=unit(3, 4), first=inverted(4, 6, 2), second=inverted(6, 6, 1), head=head(6)
    )


def depthwise_multiplier():
    return nn.Sequential(
        conv(3, 4), nn.ReLU(), conv(4, 12, groups=4), nn.ReLU(), conv(12, 5), nn.ReLU(), head(5)
    )


def squeeze_excite():
    def run(net, x):
        x = net.stem(x)
        gate = net.up(F.relu(net.down(F.adaptive_avg_pool2d(x, 1)))).sigmoid()
        return net.head(net.next(x * gate))

    return Net(
        run, stem=unit(3, 6), down=conv(6, 2, 1), up=conv(2, 6, 1), next=unit(6, 4), head=head(4)
    )


def squeeze_excite_views():
    def run(net, x):
        x = net.stem(x)
        b, c, _, _ = x.size()
        gate = net.gate(net.pool(x).view(b, c)).view(b, c, 1, 1)
        return net.head(net.next(x * gate.expand_as(x)))

    gate = nn.Sequential(nn.Linear(6, 2), nn.ReLU(), nn.Linear(2, 6), nn.Hardsigmoid())
    return Net(
        run, stem=unit(3, 6), pool=nn.AdaptiveAvgPool2d(1), gate=gate, next=unit(6, 4), head=head(4)
    )


def dense():
    def run(net, x):
        x = net.stem(x)
        for layer in (net.one, net.two):
            x = torch.cat([x, layer(x)], 1)
        return net.head(net.last(x))

    def grow(inputs):
        return nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(), conv(inputs, 3))

    return Net(
        run,
        stem=conv(3, 4),
        one=grow(4),
        two=grow(7),
        last=nn.Sequential(nn.BatchNorm2d(10), nn.ReLU()),
        head=head(10),
    )


def inception():
    def run(net, x):
        x = net.stem(x)
        return net.head(
            torch.cat((net.one(x), net.three(x), net.pool(F.max_pool2d(x, 3, 1, 1))), dim=-3)
        )

    return Net(
        run, stem=unit(3, 4), one=unit(4, 3, 1), three=unit(4, 5), pool=unit(4, 2, 1), head=head(10)
    )


def resnext():
    def run(net, x):
        x = net.stem(x)
        return net.head(F.relu(x + net.branch(x)))

    return Net(
        run,
        stem=unit(3, 8),
        branch=nn.Sequential(unit(8, 8, 1), unit(8, 12, groups=4), unit(12, 8, 1, act=False)),
        head=head(8),
    )


def chunks():
    def run(net, x):
        left, right = net.stem(x).chunk(2, 1)
        return net.head(torch.cat([left, net.branch(right)], 1))

    return Net(run, stem=unit(3, 8), branch=unit(4, 4), head=head(8))


def gated_chunks():
    def run(net, x):
        left, right = torch.chunk(net.stem(x), 2, dim=1)
        return net.head(left * right.tanh())

    return Net(run, stem=conv(3, 8), head=head(4))


def prelu():
    return nn.Sequential(conv(3, 5), nn.PReLU(5), conv(5, 4), nn.PReLU(), head(4))


def transposed():
    return nn.Sequential(
        conv(3, 4, stride=2),
        nn.ReLU(),
        nn.ConvTranspose2d(4, 6, 2, 2),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.ConvTranspose2d(6, 6, 2, 2, groups=6),
        nn.ReLU(),
        nn.ConvTranspose2d(6, 8, 3, groups=2),
        nn.ReLU(),
        head(8),
    )


def instance_norm():
    return nn.Sequential(
        conv(3, 6), nn.InstanceNorm2d(6, affine=True, track_running_stats=True), nn.ReLU(), head(6)
    )


def mlp():
    return nn.Sequential(
        nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 6), nn.BatchNorm1d(6), nn.GELU(), nn.Linear(6, 3)
    )


def sequence():
    return nn.Sequential(
        nn.Conv1d(5, 6, 3),
        nn.BatchNorm1d(6),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.Conv1d(6, 4, 3),
        nn.SiLU(),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    )


def volume():
    return nn.Sequential(
        nn.Conv3d(1, 4, 3, padding=1),
        nn.BatchNorm3d(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    )


def shared():
    def run(net, x):
        x = F.relu(net.stem(x))
        x = F.relu(net.body(x))
        x = F.relu(net.body(x))
        return net.head(x)

    return Net(run, stem=conv(3, 5), body=conv(5, 5), head=head(5))


def tied():
    one, two = conv(5, 5), conv(5, 5)
    two.weight = one.weight
    return nn.Sequential(conv(3, 5), nn.ReLU(), one, nn.ReLU(), two, nn.ReLU(), head(5))


def two_outputs():
    def run(net, x):
        x = net.stem(x)
        return net.first(x), {"second": net.second(net.middle(x))}

    return Net(run, stem=unit(3, 5), middle=unit(5, 4), first=head(5), second=head(4))


def constants():
    def run(net, x):
        x = (x - net.mean) / net.std
        x = net.stem(x) * net.scale + net.shift
        x = x * F.relu6(x + 3.0) / 6
        return net.head(x * net.window)

    return Net(
        run,
        mean=torch.rand(3, 1, 1),
        std=torch.rand(1, 3, 1, 1) + 1,
        stem=conv(3, 5),
        scale=nn.Parameter(torch.rand(5, 1, 1)),
        shift=nn.Parameter(torch.rand(1, 5, 1, 1)),
        window=torch.rand(8, 8),
        head=head(5),
    )


def spatial_attention():
    def run(net, x):
        x = net.stem(x)
        mask = torch.sigmoid(net.mask(x))
        return net.head(x * mask)

    return Net(run, stem=unit(3, 5), mask=conv(5, 1), head=head(5))


def pooled():
    def run(net, x):
        x = F.pad(F.interpolate(net.stem(x), scale_factor=2.0), (1, 1, 0, 0))[:, :, 1:]
        squeezed = x.mean((2, 3), keepdim=True).squeeze(-1).squeeze(-1)
        return net.fc(squeezed.unsqueeze(-1)[:, :, 0:1].flatten(2).sum(dim=2))

    return Net(run, stem=unit(3, 5), fc=nn.Linear(5, 3))


def unet():
    def run(net, x):
        high = net.first(x)
        low = net.low(F.max_pool2d(high, 2))
        size = high.shape[2:]
        return net.last(torch.cat([high, F.interpolate(low, size=size)], 1))

    return Net(run, first=unit(3, 4), low=unit(4, 6), last=conv(10, 2, 1))


# Free groups by the layers that make them, as the structure must find them.
FREE = {
    plain: ["0.0", "2.0"],
    vgg: ["0", "4"],
    view: ["a"],
    flatten_call: ["a"],
    resnet: ["stem.0 one.1.0", "one.0.0", "two.0.0", "two.1.0 shortcut.0"],
    mobilenet: ["stem.0", "first.0.0", "first.2 second.2", "second.0.0"],
    depthwise_multiplier: ["0", "4"],
    squeeze_excite: ["stem.0 up", "down", "next.0"],
    squeeze_excite_views: ["stem.0 gate.2", "gate.0", "next.0"],
    dense: ["stem", "one.2", "two.2"],
    inception: ["stem.0", "one.0", "three.0", "pool.0"],
    resnext: ["stem.0 branch.2.0", "branch.0.0", "branch.1.0"],
    chunks: ["stem.0", "branch.0"],
    gated_chunks: ["stem"],
    prelu: ["0", "2"],
    transposed: ["0", "2", "7"],
    instance_norm: ["0"],
    mlp: ["0", "2"],
    sequence: ["0", "4"],
    volume: ["0"],
    shared: ["stem body"],
    tied: ["0 2 4"],
    two_outputs: ["stem.0", "middle.0"],
    constants: ["stem"],
    spatial_attention: ["stem.0"],
    pooled: ["stem.0"],
    unet: ["first.0", "low.0"],
}
SHAPES = {mlp: (12,), sequence: (5, 16), volume: (1, 4, 4, 4)}


def lively(network: nn.Module, seed: int = 0) -> nn.Module:
    """Give a network weights and statistics that are different for each channel."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            spread = torch.rand(tensor.shape, generator=generator)
            tensor.copy_(spread + 0.5 if "var" in name or "std" in name else (spread - 0.4) * 0.8)
    return network.eval()


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Networks this small are slower on several threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(params=FREE, ids=lambda build: build.__name__)
def architecture(request):
    """A network, two examples for it, and its free groups."""
    torch.manual_seed(0)
    network = lively(request.param())
    return network, torch.randn(2, *SHAPES.get(request.param, (3, 8, 8))), FREE[request.param]


def choose(channels, seed):
    """At random some units, but at least one channel of each layer."""
    rng = np.random.default_rng(seed)
    kept = {
        int(unit)
        for group in channels.free
        for unit in group.units
        if rng.random() < rng.uniform(0.2, 0.9)
    }
    return np.array(sorted(kept | {int(rng.choice(units)) for units in channels.made.values()}))


def flat(output):
    return torch.cat([value.flatten(1) for value in torch.utils._pytree.tree_leaves(output)], 1)


@pytest.fixture
def law():
    """What the tests of the law share."""
    return SimpleNamespace(choose=choose, zeroed=zeroed, masked=masked, flat=flat)


@pytest.fixture
def build():
    """The pieces that networks are made of."""
    return SimpleNamespace(
        net=Net, conv=conv, unit=unit, head=head, lively=lively, resnet=resnet, mobilenet=mobilenet
    )
