from pathlib import Path

import numpy as np
import pytest
import torch

from handheld.compile import to_tflite
from handheld.data import Dataset
from handheld.errors import InputError
from handheld.projection import Features
from handheld.projection.inputs import Rows
from handheld.projection.training.table import Exported
from handheld.projection.training.text import Recipe, logits_of, order, train_table
from handheld.training import Schedule

LABELS = ("greeting", "number")
WORDS = {0: ("hello", "hi", "hey", "morning"), 1: ("one", "two", "three", "four")}
RECIPE = Recipe(Features(words=1, skips=0, letters=(3,)), width=8, schedule=Schedule(30, batch=16, rate=0.03, optimiser="adam"))


def messages(count: int, seed: int) -> Dataset:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    texts = tuple(f"{rng.choice(WORDS[label])} there {rng.choice(WORDS[label])}" for label in labels)
    return Dataset(texts, labels, LABELS)


def test_a_table_learns_and_sits_on_its_grid():
    train, test = messages(64, 0), messages(40, 1)
    reader = Rows(RECIPE.features, rows=256, length=32)
    network, curve = train_table(reader, train, RECIPE)
    assert curve[-1][1] < 0.5 * curve[0][1]
    assert (logits_of(network, reader, test.inputs).argmax(1) == test.labels).mean() > 0.95
    assert network.on_grid
    assert not network.training


def test_the_same_seed_gives_the_same_table_stopped_or_not(tmp_path: Path):
    train, reader, save = messages(64, 0), Rows(RECIPE.features, 128, 32), tmp_path / "state.pt"

    def stop(step: int, steps: int, loss: float) -> None:
        if step == 70:
            raise KeyboardInterrupt

    whole, _ = train_table(reader, train, RECIPE, seed=3, save=tmp_path / "other.pt")
    with pytest.raises(KeyboardInterrupt):
        train_table(reader, train, RECIPE, seed=3, save=save, report=stop)
    resumed, _ = train_table(reader, train, RECIPE, seed=3, save=save)
    assert torch.equal(whole.table, resumed.table)
    other, _ = train_table(reader, train, RECIPE, seed=4)
    assert not torch.equal(whole.table, other.table)


def test_a_teacher_is_followed_against_the_labels():
    train, test = messages(64, 0), messages(40, 1)
    reader = Rows(RECIPE.features, 256, 32)
    turned = np.where(np.arange(2) == train.labels[:, None], -3.0, 3.0).astype(np.float32)
    network, _ = train_table(reader, train, RECIPE, answers=turned)
    assert (logits_of(network, reader, test.inputs).argmax(1) == test.labels).mean() < 0.05


@pytest.mark.parametrize("size", [20_000, 60_000])
def test_the_file_keeps_its_size_and_uses_it(size: int):
    labels = tuple(f"label number {n}" for n in range(40))
    recipe = Recipe(width=32, hidden=16)
    reader = recipe.reader(size, labels)
    data = Dataset(("one", "two"), np.array([0, 1]), labels)
    network, _ = train_table(reader, data, Recipe(width=32, hidden=16, schedule=Schedule(1, batch=2, optimiser="adam")))
    rows = torch.from_numpy(reader.of(["one two"]))
    card = {"labels": list(labels), "text": reader.card(), "accuracy": {"test": 0.9137, "examples": 4500}, "how": "x" * 80}
    file = to_tflite(Exported(network), rows, metadata=card, precision="int4_tables")
    assert 0.9 * size < file.size <= size


def test_a_size_that_no_table_has_is_refused():
    with pytest.raises(InputError, match="5000 bytes are too few"):
        Recipe().reader(5000, ("yes", "no"))


@pytest.mark.parametrize("data", [Dataset((), np.zeros(0, int), LABELS), Dataset(np.zeros((2, 3)), np.zeros(2, int), LABELS)])
def test_what_is_no_text_is_refused(data: Dataset):
    with pytest.raises(InputError, match="expected texts"):
        train_table(Rows(RECIPE.features, 64), data, RECIPE)


def test_each_epoch_goes_through_all_examples():
    places = order(10, 3, seed=1)
    epochs = [np.concatenate([places(3 * epoch + n) for n in range(3)]) for epoch in range(2)]
    assert all(len(set(epoch.tolist())) == 9 for epoch in epochs)
    assert epochs[0].tolist() != epochs[1].tolist()
