from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from handheld.data import Dataset
from handheld.projection import Features
from handheld.projection.training.lessons import TextLesson
from handheld.projection.training.recipe import ProjectionRecipe
from handheld.projection.training.text import logits_of, train_student, train_trainer
from handheld.projection.training.trainers import Convolutional
from handheld.training import FitRun, Schedule

LABELS = ("greeting", "number")
WORDS = {0: ("hello", "hi", "hey", "morning"), 1: ("one", "two", "three", "four")}
SCHEDULE = Schedule(8, batch=16, rate=0.03, optimiser="adam")
TABLE = ProjectionRecipe(
    features=Features(words=1, skips=0, letters=(3,)), width=8, schedule=SCHEDULE
)
SIGNS = ProjectionRecipe(
    reads="signs",
    features=TABLE.features,
    width=16,
    dropout=0.1,
    schedule=replace(SCHEDULE, rate=0.01),
)


def messages(count: int, seed: int) -> Dataset:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    texts = tuple(
        f"{rng.choice(WORDS[label])} there {rng.choice(WORDS[label])}" for label in labels
    )
    return Dataset(texts, labels, LABELS)


@pytest.mark.parametrize(
    "recipe", [TABLE, replace(TABLE, hidden=6), SIGNS, replace(SIGNS, hidden=8)]
)
def test_a_student_learns(recipe: ProjectionRecipe):
    train, test = messages(64, 0), messages(40, 1)
    reader = recipe.reader(256)
    network, curve = train_student(reader, TextLesson.of(train), recipe)
    assert curve[-1][1] < 0.7 * curve[0][1]
    assert (logits_of(network, reader, test.inputs).argmax(1) == test.labels).mean() > 0.95
    assert getattr(network, "on_grid", True)
    assert not network.training


def test_the_same_seed_gives_the_same_table_stopped_or_not(tmp_path: Path):
    lesson, reader, save = TextLesson.of(messages(64, 0)), TABLE.reader(128), tmp_path / "state.pt"

    def stop(step: int, steps: int, loss: float) -> None:
        if step == 70:
            raise KeyboardInterrupt

    whole, _ = train_student(reader, lesson, TABLE, FitRun(3, tmp_path / "other.pt"))
    with pytest.raises(KeyboardInterrupt):
        train_student(reader, lesson, TABLE, FitRun(3, save, stop))
    resumed, _ = train_student(reader, lesson, TABLE, FitRun(3, save))
    assert torch.equal(whole.table, resumed.table)
    other, _ = train_student(reader, lesson, TABLE, FitRun(4))
    assert not torch.equal(whole.table, other.table)


def test_a_teacher_is_followed_against_the_labels():
    train, test = messages(64, 0), messages(40, 1)
    reader = TABLE.reader(256)
    turned = np.where(np.arange(2) == train.labels[:, None], -3.0, 3.0).astype(np.float32)
    network, _ = train_student(reader, replace(TextLesson.of(train), answers=turned), TABLE)
    assert (logits_of(network, reader, test.inputs).argmax(1) == test.labels).mean() < 0.05


def test_a_trainer_learns_along():
    train, test = messages(64, 0), messages(40, 1)
    reader, trainer = TABLE.reader(256), Convolutional(2, width=16)
    recipe = replace(TABLE, schedule=replace(SCHEDULE, rate=0.01))
    network, _ = train_student(reader, TextLesson.of(train), recipe, trainer=trainer)
    for answers in (logits_of(network, reader, test.inputs), logits_of(trainer, None, test.inputs)):
        assert (answers.argmax(1) == test.labels).mean() > 0.95


def test_a_trainer_learns_alone():
    train, test = messages(64, 0), messages(40, 1)
    trainer = Convolutional(2, width=16)
    train_trainer(trainer, TextLesson.of(train), replace(SCHEDULE, rate=0.01))
    assert (logits_of(trainer, None, test.inputs).argmax(1) == test.labels).mean() > 0.95


def test_few_texts_are_learned_from():
    data = Dataset(("good morning", "one two"), np.array([0, 1]), LABELS)
    reader = TABLE.reader(64)
    network, _ = train_student(
        reader, TextLesson.of(data), replace(TABLE, schedule=replace(SCHEDULE, epochs=40))
    )
    assert logits_of(network, reader, data.inputs).argmax(1).tolist() == [0, 1]
