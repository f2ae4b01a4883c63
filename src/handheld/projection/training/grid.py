"""The grid of four or eight bits that a table learns and is kept on, with one scale.

Jacob et al., arXiv 1712.05877.
"""

import torch

from handheld.projection.inputs import Rows
from handheld.projection.learned import LEVELS, LearnedTable

# Step of the grid of four bits, over the root mean square of the table: seven steps reach 2.8 times
# as far as a number is large, so that the few largest ones do not make all others coarse.
_STEP = 0.4


def step_of(table: torch.Tensor, bits: int = 4) -> torch.Tensor:
    """Return the distance of two levels of a table's grid.

    In four bits the largest weights may lie outside of it.
    """
    numbers = table.detach()
    widest = numbers.abs().max() / LEVELS[bits]
    if bits != 4:
        return widest
    root_mean_square = numbers.square().mean().sqrt()
    return torch.minimum(_STEP * root_mean_square, widest)


def on_grid(table: torch.Tensor, bits: int = 4) -> torch.Tensor:
    """Return a table on its grid; gradients pass through."""
    # The straight-through estimator (Bengio et al., arXiv 1308.3432).
    rounded = _levels(table, bits) * step_of(table, bits)
    return table + (rounded - table).detach()


def learned(table: torch.Tensor, reader: Rows, bits: int = 4) -> LearnedTable:
    """Return a table as a device keeps it."""
    levels = _levels(table.detach(), bits).to(torch.int8).numpy()
    return LearnedTable(reader, levels, float(step_of(table, bits)), bits)


def _levels(table: torch.Tensor, bits: int) -> torch.Tensor:
    highest = LEVELS[bits]
    return (table / step_of(table, bits)).round().clamp(-highest, highest)
