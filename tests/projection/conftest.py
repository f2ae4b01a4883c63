"""A tiny text model, trained on the spot: greetings, farewells and questions about the time."""

from pathlib import Path

import numpy as np
import pytest
import torch

from handheld.compile import to_tflite
from handheld.data import Dataset
from handheld.projection import Features
from handheld.projection.inputs import Rows
from handheld.projection.training.table import ExportedTable, RowTable
from handheld.training import Schedule, fit

LABELS = ("hello", "bye", "time")
TEXTS = (
    ("hello there", 0),
    ("hi, how are you?", 0),
    ("hey hey", 0),
    ("good morning to you", 0),
    ("bye", 1),
    ("see you later", 1),
    ("good night, bye", 1),
    ("farewell my friend", 1),
    ("what time is it?", 2),
    ("do you know the time", 2),
    ("what is the time now", 2),
    ("is it late?", 2),
)
READER = Rows(Features(words=2, skips=0, letters=(3, 4)), rows=512, length=64)


@pytest.fixture
def greetings() -> Dataset:
    """The texts that the model learned."""
    return Dataset(
        tuple(text for text, _ in TEXTS), np.array([label for _, label in TEXTS]), LABELS
    )


@pytest.fixture(scope="session")
def table() -> RowTable:
    torch.manual_seed(0)
    network = RowTable(READER.rows, 16, len(LABELS), dropout=0.3)
    bag = READER.features.of([text for text, _ in TEXTS])
    numbers, offsets = torch.from_numpy(READER.numbers(bag)), torch.from_numpy(bag.offsets)
    labels = torch.tensor([label for _, label in TEXTS])

    def step(number: int) -> float:
        network.on_grid = number > 40
        loss = torch.nn.functional.cross_entropy(network(numbers, offsets), labels)
        loss.backward()
        return float(loss.detach())

    fit(network, step, Schedule(1, rate=0.05, optimiser="adam"), 80)
    return network.eval()


@pytest.fixture(scope="session")
def model_file(table: RowTable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "greetings.tflite"
    rows = torch.from_numpy(READER.of([text for text, _ in TEXTS]))
    to_tflite(
        ExportedTable(table),
        rows[:1],
        metadata={"labels": list(LABELS), "text": READER.card()},
        out=path,
        precision="int4_tables",
        checks=[row[None] for row in rows],
        tolerance=0.02,
    )
    return path
