"""A small world to learn in: bars, crosses and discs, 12 pixels wide."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from handheld.data import Dataset, Splits

sys.path.insert(
    0, str(Path(__file__).parent)
)  # for "made_lessons"; pytest's importlib mode leaves the path alone

SIDE = 12
CLASSES = ("bar", "cross", "disc")


def pictures(count: int, seed: int, *, channels: int = 1) -> Dataset:
    """Draw ``count`` pictures at random places, with noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % len(CLASSES)
    grid = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="ij"))
    found = np.empty((count, SIDE, SIDE, channels), np.uint8)
    for place, label in enumerate(labels):
        rows, columns = np.abs(grid - rng.uniform(4, SIDE - 4, (2, 1, 1)))
        shape = (rows < 1.2, (rows < 1.2) | (columns < 1.2), rows**2 + columns**2 < 9)[label]
        noisy = 60 + 120 * shape[:, :, None] + rng.normal(0, 25, (SIDE, SIDE, channels))
        found[place] = np.clip(noisy, 0, 255)
    return Dataset(found, labels.astype(np.int64), CLASSES)


@pytest.fixture(scope="session")
def splits() -> Splits:
    """Train, validate and test on different pictures."""
    return Splits(pictures(360, 0), pictures(120, 1), pictures(120, 2))


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny networks are slower on several threads, and sums then depend on their number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
