"""The networks of the federated averaging paper (McMahan et al., arXiv 1602.05629), by name."""

from collections.abc import Callable

import torch
from torch import nn

from handheld.errors import InputError

Shape = tuple[int, ...]


def two_layers(shape: Shape, classes: int) -> nn.Module:
    """Return two hidden layers of 200: the paper's 2NN, 199,210 weights for pictures of 28 x 28."""
    inputs = torch.Size(shape).numel()
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(inputs, 200),
        nn.ReLU(),
        nn.Linear(200, 200),
        nn.ReLU(),
        nn.Linear(200, classes),
    )


def linear(shape: Shape, classes: int) -> nn.Module:
    """Return logistic regression."""
    return nn.Sequential(nn.Flatten(), nn.Linear(torch.Size(shape).numel(), classes))


def convolutional(shape: Shape, classes: int) -> nn.Module:
    """Return two convolutions of 5 x 5 and a layer of 512: the paper's CNN, 1,663,370 weights for
    pictures of 28 x 28.

    Args:
        shape: channels, height and width, the last two 4 or more.
        classes: outputs.
    """
    return _convolutional(shape, classes, 32, 512)


def small_convolutional(shape: Shape, classes: int) -> nn.Module:
    """Return the paper's CNN with a fourth of its channels and an eighth of its hidden layer."""
    return _convolutional(shape, classes, 8, 64)


class Characters(nn.Module):
    """The next letter from those before: an embedding, two LSTM layers, and logits at each place
    (the paper's: 8 and 256 wide).

    Args:
        letters: that are known.
        inside: width of the embedding.
        width: of the LSTM layers.
    """

    # The widths are the paper's, section 3.
    def __init__(self, letters: int, inside: int = 8, width: int = 256):
        super().__init__()
        self.table = nn.Embedding(letters, inside)
        self.memory = nn.LSTM(inside, width, num_layers=2, batch_first=True)
        self.head = nn.Linear(width, letters)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (batch, length, letters) logits of (batch, length) letters."""
        states, _ = self.memory(self.table(x))
        logits: torch.Tensor = self.head(states)
        return logits


def letters(shape: Shape, classes: int) -> nn.Module:
    """Return the paper's character LSTM."""
    return Characters(classes)


def few_letters(shape: Shape, classes: int) -> nn.Module:
    """Return a character LSTM of a fourth of the paper's width."""
    return Characters(classes, width=64)


NETWORKS: dict[str, Callable[[Shape, int], nn.Module]] = {
    "linear": linear,
    "two_layers": two_layers,
    "convolutional": convolutional,
    "small_convolutional": small_convolutional,
    "letters": letters,
    "few_letters": few_letters,
}
"""Networks by name; each takes the shape of an input and the number of classes."""


def make(name: str, shape: Shape, classes: int, *, seed: int) -> nn.Module:
    """Return a network with fresh weights. Raises :class:`InputError` for a name that is none."""
    if name not in NETWORKS:
        raise InputError(
            f"no network {name!r}: expected {', '.join(NETWORKS)}, or package.module:factory"
        )
    # torch's layers draw their weights from its one global generator: it is put back afterwards.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return NETWORKS[name](shape, classes)


# The paper gives no padding; with it the CNN has the 1,663,370 weights that it reports.
def _convolutional(shape: Shape, classes: int, channels: int, hidden: int) -> nn.Module:
    # Two poolings halve each side twice.
    last = 2 * channels * (shape[1] // 4) * (shape[2] // 4)
    return nn.Sequential(
        nn.Conv2d(shape[0], channels, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(channels, 2 * channels, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(last, hidden),
        nn.ReLU(),
        nn.Linear(hidden, classes),
    )
