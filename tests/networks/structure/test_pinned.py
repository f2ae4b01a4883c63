"""What is not known to treat its channels one by one keeps them, and says why: never a
wrong cut.
"""

from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

from handheld.networks.structure import channels_of, slim, trace  # noqa: E402


class Scaled(nn.Conv2d):
    """A convolution that is not one."""

    def forward(self, x):
        return super().forward(x) * self.weight.mean()


class Attention(nn.Module):
    """With keys of its own beside those of its input."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True, add_bias_kv=True)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=False)[0]


def layer(module):
    return lambda b: b.net(
        lambda net, x: net.out(net.mid(net.a(x))), a=b.conv(3, 8), mid=module(), out=b.head(8)
    )


def call(run, outputs=8):
    return lambda b: b.net(
        lambda net, x: net.out(run(net, net.a(x))), a=b.conv(3, 8), out=b.head(outputs)
    )


def scale():
    return nn.Parameter(torch.ones(8, 1, 1))


def two_scales(net, x):
    x = net.a(x) * net.w
    return net.out(net.c(x) * (net.w * torch.rand(8, 4, 5)).mean())


def also_broadcast(net, x):
    y = net.c(torch.cat([x[:, :, 0]] * 4)) * net.w  # (8, 8, 8): over the batch
    return net.out(net.a(x) * net.w), y.sum((1, 2))[:2, None]


def attention(net, x):
    x = net.a(x).flatten(2).transpose(1, 2)
    return net.out(net.mid(x).transpose(1, 2)[:, :, :, None])


def weight_of_a_layer(net, x):
    return net.out(net.a(x) * net.a.weight.sum())


def tied_by_hand(net, x):
    return F.linear(net.mid(net.a(x).mean((2, 3))), net.mid.weight.t())


# Each network, why its first layer is pinned (a part of the text), and what may be cut
# nevertheless.
CASES = {
    "instance norm without numbers": (layer(lambda: nn.InstanceNorm2d(8)), "InstanceNorm2d", []),
    "softmax": (layer(lambda: nn.Softmax(1)), "Softmax", []),
    "subclass": (layer(lambda: Scaled(8, 8, 1)), "operator", []),
    "hooks": (
        layer(lambda: torch.nn.utils.parametrizations.weight_norm(nn.Conv2d(8, 8, 1))),
        "Parametrized",
        [],
    ),
    "batch folded in": (call(lambda _, x: x.view(4, -1).view(2, 8, 8, 8)), "view", []),
    "split": (call(lambda _, x: torch.cat(torch.split(x, [3, 5], 1)[::-1], 1)), "getitem", []),
    "some channels": (call(lambda _, x: x[:, 2:], 6), "getitem", []),
    "padded channels": (call(lambda _, x: F.pad(x, (0, 0, 0, 0, 1, -1))), "pad", []),
    "a list of channels": (call(lambda _, x: x[:, [1, 0, 2, 3, 4, 5, 6, 7]]), "getitem", []),
    "transposed": (call(lambda _, x: x.transpose(1, 2)), "AdaptiveAvgPool2d", []),
    "unbound": (call(lambda _, x: torch.stack(x.unbind(1), 1)), "unbind", []),
    "mean over channels": (call(lambda _, x: x.mean(1)[:, :, None, None]), "mean", []),
    "mean of all": (call(lambda _, x: x * x.mean()), "mean", []),
    "pool over channels": (
        call(lambda _, x: F.avg_pool2d(x.flatten(2), 1)[:, :, :, None]),
        "avg_pool2d",
        [],
    ),
    "number of channels": (call(lambda _, x: x / x.size(1)), "truediv", []),
    "shape of another": (call(lambda _, x: x + torch.ones(2, 8, 8, 8).view(x.shape)), "view", []),
    "squeeze": (call(lambda _, x: x.squeeze()), "squeeze", []),
    "functional convolution": (
        lambda b: b.net(
            lambda net, x: net.out(F.conv2d(net.a(x), net.w)),
            a=b.conv(3, 8),
            w=torch.ones(8, 8, 1, 1),
            out=b.head(8),
        ),
        "conv2d",
        [],
    ),
    "weight read elsewhere": (
        lambda b: b.net(weight_of_a_layer, a=b.conv(3, 8), out=b.head(8)),
        "operator sum",
        [],
    ),
    "tied by hand": (
        lambda b: b.net(tied_by_hand, a=b.conv(3, 8), mid=nn.Linear(8, 5)),
        "linear",
        [],
    ),
    "constant used in two ways": (
        lambda b: b.net(two_scales, a=b.conv(3, 8), c=b.conv(8, 8), w=scale(), out=b.head(8)),
        "operator",
        ["c"],
    ),
    "constant also broadcast": (
        lambda b: b.net(
            also_broadcast, a=b.conv(3, 8), c=nn.Conv1d(3, 8, 1), w=scale(), out=b.head(8)
        ),
        "it is an input",
        [],
    ),
    "attention": (
        lambda b: b.net(attention, a=b.conv(3, 8), mid=Attention(), out=b.head(8)),
        "MultiheadAttention",
        [],
    ),
    "output": (
        lambda b: b.net(lambda net, x: (net.a(x), net.b(x).relu()), a=b.conv(3, 8), b=b.conv(3, 4)),
        "output",
        [],
    ),
    "count as output": (
        lambda b: b.net(
            lambda net, x: (net.out(net.a(x)), net.a(x).shape), a=b.conv(3, 8), out=b.head(8)
        ),
        "output",
        [],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_pins_and_never_cuts_wrongly(case, build: SimpleNamespace, law):
    torch.manual_seed(0)
    make, reason, free = CASES[case]
    example = torch.randn(2, 3, 8, 8)
    traced = trace(build.lively(make(build)), example)
    channels = channels_of(traced)
    assert [" ".join(group.layers) for group in channels.free] == free
    first = next(group for group in channels.groups if "a" in group.layers)
    assert reason in first.pinned
    kept = law.choose(channels, 0)
    small = slim(traced, channels, kept).network
    if case != "count as output":
        torch.testing.assert_close(
            law.flat(small(example)),
            law.flat(law.zeroed(traced, channels, kept, makers=False)(example)),
        )


def test_a_recurrent_layer_is_pinned(build):
    net = build.net(
        lambda net, x: net.out(net.mid(net.a(x))[0][:, -1]),
        a=nn.Linear(5, 8),
        mid=nn.LSTM(8, 4),
        out=nn.Linear(4, 3),
    )
    channels = channels_of(trace(net, torch.randn(2, 6, 5)))
    assert channels.free == ()
    assert slim(trace(net, torch.randn(2, 6, 5)), channels, np.array([], int)).taken == {}


def test_counts_of_places_pin_nothing(build):
    def run(net, x):
        x = net.a(x)
        n, _, h, w = x.shape
        return net.out((x / (h * w)).view(n, -1, h * w)[:, :, :, None] * x.size(-1) + x.dim())

    channels = channels_of(
        trace(build.net(run, a=build.conv(3, 8), out=build.head(8)), torch.randn(2, 3, 8, 8))
    )
    assert [group.layers for group in channels.free] == [("a",)]
