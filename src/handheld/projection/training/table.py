"""A learned projection: each feature of a text falls on a row of a small table, whose rows are added up."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from handheld.projection.training.grid import on_grid


class Table(nn.Module):
    """Sums of rows, normalised, then one or two linear layers.

    Args:
        rows: of the table.
        width: numbers in a row.
        classes: outputs (logits).
        hidden: of a layer between, 0: none.
        dropout: share of a text's features that are left out while learning.
        bits: of the grid, 4 or 8.
    """

    def __init__(self, rows: int, width: int, classes: int, *, hidden: int = 0, dropout: float = 0.5, bits: int = 4):
        super().__init__()
        self.table = nn.Parameter(torch.randn(rows, width) * 0.1)
        self.norm = nn.LayerNorm(width)
        self.hidden = nn.Linear(width, hidden) if hidden else None
        self.last = nn.Linear(hidden or width, classes)
        self.dropout, self.bits, self.on_grid = dropout, bits, False

    def forward(self, numbers: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        """Return (texts, classes) logits.

        Args:
            numbers: (features,) int64 rows of all texts.
            offsets: (texts + 1,) int64, where each text begins.
        """
        table = on_grid(self.table, self.bits) if self.on_grid else self.table
        weights = None
        if self.training and self.dropout:
            weights = (torch.rand(len(numbers)) >= self.dropout).float()
        sums = functional.embedding_bag(numbers, table, offsets[:-1], mode="sum", per_sample_weights=weights)
        return self.above(sums)

    def above(self, sums: torch.Tensor) -> torch.Tensor:
        """Return the logits of (texts, width) sums of rows."""
        found = self.norm(sums)
        if self.hidden is not None:
            found = torch.relu(self.hidden(found))
        logits: torch.Tensor = self.last(found)
        return logits


class Mean(nn.Module):
    """Several tables as a device runs them: (1, sum of the lengths) int32 rows in, the mean of their logits out."""

    def __init__(self, tables: Sequence[Table], lengths: Sequence[int]):
        super().__init__()
        self.parts, self.lengths = nn.ModuleList(map(Exported, tables)), list(lengths)

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        """Return (1, classes) logits."""
        found, start = torch.zeros(()), 0
        for part, length in zip(self.parts, self.lengths, strict=True):
            found, start = found + part(numbers[:, start : start + length]), start + length
        return found / len(self.lengths)


class Exported(nn.Module):
    """A table as a device runs it: (1, length) int32 rows in, logits out."""

    def __init__(self, trained: Table):
        super().__init__()
        self.trained = trained
        table = on_grid(trained.table, trained.bits).detach()
        table = torch.cat([table, torch.zeros(1, table.shape[1])])
        self.rows = nn.Embedding(table.shape[0], table.shape[1], _weight=table)

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        """Return (1, classes) logits."""
        return self.trained.above(self.rows(numbers).sum(1))
