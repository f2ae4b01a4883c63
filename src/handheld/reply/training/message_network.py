"""The network that reads messages while it learns.

``handheld.reply.message_network`` runs the same one in numpy.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from handheld.projection.inputs import Rows
from handheld.projection.training.grid import learned, on_grid, step_of
from handheld.projection.words import Words, words_of
from handheld.ranges import in_range, whole_in_range
from handheld.reply.clauses import joined
from handheld.reply.message_network import FEATURES, MessageNetwork, WordVectors

# Words of a text that are learned from: as many as a span of several clauses has (reply.clauses).
_LONGEST = 48
# Features of a text: none is left out, as none is when spans are read.
_ALL = 1 << 16
# Words hidden from the filters, so that the neighbours of a word must do as well.
_WORD_DROPOUT = 0.1
# Place of what is no word, behind the last word of a text.
_NO_WORD = -1


@dataclass(frozen=True)
class NetworkShape:
    """Sizes of the network; the defaults take 270 KB in a file.

    Attributes:
        rows, width: of the table.
        filters: over the vectors of words.
        hidden: of the layer in which both views meet.
        dropout_rate: share of features, and of what layers give, that is left out while learning,
            in [0, 1).
    """

    rows: int = 8000
    width: int = 48
    filters: int = 64
    hidden: int = 128
    dropout_rate: float = 0.1

    def __post_init__(self) -> None:
        for name in ("rows", "width", "filters", "hidden"):
            whole_in_range(name, getattr(self, name), low=1)
        in_range("dropout_rate", self.dropout_rate, low=0, high=1, high_open=True)


@dataclass(frozen=True, eq=False)
class MessageBatch:
    """Texts as the network reads them.

    Attributes:
        numbers: (features,) rows of the table.
        offsets: (texts + 1,) where each text begins.
        places: (texts, words) of the vocabulary, one more for a stranger; -1 behind the last word.
    """

    numbers: torch.Tensor
    offsets: torch.Tensor
    places: torch.Tensor


class TrainedNetwork(nn.Module):
    """The network.

    Args:
        shape: sizes.
        vocabulary: vectors of words, which stay as they are.
        topics: how many there are, that of none included.
        intents: how many there are, that of none included.
    """

    def __init__(self, shape: NetworkShape, vocabulary: WordVectors, topics: int, intents: int):
        super().__init__()
        size = vocabulary.vectors.shape[1]
        self.shape = shape
        self.vocabulary = vocabulary
        vectors = vocabulary.vectors.astype(np.float32) * np.float32(vocabulary.step)
        stranger = np.zeros((1, size), np.float32)
        self.vectors: torch.Tensor
        self.register_buffer("vectors", torch.from_numpy(np.concatenate([vectors, stranger])))
        self.table = nn.Parameter(torch.randn(shape.rows, shape.width) * 0.1)
        self.norm = nn.LayerNorm(shape.width)
        self.conv = nn.Conv1d(size, shape.filters, 3, padding=1)
        # of filters the strongest and the mean answers, and one number for strangers
        self.hidden = nn.Linear(shape.width + 2 * shape.filters + 1, shape.hidden)
        self.topic = nn.Linear(shape.hidden, topics)
        self.answer = nn.Linear(shape.hidden, intents)

    def forward(self, batch: MessageBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (texts, topics) and (texts, intents) logits."""
        views = torch.cat([self._rows(batch), self._words(batch.places)], dim=1)
        hidden = torch.relu(self.hidden(self._dropout(views)))
        hidden = self._dropout(hidden)
        return self.topic(hidden), self.answer(hidden)

    def _dropout(self, x: torch.Tensor) -> torch.Tensor:
        return functional.dropout(x, self.shape.dropout_rate, self.training)

    def _rows(self, batch: MessageBatch) -> torch.Tensor:
        """Return (texts, width) sums of rows."""
        kept = None
        if self.training:
            kept = (torch.rand(len(batch.numbers)) >= self.shape.dropout_rate).float()
        sums = functional.embedding_bag(
            batch.numbers,
            on_grid(self.table),
            batch.offsets[:-1],
            mode="sum",
            per_sample_weights=kept,
        )
        counts = (batch.offsets[1:] - batch.offsets[:-1]).clamp(min=1).float()
        normalised: torch.Tensor = self.norm(sums / counts.sqrt()[:, None])
        return normalised

    def _words(self, positions: torch.Tensor) -> torch.Tensor:
        """Return (texts, 2 * filters + 1) answers of the filters, and the share of strangers."""
        stranger = len(self.vectors) - 1
        inside = positions != _NO_WORD
        vectors = self.vectors[torch.where(inside, positions, stranger)]
        if self.training:
            shown = (torch.rand(positions.shape) >= _WORD_DROPOUT).float()
            vectors = vectors * shown[..., None]
        answers = torch.relu(self.conv(vectors.transpose(1, 2))) * inside[:, None, :]
        count = inside.sum(dim=1, keepdim=True).clamp(min=1).float()
        mean = answers.sum(dim=2) / (2 * count.sqrt())
        strangers = (positions == stranger).sum(dim=1, keepdim=True) / count
        return torch.cat([answers.amax(dim=2), mean, strangers], dim=1)


@dataclass(frozen=True, eq=False)
class BatchReader:
    """What makes batches of texts for one network.

    Attributes:
        rows: of its table.
        vocabulary: its words.
    """

    rows: Rows
    vocabulary: WordVectors

    @classmethod
    def of(cls, shape: NetworkShape, vocabulary: WordVectors) -> "BatchReader":
        """Return the reader of a network with a shape."""
        return cls(Rows(FEATURES, shape.rows, _ALL), vocabulary)

    def __call__(self, texts: Sequence[str]) -> MessageBatch:
        """Return a batch in which a text is one span of all its clauses."""
        words = one_sentence(words_of([joined(text) for text in texts]))
        numbers, offsets = self.rows.flat(words)
        positions = self._text_places(words)
        return MessageBatch(
            torch.from_numpy(numbers), torch.from_numpy(offsets), torch.from_numpy(positions)
        )

    def _text_places(self, words: Words) -> NDArray[np.int64]:
        """Return (texts, words) places in the vocabulary, for each text as many as the longest."""
        numbers, known = self.vocabulary.find(words.hashes)
        stranger = len(self.vocabulary.keys)
        positions = np.where(known, numbers, stranger)
        counts = np.minimum(np.diff(words.offsets), _LONGEST)
        # one column at least, so that filters have something to read
        width = max(1, int(counts.max(initial=1)))
        table = np.full((len(counts), width), _NO_WORD, np.int64)
        for row, begin, count in zip(table, words.offsets.tolist(), counts, strict=False):
            row[:count] = positions[begin : begin + count]
        return table


def one_sentence(words: Words) -> Words:
    """Return texts in which pairs of words cross the borders of sentences, as they do in a span."""
    texts = np.arange(len(words.offsets) - 1).repeat(np.diff(words.offsets))
    return words._replace(sentence=texts)


def exported(network: TrainedNetwork) -> MessageNetwork:
    """Return the network as a device runs it."""
    table = learned(network.table, Rows(FEATURES, network.shape.rows, _ALL)).table
    scale, shift = _weights(network.norm)
    weight, bias = _weights(network.conv)
    # (filters, size, 3) becomes (filters, 3 * size): the word before, the word, the word after
    conv = weight.transpose(0, 2, 1).reshape(network.shape.filters, -1)
    return MessageNetwork(
        table=table,
        step=float(step_of(network.table)),
        norm=np.stack([scale, shift]),
        vocabulary=network.vocabulary,
        layers={
            "conv": (conv, bias),
            "hidden": _weights(network.hidden),
            "topic": _weights(network.topic),
            "answer": _weights(network.answer),
        },
    )


def _weights(
    layer: nn.Linear | nn.LayerNorm | nn.Conv1d,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    assert layer.bias is not None  # none of these was made without one
    return _array(layer.weight), _array(layer.bias)


def _array(tensor: torch.Tensor) -> NDArray[np.float32]:
    # a copy: an array of numpy would change with the network
    return tensor.detach().numpy().astype(np.float32).copy()
