"""Networks whose channels hang together in different ways, and a small problem to learn."""

import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from torch import nn  # noqa: E402


class Mixed(nn.Module):
    """Residual, depthwise and concatenated paths."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        w = width
        self.stem = nn.Sequential(
            nn.Conv2d(1, w, 3, padding=1, bias=False), nn.BatchNorm2d(w), nn.ReLU()
        )
        self.expand = nn.Sequential(
            nn.Conv2d(w, 2 * w, 1, bias=False), nn.BatchNorm2d(2 * w), nn.ReLU()
        )
        self.depthwise = nn.Sequential(
            nn.Conv2d(2 * w, 2 * w, 3, 2, 1, groups=2 * w, bias=False),
            nn.BatchNorm2d(2 * w),
            nn.ReLU(),
        )
        self.project = nn.Sequential(nn.Conv2d(2 * w, w, 1, bias=False), nn.BatchNorm2d(w))
        self.branch = nn.Sequential(nn.Conv2d(w, w, 3, padding=1, bias=False), nn.BatchNorm2d(w))
        self.side = nn.Conv2d(w, w, 1)
        self.head = nn.Linear(2 * w, 4)

    def forward(self, x):
        x = self.project(self.depthwise(self.expand(self.stem(x))))
        x = torch.relu(x + self.branch(x))
        x = torch.cat([x, torch.relu(self.side(x))], 1)
        return self.head(x.mean((2, 3)))


def pictures(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(count, 1, 8, 8) stripes of four directions in noise, and the direction of each."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    labels = torch.randint(4, (count,), generator=generator)
    slopes = torch.tensor([[0, 1], [1, 0], [0.7, 0.7], [0.7, -0.7]])[labels]
    phase = 6 * torch.rand(count, 1, 1, generator=generator)
    stripes = torch.sin(
        1.6 * (slopes[:, 0, None, None] * rows + slopes[:, 1, None, None] * columns) + phase
    )
    return (stripes + 0.7 * torch.randn(count, 8, 8, generator=generator))[:, None], labels


def train(network: nn.Module, steps: int, rate: float = 0.01, seed: int = 0) -> None:
    """Train in place on the stripes."""
    inputs, labels = pictures(512, 1)
    optimiser = torch.optim.Adam(network.parameters(), rate)
    generator = torch.Generator().manual_seed(seed)
    network.train()
    for _ in range(steps):
        chosen = torch.randint(len(inputs), (64,), generator=generator)
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(inputs[chosen]), labels[chosen]).backward()
        optimiser.step()
    network.eval()


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Networks this small are slower on several threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def mixed():
    """A network with fresh weights and lively statistics."""
    torch.manual_seed(0)
    network = Mixed()
    for _ in range(5):
        network(torch.randn(16, 1, 8, 8))
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.2, 1.0)
    return network.eval()


@pytest.fixture(scope="module")
def trained():
    """A trained network."""
    torch.manual_seed(0)
    network = Mixed()
    train(network, 200)
    return network


@pytest.fixture
def example():
    return torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def stripes():
    """``pictures`` and ``train``."""
    return pictures, train
