"""Texts that are made of hand-written messages."""

from pathlib import Path

import numpy as np
import pytest

from handheld.errors import InputError
from handheld.reply.safety import HARMLESS
from handheld.reply.training.compositions import NearWords, composed
from handheld.reply.training.messages import WrittenMessage

WRITTEN = (
    WrittenMessage("death", "my mum died last night", ("a", 0)),
    WrittenMessage("death", "they buried him on friday", ("a", 1)),
    WrittenMessage(HARMLESS, "lunch at noon then", ("a", 2)),
)


@pytest.fixture
def near(tmp_path: Path) -> NearWords:
    vectors = [[1, 0], [0.9, 0.1], [0, 1], [0.1, 0.9]]
    np.savez(
        tmp_path / "words.npz",
        words=np.array(["mum", "auntie", "lunch", "dinner"]),
        vectors=np.array(vectors),
    )
    return NearWords.read(tmp_path / "words.npz", 4)


def test_each_word_knows_the_others_the_nearest_first(near: NearWords):
    assert near.near[:, 0].tolist() == [1, 0, 3, 2]
    assert near.near.shape == (4, 3)


def test_words_that_are_exchanged_become_near_ones_and_strangers_stay(near: NearWords):
    rng = np.random.default_rng(0)
    assert near.exchanged("Mum died", 0.0, rng) == "Mum died"
    seen = {near.exchanged("Mum died", 1.0, rng) for _ in range(50)}
    assert seen == {"auntie died", "lunch died", "dinner died"}


def test_what_is_composed_is_of_the_words_of_messages_and_their_neighbours(near: NearWords):
    texts = composed(WRITTEN, near, 400, np.random.default_rng(0))
    assert len(set(texts)) == len(texts) > 60
    known = {word for message in WRITTEN for word in message.text.split()} | set(near.words)
    assert {word for text in texts for word in text.split()} <= known
    assert any(
        text.startswith("lunch") and text.endswith("friday") for text in texts
    )  # a beginning and another's end
    assert "died last" in texts  # a piece
    assert composed(WRITTEN, near, 400, np.random.default_rng(0)) == texts


def test_a_file_that_is_none_is_named(tmp_path: Path):
    (tmp_path / "bad.npz").write_bytes(b"no")
    with pytest.raises(InputError, match=r"bad\.npz cannot be read as words and their vectors"):
        NearWords.read(tmp_path / "bad.npz", 4)
