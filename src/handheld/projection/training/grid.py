"""The grid of four or eight bits that a table learns and is kept on, with one scale (Jacob et al., arXiv 1712.05877)."""

import torch

from handheld.projection.inputs import Rows
from handheld.projection.learned import LEVELS, Learned

_STEP = 0.4  # of the grid of four bits, over the root mean square of the table


def step_of(table: torch.Tensor, bits: int = 4) -> torch.Tensor:
    """Return the distance of two levels of a table's grid; in four bits the largest weights may lie outside of it."""
    size = table.detach()
    widest = size.abs().max() / LEVELS[bits]
    return torch.minimum(_STEP * size.square().mean().sqrt(), widest) if bits == 4 else widest


def on_grid(table: torch.Tensor, bits: int = 4) -> torch.Tensor:
    """Return a table on its grid; gradients pass through."""
    return table + (_levels(table, bits) * step_of(table, bits) - table).detach()


def learned(table: torch.Tensor, reader: Rows, bits: int = 4) -> Learned:
    """Return a table as a device keeps it."""
    return Learned(reader, _levels(table.detach(), bits).to(torch.int8).numpy(), float(step_of(table, bits)), bits)


def _levels(table: torch.Tensor, bits: int) -> torch.Tensor:
    return (table / step_of(table, bits)).round().clamp(-LEVELS[bits], LEVELS[bits])
