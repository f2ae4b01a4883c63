"""Twenty networks that people bring: from configurations of Hugging Face's transformers, and from
issues of torch-pruning.

Each is small, with random weights; the function says which issue it is from. ``FROM_LIBRARY`` needs
transformers.
"""

from collections.abc import Callable, Mapping

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

SIDE = 32
CLASSES = 10


def _vision(name: str, **options) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        import transformers

        config = getattr(transformers, f"{name}Config")(num_labels=CLASSES, **options)
        return getattr(transformers, f"{name}ForImageClassification")(config)

    return make


_TOKENS = {
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "image_size": SIDE,
    "patch_size": 8,
}
_STAGES = {"hidden_sizes": [16, 24, 32, 48], "depths": [1, 1, 1, 1]}

FROM_LIBRARY: Mapping[str, Callable[[], nn.Module]] = {
    "MobileNetV1": _vision("MobileNetV1", depth_multiplier=0.25, image_size=SIDE),
    "MobileNetV2": _vision("MobileNetV2", depth_multiplier=0.35, image_size=SIDE),
    "ResNet": _vision("ResNet", embedding_size=16, layer_type="bottleneck", **_STAGES),
    "RegNet": _vision(
        "RegNet",
        embedding_size=16,
        groups_width=8,
        hidden_sizes=[16, 24, 32, 48],
        depths=[1, 1, 2, 1],
    ),
    "EfficientNet": _vision(
        "EfficientNet",
        width_coefficient=0.25,
        depth_coefficient=0.3,
        image_size=SIDE,
        hidden_dim=320,
    ),
    "ConvNeXt": _vision("ConvNext", **_STAGES),
    "ViT": _vision("ViT", **_TOKENS),
    "DINOv2": _vision("Dinov2", **{**_TOKENS, "mlp_ratio": 2}),
    "PoolFormer": _vision("PoolFormer", **_STAGES),
    "SegFormer": _vision(
        "Segformer", num_attention_heads=[1, 2, 2, 4], decoder_hidden_size=32, **_STAGES
    ),
}


def _unit(inputs: int, outputs: int, size: int = 3, **options) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False, **options)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


def _head(inputs: int) -> nn.Sequential:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, CLASSES))


class C2f(nn.Module):
    """YOLOv8's block: torch-pruning#147."""

    def __init__(self, inputs: int, outputs: int, blocks: int = 2) -> None:
        super().__init__()
        self.width = outputs // 2
        self.one, self.two = _unit(inputs, outputs, 1), _unit((2 + blocks) * self.width, outputs, 1)
        self.blocks = nn.ModuleList(
            nn.Sequential(_unit(self.width, self.width), _unit(self.width, self.width))
            for _ in range(blocks)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = list(self.one(x).chunk(2, 1))
        parts.extend(block(parts[-1]) for block in self.blocks)
        return self.two(torch.cat(parts, 1))


class Attention(nn.Module):
    """timm's attention, whose one layer makes queries, keys and values: torch-pruning#340."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.dim = heads, width // heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, t, _ = x.shape
        q, k, v = (
            self.qkv(x).reshape(n, t, 3, self.heads, self.dim).permute(2, 0, 3, 1, 4).unbind(0)
        )
        weights = (q @ k.transpose(-2, -1) * self.dim**-0.5).softmax(-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(n, t, -1))


class Deit(nn.Module):
    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 8, 8)
        self.token, self.position = (
            nn.Parameter(torch.randn(1, 1, width)),
            nn.Parameter(torch.randn(1, 17, width)),
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.attention = Attention(width, 4)
        self.mlp = nn.Sequential(nn.Linear(width, 96), nn.GELU(), nn.Linear(96, width))
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.position
        x = x + self.attention(self.norms[0](x))
        x = x + self.mlp(self.norms[1](x))
        return self.head(self.norms[2](x)[:, 0])


class ShuffleUnit(nn.Module):
    """ShuffleNetV2's: half of the channels pass by, and all are interleaved."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.branch = nn.Sequential(
            _unit(half, half, 1),
            nn.Conv2d(half, half, 3, padding=1, groups=half),
            nn.BatchNorm2d(half),
            _unit(half, half, 1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        passing, changed = x.chunk(2, 1)
        x = torch.cat([passing, self.branch(changed)], 1)
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class Gated(nn.Module):
    """One half of the channels gates the other: torch-pruning#366 (a layer), #393 (taken apart by
    views).
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.gate = nn.Conv2d(3, 24, 3, padding=1), nn.GLU(1)
        self.up, self.deep, self.down = (
            nn.Conv2d(12, 48, 1),
            nn.Conv2d(48, 48, 3, padding=1, groups=48),
            nn.Conv2d(24, 16, 1),
        )
        self.head = _head(16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.deep(self.up(self.gate(self.stem(x))))
        n, c, h, w = x.shape
        one, two = x.reshape(n, 2, c // 2, h, w).permute(1, 0, 2, 3, 4).unbind(0)
        return self.head(self.down(F.gelu(one) * two))


class Upsampling(nn.Module):
    """Channels become places: torch-pruning#98 and #420."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _unit(3, 16), nn.Conv2d(16, 32, 3, padding=1), nn.PixelShuffle(2), _unit(8, 16)
        )
        self.head = _head(16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


class Generator(nn.Module):
    """Numbers get places, and grow: torch-pruning#99 and #125."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Sequential(_unit(3, 16, stride=2), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.linear = nn.Linear(16, 32 * 16)
        self.one, self.two = nn.ConvTranspose2d(32, 16, 4, 2, 1), nn.ConvTranspose2d(16, 8, 4, 2, 1)
        self.head = _head(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.linear(self.encode(x))).view(-1, self.one.in_channels, 4, 4)
        return self.head(F.relu(self.two(F.relu(self.one(x)))))


class Levels(nn.Module):
    """A head that is shared by levels, each with a normalisation of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.lower = _unit(3, 16), _unit(16, 16, stride=2)
        self.shared, self.norms = (
            nn.Conv2d(16, 16, 3, padding=1),
            nn.ModuleList(nn.BatchNorm2d(16) for _ in range(2)),
        )
        self.head = nn.Linear(32, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        high = self.stem(x)
        low = self.lower(high)
        found = [
            F.silu(norm(self.shared(level))).mean((2, 3))
            for norm, level in zip(self.norms, (high, low), strict=True)
        ]
        return self.head(torch.cat(found, 1))


class UNet(nn.Module):
    """Ways across, with group normalisation and PReLU: torch-pruning#268."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.GroupNorm(4, 16), nn.PReLU(16))
        self.two = nn.Sequential(nn.Conv2d(16, 24, 3, padding=1), nn.GroupNorm(4, 24), nn.SiLU())
        self.up = nn.ConvTranspose2d(24, 16, 2, 2)
        self.last = nn.Sequential(
            nn.Conv2d(32, 16, 3, padding=1), nn.GroupNorm(4, 16), nn.SiLU(), _head(16)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        high = self.one(x)
        return self.last(torch.cat([high, self.up(self.two(F.max_pool2d(high, 2)))], 1))


class Dense(nn.Module):
    """Everything before is concatenated, squeezed and excited."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _unit(3, 16)
        self.grow = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(16 + 8 * n), nn.ReLU(), nn.Conv2d(16 + 8 * n, 8, 3, padding=1)
            )
            for n in range(3)
        )
        self.down, self.up, self.head = nn.Linear(40, 10), nn.Linear(10, 40), _head(40)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for layer in self.grow:
            x = torch.cat([x, layer(x)], 1)
        gate = torch.sigmoid(self.up(F.relu(self.down(x.mean((2, 3))))))
        return self.head(x * gate[:, :, None, None])


class WideAndDeep(nn.Module):
    """A narrow and a deep way, joined: torch-pruning#481."""

    def __init__(self) -> None:
        super().__init__()
        inputs = 3 * SIDE * SIDE
        self.deep = nn.Sequential(
            nn.Linear(inputs, 32),
            nn.BatchNorm1d(32),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(32, 16),
            nn.ReLU(),
        )
        self.wide, self.last = nn.Linear(inputs, 12), nn.Linear(28, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.reshape(x.shape[0], -1)
        return self.last(torch.concat([self.wide(x), self.deep(x)], dim=-1))


def _resnext() -> nn.Module:
    """Grouped convolutions: torch-pruning#9."""
    return nn.Sequential(
        _unit(3, 16), _unit(16, 32, 1), _unit(32, 32, groups=4), _unit(32, 24, 1), _head(24)
    )


FROM_ISSUES: Mapping[str, Callable[[], nn.Module]] = {
    "C2f (#147)": lambda: nn.Sequential(_unit(3, 16, stride=2), C2f(16, 24), _head(24)),
    "DeiT (#340)": Deit,
    "ShuffleNet": lambda: nn.Sequential(
        _unit(3, 24, stride=2), ShuffleUnit(24), ShuffleUnit(24), _head(24)
    ),
    "GLU (#366, #393)": Gated,
    "PixelShuffle (#98, #420)": Upsampling,
    "ConvTranspose (#99, #125)": Generator,
    "shared head": Levels,
    "U-Net, GroupNorm (#268)": UNet,
    "DenseNet, squeeze": Dense,
    "wide and deep (#481)": WideAndDeep,
    "ResNeXt (#9)": _resnext,
}

NETWORKS: Mapping[str, Callable[[], nn.Module]] = {**FROM_LIBRARY, **FROM_ISSUES}


def made(name: str) -> nn.Module:
    """Return a network with weights that matter, whose normalisation has seen something, in
    evaluation mode.
    """
    torch.manual_seed(0)
    network = NETWORKS[name]().train()
    for parameter in network.parameters():
        if parameter.dim() > 1:
            nn.init.kaiming_uniform_(parameter)
        else:
            nn.init.uniform_(parameter, -0.2, 0.2)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d | nn.LayerNorm | nn.GroupNorm):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.momentum = None
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(8, 3, SIDE, SIDE))
    return network.eval()
