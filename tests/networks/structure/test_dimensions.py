"""Channels along any axis: tokens, groups, heads, shuffles; a slimmed network computes what the
masked one does.

Statistics of layer and group normalisation are those of the channels that stay, so the masked
network leaves the others out of them too.
"""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

from handheld.compress.pictures.training.supernet import narrow  # noqa: E402
from handheld.errors import CompileError  # noqa: E402
from handheld.networks.pruning import prune  # noqa: E402
from handheld.networks.structure import (  # noqa: E402
    channels_of,
    macs,
    module_state,
    removable_blocks,
    slim,
    trace,
    with_shapes,
    without_blocks,
)


def between(module):
    return lambda b: b.net(
        lambda net, x: net.out(net.mid(net.a(x))), a=b.conv(3, 8), mid=module(), out=b.head(8)
    )


def call(run, outputs=8):
    return lambda b: b.net(
        lambda net, x: net.out(run(net, net.a(x))), a=b.conv(3, 8), out=b.head(outputs)
    )


def shuffle(_, x):
    n, c, h, w = x.shape
    return x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)


def computed_flattening(_, x):
    n, c, h, w = x.shape
    return x.view(n, c * h * w)[:, :, None, None]


def tokens(net, x):
    x = net.a(x).flatten(2).transpose(1, 2)
    return net.out(net.norm(net.mid(x)).mean(1))


def mlp(width, inner):
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, width)
    )


def vit(attend):
    """A transformer with a class token and positions."""

    def run(net, x):
        x = net.a(x).flatten(2).transpose(1, 2)
        x = torch.cat([net.token.expand(x.shape[0], -1, -1), x], 1) + net.position
        x = x + net.back(attend(net, net.first(x)))
        x = x + net.mlp(x)
        return net.out(net.last(x)[:, 0])

    return lambda b: b.net(
        run,
        a=nn.Conv2d(3, 8, 4, 4),
        token=nn.Parameter(torch.rand(1, 1, 8)),
        position=nn.Parameter(torch.rand(1, 5, 8)),
        first=nn.LayerNorm(8),
        q=nn.Linear(8, 8),
        k=nn.Linear(8, 8),
        v=nn.Linear(8, 8),
        qkv=nn.Linear(8, 24),
        back=nn.Linear(8, 8),
        mlp=mlp(8, 12),
        last=nn.LayerNorm(8),
        out=nn.Linear(8, 3),
    )


def heads(x, count=2):
    return x.view(x.shape[0], x.shape[1], count, -1).transpose(1, 2)


def by_hand(net, x):
    q, k, v = heads(net.q(x)), heads(net.k(x)), heads(net.v(x))
    weights = (q @ k.transpose(-2, -1) / 2).softmax(-1)
    return (weights @ v).transpose(1, 2).flatten(2)


def literally(net, x):
    q, k, v = (layer(x).view(-1, 5, 2, 4).permute(0, 2, 1, 3) for layer in (net.q, net.k, net.v))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(-1, 5, 8)


def together(net, x):
    q, k, v = net.qkv(x).reshape(x.shape[0], 5, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
    return (
        F.scaled_dot_product_attention(q, k, v, scale=0.3)
        .transpose(1, 2)
        .reshape(x.shape[0], 5, -1)
    )


def registers(attend):
    """A transformer with several tokens of its own, which no cut may take."""

    def run(net, x):
        x = net.a(x).flatten(2).transpose(1, 2)
        x = torch.cat([net.tokens.expand(x.shape[0], -1, -1), x], 1)
        x = x + net.back(attend(net, x))
        return net.out((x + net.mlp(x))[:, 0])

    layers = {name: nn.Linear(8, 8) for name in ("q", "k", "v", "back")}
    return lambda b: b.net(
        run,
        a=nn.Conv2d(3, 8, 4, 4),
        tokens=nn.Parameter(torch.rand(1, 3, 8)),
        mlp=mlp(8, 12),
        out=nn.Linear(8, 3),
        **layers,
    )


def in_one_call(net, x):
    answers = F.scaled_dot_product_attention(*[heads(layer(x)) for layer in (net.q, net.k, net.v)])
    return answers.transpose(1, 2).flatten(2)


def positions(b):
    """Positions of another grid than the picture's."""

    def run(net, x):
        x = net.a(x)
        grid = net.places.reshape(1, 3, 3, 8).permute(0, 3, 1, 2)
        return net.out(net.c((x + F.interpolate(grid, size=(2, 2), mode="bilinear")).relu()))

    return b.net(
        run,
        a=nn.Conv2d(3, 8, 4, 4),
        places=nn.Parameter(torch.rand(1, 9, 8)),
        c=b.conv(8, 6),
        out=b.head(6),
    )


def mixer(b):
    def run(net, x):
        x = net.a(x).flatten(2).transpose(1, 2)
        x = x + net.spread(x.transpose(1, 2)).transpose(1, 2)
        x = x + net.mlp(x)
        return net.out(x.mean(1))

    return b.net(
        run,
        a=nn.Conv2d(3, 8, 4, 4),
        spread=nn.Sequential(nn.Linear(4, 6), nn.GELU(), nn.Linear(6, 4)),
        mlp=mlp(8, 12),
        out=nn.Linear(8, 3),
    )


def convnext(b):
    def run(net, x):
        x = net.a(x)
        y = net.scale * net.mlp(net.deep(x).permute(0, 2, 3, 1))
        return net.out(x + y.permute(0, 3, 1, 2))

    return b.net(
        run,
        a=b.conv(3, 8),
        deep=b.conv(8, 8, groups=8),
        mlp=mlp(8, 12),
        scale=nn.Parameter(torch.rand(8)),
        out=b.head(8),
    )


def c2f(b):
    def run(net, x):
        parts = list(net.a(x).chunk(2, 1))
        parts.extend(layer(parts[-1]) for layer in (net.one, net.two))
        return net.out(torch.cat(parts, 1))

    return b.net(run, a=b.unit(3, 8), one=b.unit(4, 4), two=b.unit(4, 4), out=b.head(16))


def splits(_, x):
    one, two, three = x.split([2, 3, 3], 1)
    return torch.cat([two * three, one], 1)


def two_ranks(net, x):
    x = net.a(x)
    return net.out(net.mid(x.mean((2, 3))) + net.mid(x.permute(0, 2, 3, 1).flatten(1, 2)).mean(1))


def embedded(b):
    def run(net, x):
        x = net.words((x.flatten(1)[:, :6].abs() * 3).long().clamp(0, 9)) + net.position
        return net.out((x + net.mlp(x)).amax(1))

    return b.net(
        run,
        words=nn.Embedding(10, 8),
        position=nn.Parameter(torch.rand(6, 8)),
        mlp=mlp(8, 12),
        out=nn.Linear(8, 3),
    )


def of_torch(last=True, **options):
    """A transformer around torch's own attention."""

    def run(net, x):
        x = net.a(x).flatten(2).transpose(1, 2)
        y = net.first(x)
        y = net.mid(y, y, y)[0] if last else net.mid(*[y.transpose(0, 1)] * 3)[0].transpose(0, 1)
        return net.out((x + y + net.mlp(x)).mean(1))

    def make(b):
        attention = nn.MultiheadAttention(8, 2, batch_first=last, **options)
        return b.net(
            run,
            a=nn.Conv2d(3, 8, 4, 4),
            first=nn.LayerNorm(8),
            mid=attention,
            mlp=mlp(8, 12),
            out=nn.Linear(8, 3),
        )

    return make


def across(b):
    """Attention to what has another number of channels, with all that can be said of it."""

    def run(net, x):
        asks, tells = net.a(x).flatten(2).transpose(1, 2), net.c(x).flatten(2).transpose(1, 2)
        mask = torch.tensor([[True, False, False, False]]).expand(x.shape[0], 4)
        found, weights = net.mid(asks, tells, tells, key_padding_mask=mask, attn_mask=net.mask)
        return net.out(found.mean(1)) + weights.flatten(1)[:, :3]

    return b.net(
        run,
        a=nn.Conv2d(3, 8, 4, 4),
        c=nn.Conv2d(3, 6, 4, 4),
        mid=nn.MultiheadAttention(8, 2, batch_first=True, kdim=6, vdim=6),
        mask=nn.Parameter(torch.rand(4, 4), requires_grad=False),
        out=nn.Linear(8, 3),
    )


def encoder(b):
    layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True)
    return b.net(
        lambda net, x: net.out(net.mid(net.a(x).flatten(2).transpose(1, 2)).mean(1)),
        a=nn.Conv2d(3, 8, 4, 4),
        mid=nn.TransformerEncoder(layer, 1),
        out=nn.Linear(8, 3),
    )


def with_own_weights(b):
    """Functions in place of layers, one of them called twice, and a layer whose weights are read by
    hand.
    """

    def run(net, x):
        x = F.conv2d(net.a(x), net.w, net.bias, stride=2, padding=1, groups=2).relu()
        x = F.conv2d(F.conv2d(x, net.v).relu(), net.v).mean((2, 3))
        return F.linear(x, net.out.weight, net.out.bias)

    weights = {"w": torch.rand(8, 4, 3, 3), "bias": torch.rand(8), "v": torch.rand(8, 8, 1, 1)}
    return b.net(
        run,
        a=b.conv(3, 8),
        out=nn.Linear(8, 3),
        **{name: nn.Parameter(value) for name, value in weights.items()},
    )


class Repeated(nn.Module):
    """One layer in several places, in code that cannot be followed with a stand-in."""

    def __init__(self):
        super().__init__()
        self.a, layer = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 1)
        self.mid = nn.Sequential(layer, nn.ReLU(), layer)
        self.others = nn.ModuleList([layer] * 2)
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        if not isinstance(x, torch.Tensor):
            raise TypeError("expected a tensor")
        x = self.mid(self.a(x))
        for layer in self.others:
            x = layer(x).relu()
        return self.out(x.mean((2, 3)))


OPENED = ["a mid.out_proj mlp.3", "mid.q_proj mid.k_proj", "mid.v_proj", "mlp.1"]
ATTENTION = ["a back mlp.3", "q k", "v", "mlp.1"]
CASES = {
    "group norm": (between(lambda: nn.GroupNorm(2, 8)), ["a"]),
    "group norm of one": (between(lambda: nn.GroupNorm(1, 8)), ["a"]),
    "shuffle layer": (between(lambda: nn.ChannelShuffle(2)), ["a"]),
    "shuffle by views": (call(shuffle), ["a"]),
    "pixel shuffle": (call(lambda _, x: F.pixel_shuffle(x, 2), 2), ["a"]),
    "pixel shuffle layer": (
        lambda b: b.net(
            lambda net, x: net.out(net.mid(net.a(x))),
            a=b.conv(3, 8),
            mid=nn.PixelShuffle(2),
            out=b.head(2),
        ),
        ["a"],
    ),
    "gated layer": (
        lambda b: b.net(
            lambda net, x: net.out(net.mid(net.a(x))), a=b.conv(3, 8), mid=nn.GLU(1), out=b.head(4)
        ),
        ["a"],
    ),
    "gated": (call(lambda _, x: F.glu(x, 1), 4), ["a"]),
    "literal view": (call(lambda _, x: x.view(x.size(0), 8, 8, 8)), ["a"]),
    "literal flattening": (call(lambda _, x: x.reshape(-1, 512)[:, :, None, None], 512), ["a"]),
    "computed flattening": (call(computed_flattening, 512), ["a"]),
    "split": (call(splits, 5), ["a"]),
    "joined with the same": (
        call(lambda _, x: torch.cat([x, x.mean((2, 3), True).expand_as(x)], 1), 16),
        ["a"],
    ),
    "first channels": (call(lambda _, x: torch.cat([x[:, :3], x[:, 3:]], 1)), []),
    "broadcast sum": (call(lambda _, x: x + torch.ones(8, 8)), ["a"]),
    "sum over the batch": (call(lambda _, x: x.sum(0)[None]), ["a"]),
    "stacked": (call(lambda _, x: torch.stack([x, x.relu()], 2).amax(2)), ["a"]),
    "two ranks": (
        lambda b: b.net(two_ranks, a=b.conv(3, 8), mid=nn.Linear(8, 5), out=nn.Linear(5, 3)),
        ["a", "mid"],
    ),
    "tokens": (
        lambda b: b.net(
            tokens, a=b.conv(3, 8), mid=nn.Linear(8, 6), norm=nn.LayerNorm(6), out=mlp_head(6)
        ),
        ["a", "mid", "out.0"],
    ),
    "attention by hand": (vit(by_hand), ATTENTION),
    "attention with literal lengths": (vit(literally), ATTENTION),
    "attention from one layer": (vit(together), ["a back mlp.3", "qkv", "mlp.1"]),
    "positions of another grid": (positions, ["a", "c"]),
    "attention with registers": (registers(in_one_call), ATTENTION),
    "attention with registers by hand": (registers(by_hand), ATTENTION),
    "attention of torch": (of_torch(), OPENED),
    "attention of torch, tokens first": (of_torch(last=False), OPENED),
    "attention of torch without biases": (of_torch(bias=False), OPENED),
    "attention of torch to others": (
        across,
        ["a", "c", "mid.q_proj mid.k_proj", "mid.v_proj", "mid.out_proj"],
    ),
    "encoder of torch": (
        encoder,
        [
            "a mid.layers.0.self_attn.out_proj mid.layers.0.linear2",
            "mid.layers.0.self_attn.q_proj mid.layers.0.self_attn.k_proj",
            "mid.layers.0.self_attn.v_proj",
            "mid.layers.0.linear1",
        ],
    ),
    "functions": (with_own_weights, ["a", "w_ v_"]),
    "one layer in several places": (lambda _: Repeated(), ["a mid.0"]),
    "mixer": (mixer, ["a mlp.3", "spread.0", "mlp.1"]),
    "convnext": (convnext, ["a mlp.3", "mlp.1"]),
    "C2f": (c2f, ["a.0", "one.0", "two.0"]),
    "embedding": (embedded, ["words mlp.3", "mlp.1"]),
}


def mlp_head(width):
    return nn.Sequential(nn.Linear(width, 5), nn.ReLU(), nn.Linear(5, 3))


@pytest.fixture(params=CASES)
def case(request, build):
    torch.manual_seed(0)
    make, free = CASES[request.param]
    return build.lively(make(build)), torch.randn(2, 3, 8, 8), free


def test_finds_the_groups(case):
    network, example, free = case
    channels = channels_of(trace(network, example))
    assert [" ".join(group.layers) for group in channels.free] == free
    assert all(len(group.units) > 1 for group in channels.free)


@pytest.mark.parametrize("seed", range(3))
def test_computes_what_the_masked_network_computes(case, law, seed):
    network, example, _ = case
    traced = trace(network, example)
    channels = channels_of(traced)
    kept = law.choose(channels, seed)
    small = slim(traced, channels, kept)
    inputs = torch.randn(3, 3, 8, 8)  # the batch of the example is in no number
    with torch.no_grad():
        expected = law.masked(traced, channels, kept)(inputs)
        torch.testing.assert_close(small.network(inputs), expected, atol=1e-5, rtol=1e-5)
    again = macs(trace(small.network, example))  # of exported operators under other names
    assert sorted(macs(small.network).values()) == sorted(again.values())


def test_a_slimmed_network_is_slimmed_again(case, law):
    network, example, _ = case
    traced = trace(network, example)
    once = slim(traced, channels_of(traced), law.choose(channels_of(traced), 0)).network
    twice = slim(once, channels_of(once), law.choose(channels_of(once), 1)).network
    with torch.no_grad():
        expected = law.masked(once, channels_of(once), law.choose(channels_of(once), 1))(example)
        torch.testing.assert_close(twice(example), expected, atol=1e-5, rtol=1e-5)


class Results(dict):
    """What libraries return."""


class Unfollowable(nn.Module):
    """Its code asks whether a tensor is one, which a stand-in cannot tell."""

    def __init__(self):
        super().__init__()
        self.stem, self.norm, self.conv = (
            nn.Conv2d(3, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.Conv2d(8, 8, 1),
        )
        self.head = nn.Linear(8, 3)
        self.scale = torch.rand(8, 1, 1)

    def forward(self, x):
        if not isinstance(x, torch.Tensor):
            raise TypeError("expected a tensor")
        x = self.norm(self.stem(x))
        for _ in range(2):
            x = torch.relu(self.conv(x)) * self.scale
        return {"logits": self.head(x.mean((2, 3))), "hidden": (x,), "loss": None}


def test_what_cannot_be_followed_is_exported(law):
    torch.manual_seed(0)
    module = Unfollowable().train()
    traced = trace(module, torch.randn(2, 3, 8, 8))
    inputs = torch.randn(3, 3, 12, 10)  # neither the batch nor the places are in it
    expected = module.eval()(inputs)
    given = traced(inputs)
    assert set(given) == {"logits", "hidden"}
    torch.testing.assert_close(law.flat(given), law.flat((expected["logits"], expected["hidden"])))
    assert [str(node.target) for node in traced.graph.nodes if node.op == "call_module"] == [
        "stem",
        "norm",
        "conv",
        "conv",
        "head",
    ]
    assert macs(traced)["conv"] == 2 * 8 * 8 * 64
    assert [group.layers for group in channels_of(traced).groups][:2] == [
        ("stem", "conv"),
        ("head",),
    ]
    before = traced.get_submodule("norm").running_mean.clone()
    traced.train()(inputs)
    assert not torch.equal(traced.get_submodule("norm").running_mean, before)


def test_a_parametrised_layer_is_exported_and_stays(build):
    torch.manual_seed(0)
    module = build.net(
        lambda net, x: net.out(net.mid(net.a(x))),
        a=build.conv(3, 8),
        mid=torch.nn.utils.parametrizations.weight_norm(nn.Conv2d(8, 8, 1)),
        out=build.head(8),
    ).eval()
    example = torch.randn(2, 3, 8, 8)
    traced = trace(module, example)
    torch.testing.assert_close(traced(example), module(example))
    assert channels_of(traced).free == ()


def test_a_size_that_a_module_insists_on(build):
    traced = trace(
        build.net(
            lambda net, x: net.out(net.a(x).flatten(1)), a=build.conv(3, 2), out=nn.Linear(128, 3)
        ),
        torch.randn(2, 3, 8, 8),
    )
    with pytest.raises(CompileError, match="fails on an input"):
        with_shapes(traced, torch.randn(2, 3, 12, 12))


def test_products_of_activations_count(build):
    example = torch.randn(2, 3, 8, 8)
    found = macs(trace(build.lively(vit(by_hand)(build)), example))
    assert {name: count for name, count in found.items() if "matmul" in name} == {
        "matmul": 5 * 5 * 8,
        "matmul_1": 5 * 5 * 8,
    }
    found = macs(trace(build.lively(vit(literally)(build)), example))
    assert found["scaled_dot_product_attention"] == 2 * 5 * 5 * 8


def written(run, **layers):
    return lambda b: b.net(
        run,
        **{
            "a": b.conv(3, 8, 1),
            "b": b.conv(8, 8, 1),
            **{k: v(b) for k, v in layers.items()},
            "out": b.head(8),
        },
    )


def statement(net, x):
    y = net.a(x)
    y.sigmoid_()
    return net.out(y)


def behind_a_sum(net, x):
    y = net.a(x)
    z = y + net.b(y)
    z = F.relu(z, inplace=True)
    return net.out(torch.cat([z[:, :4], y[:, 4:]], 1))


def read_again(net, x):
    y = net.a(x)
    z = net.act(y)
    return net.out(net.b(z) + y)


def through_a_view(net, x):
    y = net.a(x)
    y[:, :, :2].neg_()
    y[:, :, 3:] = 0.5
    return net.out(y)


def added(net, x):
    y = net.a(x)
    kept = y * 2
    y += net.b(y)
    return net.out(y * kept)


WRITTEN = {
    "a statement": written(statement),
    "behind a sum": written(behind_a_sum),
    "a layer": written(read_again, act=lambda b: nn.ReLU(inplace=True)),
    "through a view": written(through_a_view),
    "added": written(added),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_written_in_place_stays_written(name, build, law):
    torch.manual_seed(0)
    module, example = build.lively(WRITTEN[name](build)), torch.randn(2, 3, 8, 8)
    network = trace(module, example)
    with torch.no_grad():
        torch.testing.assert_close(network(example), module(example))
        torch.testing.assert_close(without_blocks(network, ())(example), module(example))
        blocks = removable_blocks(network)
        for block in blocks:
            without_blocks(network, [block])(example)
        channels = channels_of(network)
        kept = law.choose(channels, 0)
        torch.testing.assert_close(
            slim(network, channels, kept).network(example),
            law.masked(network, channels, kept)(example),
            atol=1e-5,
            rtol=1e-5,
        )


def test_a_block_before_a_rectifier_in_place_is_left_out_alone(build):
    torch.manual_seed(0)
    module = build.lively(WRITTEN["behind a sum"](build))
    network, x = trace(module, torch.randn(2, 3, 8, 8)), torch.randn(2, 3, 8, 8)
    assert removable_blocks(network) == ("add",)
    with torch.no_grad():
        y = module.a(x)
        expected = module.out(torch.cat([y.relu()[:, :4], y[:, 4:]], 1))
        torch.testing.assert_close(without_blocks(network, ["add"])(x), expected)


def over_the_batch(b):
    def run(net, x):
        return net.out(net.b(net.a(x).transpose(0, 1)).mean((0, 2)))

    return b.net(run, a=nn.Conv1d(3, 4, 1), b=nn.Conv1d(2, 6, 3), out=nn.Linear(6, 5))


def test_channels_in_place_of_the_batch_are_kept_in_mind(build, law):
    torch.manual_seed(0)
    network = trace(build.lively(over_the_batch(build)), torch.randn(2, 3, 16))
    channels = channels_of(network)
    assert "a" not in {layer for group in channels.free for layer in group.layers}


@pytest.mark.parametrize(
    "run",
    [
        lambda net, x: torch.cat([net.a(x), net.b(x)], axis=1),
        lambda net, x: torch.stack([net.a(x), net.b(x)], axis=2).flatten(1, 2),
        lambda net, x: torch.cat(
            [net.a(x), net.b(x).sum(axis=2, keepdim=True).expand(-1, -1, 8, -1)], axis=-3
        ),
    ],
)
def test_an_axis_has_two_names(run, build, law):
    torch.manual_seed(0)
    net = build.net(
        lambda net, x: net.out(run(net, x)),
        a=build.conv(3, 2, 1),
        b=build.conv(3, 2, 1),
        out=build.head(4),
    )
    example = torch.randn(2, 3, 8, 8)
    network = trace(build.lively(net), example)
    channels = channels_of(network)
    kept = np.array([int(group.units[0]) for group in channels.free])
    with torch.no_grad():
        small = slim(network, channels, kept).network
        torch.testing.assert_close(
            small(example), law.masked(network, channels, kept)(example), atol=1e-5, rtol=1e-5
        )


def inception_depthwise(b):
    def run(net, x):
        y = net.a(x)
        p, q, r = y.split((4, 2, 2), 1)
        return net.out(y + net.b(torch.cat([p, net.one(q), net.two(r)], 1)))

    return b.net(
        run,
        a=b.conv(3, 8),
        b=b.conv(8, 8),
        one=b.conv(2, 2, groups=2),
        two=b.conv(2, 2, groups=2),
        out=b.head(8),
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("keep", [0.5, 0.3, 0.05])
def test_no_layer_is_left_without_a_channel_to_read(seed, keep, build):
    torch.manual_seed(seed)
    module, example = inception_depthwise(build).eval(), torch.randn(2, 3, 8, 8)
    assert prune(module, example, keep=keep).network(example).shape == (2, 3)
    assert narrow(trace(module, example), example, width=keep).network(example).shape == (2, 3)


def test_a_squeeze_of_several_channels_does_not_become_one_of_a_channel(build):
    net = build.net(
        lambda net, x: net.out(net.a(x).mean((2, 3)).squeeze(1)),
        a=build.conv(3, 4),
        out=nn.Linear(4, 3),
    )
    example = torch.randn(2, 3, 8, 8)
    assert prune(net, example, keep=0.25).network(example).shape == (2, 3)


FLAGS = torch.rand((5, 5), generator=torch.Generator().manual_seed(1)) > 0.7
CAUSAL = torch.ones(5, 5).triu(1).bool()
LAST = torch.tensor([[False, False, False, True, True]])


class Asked(nn.Module):
    def __init__(self, options, arguments):
        super().__init__()
        self.attention, self.arguments = (
            nn.MultiheadAttention(8, 2, batch_first=True, **options),
            arguments,
        )

    def forward(self, x):
        return self.attention(x, x.flip(1), x * 2, **self.arguments(x))


@pytest.mark.parametrize(
    "options", [{}, {"bias": False}, {"kdim": 8, "vdim": 8, "bias": True}, {"add_zero_attn": True}]
)
@pytest.mark.parametrize(
    "arguments",
    [
        lambda x: {},
        lambda x: {"need_weights": False},
        lambda x: {"average_attn_weights": False},
        lambda x: {"attn_mask": FLAGS},
        lambda x: {"attn_mask": FLAGS.repeat(2 * x.shape[0], 1, 1), "need_weights": False},
        lambda x: {"attn_mask": FLAGS.float()},
        lambda x: {"key_padding_mask": LAST.repeat(x.shape[0], 1)},
        lambda x: {
            "key_padding_mask": LAST.repeat(x.shape[0], 1),
            "attn_mask": CAUSAL,
            "is_causal": True,
        },
    ],
    ids=[
        "plain",
        "no weights",
        "of each head",
        "flags",
        "of all heads",
        "numbers",
        "padding",
        "causal",
    ],
)
def test_attention_of_torch_answers_as_before(options, arguments):
    torch.manual_seed(0)
    module, inputs = Asked(options, arguments).eval(), torch.randn(3, 5, 8)
    with torch.no_grad():
        given, weights = trace(module, inputs)(inputs)
        expected, wanted = module(inputs)
    torch.testing.assert_close(given, expected, atol=1e-5, rtol=1e-5)
    assert (weights is None) == (wanted is None)
    if wanted is not None:
        torch.testing.assert_close(weights, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "name", ["attention of torch", "attention of torch to others", "encoder of torch", "functions"]
)
def test_a_networks_state_can_be_had_under_its_modules_names(name, build):
    torch.manual_seed(0)
    module = build.lively(CASES[name][0](build))
    state = module_state(trace(module, torch.randn(2, 3, 8, 8)))
    given = {
        key: tensor for key, tensor in module.state_dict().items() if key != "mask"
    }  # read as a constant
    assert {key: tensor.tolist() for key, tensor in state.items() if key in given} == {
        key: tensor.tolist() for key, tensor in given.items()
    }


def test_a_transformer_that_does_not_learn_is_opened_too(build):
    module = build.lively(encoder(build)).requires_grad_(False)
    with torch.no_grad():
        channels = channels_of(trace(module, torch.randn(2, 3, 8, 8)))
    assert [" ".join(group.layers) for group in channels.free] == CASES["encoder of torch"][1]
    assert torch.backends.mha.get_fastpath_enabled()
