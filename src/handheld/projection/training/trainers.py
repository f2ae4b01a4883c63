"""Trainer networks: as large as they like, since they are never shipped.

Those for texts read words by their fingerprints, so that they need no vocabulary: (n, length) numbers of a table, 0 behind the
last word.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from handheld.projection.words import words_of

_BUCKETS = 20_000


def sequences(texts: Sequence[str], length: int = 32, buckets: int = _BUCKETS) -> NDArray[np.int64]:
    """Return (texts, length) numbers of words, 1 to ``buckets``; 0 behind the last word; of long texts their beginning."""
    words = words_of(texts)
    numbers = ((words.hashes >> np.uint64(32)) * np.uint64(buckets) >> np.uint64(32)).astype(np.int64) + 1
    found = np.zeros((len(texts), length), np.int64)
    for text, (start, end) in enumerate(zip(words.offsets[:-1].tolist(), words.offsets[1:].tolist(), strict=True)):
        count = min(length, end - start)
        found[text, :count] = numbers[start : start + count]
    return found


class _OfWords(nn.Module):
    """What trainers for texts share: a table of words, of which some are left out while learning, and a last layer."""

    def __init__(self, classes: int, width: int, features: int, *, dropout: float = 0.3):
        super().__init__()
        self.words = nn.Embedding(_BUCKETS + 1, width, padding_idx=0)
        self.dropout, self.last = nn.Dropout(dropout), nn.Linear(features, classes)

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        """Return (n, classes) logits."""
        present = numbers > 0
        present[:, 0] = True  # so that a text without words has something to be looked at
        found = self.features(self.dropout(self.words(numbers)), present)
        logits: torch.Tensor = self.last(self.dropout(found))
        return logits

    def features(self, x: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """Return (n, features) of (n, length, width) words, of which (n, length) are there."""
        raise NotImplementedError


class LongShortTermMemory(_OfWords):
    """Reads forwards and backwards; its largest states over all words are the features (Hochreiter and Schmidhuber, 1997)."""

    def __init__(self, classes: int, width: int = 128):
        super().__init__(classes, width, 2 * width)
        self.layer = nn.LSTM(width, width, batch_first=True, bidirectional=True)

    def features(self, x: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """Return (n, 2 * width)."""
        states: torch.Tensor = self.layer(x)[0]
        return states.masked_fill(~present[:, :, None], -1e4).amax(dim=1)


class Transformer(_OfWords):
    """Two layers of attention over the words (Vaswani et al., arXiv 1706.03762), whose mean is the features."""

    def __init__(self, classes: int, width: int = 128, length: int = 32):
        super().__init__(classes, width, width)
        self.places = nn.Parameter(torch.randn(length, width) * 0.3)
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, 0.1, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def features(self, x: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """Return (n, width)."""
        states = self.layers(x + self.places[: x.shape[1]], src_key_padding_mask=~present)
        there = present[:, :, None].float()
        mean: torch.Tensor = (states * there).sum(1) / there.sum(1)
        return mean


class Convolutional(_OfWords):
    """Filters over 2, 3 and 4 words, the largest answer of each (Kim, arXiv 1408.5882)."""

    def __init__(self, classes: int, width: int = 128):
        super().__init__(classes, width, 3 * width)
        self.filters = nn.ModuleList(nn.Conv1d(width, width, size, padding=size // 2) for size in (2, 3, 4))

    def features(self, x: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """Return (n, 3 * width)."""
        columns = (x * present[:, :, None]).transpose(1, 2)
        return torch.cat([functional.relu(each(columns)).amax(dim=2) for each in self.filters], dim=1)


class OfPictures(nn.Module):
    """Three convolutions and a linear layer, for (n, channels, height, width) pictures of 8 pixels or more."""

    def __init__(self, classes: int, channels: int = 1, width: int = 32):
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in ((channels, width), (width, 2 * width), (2 * width, 4 * width)):
            layers += [
                nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
        self.layers = nn.Sequential(*layers[:-1], nn.AdaptiveMaxPool2d(3), nn.Flatten(), nn.Linear(9 * 4 * width, classes))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return (n, classes) logits."""
        logits: torch.Tensor = self.layers(pictures)
        return logits


TRAINERS: Mapping[str, Callable[[int], nn.Module]] = {
    "lstm": LongShortTermMemory,
    "transformer": Transformer,
    "convolutional": Convolutional,
}
"""Of texts, by the name in a configuration; each takes the number of classes."""
