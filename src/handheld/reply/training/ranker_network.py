"""The ranker while it learns; ``handheld.reply.ranker`` runs the same network in numpy."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from handheld.projection.inputs import Rows
from handheld.projection.training.grid import learned, on_grid
from handheld.reply.ranker import CONTEXT, Ranker

# Weights of the scores before learning: of the product of vectors, whose cosines need a scale for a
# softmax over hundreds of answers, and of words shared with the last text and with those before it.
_FIRST_MIX = (20.0, 3.0, 1.0)

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
        dropout_rate: share of features, and of what the first layers give, that is left out while
            learning, in [0, 1).
    """

    def __init__(
        self,
        rows: int,
        width: int,
        hidden: int,
        out: int,
        intents: int,
        *,
        dropout_rate: float = 0.1,
    ):
        super().__init__()
        self.table = nn.Parameter(torch.randn(rows, width) * 0.1)
        self.norm = nn.LayerNorm(width)
        self.hidden = nn.Linear(CONTEXT * width, hidden)
        self.query = nn.Linear(hidden, out)
        self.intent = nn.Linear(hidden, intents)
        self.reply = nn.Linear(width, hidden)
        self.answer = nn.Linear(hidden, out)
        # logarithms, so that no weight of a score falls below 0
        self.mix = nn.Parameter(torch.tensor(_FIRST_MIX).log())
        self.dropout_rate = dropout_rate

    def texts(self, flat: FlatRows) -> torch.Tensor:
        """Return (texts, width)."""
        numbers, offsets = flat
        kept = None
        if self.training and self.dropout_rate:
            kept = (torch.rand(len(numbers)) >= self.dropout_rate).float()
        sums = functional.embedding_bag(
            numbers,
            on_grid(self.table),
            offsets[:-1],
            mode="sum",
            per_sample_weights=kept,
        )
        # by the root of the length, as n-grams that have nothing to do with each other add up
        counts = (offsets[1:] - offsets[:-1]).clamp(min=1).float()
        normalised: torch.Tensor = self.norm(sums / counts.sqrt()[:, None])
        return normalised

    def contexts(self, context: list[FlatRows]) -> torch.Tensor:
        """Return (n, hidden) of conversations.

        Args:
            context: their texts: the last of each, those before them, and so on.
        """
        texts = torch.cat([self.texts(flat) for flat in context], dim=1)
        hidden = torch.relu(self.hidden(texts))
        return functional.dropout(hidden, self.dropout_rate, self.training)

    def vectors(self, contexts: torch.Tensor) -> torch.Tensor:
        """Return (n, out) of length 1."""
        return functional.normalize(self.query(contexts), dim=1)

    def answers(self, flat: FlatRows) -> torch.Tensor:
        """Return (n, out) of replies, of length 1."""
        hidden = torch.relu(self.reply(self.texts(flat)))
        hidden = functional.dropout(hidden, self.dropout_rate, self.training)
        return functional.normalize(self.answer(hidden), dim=1)


def exported(network: RankerNetwork, reader: Rows, idf: NDArray[np.float32]) -> Ranker:
    """Return the network as a device runs it.

    Args:
        network: that has learned.
        reader: of its texts.
        idf: (rows,) inverse document frequency of each row.
    """
    layers = {
        "norm": _weights(network.norm),
        "hidden": _weights(network.hidden),
        "query": _weights(network.query),
        "intent": _weights(network.intent),
        "reply": _weights(network.reply),
        "answer": _weights(network.answer),
    }
    return Ranker(learned(network.table, reader), idf, layers, _array(network.mix.exp()))


def _weights(layer: nn.Linear | nn.LayerNorm) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return _array(layer.weight), _array(layer.bias)


def _array(tensor: torch.Tensor) -> NDArray[np.float32]:
    # a copy: an array of numpy would change with the network
    return tensor.detach().numpy().copy()
