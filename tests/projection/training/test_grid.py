import numpy as np
import pytest
import torch

from handheld.projection import Features
from handheld.projection.inputs import Rows
from handheld.projection.training.grid import learned, on_grid, step_of


@pytest.fixture
def table() -> torch.nn.Parameter:
    torch.manual_seed(0)
    return torch.nn.Parameter(torch.randn(200, 8) * torch.linspace(0.1, 3, 200)[:, None])


def test_the_grid_has_fifteen_levels_and_lets_gradients_through(table: torch.nn.Parameter):
    grid = on_grid(table)
    levels = grid / step_of(table)
    assert torch.allclose(levels, levels.round(), atol=1e-4)
    assert float(levels.detach().abs().max()) == pytest.approx(7)
    grid.sum().backward()
    assert torch.equal(table.grad, torch.ones_like(table))


def test_eight_bits_are_nearer_and_reach_the_largest(table: torch.nn.Parameter):
    grid = on_grid(table, 8).detach()
    assert float((grid - table.detach()).abs().max()) <= float(step_of(table, 8)) / 2 * 1.001
    assert float(grid.abs().max()) == pytest.approx(float(table.detach().abs().max()))


@pytest.mark.parametrize("bits", [4, 8])
def test_a_device_adds_up_the_same_rows(table: torch.nn.Parameter, bits: int):
    reader = Rows(Features(words=2, skips=0), 200, 50)
    found = learned(table, reader, bits).of(["one two three", ""])
    numbers, offsets = reader.flat(["one two three"])
    by_hand = on_grid(table, bits).detach().numpy()[numbers].sum(axis=0) / np.sqrt(offsets[-1])
    assert found[0] == pytest.approx(by_hand, rel=1e-4, abs=1e-5)
    assert found[1].tolist() == [0] * 8
