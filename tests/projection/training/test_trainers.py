import numpy as np
import pytest
import torch
from torch import nn

from handheld.projection.inputs import WordNumbers
from handheld.projection.training.trainers import TRAINERS, OfPictures, OfVectors
from handheld.training import Schedule, fit


def test_words_by_number_and_nothing_behind_them():
    found = WordNumbers(length=4).of(["yes no yes", "", "one two three four five six"])
    assert found.shape == (3, 4)
    assert found[0, 0] == found[0, 2] != found[0, 1]
    assert found[0, 3] == 0
    assert not found[1].any()
    assert found[2].all()


@pytest.mark.parametrize("name", TRAINERS)
def test_each_trainer_learns_the_order_of_words(name: str):
    texts = [f"{a} {b}" for a in ("cats", "dogs", "birds", "fish") for b in ("chase", "flee")]
    turned = [" ".join(reversed(text.split())) for text in texts]
    inputs = torch.from_numpy(WordNumbers(length=8).of([*texts, *turned, ""]))
    labels = torch.tensor([0] * 8 + [1] * 8 + [0])
    torch.manual_seed(0)
    network = TRAINERS[name](2)

    def step(_: int) -> float:
        loss = nn.functional.cross_entropy(network(inputs), labels)
        loss.backward()
        return float(loss.detach())

    fit(network, step, Schedule(1, rate=0.003, optimiser="adam"), 100)
    network.eval()
    assert torch.equal(network(inputs)[:16].argmax(1), labels[:16])


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 48)])
def test_pictures_of_any_size(shape: tuple[int, int, int]):
    inputs = torch.from_numpy(np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32))
    assert OfPictures(7, shape[0], width=4)(inputs).shape == (2, 7)


def test_a_given_encoder_is_read_and_stays_as_it_is():
    def encode(texts: list[str]) -> np.ndarray:
        return np.array([[len(text), text.count("a"), 1.0] for text in texts], np.float32)

    network = OfVectors(4, encode, width=8)
    assert network.inputs(["a", "banana"]).tolist() == [[1, 1, 1], [6, 3, 1]]
    assert network(network.inputs(["a", "banana"])).shape == (2, 4)
