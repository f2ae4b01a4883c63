"""The grid of four bits that a table learns and is kept on (Jacob et al., arXiv 1712.05877), one scale for all of it."""

import torch

from handheld.projection.inputs import Rows
from handheld.projection.learned import LEVELS, Learned

_STEP = 0.4  # of the grid, over the root mean square of the table


def step_of(table: torch.Tensor) -> torch.Tensor:
    """Return the distance of two levels of a table's grid; the largest weights may lie outside of it."""
    size = table.detach()
    return torch.minimum(_STEP * size.square().mean().sqrt(), size.abs().max() / LEVELS)


def on_grid(table: torch.Tensor) -> torch.Tensor:
    """Return a table on its grid; gradients pass through."""
    return table + (_levels(table) * step_of(table) - table).detach()


def learned(table: torch.Tensor, reader: Rows) -> Learned:
    """Return a table as a device keeps it."""
    return Learned(reader, _levels(table.detach()).to(torch.int8).numpy(), float(step_of(table)))


def _levels(table: torch.Tensor) -> torch.Tensor:
    return (table / step_of(table)).round().clamp(-LEVELS, LEVELS)
