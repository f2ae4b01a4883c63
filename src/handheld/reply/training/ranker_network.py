"""The ranker while it learns; ``handheld.reply.ranker`` runs the same network in numpy."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from handheld.projection.inputs import Rows
from handheld.projection.training.grid import learned, on_grid
from handheld.reply.ranker import CONTEXT, Ranker

_SCALE, _SHARED = 20.0, (3.0, 1.0)  # of the scores, before learning

FlatRows = tuple[torch.Tensor, torch.Tensor]
"""Row numbers (features,) of some texts, and (texts + 1,) where each begins."""


class RankerNetwork(nn.Module):
    """Two towers over one table.

    Args:
        rows: of the table.
        width: numbers in a row.
        hidden: of both towers' first layers.
        out: of their vectors.
        intents: how many there are.
        dropout: share of features, and of what the first layers give, that is left out while learning.
    """

    def __init__(
        self, rows: int, width: int, hidden: int, out: int, intents: int, *, dropout: float = 0.1
    ):
        super().__init__()
        self.table = nn.Parameter(torch.randn(rows, width) * 0.1)
        self.norm = nn.LayerNorm(width)
        self.hidden, self.query = nn.Linear(CONTEXT * width, hidden), nn.Linear(hidden, out)
        self.intent = nn.Linear(hidden, intents)
        self.reply, self.answer = nn.Linear(width, hidden), nn.Linear(hidden, out)
        self.mix = nn.Parameter(torch.tensor([_SCALE, *_SHARED]).log())
        self.dropout = dropout

    def texts(self, flat: FlatRows) -> torch.Tensor:
        """Return (texts, width)."""
        numbers, offsets = flat
        keep = (
            (torch.rand(len(numbers)) >= self.dropout).float()
            if self.training and self.dropout
            else None
        )
        sums = functional.embedding_bag(
            numbers, on_grid(self.table), offsets[:-1], mode="sum", per_sample_weights=keep
        )
        counts = (offsets[1:] - offsets[:-1]).clamp(min=1).float()
        normalised: torch.Tensor = self.norm(sums / counts.sqrt()[:, None])
        return normalised

    def asked(self, context: list[FlatRows]) -> torch.Tensor:
        """Return (n, hidden) of conversations, given their texts: the last of each, those before them, and so on."""
        found = torch.relu(self.hidden(torch.cat([self.texts(flat) for flat in context], dim=1)))
        return functional.dropout(found, self.dropout, self.training)

    def vectors(self, asked: torch.Tensor) -> torch.Tensor:
        """Return (n, out) of length 1."""
        return functional.normalize(self.query(asked), dim=1)

    def answers(self, flat: FlatRows) -> torch.Tensor:
        """Return (n, out) of replies, of length 1."""
        hidden = functional.dropout(
            torch.relu(self.reply(self.texts(flat))), self.dropout, self.training
        )
        return functional.normalize(self.answer(hidden), dim=1)


def exported(network: RankerNetwork, reader: Rows, rarity: NDArray[np.float32]) -> Ranker:
    """Return the network as a device runs it."""
    names = ("norm", "hidden", "query", "intent", "reply", "answer")
    layers = {
        name: (_array(getattr(network, name).weight), _array(getattr(network, name).bias))
        for name in names
    }
    return Ranker(learned(network.table, reader), rarity, layers, _array(network.mix.exp()))


def _array(tensor: torch.Tensor) -> NDArray[np.float32]:
    return tensor.detach().numpy().copy()
