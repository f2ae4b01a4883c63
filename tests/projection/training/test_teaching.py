from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from handheld.data import Dataset
from handheld.errors import InputError, TrainingError
from handheld.projection.training.lessons import TextLesson
from handheld.projection.training.teaching import SCHEDULE, build, mean_of, teach
from handheld.projection.training.trainers import OfVectors

WORDS = (("red", "green", "blue"), ("one", "two", "three"))
DATA = Dataset(
    tuple(f"{a} and {b}" for words in WORDS for a in words for b in words),
    np.arange(18) // 9,
    ("colour", "number"),
)


def count(texts: list[str]) -> np.ndarray:
    """An encoder: how often each letter is there."""
    return np.array(
        [[text.count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts],
        np.float32,
    )


@pytest.mark.parametrize("trainer", ["convolutional", "ngrams", "an encoder's"])
def test_a_trainer_learns_and_answers(trainer: str):
    torch.manual_seed(0)
    given = OfVectors(2, count, width=16) if trainer == "an encoder's" else trainer
    taught = teach(given, TextLesson.of(DATA), schedule=replace(SCHEDULE, rate=0.01, epochs=10))
    assert taught.logits(DATA.inputs).argmax(1).tolist() == DATA.labels.tolist()
    assert taught.curve[-1][1] < taught.curve[0][1]


def test_what_all_labels_share_does_not_count():
    found = mean_of([np.array([[1.0, 3.0]], np.float32), np.array([[102.0, 100.0]], np.float32)])
    assert found.tolist() == [[0.0, 0.0]]


def test_a_trainer_that_there_is_not_is_refused():
    with pytest.raises(InputError, match="no trainer 'large': expected lstm"):
        build("large", 2)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (OfVectors(3, count), r"gives \[2, 3\] for 2 texts of 2 labels"),
        (nn.Linear(3, 2), "the trainer Linear fails on texts"),
    ],
)
def test_a_network_that_gives_no_logits_is_refused(network: nn.Module, message: str):
    with pytest.raises(TrainingError, match=message):
        teach(network, TextLesson.of(DATA))
