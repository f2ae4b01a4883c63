from pathlib import Path

import numpy as np
import pytest

from handheld.engine import Model, Prediction, classify, embed
from handheld.engine.classify import ImageCard, prepare
from handheld.errors import InputError, ModelError

LANDMARK = (Path(__file__).parent.parent / "fixtures" / "tiny_landmark.tflite").read_bytes()
CARD = {
    "labels": [f"value {i}" for i in range(63)],
    "image": {"mean": [0.0], "std": [1.0]},
    "output": "logits",
}


def with_card(**changes):
    return Model.load(embed(LANDMARK, CARD | changes))


def test_a_photo_of_any_size_is_enough():
    photo = np.full((40, 90, 3), 200, np.uint8)
    answers = classify(with_card(), photo, top=3)
    assert [type(answer) for answer in answers] == [Prediction] * 3
    assert answers[0].probability >= answers[1].probability >= answers[2].probability
    assert sum(
        answer.probability for answer in classify(with_card(), photo, top=63)
    ) == pytest.approx(1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": []}, "no list of labels"),
        ({"labels": ["a", 3]}, "no list of labels"),
        ({"labels": ["a"]}, "1 labels, its output 63"),
        ({"image": None}, "how pictures are prepared"),
        ({"output": "scores"}, "how pictures are prepared"),
        ({"image": {"fit": "zoom"}}, "expected stretch or crop"),
        ({"image": {"std": [0]}}, "above 0"),
        ({"image": {"mean": [1, 2]}}, "one number or three"),
        ({"image": {"grey": True}}, r"\[1, height, width, 1\]"),
    ],
)
def test_a_card_that_does_not_say_enough(changes, message):
    with pytest.raises(ModelError, match=message):
        classify(with_card(**changes), np.zeros((8, 8, 3), np.uint8))


@pytest.mark.parametrize(
    "image",
    [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), np.float32), np.zeros((0, 8, 3), np.uint8)],
)
def test_what_is_no_picture(image):
    with pytest.raises(InputError, match="expected a picture"):
        classify(with_card(), image)


@pytest.mark.parametrize("image", [None, "photo.jpg", [[[0, 0, 0]]]])
def test_what_is_no_array_names_what_reads_one(image):
    message = f"handheld.media.read_image gives, got {type(image).__name__}"
    with pytest.raises(InputError, match=message):
        classify(with_card(), image)


def test_preparing_by_hand():
    card = ImageCard(
        ("a",), np.array([0.5]), np.array([0.25]), grey=False, crops=False, is_logits=True
    )
    assert prepare(np.full((4, 4, 3), 255, np.uint8), card, 2, 2) == pytest.approx(
        np.full((2, 2, 3), 2.0)
    )
    grey = ImageCard(
        ("a",), np.array([0.0]), np.array([1.0]), grey=True, crops=False, is_logits=True
    )
    red = np.zeros((2, 2, 3), np.uint8)
    red[..., 0] = 255
    assert prepare(red, grey, 2, 2) == pytest.approx(np.full((2, 2, 1), 0.299))


def test_cropping_takes_the_middle():
    card = ImageCard(
        ("a",), np.array([0.0]), np.array([1.0]), grey=False, crops=True, is_logits=True
    )
    wide = np.zeros((2, 6, 3), np.uint8)
    wide[:, 2:4] = 255
    assert prepare(wide, card, 2, 2) == pytest.approx(np.ones((2, 2, 3)))


@pytest.mark.parametrize("top", [-1, 2.0, "3", None, True])
def test_a_number_of_labels_that_is_none(top):
    photo = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(
        InputError, match=f"^top: expected a whole number of 0 or more, got {top!r}"
    ):
        classify(with_card(), photo, top=top)
    assert classify(with_card(), photo, top=0) == []
