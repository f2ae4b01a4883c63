"""The network of a small member of a compressed family, learned over devices, and its file.

handheld federated simulate examples/federated/member.toml
python examples/federated/member.py runs/member member.tflite
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from handheld.compile import to_tflite
from handheld.networks.zoo.pictures import PictureShape, make

WIDTH, SHAPE = 10, (1, 28, 28)
KINDS = (
    "T-shirt",
    "trousers",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "boot",
)


def network(shape: tuple[int, ...], classes: int) -> nn.Module:
    """Return ``plain`` with ten channels, as ``plain_6`` of
    ``examples/compress/fashion_mnist.toml``.
    """
    return make("plain", PictureShape(*shape), classes, WIDTH, seed=0)


def main(run: Path, out: Path) -> None:
    """Make a file of what a run learned."""
    learned = network(SHAPE, len(KINDS))
    learned.load_state_dict(load_file(run / "model.safetensors"), strict=False)
    card = {"labels": list(KINDS), "input": {"colour": "gray", "scale": 1 / 255}}
    compiled = to_tflite(learned.eval(), torch.rand(1, *SHAPE), metadata=card, out=out)
    print(f"wrote {out}, {len(compiled.content):,} bytes")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
