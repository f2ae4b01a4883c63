"""Trainer networks: as large as they like, since they are never shipped.

Those for texts read (n, length) numbers of words, 0 behind the last.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from handheld.projection.hashing import Floats
from handheld.projection.inputs import WordNumbers

WORDS = WordNumbers(folding=2)
"""What trainers for texts read, unless they have an ``inputs`` of their own."""


def words_as_inputs(texts: Sequence[str]) -> torch.Tensor:
    """Return (texts, 32) int32 numbers of words."""
    return torch.from_numpy(WORDS.of(texts))


class _OfWords(nn.Module):
    """What trainers for texts share: a table of words, dropout while learning, a last layer."""

    def __init__(self, classes: int, width: int, features: int, *, dropout: float = 0.3):
        super().__init__()
        self.words = nn.Embedding(WORDS.buckets + 1, width, padding_idx=0)
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(features, classes)

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        """Return (n, classes) logits."""
        present = numbers > 0
        present[:, 0] = True  # so that a text without words has something to be looked at
        words = self.dropout(self.words(numbers))
        # Twice: of words, and of what is made of them.
        features = self.dropout(self.features(words, present))
        logits: torch.Tensor = self.last(features)
        return logits

    def features(self, x: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """Return (n, features) of (n, length, width) words, of which (n, length) are there."""
        raise NotImplementedError


class LongShortTermMemory(_OfWords):
    """Reads forwards and backwards; its largest states over all words are the features.

    Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997.
    """

    def __init__(self, classes: int, width: int = 128):
        super().__init__(classes, width, 2 * width)
        self.layer = nn.LSTM(width, width, batch_first=True, bidirectional=True)

    def features(self, x: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """Return (n, 2 * width)."""
        states: torch.Tensor = self.layer(x)[0]
        # Below every state, which lie in (-1, 1): what is not there is never the largest.
        return states.masked_fill(~present[:, :, None], -1e4).amax(dim=1)


class Transformer(_OfWords):
    """Two layers of attention over the words, whose mean is the features.

    Vaswani et al., "Attention Is All You Need", arXiv 1706.03762.
    """

    def __init__(self, classes: int, width: int = 128, length: int = WORDS.length):
        super().__init__(classes, width, width)
        self.positions = nn.Parameter(torch.randn(length, width) * 0.3)
        layer = nn.TransformerEncoderLayer(
            width,
            nhead=4,
            dim_feedforward=2 * width,
            dropout=0.1,
            batch_first=True,
            norm_first=True,  # learns without a long warm-up (Xiong et al., arXiv 2002.04745)
        )
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def features(self, x: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """Return (n, width)."""
        positioned = x + self.positions[: x.shape[1]]
        states = self.layers(positioned, src_key_padding_mask=~present)
        mask = present[:, :, None].float()
        mean: torch.Tensor = (states * mask).sum(1) / mask.sum(1)
        return mean


class Convolutional(_OfWords):
    """Filters over 2, 3 and 4 words, the largest answer of each (Kim, arXiv 1408.5882)."""

    def __init__(self, classes: int, width: int = 128):
        super().__init__(classes, width, 3 * width)
        self.filters = nn.ModuleList(
            nn.Conv1d(width, width, size, padding=size // 2) for size in (2, 3, 4)
        )

    def features(self, x: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """Return (n, 3 * width)."""
        columns = (x * present[:, :, None]).transpose(1, 2)
        answers = [functional.relu(convolution(columns)) for convolution in self.filters]
        return torch.cat([answer.amax(dim=2) for answer in answers], dim=1)


class OfVectors(nn.Module):
    """One hidden layer on the vectors of an encoder, such as a sentence encoder of a package.

    The encoder stays as it is.

    Args:
        classes: outputs (logits).
        encode: returns (texts, numbers) float32 vectors of texts.
        width: of the hidden layer.
    """

    def __init__(
        self,
        classes: int,
        encode: Callable[[Sequence[str]], Floats],
        width: int = 256,
    ):
        super().__init__()
        self.encode = encode
        # How many numbers it gives is known by asking.
        numbers = np.asarray(encode(["a text"])).shape[1]
        self.layers = nn.Sequential(
            nn.LayerNorm(numbers),
            nn.Linear(numbers, width),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(width, classes),
        )

    def inputs(self, texts: Sequence[str]) -> torch.Tensor:
        """Return (texts, numbers) vectors."""
        return torch.from_numpy(np.asarray(self.encode(list(texts)), np.float32))

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return (n, classes) logits."""
        logits: torch.Tensor = self.layers(vectors)
        return logits


class OfPictures(nn.Module):
    """Three convolutions and a linear layer, for pictures.

    They are (n, channels, height, width), of 8 pixels or more a side.
    """

    def __init__(self, classes: int, channels: int = 1, width: int = 32):
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise((channels, width, 2 * width, 4 * width)):
            layers += [
                nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
        # The last pooling gives 3 by 3 whatever the pictures' size.
        self.layers = nn.Sequential(
            *layers[:-1],
            nn.AdaptiveMaxPool2d(3),
            nn.Flatten(),
            nn.Linear(9 * 4 * width, classes),
        )

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
