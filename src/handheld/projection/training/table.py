"""A learned projection: features of a text fall on rows of a small table, which are added up."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from handheld.projection.training.grid import on_grid


class RowTable(nn.Module):
    """Sums of rows, normalised, then one or two linear layers.

    Args:
        rows: of the table.
        width: numbers in a row.
        classes: outputs (logits).
        hidden: of a layer between, 0: none.
        dropout: share of a text's features that are left out while learning.
        bits: of the grid, 4 or 8.

    Attributes:
        on_grid: whether the table is rounded as it will be kept; while learning, from the second
            half on.
    """

    def __init__(
        self,
        rows: int,
        width: int,
        classes: int,
        *,
        hidden: int = 0,
        dropout: float = 0.5,
        bits: int = 4,
    ):
        super().__init__()
        self.table = nn.Parameter(torch.randn(rows, width) * 0.1)
        self.norm = nn.LayerNorm(width)
        self.hidden: nn.Linear | None = None
        if hidden:
            self.hidden = nn.Linear(width, hidden)
        self.last = nn.Linear(hidden or width, classes)
        self.dropout = dropout
        self.bits = bits
        self.on_grid = False

    def forward(self, numbers: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        """Return (texts, classes) logits.

        Args:
            numbers: (features,) int64 rows of all texts.
            offsets: (texts + 1,) int64, where each text begins.
        """
        table: torch.Tensor = self.table
        if self.on_grid:
            table = on_grid(table, self.bits)
        weights = None
        if self.training and self.dropout:
            # Weights of 0 leave features out, and the offsets as they are.
            weights = (torch.rand(len(numbers)) >= self.dropout).float()
        sums = functional.embedding_bag(
            numbers, table, offsets[:-1], mode="sum", per_sample_weights=weights
        )
        return self.above(sums)

    def above(self, sums: torch.Tensor) -> torch.Tensor:
        """Return the logits of (texts, width) sums of rows."""
        features = self.norm(sums)
        if self.hidden is not None:
            features = torch.relu(self.hidden(features))
        logits: torch.Tensor = self.last(features)
        return logits


class Mean(nn.Module):
    """Several tables as a device runs them: rows in, the mean of their logits out.

    Args:
        tables: one or more.
        lengths: of each one's rows; the input, (1, sum of the lengths) int32, has them in this
            order.
    """

    def __init__(self, tables: Sequence[RowTable], lengths: Sequence[int]):
        super().__init__()
        # Tensors in the file are called by this name: another one makes it larger or smaller.
        self.parts = nn.ModuleList(map(ExportedTable, tables))
        self.lengths = list(lengths)

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        """Return (1, classes) logits."""
        total = torch.zeros(())
        start = 0
        for table, length in zip(self.parts, self.lengths, strict=True):
            total = total + table(numbers[:, start : start + length])
            start += length
        return total / len(self.lengths)


class ExportedTable(nn.Module):
    """A table as a device runs it: (1, length) int32 rows in, logits out."""

    def __init__(self, trained: RowTable):
        super().__init__()
        self.trained = trained
        table = on_grid(trained.table, trained.bits).detach()
        # A row of zeros for what is behind a text's last: a device reads a fixed number of rows.
        table = torch.cat([table, torch.zeros(1, table.shape[1])])
        self.rows = nn.Embedding(table.shape[0], table.shape[1], _weight=table)

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        """Return (1, classes) logits."""
        return self.trained.above(self.rows(numbers).sum(1))
