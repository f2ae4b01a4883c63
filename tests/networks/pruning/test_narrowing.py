"""A narrow network with the weights of a wide one."""

import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from torch import nn  # noqa: E402

from handheld.errors import InputError  # noqa: E402
from handheld.hands.training.landmark.network import (  # noqa: E402
    LandmarkNetwork,
    LandmarkShape,
)
from handheld.networks.pruning.narrowing import narrowed_state  # noqa: E402


class Residual(nn.Module):
    """Two convolutions, the second around which its input is carried, and an answer."""

    def __init__(self, width: int, *, blocks: int = 1) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(1, width, 3, bias=False), nn.BatchNorm2d(width))
        self.blocks = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(blocks))
        self.answer = nn.Linear(width, 3)

    def forward(self, x):
        x = torch.relu(self.first(x))
        for block in self.blocks:
            x = x + torch.relu(block(x))
        return self.answer(x.mean((2, 3)))


DEAD = [0, 2, 5, 6]  # of eight channels


def wide_with_dead_channels() -> Residual:
    """Return a network of eight channels, four of which are nothing whatever it is shown."""
    torch.manual_seed(0)
    wide = Residual(8).eval()
    with torch.no_grad():
        for made in (wide.first[0].weight, wide.blocks[0].weight, wide.blocks[0].bias):
            made[DEAD] = 0.0
        wide.first[1].weight[DEAD] = 0.0
        wide.first[1].running_mean.normal_()
        wide.first[1].running_mean[DEAD] = 0.0
    return wide


def test_a_network_without_its_dead_channels_gives_the_same() -> None:
    wide = wide_with_dead_channels()
    narrow = Residual(4).eval()
    example = torch.randn(2, 1, 8, 8)
    narrow.load_state_dict(narrowed_state(wide, narrow, example))
    assert torch.allclose(narrow(example), wide(example), atol=1e-6)
    kept = [channel for channel in range(8) if channel not in DEAD]
    assert torch.equal(narrow.answer.weight, wide.answer.weight[:, kept])


def test_blocks_that_the_narrow_network_does_without_are_left_out() -> None:
    wide, shallow = Residual(4, blocks=3), Residual(4, blocks=1)
    state = narrowed_state(wide, shallow, torch.randn(2, 1, 8, 8))
    assert torch.equal(state["blocks.0.weight"], wide.blocks[0].weight)
    assert state.keys() == shallow.state_dict().keys()


def test_a_network_that_is_no_narrower_one_is_refused() -> None:
    example = torch.randn(2, 1, 8, 8)
    with pytest.raises(InputError, match=r"'first.0' has 4 channels, 8 were asked for"):
        narrowed_state(Residual(4), Residual(8), example)
    with pytest.raises(InputError, match=r"'blocks.1.weight' is not in the wide network"):
        narrowed_state(Residual(4), Residual(4, blocks=2), example)
    other = Residual(4)
    other.answer = nn.Linear(4, 7)
    with pytest.raises(
        InputError, match=r"'answer.weight' of \(7, 4\) cannot be cut from \(3, 4\)"
    ):
        narrowed_state(Residual(4), other, example)


def test_the_landmark_network_gets_narrower_in_each_layer() -> None:
    wide = LandmarkNetwork(LandmarkShape(size=64))
    shape = LandmarkShape(64, (8, 16, 24, 40, 56), (0, 1, 1, 2, 1), pyramid=32, hidden=96)
    narrow = LandmarkNetwork(shape)
    narrow.load_state_dict(narrowed_state(wide, narrow, torch.rand(2, 3, 64, 64)))
    assert narrow(torch.rand(1, 3, 64, 64)).points.shape == (1, 21, 3)
